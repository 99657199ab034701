/* The store that the configuration asks for, and what is said of a fleet's. */
#include "edge/node/node_private.h"

#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/node/fleet_options.h"
#include "presence/redis/store_redis.h"
#include "presence/store_memory.h"

#include <errno.h>
#include <stdlib.h>

enum {
    /* How often it is looked at whether Redis has answered everything, before the process goes. */
    SETTLE_STEP_MS = 20,
};

/* ---- opening ---- */

static void on_store_log(void *context, enum engine_level level, const char *event, const char *text)
{
    (void)context;
    switch (level) {
    case ENGINE_DEBUG:
        log_debug(event, "%s", text);
        break;
    case ENGINE_INFO:
        log_info(event, "%s", text);
        break;
    case ENGINE_WARN:
        log_warn(event, "%s", text);
        break;
    case ENGINE_ALARM:
        log_error(event, "%s", text);
        break;
    }
}

static int open_redis(struct node *node, const struct store_observer *observer)
{
    const struct config *config = node->config;
    struct store_redis_options options;
    struct store_redis_shard *shards = fleet_options(config, &options);
    options.log = on_store_log;
    char problem[256];
    int error = store_redis_new(node->loop, &options, observer, node, &node->store, problem, sizeof(problem));
    free(shards);
    if (error)
        log_error("redis.configuration", "%s", problem);
    else
        node->engine = store_redis_engine(node->store);
    return error;
}

int node_open_store(struct node *node)
{
    struct store_observer observer = node_observer;
    node_open_webhooks(node, &observer);
    if (node->config->presence.store == PRESENCE_REDIS)
        return open_redis(node, &observer);
    node->store = store_memory_new(&observer, node, clock_monotonic_ms);
    return 0;
}

/* ---- leaving ---- */

void node_begin_leaving(struct node *node)
{
    node->leaving = true;
}

void node_retire(struct node *node, uint32_t grace_ms)
{
    if (node->engine)
        engine_retire(node->engine, grace_ms);
    node_let_go(node);
}

static bool has_settled(const struct node *node)
{
    return (!node->engine || engine_in_flight(node->engine) == 0) &&
           (!node->webhooks.room || webhooks_idle(node->webhooks.room));
}

static void on_settle_step(uv_timer_t *timer)
{
    struct node *node = timer->data;
    if (!has_settled(node) && uv_now(node->loop) < node->settle.until_ms)
        return;
    uv_timer_stop(timer);
    node->settle.settled(node->settle.context);
}

void node_settle(struct node *node, uint32_t max_ms, void (*settled)(void *context), void *context)
{
    node->settle.settled = settled;
    node->settle.context = context;
    node->settle.until_ms = uv_now(node->loop) + max_ms;
    uv_timer_start(&node->settle.timer, on_settle_step, 0, SETTLE_STEP_MS);
}

/* ---- metrics ---- */

static void add_counter(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    buffer_printf(out, "# HELP rollcall_presence_%s_total %s\n# TYPE rollcall_presence_%s_total counter\n",
        name, help, name);
    buffer_printf(out, "rollcall_presence_%s_total %ju\n", name, (uintmax_t)value);
}

static void add_counters(struct buffer *out, const struct engine_counters *c)
{
    const struct {
        const char *name, *help;
        uint64_t value;
    } rows[] = {
        {"commands", "Commands sent to Redis.", c->commands},
        {"batches", "Batches of joins and leaves sent.", c->batches},
        {"heartbeats", "Heartbeats that Redis accepted.", c->heartbeats},
        {"clock_stalls", "Heartbeats that found the lease clock to have stood still.", c->clock_stalls},
        {"gaps", "Answers that showed that writes had been lost.", c->gaps},
        {"replays", "Answers to batches that Redis had seen already.", c->replays},
        {"asserts", "Times all facts of a partition were asserted again.", c->asserts},
        {"hellos", "Times a dataset was asked to prove what it is.", c->hellos},
        {"new_timelines", "Times a partition was found on a new timeline.", c->new_timelines},
        {"losses", "Times removals were made to wait because data had been lost.", c->losses},
        {"reaps", "Owners whose leases had run out, removed by this edge.", c->reaps},
        {"facts_drained", "Channels of such owners that this edge drained.", c->facts_drained},
        {"reads", "Rosters read.", c->reads},
        {"view_resyncs", "Rosters read again because a change had been missed.", c->resyncs},
        {"scrubs", "Scrubs sent.", c->scrubs},
        {"scrub_divergences", "Channels in which a scrub found a difference.", c->scrub_divergences},
        {"deltas", "Changes of rosters that came over the bus.", c->deltas},
        {"published", "Events published through Redis.", c->published},
        {"published_locally", "Events delivered on this edge only, because Redis was out of reach.",
            c->published_locally},
        {"echoes_dropped", "Events that came back after they had been delivered locally.", c->echoes_dropped},
        {"degraded_answers", "Subscriptions answered from what this edge knew.", c->degraded_answers},
        {"timeouts", "Commands that Redis did not answer in time.", c->timeouts},
        {"connection_resets", "Connections to Redis given up.", c->resets},
        {"bus_resets", "Connections of the bus given up because it was silent.", c->bus_resets},
        {"full", "Joins refused because a channel was full.", c->full},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        add_counter(out, rows[i].name, rows[i].help, rows[i].value);
}

static void begin_gauge(struct buffer *out, const char *name, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

/* Four tables over all partitions; the format wants the rows of one name together. */
static void add_partitions(struct buffer *out, const struct node *node)
{
    static const struct {
        const char *name, *help;
    } tables[] = {
        {"rollcall_presence_partition_ready", "1: the partition's shard answers and has accepted this edge."},
        {"rollcall_presence_partition_silent_seconds", "Since the last heartbeat that Redis accepted."},
        {"rollcall_presence_partition_removals_wait", "1: removals wait because data had been lost."},
        {"rollcall_presence_partition_unacknowledged", "Batches that Redis has not acknowledged."},
    };
    for (size_t table = 0; table < sizeof(tables) / sizeof(tables[0]); table++) {
        begin_gauge(out, tables[table].name, tables[table].help);
        for (unsigned p = 0; p < node->config->presence.partitions; p++) {
            struct engine_partition_status status;
            engine_partition_status(node->engine, p, &status);
            const double values[] = {status.state == PARTITION_READY, (double)status.fresh_ago_ms / 1000,
                status.removals_wait, (double)status.unacknowledged};
            buffer_printf(out, "%s{partition=\"%u\",shard=\"%s\"} %g\n", tables[table].name, p,
                node->config->redis.shards[status.shard].name, values[table]);
        }
    }
}

void node_write_metrics(struct node *node, struct buffer *out)
{
    if (node->webhooks.room)
        webhooks_write_metrics(node->webhooks.room, out);
    if (!node->engine)
        return;
    add_counters(out, engine_counters(node->engine));
    add_partitions(out, node);
}
