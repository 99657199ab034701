#include "edge/node/channel.h"

#include "edge/node/node.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

struct channel *channel_new(const char *name, unsigned workers)
{
    /* One allocation: the struct, the workers' lists, the node's counts, the name. */
    size_t locals_bytes = workers * sizeof(struct channel_local);
    size_t counts_bytes = workers * sizeof(uint32_t);
    size_t name_bytes = strlen(name) + 1;
    struct channel *channel = new_zeroed(sizeof(*channel) + locals_bytes + counts_bytes + name_bytes);
    atomic_init(&channel->references, 1);
    channel->on_worker = (uint32_t *)&channel->local[workers];
    channel->name = memcpy((char *)channel->on_worker + counts_bytes, name, name_bytes);
    channel->kind = channel_kind_of(name);
    channel->workers = workers;
    return channel;
}

struct channel *channel_ref(struct channel *channel)
{
    atomic_fetch_add_explicit(&channel->references, 1, memory_order_relaxed);
    return channel;
}

void channel_unref(struct channel *channel)
{
    if (!channel || atomic_fetch_sub_explicit(&channel->references, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned w = 0; w < channel->workers; w++)
        free(channel->local[w].subscribers);
    frame_unref(channel->succeeded);
    free(channel);
}

void channel_attach(struct channel *channel, unsigned worker, struct subscription *subscription)
{
    struct channel_local *local = &channel->local[worker];
    if (local->count == local->capacity) {
        local->capacity = local->capacity ? local->capacity * 2 : 4;
        local->subscribers = resized(local->subscribers, local->capacity, sizeof(*local->subscribers));
    }
    subscription->index = local->count;
    local->subscribers[local->count++] = subscription;
}

void channel_detach(struct channel *channel, unsigned worker, struct subscription *subscription)
{
    struct channel_local *local = &channel->local[worker];
    struct subscription *last = local->subscribers[--local->count];
    local->subscribers[subscription->index] = last;
    last->index = subscription->index;
}
