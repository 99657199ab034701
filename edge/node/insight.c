#include "edge/node/insight_private.h"

#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/node/healed.h"
#include "edge/node/tap.h"
#include "presence/base/new.h"

#include <stdlib.h>

enum { NEWS_MS = 100, SWEEP_MS = 10000 };

/* ---- life ---- */

static void on_sweep(struct wheel_timer *timer, uint64_t now_ms)
{
    struct node *node = CONTAINER_OF(timer, struct node, insight.sweep);
    taps_sweep(node->insight.taps, now_ms);
    wheel_set(&node->wheel, timer, now_ms + SWEEP_MS);
}

static void on_news(struct wheel_timer *timer, uint64_t now_ms)
{
    struct node *node = CONTAINER_OF(timer, struct node, insight.news_due);
    (void)now_ms;
    if (node->insight.news)
        node->insight.news(node->insight.news_context);
}

void node_start_insight(struct node *node)
{
    node->insight.healed = healed_new();
    node->insight.taps = taps_new();
    node->insight.sweep.expired = on_sweep;
    node->insight.news_due.expired = on_news;
    LIST_INIT(&node->insight.questions);
    wheel_set(&node->wheel, &node->insight.sweep, uv_now(node->loop) + SWEEP_MS);
}

void node_free_insight(struct node *node)
{
    struct insight *insight;
    if (!node->insight.healed)
        return;
    while ((insight = LIST_FIRST(&node->insight.questions))) {
        LIST_REMOVE(insight, entry);
        insight_free(insight);
    }
    healed_free(node->insight.healed);
    taps_free(node->insight.taps);
}

/* ---- what is told at once ---- */

static void add_news(struct node *node)
{
    if (node->insight.news && !node->insight.news_due.due_ms)
        wheel_set(&node->wheel, &node->insight.news_due, uv_now(node->loop) + NEWS_MS);
}

void node_on_news(struct node *node, void (*news)(void *context), void *context)
{
    node->insight.news = news;
    node->insight.news_context = context;
    if (!news)
        wheel_cancel(&node->insight.news_due);
}

void node_note_healed(struct node *node, const struct engine_note *note)
{
    const char *shard = node_shard_name(node, note->shard);
    healed_add(node->insight.healed, clock_wall_ms(), shard ? shard : "?", note);
}

void node_write_healed(struct node *node, uint64_t after, struct buffer *json)
{
    healed_write(node->insight.healed, after, json);
}

uint64_t node_healed_last(const struct node *node)
{
    return healed_last(node->insight.healed);
}

static void add_event(struct node *node, const char *app_id, enum tap_kind kind, const char *channel,
    const char *text, size_t bytes)
{
    if (taps_add(node->insight.taps, uv_now(node->loop), clock_wall_ms(), app_id, kind, channel, text, bytes))
        add_news(node);
}

void node_tap_event(struct node *node, const char *app_id, const char *channel, const struct frame *frame)
{
    if (taps_any(node->insight.taps))
        add_event(node, app_id, TAP_EVENT, channel, frame->text, frame->text_bytes);
}

void node_tap_member(
    struct node *node, const struct store_channel *stored, const struct member *member, bool added)
{
    if (taps_any(node->insight.taps) && stored->name[0] != '#')
        add_event(node, stored->app_id, added ? TAP_MEMBER_ADDED : TAP_MEMBER_REMOVED, stored->name,
            member->id, member->id_bytes);
}

bool node_watch_events(struct node *node, const char *app_id)
{
    return taps_watch(node->insight.taps, uv_now(node->loop), app_id);
}

void node_write_events(struct node *node, const char *app_id, uint64_t after, struct buffer *json)
{
    taps_write(node->insight.taps, app_id, after, json);
}

uint64_t node_events_last(const struct node *node, const char *app_id)
{
    return taps_last(node->insight.taps, app_id);
}

/* ---- shards ---- */

struct tally {
    unsigned partitions, ready, refused, removals_wait;
    size_t unacknowledged;
    uint64_t silent_ms;
};

