/* The store that the configuration asks for, and leaving it. */
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

static void on_store_note(void *context, const struct engine_note *note)
{
    node_note_healed(context, note);
}

static int open_redis(struct node *node, const struct store_observer *observer)
{
    const struct config *config = node->config;
    struct store_redis_options options;
    struct store_redis_shard *shards = fleet_options(config, &options);
    options.log = on_store_log;
    options.note = on_store_note;
    options.log_context = node;
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

/* The store may speak before it is there; then its shards are those of the configuration. */
const char *node_shard_name(const struct node *node, unsigned shard)
{
    if (node->engine)
        return engine_shard_name(node->engine, shard);
    return shard < node->config->redis.shard_count ? node->config->redis.shards[shard].name : NULL;
}

int node_reload_shards(struct node *node, const struct config *config, char *problem, size_t problem_bytes)
{
    struct store_redis_options options;
    if (!node->engine)
        return 0;
    struct store_redis_shard *shards = fleet_options(config, &options);
    int error = store_redis_change_shards(node->store, shards, options.shard_count, problem, problem_bytes);
    free(shards);
    return error;
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
