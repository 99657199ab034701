/* Connections of apps that have a limit, which is one of the whole fleet (http-api.md, "Quotas"): the store is told of
 * those of this process, and tells of the others. connection_admit() adds both. */
#include "edge/node/node_private.h"

#include "edge/base/container.h"

#include <limits.h>
#include <string.h>

/* Twice a heartbeat, so that none carries what is older than half of one. */
static uint64_t period_ms(const struct node *node)
{
    return node->config->presence.heartbeat_ms / 2;
}

static void on_due(struct wheel_timer *timer, uint64_t now_ms)
{
    struct node *node = CONTAINER_OF(timer, struct node, usage);
    for (size_t i = 0; i < node->config->app_count; i++) {
        const struct app *app = &node->config->apps[i];
        /* Whose limit a reload has taken off here may still have one on other edges. */
        app->counters->summed |= app->limits.connections > 0;
        if (app->counters->summed)
            store_set_usage(node->store, app->id,
                atomic_load_explicit(&app->counters->connections, memory_order_relaxed));
    }
    wheel_set(&node->wheel, timer, now_ms + period_ms(node));
}

void node_start_usage(struct node *node)
{
    if (node->config->presence.store == PRESENCE_MEMORY)
        return;
    node->usage.expired = on_due;
    wheel_set(&node->wheel, &node->usage, uv_now(node->loop));
}

void node_reload_usage(struct node *node, const struct config *before)
{
    for (size_t i = 0; i < before->app_count; i++) {
        const struct app *app = &before->apps[i];
        if (app->counters->summed && !config_app_by_id(node->config, app->id, strlen(app->id)))
            store_set_usage(node->store, app->id, 0);
    }
}

void node_stop_usage(struct node *node)
{
    wheel_cancel(&node->usage);
}

void node_on_usage(void *context, const char *app_id, uint64_t elsewhere)
{
    const struct node *node = context;
    const struct app *app = config_app_by_id(node->config, app_id, strlen(app_id));
    if (app)
        atomic_store_explicit(&app->counters->elsewhere,
            elsewhere < UINT_MAX ? (unsigned)elsewhere : UINT_MAX, memory_order_relaxed);
}