static struct tally count_partitions(struct node *node, unsigned shard)
{
    struct tally tally = {0};
    for (unsigned p = 0; p < node->config->presence.partitions; p++) {
        struct engine_partition_status status;
        engine_partition_status(node->engine, p, &status);
        if (status.shard != shard)
            continue;
        tally.partitions++;
        tally.ready += status.state == PARTITION_READY;
        tally.refused += status.state == PARTITION_REFUSED;
        tally.removals_wait += status.removals_wait;
        tally.unacknowledged += status.unacknowledged;
        if (tally.silent_ms < status.fresh_ago_ms)
            tally.silent_ms = status.fresh_ago_ms;
    }
    return tally;
}

static void write_shard(struct node *node, unsigned shard, struct buffer *json)
{
    struct shard_link_status link;
    char address[REDIS_ADDRESS_TEXT];
    struct tally tally = count_partitions(node, shard);
    store_redis_shard_link(node->store, shard, &link);
    buffer_add_string(json, "{\"name\":");
    insight_add_text(json, node_shard_name(node, shard));
    buffer_add_string(json, ",\"address\":");
    insight_add_text(json, link.address.host[0] ? redis_address_print(&link.address, address) : NULL);
    buffer_printf(json, ",\"up\":%s,\"bus_up\":%s,\"confirmed\":%s,\"replicated\":%s",
        link.is_up ? "true" : "false", link.is_bus_up ? "true" : "false",
        link.is_confirmed ? "true" : "false", link.is_replicated ? "true" : "false");
    buffer_printf(json, ",\"partitions\":%u,\"ready\":%u,\"refused\":%u,\"removals_wait\":%u",
        tally.partitions, tally.ready, tally.refused, tally.removals_wait);
    buffer_printf(
        json, ",\"unacknowledged\":%zu,\"silent_ms\":%ju}", tally.unacknowledged, (uintmax_t)tally.silent_ms);
}

void node_write_shards(struct node *node, struct buffer *json)
{
    buffer_add_string(json, "[");
    const char *comma = "";
    for (unsigned i = 0; node->engine && i < ENGINE_SHARDS_MAX; i++) {
        if (!node_shard_name(node, i))
            continue;
        buffer_add_string(json, comma);
        write_shard(node, i, json);
        comma = ",";
    }
    buffer_add_string(json, "]");
}

/* ---- questions ---- */

struct insight *insight_new(
    enum insight_kind kind, const char *app_id, const char *channel, const char *user, const char *text)
{
    struct insight *insight = new_zeroed(sizeof(*insight));
    *insight = (struct insight){.kind = kind,
        .app_id = new_text(app_id),
        .channel = new_text(channel),
        .user = new_text(user),
        .text = new_text(text)};
    return insight;
}

void insight_free(struct insight *insight)
{
    if (insight->work)
        insight->free_work(insight->work);
    free(insight->app_id);
    free(insight->channel);
    free(insight->user);
    free(insight->text);
    buffer_deinit(&insight->body);
    free(insight);
}

void insight_answer(struct insight *insight, enum insight_status status)
{
    LIST_REMOVE(insight, entry);
    insight->node->insight.question_count--;
    insight->status = status;
    insight->answered(insight);
}

void node_ask(struct node *node, struct insight *insight)
{
    static void (*const ask[])(struct node *, struct insight *) = {
        [INSIGHT_FLEET] = insight_ask_fleet,
        [INSIGHT_CHANNELS] = insight_ask_channels,
        [INSIGHT_WHO] = insight_ask_who,
    };
    insight->node = node;
    LIST_INSERT_HEAD(&node->insight.questions, insight, entry);
    if (++node->insight.question_count > INSIGHT_QUESTIONS_MAX)
        insight_answer(insight, INSIGHT_BUSY);
    else
        ask[insight->kind](node, insight);
}

const char *insight_kind_name(const char *channel)
{
    static const char *const names[] = {
        [CHANNEL_PUBLIC] = "public",
        [CHANNEL_PRIVATE] = "private",
        [CHANNEL_ENCRYPTED] = "encrypted",
        [CHANNEL_PRESENCE] = "presence",
        [CHANNEL_SERVER_TO_USER] = "to a user",
        [CHANNEL_USER] = "of a user",
    };
    return names[channel_kind_of(channel)];
}

void insight_add_text(struct buffer *json, const char *text)
{
    if (text)
        buffer_add_json_text(json, text);
    else
        buffer_add_string(json, "null");
}
