/* Events: to Redis and, over the bus, back to every edge that has a subscriber, this one too. Out of reach,
 * what may stay local is delivered here at once; its echo, should it come, is known by its id. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <stdlib.h>

struct publishing {
    UT_hash_handle hh; /* in engine->publishing, by serial of the id */
    struct store_publish *publish;
    struct socket_id id;
    struct shard *shard;
    bool echoed; /* it has come back, so Redis has it, whatever becomes of the reply */
};

static void give_cached(struct channel *channel, struct frame *frame, uint64_t ttl_ms)
{
    if (!ttl_ms)
        return;
    frame_unref(channel->cached);
    channel->cached = frame_ref(frame);
    channel->cached_until_ms = engine_now(channel->engine) + ttl_ms;
    channel->cached_serial = channel->engine->command_serial;
}

static void deliver(struct channel *channel, const struct store_event *event, uint64_t ttl_ms)
{
    const struct store *store = &channel->engine->store;
    give_cached(channel, event->frame, ttl_ms);
    if (store->observer.event)
        store->observer.event(store->observer_context, &channel->shown, event);
}

static void remember(struct engine *engine, uint64_t serial)
{
    struct seen *seen = new_zeroed(sizeof *seen);
    seen->serial = serial;
    HASH_ADD(hh, engine->seen, serial, sizeof seen->serial, seen);
    STAILQ_INSERT_TAIL(&engine->seen_order, seen, link);
    if (++engine->seen_count <= SEEN_MAX)
        return;
    seen = STAILQ_FIRST(&engine->seen_order);
    STAILQ_REMOVE_HEAD(&engine->seen_order, link);
    HASH_DEL(engine->seen, seen);
    free(seen);
    engine->seen_count--;
}

/* Of an event that was delivered here already. */
static bool is_echo(struct engine *engine, struct socket_id id)
{
    struct seen *seen = NULL;
    struct publishing *publishing = NULL;
    if (id.edge != engine->edge)
        return false;
    HASH_FIND(hh, engine->seen, &id.serial, sizeof id.serial, seen);
    HASH_FIND(hh, engine->publishing, &id.serial, sizeof id.serial, publishing);
    if (publishing)
        publishing->echoed = true;
    return seen != NULL;
}

void publish_deliver(struct channel *channel, const struct wire_event *event)
{
    if (is_echo(channel->engine, event->event_id)) {
        channel->engine->counters.echoes_dropped++;
        return;
    }
    struct store_event out = {.exclude = event->exclude, .kind = event->event_kind};
    out.frame = frame_copy(event->text, event->text_bytes);
    deliver(channel, &out, event->ttl_ms);
    frame_unref(out.frame);
}

/* Redis has not had it, or has not said so. */
static void finish_alone(struct engine *engine, struct store_publish *publish, struct socket_id id)
{
    if (!publish->local_suffices) {
        publish->done(publish, STORE_UNAVAILABLE);
        return;
    }
    engine->counters.published_locally++;
    remember(engine, id.serial);
    struct channel *channel = channel_lookup(engine, publish->app_id, publish->channel);
    if (channel && channel->open)
        deliver(channel, &publish->event, publish->cache_ttl_ms);
    publish->done(publish, STORE_OK);
}

static void on_published(struct command *command, const struct reply *reply)
{
    struct publishing *publishing = command->context;
    struct engine *engine = command->engine;
    publishing->shard->publishes_out--;
    HASH_DEL(engine->publishing, publishing);
    enum answer answer = command_answer(command, reply);
    struct frame *frame = publishing->publish->event.frame;
    if (!engine->freeing && (answer == ANSWER_OK || publishing->echoed))
        publishing->publish->done(publishing->publish, STORE_OK);
    else if (!engine->freeing)
        finish_alone(engine, publishing->publish, publishing->id);
    frame_unref(frame);
    free(publishing);
}

void publish_event(struct store *store, struct store_publish *publish)
{
    struct engine *engine = engine_of_store(store);
    unsigned index = wire_partition(publish->app_id, publish->channel, engine->options.partitions);
    struct partition *partition = &engine->partitions[index];
    struct socket_id id = {engine->edge, ++engine->event_serial};
    engine_enter(engine);
    if (partition->state != PARTITION_READY || partition->retired ||
        engine_now(engine) < partition->stalled_ms || partition->shard->publishes_out >= PUBLISHES_OUT) {
        finish_alone(engine, publish, id);
        engine_leave(engine);
        return;
    }
    struct publishing *publishing = new_zeroed(sizeof *publishing);
    *publishing = (struct publishing){.publish = publish, .id = id, .shard = partition->shard};
    HASH_ADD(hh, engine->publishing, id.serial, sizeof id.serial, publishing);
    frame_ref(publish->event.frame);
    struct command *command = command_new(partition, SCRIPT_PUBLISH, on_published);
    command->context = publishing;
    char *app_key = wire_app_key(publish->app_id);
    args_printf(&command->args, "%s:%s", app_key, publish->channel);
    free(app_key);
    args_number(&command->args, publish->cache_ttl_ms);
    wire_event_add(&command->args, &publish->event, publish->cache_ttl_ms, id);
    partition->shard->publishes_out++;
    engine->counters.published++;
    command_send(command);
    engine_leave(engine);
}

void publish_deinit(struct engine *engine)
{
    struct seen *seen, *next;
    HASH_ITER (hh, engine->seen, seen, next) {
        HASH_DEL(engine->seen, seen);
        free(seen);
    }
}
