/* What the store tells, on its way to the workers. */
#include "edge/node/node_private.h"

#include "edge/base/container.h"
#include "edge/pusher/events.h"
#include "edge/pusher/websocket_frame.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* pusher_internal:subscription_count is told at once up to so many subscriptions, above that every 5 s
     * (Pusher's documentation of subscription counts). */
    COUNT_AT_ONCE_MAX = 100,
    COUNT_EVERY_MS = 5000,
};

/* One frame to every worker that has a subscriber. Consumes the caller's reference to the frame. */
static void broadcast(struct node *node, struct channel *channel, struct frame *frame,
    struct socket_id exclude, enum delivery_kind kind)
{
    uint64_t told_us = kind == DELIVERY_EVENT ? latency_now_us() : 0;
    for (unsigned w = 0; w < node->workers; w++) {
        if (channel->on_worker[w] == 0)
            continue;
        struct delivery *delivery = must_have(malloc(sizeof(*delivery)));
        *delivery = (struct delivery){
            .mail.run = port_on_delivery,
            .channel = channel_ref(channel),
            .frame = frame_ref(frame),
            .exclude = exclude,
            .told_us = told_us,
            .kind = kind,
        };
        node_send(node, w, &delivery->mail);
    }
    frame_unref(frame);
}

static struct channel *subscribed_channel(struct store_channel *stored)
{
    struct channel *channel = stored->context;
    return channel && channel->subscriptions > 0 ? channel : NULL;
}

static void on_member_added(void *node, struct store_channel *stored, const struct member *member)
{
    struct channel *channel = subscribed_channel(stored);
    node_tap_member(node, stored, member, true);
    if (!channel)
        return;
    if (channel->kind == CHANNEL_USER)
        broadcast(
            node, channel, event_watchlist_online(member->id), (struct socket_id){0}, DELIVERY_USER_ONLINE);
    else
        broadcast(
            node, channel, event_member_added(stored->name, member), (struct socket_id){0}, DELIVERY_MEMBER);
}

static void on_member_removed(void *node, struct store_channel *stored, const struct member *member)
{
    struct channel *channel = subscribed_channel(stored);
    node_tap_member(node, stored, member, false);
    if (!channel)
        return;
    if (channel->kind == CHANNEL_USER)
        broadcast(
            node, channel, event_watchlist_offline(member->id), (struct socket_id){0}, DELIVERY_USER_OFFLINE);
    else
        broadcast(node, channel, event_member_removed(stored->name, member), (struct socket_id){0},
            DELIVERY_MEMBER);
}

/* Frames that come over the bus are texts still; nobody else has them yet. */
struct frame *node_sealed(struct frame *frame)
{
    return frame->header_bytes ? frame : websocket_seal(frame);
}

static void on_event(void *node, struct store_channel *stored, const struct store_event *event)
{
    struct channel *channel = subscribed_channel(stored);
    if (event->kind == STORE_EVENT_MESSAGE)
        node_tap_event(node, stored->app_id, stored->name, event->frame);
    if (channel)
        broadcast(node, channel, frame_ref(node_sealed(event->frame)), event->exclude,
            event->kind == STORE_EVENT_TERMINATE ? DELIVERY_TERMINATE : DELIVERY_EVENT);
}

/* ---- subscription counts ---- */

/* On encrypted channels Java would try to decrypt it; presence channels have a roster (protocol.md). */
static bool wants_count(
    const struct node *node, const struct store_channel *stored, const struct channel *channel)
{
    if (channel->kind != CHANNEL_PUBLIC && channel->kind != CHANNEL_PRIVATE)
        return false;
    const struct app *app = config_app_by_id(node->config, stored->app_id, strlen(stored->app_id));
    return app && app->subscription_counts;
}

static void tell_count(struct node *node, struct channel *channel)
{
    channel->subscription_count.told_ms = uv_now(node->loop);
    broadcast(node, channel, event_subscription_count(channel->name, channel->subscription_count.value),
        (struct socket_id){0}, DELIVERY_MEMBER);
}

void node_on_count_due(struct wheel_timer *timer, uint64_t now_ms)
{
    struct channel *channel = CONTAINER_OF(timer, struct channel, subscription_count.timer);
    (void)now_ms;
    tell_count(channel->subscription_count.node, channel);
}

static void on_subscription_count(void *context, struct store_channel *stored, uint64_t count)
{
    struct node *node = context;
    struct channel *channel = subscribed_channel(stored);
    if (!channel || !wants_count(node, stored, channel))
        return;
    struct wheel_timer *timer = &channel->subscription_count.timer;
    uint64_t due_ms = channel->subscription_count.told_ms + COUNT_EVERY_MS;
    channel->subscription_count.value = count;
    if (count <= COUNT_AT_ONCE_MAX || uv_now(node->loop) >= due_ms) {
        wheel_cancel(timer);
        tell_count(node, channel);
    } else if (!timer->due_ms) {
        wheel_set(&node->wheel, timer, due_ms);
    }
}

const struct store_observer node_observer = {
    .member_added = on_member_added,
    .member_removed = on_member_removed,
    .event = on_event,
    .subscription_count = on_subscription_count,
    .usage = node_on_usage,
};
