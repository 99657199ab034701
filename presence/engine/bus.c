/* The bus: which topics a shard's subscriber connection follows, and the watch over it. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct topic *find_topic(struct shard *shard, const char *name)
{
    struct topic *topic;
    HASH_FIND_STR(shard->topics, name, topic);
    return topic;
}

static void follow(struct topic *topic)
{
    const struct engine *engine = topic->shard->engine;
    if (!topic->shard->bus_up)
        return;
    topic->acks++;
    engine->io.bus_subscribe(engine->io_context, topic->shard->index, topic->name);
}

static void drop_if_unused(struct topic *topic)
{
    if (topic->channel || topic->acks)
        return;
    HASH_DEL(topic->shard->topics, topic);
    free(topic);
}

void bus_want(struct channel *channel)
{
    struct shard *shard = channel->partition->shard;
    size_t room = strlen(channel->partition->base) + channel->key_bytes + 4;
    char *name = new_zeroed(room);
    snprintf(name, room, "%s:e:%s", channel->partition->base, channel->key);
    struct topic *topic = find_topic(shard, name);
    if (!topic) {
        topic = new_zeroed(sizeof *topic + room);
        memcpy(topic->name, name, room);
        topic->shard = shard;
        HASH_ADD_STR(shard->topics, name, topic);
    }
    free(name);
    topic->channel = channel;
    channel->topic = topic;
    follow(topic);
}

void bus_unwant(struct channel *channel)
{
    struct engine *engine = channel->engine;
    struct topic *topic = channel->topic;
    channel->topic = NULL;
    topic->channel = NULL;
    if (topic->shard->bus_up)
        engine->io.bus_unsubscribe(engine->io_context, topic->shard->index, topic->name);
    drop_if_unused(topic);
}

void bus_move(struct partition *partition)
{
    struct channel *channel;
    TAILQ_FOREACH (channel, &partition->channels, of_partition) {
        if (!channel->open)
            continue;
        view_bus_lost(channel);
        if (!channel->open)
            continue; /* the observer, told of what was kept, has closed it */
        bus_unwant(channel);
        bus_want(channel);
    }
}

void engine_bus_up(struct engine *engine, unsigned index)
{
    struct shard *shard = &engine->shards[index];
    engine_enter(engine);
    if (shard->bus_up)
        engine_bus_down(engine, index, "another connection took its place");
    shard->bus_up = true;
    shard->beat_due_ms = 0;
    engine->io.bus_subscribe(engine->io_context, index, shard->beat_topic);
    struct topic *topic, *next;
    HASH_ITER (hh, shard->topics, topic, next) {
        follow(topic);
    }
    engine_leave(engine);
}

/* Nothing is known of what is told from here on. Views stay as they are, and are compared when it is back. */
void engine_bus_down(struct engine *engine, unsigned index, const char *why)
{
    struct shard *shard = &engine->shards[index];
    engine_enter(engine);
    if (shard->bus_up && why)
        engine_log(engine, ENGINE_WARN, "redis.bus_lost", "shard %s: %s", shard->name, why);
    if (shard->bus_up && shard->up)
        engine_note(shard, NULL, NOTE_BUS_LOST, 0, NULL, why);
    shard->bus_up = false;
    wake_bus_lost(shard);
    struct topic *topic, *next;
    HASH_ITER (hh, shard->topics, topic, next) {
        topic->acks = 0;
        if (topic->channel)
            view_bus_lost(topic->channel);
        else
            drop_if_unused(topic);
    }
    engine_leave(engine);
}

void engine_bus_subscribed(struct engine *engine, unsigned index, const char *name)
{
    engine_enter(engine);
    struct shard *shard = &engine->shards[index];
    struct topic *topic = wake_subscribed(shard, name) ? NULL : find_topic(shard, name);
    if (topic && topic->acks && !--topic->acks) {
        if (topic->channel) {
            topic->channel->subscribed = true;
            view_read(topic->channel);
        } else {
            drop_if_unused(topic);
        }
    }
    engine_leave(engine);
}

void engine_bus_message(
    struct engine *engine, unsigned index, const char *name, const char *message, size_t bytes)
{
    struct shard *shard = &engine->shards[index];
    engine_enter(engine);
    if (!strcmp(name, shard->beat_topic)) {
        shard->beat_due_ms = 0;
        layout_message(engine, message, bytes);
    } else if (!wake_message(shard, name)) {
        struct topic *topic = find_topic(shard, name);
        if (topic && topic->channel && topic->channel->subscribed)
            view_message(topic->channel, message, bytes);
    }
    engine_leave(engine);
}

/* It can die silently (half-open, a swapped proxy): our own beat has to come back. */
void bus_tick(struct shard *shard)
{
    struct engine *engine = shard->engine;
    uint64_t patience_ms = 2ull * engine->options.heartbeat_ms;
    if (!shard->up || !shard->bus_up || !shard->beat_due_ms ||
        engine_now(engine) - shard->beat_due_ms < patience_ms)
        return;
    engine->counters.bus_resets++;
    engine_bus_down(engine, shard->index, "our own beat does not come back");
    engine->io.bus_reset(engine->io_context, shard->index, "our own beat does not come back");
}
