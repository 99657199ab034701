/* What workers ask of the node: how it is made and freed. Runs on a worker's thread. */
#include "edge/node/node.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

struct subscription *subscription_new(
    const char *name, size_t name_bytes, const char *user_id, size_t user_id_bytes)
{
    struct subscription *subscription =
        new_zeroed(sizeof(*subscription) + name_bytes + 1 + (user_id ? user_id_bytes + 1 : 0));
    memcpy(subscription->name, name, name_bytes);
    if (user_id)
        subscription->user_id = memcpy(subscription->name + name_bytes + 1, user_id, user_id_bytes);
    return subscription;
}

void subscription_free(struct subscription *subscription)
{
    app_unref(subscription->app);
    channel_unref(subscription->channel);
    frame_unref(subscription->answer);
    frame_unref(subscription->cached);
    free(subscription->user_info);
    free(subscription);
}

struct publish *publish_new(const struct app *app, size_t count)
{
    struct publish *publish = new_zeroed(sizeof(*publish) + count * sizeof(publish->items[0]));
    publish->app = app_ref(app);
    publish->count = count;
    return publish;
}

void publish_free(struct publish *publish)
{
    for (size_t i = 0; i < publish->count; i++) {
        free(publish->items[i].channel);
        frame_unref(publish->items[i].frame);
        buffer_deinit(&publish->items[i].note);
        free(publish->items[i].note_user_id);
    }
    buffer_deinit(&publish->body);
    app_unref(publish->app);
    free(publish);
}

struct query *query_new(const struct app *app, enum query_kind kind, const char *name, unsigned info)
{
    struct query *query = new_zeroed(sizeof(*query));
    query->name = new_text(name);
    query->app = app_ref(app);
    query->kind = kind;
    query->info = info;
    return query;
}

void query_free(struct query *query)
{
    free(query->name);
    buffer_deinit(&query->body);
    app_unref(query->app);
    free(query);
}
