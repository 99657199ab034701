/* The edges of a fleet, and until when each of them lives if it is not heard of again. */
#include "edge/node/insight_private.h"

#include "edge/base/container.h"
#include "presence/base/new.h"
#include "presence/engine/look.h"

#include <stdlib.h>

struct shard_look {
    struct engine_look look;
    struct leases *leases;
    unsigned shard, partition;
    bool known;
    struct buffer owners; /* JSON */
};

struct leases {
    struct insight *insight;
    unsigned outstanding;
    unsigned count;
    struct shard_look shards[];
};

static void free_leases(void *work)
{
    struct leases *leases = work;
    for (unsigned i = 0; i < leases->count; i++)
        buffer_deinit(&leases->shards[i].owners);
    free(leases);
}

static void write_shard(const struct node *node, const struct shard_look *shard, struct buffer *json)
{
    buffer_add_string(json, "{\"shard\":");
    insight_add_text(json, node_shard_name(node, shard->shard));
    buffer_printf(json, ",\"partition\":%u,\"known\":%s,\"owners\":[", shard->partition,
        shard->known ? "true" : "false");
    buffer_add(json, shard->owners.bytes, shard->owners.length);
    buffer_add_string(json, "]}");
}

static void one_less(struct leases *leases)
{
    if (--leases->outstanding > 0)
        return;
    struct insight *insight = leases->insight;
    const struct config *config = insight->node->config;
    buffer_add_string(&insight->body, "{\"edge\":");
    insight_add_text(&insight->body, config->edge.name);
    /* Heartbeats renew it for L + H (presence.md). */
    buffer_printf(&insight->body, ",\"lease_ms\":%u,\"shards\":[",
        config->presence.lease_ms + config->presence.heartbeat_ms);
    for (unsigned i = 0; i < leases->count; i++) {
        buffer_add_string(&insight->body, i ? "," : "");
        write_shard(insight->node, &leases->shards[i], &insight->body);
    }
    buffer_add_string(&insight->body, "]}");
    insight_answer(insight, INSIGHT_OK);
}

static void on_owner(struct engine_look *look, const struct engine_owner *owner)
{
    struct shard_look *shard = CONTAINER_OF(look, struct shard_look, look);
    buffer_printf(&shard->owners, "%s{\"owner\":%ju,\"edge\":", shard->owners.length ? "," : "",
        (uintmax_t)owner->owner);
    buffer_add_json_string(&shard->owners, owner->edge, owner->edge_bytes);
    buffer_printf(&shard->owners, ",\"lease_ms\":%jd,\"here\":%s}", (intmax_t)owner->lease_ms,
        owner->is_me ? "true" : "false");
}

static void on_done(struct engine_look *look, bool known)
{
    struct shard_look *shard = CONTAINER_OF(look, struct shard_look, look);
    shard->known = known;
    one_less(shard->leases);
}

/* The first partition of the shard that answers; any, when none does. */
static unsigned pick_partition(struct node *node, unsigned shard)
{
    unsigned any = 0;
    for (unsigned p = node->config->presence.partitions; p-- > 0;) {
        struct engine_partition_status status;
        engine_partition_status(node->engine, p, &status);
        if (status.shard == shard)
            any = p;
        if (status.shard == shard && status.state == PARTITION_READY)
            return p;
    }
    return any;
}

void insight_ask_fleet(struct node *node, struct insight *insight)
{
    struct leases *leases = new_zeroed(sizeof(*leases) + ENGINE_SHARDS_MAX * sizeof(leases->shards[0]));
    leases->insight = insight;
    leases->outstanding = 1; /* until all is asked */
    insight->work = leases;
    insight->free_work = free_leases;
    for (unsigned i = 0; node->engine && i < ENGINE_SHARDS_MAX; i++) {
        if (!node_shard_name(node, i))
            continue;
        struct shard_look *shard = &leases->shards[leases->count++];
        *shard = (struct shard_look){.look = {.each_owner = on_owner, .done = on_done},
            .leases = leases,
            .shard = i,
            .partition = pick_partition(node, i)};
        leases->outstanding++;
        engine_look(node->engine, &(struct engine_look_at){.partition = shard->partition}, &shard->look);
    }
    one_less(leases);
}
