/* Wakes: on a topic of each partition Redis says that there is something to deliver, so that the edge that holds the lane
 * (lane.c) need not ask again and again. It is a hint: whatever is missed is found with the next heartbeat's asking. */
#include "presence/engine/engine_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What happens within this time is asked for together. The first after a silence is asked for at once. */
enum { TOGETHER_MS = 250 };

static void print_topic(const struct partition *partition, char topic[static 176])
{
    snprintf(topic, 176, "%s:w", partition->base);
}

/* The partition of a topic of wakes on that shard that is followed, or NULL. */
static struct partition *find(struct shard *shard, const char *topic)
{
    struct engine *engine = shard->engine;
    const char *brace = strstr(topic, ":{"); /* the prefix has no braces */
    unsigned long index = brace ? strtoul(brace + 2, NULL, 10) : engine->options.partitions;
    char name[176];
    if (index >= engine->options.partitions)
        return NULL;
    struct partition *partition = &engine->partitions[index];
    print_topic(partition, name);
    return partition->wake.on == shard && strcmp(topic, name) == 0 ? partition : NULL;
}

static void follow(struct partition *partition)
{
    struct engine *engine = partition->engine;
    char topic[176];
    print_topic(partition, topic);
    partition->wake.on = partition->shard;
    engine->io.bus_subscribe(engine->io_context, partition->shard->index, topic);
}

static void let_go(struct partition *partition)
{
    struct engine *engine = partition->engine;
    char topic[176];
    print_topic(partition, topic);
    if (partition->wake.on->bus_up)
        engine->io.bus_unsubscribe(engine->io_context, partition->wake.on->index, topic);
    partition->wake.on = NULL;
    partition->wake.heard = false;
}

void wake_leave(struct partition *partition)
{
    if (partition->wake.on)
        let_go(partition);
}

void wake_tick(struct partition *partition)
{
    bool wanted = partition->lane.ours && partition->shard->bus_up;
    if (partition->wake.on && (!wanted || partition->wake.on != partition->shard))
        let_go(partition);
    if (wanted && !partition->wake.on)
        follow(partition);
}

void wake_bus_lost(struct shard *shard)
{
    for (unsigned i = 0; i < shard->engine->options.partitions; i++) {
        struct partition *partition = &shard->engine->partitions[i];
        if (partition->wake.on != shard)
            continue;
        partition->wake.on = NULL;
        partition->wake.heard = false;
        partition->lane.next_ms = 0; /* it is asked again and again from now on */
    }
}

bool wake_subscribed(struct shard *shard, const char *topic)
{
    struct partition *partition = find(shard, topic);
    if (!partition)
        return false;
    partition->wake.heard = true;
    partition->lane.next_ms = 0; /* what came before */
    return true;
}

bool wake_message(struct shard *shard, const char *topic)
{
    struct partition *partition = find(shard, topic);
    if (!partition)
        return false;
    uint64_t now = engine_now(partition->engine), due = partition->wake.together_until_ms;
    if (partition->lane.given)
        return true; /* it is asked for when the observer wants more */
    if (due <= now) {
        due = now;
        partition->wake.together_until_ms = now + TOGETHER_MS;
    }
    if (partition->lane.next_ms > due)
        partition->lane.next_ms = due;
    return true;
}
