/* An edge that cannot reach a shard of Redis goes on with what it knows: rosters stand still, events stay on this edge.
 * After a lease the others may count it as dead, so from then on it calls itself blind. */
#include "edge/node/node_private.h"

#include "edge/base/container.h"
#include "presence/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_EVERY_MS = 250 };

/* The first shard with a partition whose heartbeats nobody has accepted for a lease; -1: all are in reach. */
static int find_blind(const struct node *node)
{
    for (unsigned p = 0; p < node->config->presence.partitions; p++) {
        struct engine_partition_status status;
        engine_partition_status(node->engine, p, &status);
        if (status.fresh_ago_ms > node->config->presence.lease_ms)
            return (int)status.shard;
    }
    return -1;
}

static void on_look(struct wheel_timer *timer, uint64_t now_ms)
{
    struct node *node = CONTAINER_OF(timer, struct node, blind.timer);
    int shard = find_blind(node);
    readiness_set(&node->readiness, READINESS_BLIND, shard < 0 ? NULL : node->blind.words[shard]);
    wheel_set(&node->wheel, timer, now_ms + LOOK_EVERY_MS);
}

/* Made once: whoever reads a reason on another thread may hold it for a while. */
static char *words_of(const char *shard)
{
    char *words;
    if (asprintf(&words,
            "shard %s has accepted no heartbeat for longer than presence.lease_ms: its rosters stand still, "
            "its "
            "events stay on this edge",
            shard) < 0)
        abort();
    return words;
}

void node_start_blind(struct node *node)
{
    size_t count = node->config->redis.shard_count;
    if (!node->engine)
        return;
    node->blind.words = calloc(count, sizeof(*node->blind.words));
    if (!node->blind.words)
        abort();
    for (size_t i = 0; i < count; i++)
        node->blind.words[i] = words_of(node->config->redis.shards[i].name);
    readiness_tolerate(&node->readiness, READINESS_BLIND, node->config->presence.ready_when_blind);
    node->blind.timer.expired = on_look;
    wheel_set(&node->wheel, &node->blind.timer, uv_now(node->loop) + LOOK_EVERY_MS);
}

void node_stop_blind(struct node *node)
{
    wheel_cancel(&node->blind.timer);
    for (size_t i = 0; node->blind.words && i < node->config->redis.shard_count; i++)
        free(node->blind.words[i]);
    free(node->blind.words);
    node->blind.words = NULL;
}
