/* What is counted of a fleet's store, and its state. */
#include "edge/node/node_private.h"

#include "edge/base/exposition.h"
#include "presence/redis/store_redis.h"

static void add_counter(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    exposition_begin(out, name, "counter", help);
    buffer_printf(out, "%s %ju\n", name, (uintmax_t)value);
}

static void add_counters(struct buffer *out, const struct engine_counters *c)
{
    const struct {
        const char *name, *help;
        uint64_t value;
    } rows[] = {
        {"rollcall_presence_commands_total", "Commands sent to Redis.", c->commands},
        {"rollcall_presence_batches_total", "Batches of joins and leaves sent.", c->batches},
        {"rollcall_presence_heartbeats_total", "Heartbeats that Redis accepted.", c->heartbeats},
        {"rollcall_presence_clock_stalls_total",
            "Heartbeats before which the lease clock stood still for longer than one: Redis heard nobody.",
            c->clock_stalls},
        {"rollcall_presence_clock_steps_back_total",
            "Heartbeats that found the clock of Redis behind where it was.", c->clock_steps_back},
        {"rollcall_presence_gaps_total", "Answers that showed that writes had been lost.", c->gaps},
        {"rollcall_presence_replays_total", "Answers to batches that Redis had seen already.", c->replays},
        {"rollcall_presence_asserts_total", "Times all facts of a partition were asserted again.",
            c->asserts},
        {"rollcall_presence_hellos_total", "Times a dataset was asked to prove what it is.", c->hellos},
        {"rollcall_presence_new_timelines_total", "Times a partition was found on a new timeline.",
            c->new_timelines},
        {"rollcall_presence_losses_total", "Times removals were made to wait because data had been lost.",
            c->losses},
        {"rollcall_presence_reaps_total", "Owners whose leases had run out, removed by this edge.", c->reaps},
        {"rollcall_presence_facts_drained_total", "Users of such owners that this edge took out of rosters.",
            c->facts_drained},
        {"rollcall_presence_reads_total", "Rosters read.", c->reads},
        {"rollcall_presence_view_resyncs_total", "Rosters read again because a change had been missed.",
            c->resyncs},
        {"rollcall_presence_scrubs_total", "Scrubs sent.", c->scrubs},
        {"rollcall_presence_scrub_divergences_total",
            "Channels in which a scrub found a difference, most often a change on its way.",
            c->scrub_divergences},
        {"rollcall_presence_scrub_repairs_total",
            "Channels in which a scrub found that Redis lacks what this edge holds.", c->scrub_repairs},
        {"rollcall_presence_deltas_total", "Changes of rosters that came over the bus.", c->deltas},
        {"rollcall_presence_published_total", "Events published through Redis.", c->published},
        {"rollcall_presence_published_locally_total",
            "Events delivered on this edge only, because Redis was out of reach.", c->published_locally},
        {"rollcall_presence_echoes_dropped_total",
            "Events that came back after they had been delivered locally.", c->echoes_dropped},
        {"rollcall_presence_degraded_answers_total", "Subscriptions answered from what this edge knew.",
            c->degraded_answers},
        {"rollcall_presence_out_of_memory_total", "Commands that Redis refused for want of memory (OOM).",
            c->out_of_memory},
        {"rollcall_presence_timeouts_total", "Commands that Redis did not answer in time.", c->timeouts},
        {"rollcall_presence_connection_resets_total", "Connections to Redis given up.", c->resets},
        {"rollcall_presence_bus_resets_total", "Connections of the bus given up because it was silent.",
            c->bus_resets},
        {"rollcall_presence_full_total", "Joins refused because a channel was full.", c->full},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        add_counter(out, rows[i].name, rows[i].help, rows[i].value);
}

static const char *name_of(const struct node *node, unsigned shard)
{
    const char *name = node_shard_name(node, shard);
    return name ? name : "?";
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
        exposition_begin(out, tables[table].name, "gauge", tables[table].help);
        for (unsigned p = 0; p < node->config->presence.partitions; p++) {
            struct engine_partition_status status;
            engine_partition_status(node->engine, p, &status);
            const double values[] = {status.state == PARTITION_READY, (double)status.fresh_ago_ms / 1000,
                status.removals_wait, (double)status.unacknowledged};
            buffer_printf(out, "%s{partition=\"%u\",shard=\"%s\"} %g\n", tables[table].name, p,
                name_of(node, status.shard), values[table]);
        }
    }
}

static void shard_sample(struct buffer *out, const char *name, const char *shard, uint64_t value)
{
    buffer_printf(out, "%s{shard=\"", name);
    buffer_add_label(out, shard);
    buffer_printf(out, "\"} %ju\n", (uintmax_t)value);
}

static void add_shards(struct buffer *out, const struct node *node)
{
    static const struct {
        const char *name, *type, *help;
    } tables[] = {
        {"rollcall_redis_up", "gauge", "1: connected to an instance that proved to be the shard's master."},
        {"rollcall_redis_confirmed", "gauge",
            "1: a majority of the Sentinels has named that instance lately, or its address is fixed."},
        {"rollcall_redis_alarms_total", "counter",
            "Wrong instances, wrong or missing Sentinels, as the log says them (redis.master, "
            "redis.quarantine)."},
    };
    for (size_t table = 0; table < sizeof(tables) / sizeof(tables[0]); table++) {
        exposition_begin(out, tables[table].name, tables[table].type, tables[table].help);
        for (unsigned i = 0; i < ENGINE_SHARDS_MAX; i++) {
            struct store_redis_shard_status status;
            if (!node_shard_name(node, i))
                continue;
            store_redis_shard_status(node->store, i, &status);
            const uint64_t values[] = {status.up, status.confirmed, status.alarms};
            shard_sample(out, tables[table].name, node_shard_name(node, i), values[table]);
        }
    }
}

static void add_shard_latency(struct buffer *out, const struct node *node, const char *name, const char *help,
    const struct latency *(*of)(const struct store_redis_shard_status *))
{
    exposition_begin(out, name, "histogram", help);
    for (unsigned i = 0; i < ENGINE_SHARDS_MAX; i++) {
        struct store_redis_shard_status status;
        struct buffer labels = {0};
        if (!node_shard_name(node, i))
            continue;
        store_redis_shard_status(node->store, i, &status);
        buffer_add_string(&labels, "shard=\"");
        buffer_add_label(&labels, node_shard_name(node, i));
        buffer_add(&labels, "\"", 2); /* with the NUL */
        exposition_histogram(out, name, labels.bytes, of(&status));
        buffer_deinit(&labels);
    }
}

static const struct latency *commands_of(const struct store_redis_shard_status *status)
{
    return status->commands;
}

static const struct latency *bus_of(const struct store_redis_shard_status *status)
{
    return status->bus;
}

void node_write_metrics(struct node *node, struct buffer *out)
{
    if (node->webhooks.room)
        webhooks_write_metrics(node->webhooks.room, out);
    if (!node->engine)
        return;
    add_counters(out, engine_counters(node->engine));
    add_partitions(out, node);
    add_shards(out, node);
    add_shard_latency(
        out, node, "rollcall_redis_command_seconds", "From sending a command to its reply.", commands_of);
    add_shard_latency(out, node, "rollcall_redis_bus_seconds",
        "From sending a heartbeat to hearing its beat on the bus.", bus_of);
}
