/* The engine as a whole: making, freeing, the turn, and what is asked about it. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1 }; /* of messages and scripts; an edge works beside the release before it */

uint64_t engine_now(const struct engine *engine)
{
    return engine->io.now_ms(engine->io_context);
}

void engine_log(struct engine *engine, enum engine_level level, const char *event, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    engine->io.log(engine->io_context, level, event, text);
}

void engine_note(const struct shard *shard, const struct partition *partition, enum engine_note_kind kind,
    uint64_t number, const char *channel, const char *why)
{
    const struct engine_io *io = &shard->engine->io;
    if (!io->note || shard->engine->freeing)
        return;
    struct engine_note note = {
        .kind = kind,
        .shard = shard->index,
        .partition = partition ? (int)partition->index : -1,
        .number = number,
        .channel = channel,
        .why = why,
    };
    io->note(shard->engine->io_context, &note);
}

void engine_enter(struct engine *engine)
{
    engine->depth++;
}

void engine_leave(struct engine *engine)
{
    if (engine->depth == 1) {
        for (unsigned i = 0; i < engine->options.partitions; i++)
            writer_flush(&engine->partitions[i]);
        channels_sweep(engine);
    }
    engine->depth--;
}

static void store_free_engine(struct store *store)
{
    engine_free((struct engine *)store);
}

static void keep_transitions(struct store *store)
{
    engine_of_store(store)->options.outbox = true;
}

static const struct store_operations operations = {
    .keep_transitions = keep_transitions,
    .subscribe = channel_subscribe,
    .unsubscribe = channel_unsubscribe,
    .publish = publish_event,
    .query_channels = query_channels,
    .query_channel = query_channel,
    .query_members = query_members,
    .note = lane_note,
    .transitions_done = lane_done,
    .transitions_more = lane_more,
    .set_usage = usage_set,
    .find = channel_find,
    .free = store_free_engine,
};

/* What must be equal on all edges. The shards are not: where a partition is, the layout says. */
static void print_settings(struct engine *engine)
{
    const struct engine_options *options = &engine->options;
    snprintf(engine->settings, sizeof engine->settings, "%d %u %u %u", FORMAT, options->partitions,
        options->heartbeat_ms, options->lease_ms);
}

struct engine *engine_new(const struct engine_options *options, const struct engine_io *io, void *io_context,
    const struct store_observer *observer, void *observer_context)
{
    struct engine *engine = new_zeroed(sizeof *engine);
    engine->store = (struct store){&operations, *observer, observer_context};
    engine->options = *options;
    if (observer->transitions)
        keep_transitions(&engine->store);
    engine->options.prefix = new_copy(options->prefix, strlen(options->prefix));
    engine->options.cluster = new_copy(options->cluster, strlen(options->cluster));
    engine->options.edge_name = new_copy(options->edge_name, strlen(options->edge_name));
    engine->io = *io;
    engine->io_context = io_context;
    engine->edge = io->random(io_context) | 1; /* 0 means nobody */
    engine->started_ms = engine_now(engine);
    TAILQ_INIT(&engine->waiters);
    STAILQ_INIT(&engine->seen_order);
    TAILQ_INIT(&engine->idle);
    layout_init(engine);
    engine->options.shards = NULL; /* the caller's */
    print_settings(engine);
    engine->partitions = new_array(options->partitions, sizeof *engine->partitions);
    for (unsigned i = 0; i < options->partitions; i++)
        partition_init(&engine->partitions[i], engine, i);
    return engine;
}

static void free_topics(struct engine *engine)
{
    struct topic *topic, *next;
    for (unsigned i = 0; i < engine->shards_used; i++) {
        HASH_ITER (hh, engine->shards[i].topics, topic, next) {
            HASH_DEL(engine->shards[i].topics, topic);
            free(topic);
        }
    }
}

static void free_options(struct engine *engine)
{
    free((char *)engine->options.prefix);
    free((char *)engine->options.cluster);
    free((char *)engine->options.edge_name);
}

void engine_free(struct engine *engine)
{
    engine->freeing = true;
    engine->store.observer = (struct store_observer){0};
    engine->depth = 1; /* nothing is sent any more */
    for (unsigned i = 0; i < engine->shards_used; i++) {
        if (engine->shards[i].name)
            shard_lost(&engine->shards[i], NULL);
    }
    for (unsigned i = 0; i < engine->options.partitions; i++)
        writer_deinit(&engine->partitions[i]), lane_deinit(&engine->partitions[i]);
    struct channel *channel, *next;
    HASH_ITER (hh, engine->channels, channel, next) {
        channel_free(channel);
    }
    free_topics(engine);
    usage_deinit(engine);
    publish_deinit(engine);
    layout_deinit(engine);
    free_options(engine);
    free(engine->partitions);
    free(engine);
}

void engine_tick(struct engine *engine)
{
    uint64_t now = engine_now(engine);
    engine_enter(engine);
    if (engine->ticked_ms && now - engine->ticked_ms > TILT_MS)
        engine->tilted_until_ms = now + TILT_MS;
    engine->ticked_ms = now;
    for (unsigned i = 0; i < engine->shards_used; i++) {
        if (engine->shards[i].name)
            shard_tick(&engine->shards[i]);
    }
    for (unsigned i = 0; i < engine->options.partitions; i++)
        partition_tick(&engine->partitions[i]);
    layout_tell(engine);
    if (now >= engine->tilted_until_ms)
        channels_tick(engine);
    engine_leave(engine);
}

void engine_retire(struct engine *engine, uint32_t grace_ms)
{
    engine_enter(engine);
    for (unsigned i = 0; i < engine->options.partitions; i++)
        partition_retire(&engine->partitions[i], grace_ms);
    engine->retiring = true;
    engine_leave(engine);
}

struct store *engine_store(struct engine *engine)
{
    return &engine->store;
}

struct engine *engine_of_store(struct store *store)
{
    return (struct engine *)store;
}

size_t engine_in_flight(const struct engine *engine)
{
    size_t count = 0;
    for (unsigned i = 0; i < engine->shards_used; i++)
        count += engine->shards[i].in_flight_count;
    return count;
}

const struct engine_counters *engine_counters(const struct engine *engine)
{
    return &engine->counters;
}

unsigned engine_partition_of(const struct engine *engine, const char *app_id, const char *channel)
{
    return wire_partition(app_id, channel, engine->options.partitions);
}

void engine_partition_status(
    const struct engine *engine, unsigned index, struct engine_partition_status *status)
{
    const struct partition *partition = &engine->partitions[index];
    *status = (struct engine_partition_status){
        .shard = partition->shard->index,
        .layout = partition->placed ? partition->here : 0,
        .state = partition->state,
        .owner = partition->owner,
        .incarnation = partition->incarnation,
        .timeline = partition->timeline,
        .fresh_ago_ms = engine_now(engine) - partition->fresh_ms,
        .removals_wait = partition->waits,
        .dirty = partition->dirty_count,
    };
    struct batch *batch;
    TAILQ_FOREACH (batch, &partition->batches, link)
        status->unacknowledged++;
}

bool engine_view_confirmed(struct engine *engine, const char *app_id, const char *name)
{
    struct channel *channel = channel_lookup(engine, app_id, name);
    return channel && channel->open && view_current(channel);
}

uint64_t engine_edge(const struct engine *engine)
{
    return engine->edge;
}
