#include "edge/webhooks/webhooks_private.h"

#include "edge/base/container.h"

#include <stdlib.h>
#include <string.h>

/* ---- what comes from the store ---- */

static bool wants(const struct endpoint *endpoint, const struct store_transition *transition)
{
    const struct config_webhook *config = endpoint->config;
    return config->wants >> transition->kind & 1 &&
           strncmp(transition->channel, config->prefix, strlen(config->prefix)) == 0;
}

/* To all endpoints of its app that want it. */
static void distribute(
    struct webhooks *webhooks, struct event *event, const struct store_transition *transition)
{
    const struct app *app =
        config_app_by_id(webhooks->config, transition->app_id, strlen(transition->app_id));
    if (!app)
        return; /* another edge of the fleet has it in its configuration, or had */
    size_t index = (size_t)(app - webhooks->config->apps);
    for (size_t i = webhooks->first_endpoint[index]; i < webhooks->first_endpoint[index + 1]; i++) {
        if (!wants(&webhooks->endpoints[i], transition))
            continue;
        if (!event->json)
            event_write(event, transition);
        endpoint_add(&webhooks->endpoints[i], event);
    }
}

void webhooks_take(
    struct webhooks *webhooks, unsigned number, const struct store_transition *list, size_t count)
{
    struct lane *lane = lane_of(webhooks, number);
    for (size_t i = 0; i < count; i++) {
        struct event *event = lane_add(lane, list[i].id);
        if (event)
            distribute(webhooks, event, &list[i]);
    }
    lane->may_ask = true;
    lane_mark(lane);
    struct endpoint *fed;
    while ((fed = TAILQ_FIRST(&webhooks->fed))) {
        TAILQ_REMOVE(&webhooks->fed, fed, of_fed);
        fed->is_fed = false;
        endpoint_go(fed);
    }
    lanes_settle(webhooks);
}

void webhooks_lose_lane(struct webhooks *webhooks, unsigned number)
{
    lane_lose(lane_of(webhooks, number));
    for (size_t i = 0; i < webhooks->endpoint_count; i++)
        endpoint_forget_lost(&webhooks->endpoints[i]);
}

/* Once for each time that a lane was told something, if not all of it is done with by now. */
static void on_asking(struct wheel_timer *timer, uint64_t now_ms)
{
    struct webhooks *webhooks = CONTAINER_OF(timer, struct webhooks, asking);
    const struct webhooks_listener *listener = &webhooks->listener;
    for (unsigned i = 0; i < webhooks->lane_count; i++) {
        struct lane *lane = webhooks->lanes[i];
        if (!lane || !lane->may_ask || TAILQ_EMPTY(&lane->events))
            continue;
        lane->may_ask = false;
        listener->more(listener->context, i);
    }
    wheel_set(webhooks->wheel, timer, now_ms + 1); /* at the next tick */
}

/* ---- life ---- */

bool webhooks_wanted(const struct config *config)
{
    for (size_t i = 0; i < config->app_count; i++)
        if (config->apps[i].webhook_events)
            return true;
    return false;
}

static size_t count_enabled(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->app_count; i++)
        for (size_t j = 0; j < config->apps[i].webhook_count; j++)
            count += config->apps[i].webhooks[j].wants != 0;
    return count;
}

static void add_endpoints(struct webhooks *webhooks)
{
    for (size_t i = 0; i < webhooks->config->app_count; i++) {
        const struct app *app = &webhooks->config->apps[i];
        webhooks->first_endpoint[i] = webhooks->endpoint_count;
        for (size_t j = 0; j < app->webhook_count; j++)
            if (app->webhooks[j].wants)
                endpoint_init(
                    &webhooks->endpoints[webhooks->endpoint_count++], webhooks, app, j, &webhooks->counts[i]);
    }
    webhooks->first_endpoint[webhooks->config->app_count] = webhooks->endpoint_count;
}

struct webhooks *webhooks_new(uv_loop_t *loop, struct wheel *wheel, uint64_t (*now_ms)(void),
    const struct config *config, const struct webhooks_listener *listener)
{
    struct webhooks *webhooks = calloc(1, sizeof(*webhooks));
    if (!webhooks)
        abort();
    webhooks->wheel = wheel;
    webhooks->now_ms = now_ms;
    webhooks->config = config_ref(config);
    webhooks->listener = *listener;
    webhooks->endpoints = calloc(count_enabled(config) + 1, sizeof(*webhooks->endpoints));
    webhooks->first_endpoint = calloc(config->app_count + 1, sizeof(*webhooks->first_endpoint));
    webhooks->counts = calloc(config->app_count + 1, sizeof(*webhooks->counts));
    if (!webhooks->endpoints || !webhooks->first_endpoint || !webhooks->counts)
        abort();
    TAILQ_INIT(&webhooks->unsettled);
    TAILQ_INIT(&webhooks->fed);
    webhooks->guarded = client_new(loop, false);
    webhooks->open = client_new(loop, true);
    add_endpoints(webhooks);
    webhooks->asking.expired = on_asking;
    wheel_set(wheel, &webhooks->asking, now_ms() + WHEEL_TICK_MS);
    return webhooks;
}

bool webhooks_idle(const struct webhooks *webhooks)
{
    for (size_t i = 0; i < webhooks->endpoint_count; i++)
        if (webhooks->endpoints[i].under_way)
            return false;
    return true;
}

void webhooks_close(struct webhooks *webhooks)
{
    wheel_cancel(&webhooks->asking);
    for (size_t i = 0; i < webhooks->endpoint_count; i++)
        endpoint_deinit(&webhooks->endpoints[i]);
    webhooks->endpoint_count = 0;
    for (unsigned i = 0; i < webhooks->lane_count; i++)
        if (webhooks->lanes[i])
            lane_free(webhooks->lanes[i]);
    webhooks->lane_count = 0;
    client_close(webhooks->guarded);
    client_close(webhooks->open);
}

void webhooks_free(struct webhooks *webhooks)
{
    free(webhooks->endpoints);
    free(webhooks->first_endpoint);
    free(webhooks->counts);
    free(webhooks->lanes);
    config_unref(webhooks->config);
    free(webhooks);
}
