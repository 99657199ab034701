/* Transitions of the store, on their way to the webhooks; and what the node itself adds to them. */
#include "edge/node/node_private.h"

#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "presence/store_memory.h"

#include <string.h>

/* ---- between the store and the webhooks ---- */

static void on_transitions(void *context, unsigned lane, const struct store_transition *list, size_t count)
{
    struct node *node = context;
    webhooks_take(node->webhooks.room, lane, list, count);
}

static void on_lane_lost(void *context, unsigned lane)
{
    struct node *node = context;
    webhooks_lose_lane(node->webhooks.room, lane);
}

static void on_done(void *context, unsigned lane, const char *last_id)
{
    struct node *node = context;
    store_transitions_done(node->store, lane, last_id);
}

static void on_more(void *context, unsigned lane)
{
    struct node *node = context;
    store_transitions_more(node->store, lane);
}

/* The memory store has no clock of its own. */
static void on_tick(struct wheel_timer *timer, uint64_t now_ms)
{
    struct node *node = CONTAINER_OF(timer, struct node, webhooks.tick);
    store_memory_tick(node->store);
    uint64_t dropped = store_memory_transitions_dropped(node->store);
    if (dropped > node->webhooks.dropped)
        log_error("webhook.dropped", "%ju transitions were dropped: too many wait for webhooks",
            (uintmax_t)(dropped - node->webhooks.dropped));
    node->webhooks.dropped = dropped;
    wheel_set(&node->wheel, timer, now_ms + 1); /* at the next tick */
}

static void open_room(struct node *node)
{
    const struct webhooks_listener listener = {.done = on_done, .more = on_more, .context = node};
    node->webhooks.room = webhooks_new(node->loop, &node->wheel, clock_monotonic_ms, node->config, &listener);
    if (node->config->presence.store != PRESENCE_MEMORY)
        return;
    node->webhooks.tick.expired = on_tick;
    wheel_set(&node->wheel, &node->webhooks.tick, uv_now(node->loop) + WHEEL_TICK_MS);
}

void node_open_webhooks(struct node *node, struct store_observer *observer)
{
    if (!webhooks_wanted(node->config))
        return;
    open_room(node);
    observer->transitions = on_transitions;
    observer->lane_lost = on_lane_lost;
}

/* Once open, it stays: what the store has kept meanwhile wants to be taken from it, also for nobody. */
void node_reload_webhooks(struct node *node)
{
    if (node->webhooks.room) {
        webhooks_reload(node->webhooks.room, node->config);
    } else if (webhooks_wanted(node->config)) {
        open_room(node);
        store_keep_transitions(node->store, on_transitions, on_lane_lost);
    }
}

/* ---- what the store does not see ---- */

static bool wants(const struct node *node, const struct app *app, enum store_transition_kind kind)
{
    return node->webhooks.room && app->webhook_events >> kind & 1;
}

void node_note_cache_miss(struct node *node, const struct app *app, const char *channel)
{
    if (wants(node, app, STORE_CACHE_MISS))
        store_note(node->store,
            &(struct store_transition){.kind = STORE_CACHE_MISS, .app_id = app->id, .channel = channel});
}

void node_note_client_event(struct node *node, const struct app *app, const struct publish_item *item)
{
    if (item->note.bytes && wants(node, app, STORE_CLIENT_EVENT))
        store_note(node->store, &(struct store_transition){.kind = STORE_CLIENT_EVENT,
                                    .app_id = app->id,
                                    .channel = item->channel,
                                    .user_id = item->note_user_id,
                                    .payload = item->note.bytes,
                                    .payload_bytes = item->note.length});
}
