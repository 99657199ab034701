#include "edge/webhooks/webhooks_private.h"

#include "edge/base/container.h"
#include "presence/base/new.h"

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
    struct hooked_app *hooked = hooked_app_find(webhooks, transition->app_id);
    struct endpoint *endpoint;
    if (!hooked)
        return; /* another edge of the fleet has it in its configuration, or had */
    TAILQ_FOREACH (endpoint, &hooked->endpoints, of_app) {
        if (!wants(endpoint, transition))
            continue;
        if (!event->json)
            event_write(event, transition);
        endpoint_add(endpoint, event);
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
    struct endpoint *endpoint;
    TAILQ_FOREACH (endpoint, &webhooks->endpoints, of_all)
        endpoint_forget_lost(endpoint);
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

struct webhooks *webhooks_new(uv_loop_t *loop, struct wheel *wheel, uint64_t (*now_ms)(void),
    const struct config *config, const struct webhooks_listener *listener)
{
    struct webhooks *webhooks = new_zeroed(sizeof(*webhooks));
    webhooks->wheel = wheel;
    webhooks->now_ms = now_ms;
    webhooks->listener = *listener;
    TAILQ_INIT(&webhooks->unsettled);
    TAILQ_INIT(&webhooks->fed);
    TAILQ_INIT(&webhooks->endpoints);
    webhooks->guarded = client_new(loop, false);
    webhooks->open = client_new(loop, true);
    webhooks_reload(webhooks, config);
    webhooks->asking.expired = on_asking;
    wheel_set(wheel, &webhooks->asking, now_ms() + WHEEL_TICK_MS);
    return webhooks;
}

bool webhooks_idle(const struct webhooks *webhooks)
{
    struct endpoint *endpoint;
    TAILQ_FOREACH (endpoint, &webhooks->endpoints, of_all)
        if (endpoint->under_way)
            return false;
    return true;
}

void webhooks_close(struct webhooks *webhooks)
{
    wheel_cancel(&webhooks->asking);
    hooked_apps_free(webhooks);
    for (unsigned i = 0; i < webhooks->lane_count; i++)
        if (webhooks->lanes[i])
            lane_free(webhooks->lanes[i]);
    webhooks->lane_count = 0;
    client_close(webhooks->guarded);
    client_close(webhooks->open);
}

void webhooks_free(struct webhooks *webhooks)
{
    free(webhooks->lanes);
    free(webhooks);
}
