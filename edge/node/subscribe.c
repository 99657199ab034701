/* Subscriptions: from the worker's mail through the store and back. */
#include "edge/node/node_private.h"

#include "edge/base/container.h"
#include "edge/pusher/events.h"

#include <stdlib.h>
#include <string.h>

/* ---- channels ---- */

static struct channel *channel_of(struct node *node, struct store_channel *stored)
{
    if (!stored->context) {
        struct channel *channel = channel_new(stored->name, node->workers);
        channel->subscription_count.node = node;
        channel->subscription_count.timer.expired = node_on_count_due;
        stored->context = channel;
        metric_add(&node->metrics.channels, 1);
    }
    return stored->context;
}

/* Forgets a channel without subscriptions; what is on its way to workers keeps it alive. */
static void forget_channel(struct node *node, struct store_channel *stored)
{
    struct channel *channel = stored->context;
    stored->context = NULL;
    wheel_cancel(&channel->subscription_count.timer);
    metric_subtract(&node->metrics.channels, 1);
    channel_unref(channel);
}

/* ---- the store's answer ---- */

static struct frame *succeeded_frame(struct channel *channel, const struct store_channel *stored)
{
    if (channel->kind == CHANNEL_USER)
        return NULL;
    if (stored->has_roster)
        return event_subscription_succeeded(stored->name, &stored->roster);
    if (!channel->succeeded)
        channel->succeeded = event_subscription_succeeded(stored->name, NULL);
    return frame_ref(channel->succeeded);
}

static struct frame *cached_frame(const struct channel *channel, struct frame *cached)
{
    if (!channel_is_cache(channel->name))
        return NULL;
    return cached ? frame_ref(node_sealed(cached)) : event_cache_miss(channel->name);
}

static void accept_subscription(struct node *node, struct subscription *subscription, struct frame *cached)
{
    struct store_channel *stored = subscription->stored.channel;
    struct channel *channel = channel_of(node, stored);
    subscription->node_state = NODE_ANSWERED;
    subscription->node_channel = channel;
    subscription->channel = channel_ref(channel);
    subscription->answer = succeeded_frame(channel, stored);
    subscription->cached = cached_frame(channel, cached);
    if (subscription->cached && !cached)
        node_note_cache_miss(node, subscription->app, channel->name);
    subscription->online = roster_count(&stored->roster) > 0;
    channel->subscriptions++;
    channel->on_worker[subscription->worker]++;
    metric_add(&node->metrics.subscriptions, 1);
}

static void on_stored(struct store_subscription *stored, enum store_result result, struct frame *cached)
{
    struct subscription *subscription = CONTAINER_OF(stored, struct subscription, stored);
    struct node *node = subscription->node;
    subscription->result = result;
    if (result == STORE_OK)
        accept_subscription(node, subscription, cached);
    else
        subscription->node_state = NODE_REFUSED;
    subscription->answered.run = port_on_answered;
    node_send(node, subscription->worker, &subscription->answered);
}

/* ---- the worker's mail ---- */

static struct store_channel_options options_of(const struct subscription *subscription)
{
    bool presence = subscription->kind == CHANNEL_PRESENCE;
    return (struct store_channel_options){
        .roster = presence || subscription->kind == CHANNEL_USER,
        .members_max = presence ? subscription->app->limits.presence_members : 0,
    };
}

void node_on_subscribe(struct mail *mail, void *context)
{
    struct subscription *subscription = CONTAINER_OF(mail, struct subscription, subscribe);
    struct node *node = context;
    struct store_user user = {
        .id = subscription->user_id,
        .id_bytes = subscription->user_id ? strlen(subscription->user_id) : 0,
        .info = subscription->user_info,
        .info_bytes = subscription->user_info ? strlen(subscription->user_info) : 0,
    };
    subscription->node = node;
    subscription->node_state = NODE_ASKED;
    subscription->stored.done = on_stored;
    /* The store may answer before this call returns, but the answer leaves at the end of the turn: until then the
     * subscription is still ours. */
    store_subscribe(node->store, subscription->app->id, subscription->name, options_of(subscription),
        subscription->user_id ? &user : NULL, &subscription->stored);
    free(subscription->user_info);
    subscription->user_info = NULL;
}

static void take_out(struct node *node, struct subscription *subscription)
{
    struct channel *channel = subscription->node_channel;
    channel->on_worker[subscription->worker]--;
    metric_subtract(&node->metrics.subscriptions, 1);
    if (--channel->subscriptions == 0)
        forget_channel(node, subscription->stored.channel);
}

static void keep(struct node *node, struct subscription *subscription)
{
    subscription->kept = true;
    STAILQ_INSERT_TAIL(&node->kept, &subscription->unsubscribe, next);
}

void node_on_unsubscribe(struct mail *mail, void *context)
{
    struct subscription *subscription = CONTAINER_OF(mail, struct subscription, unsubscribe);
    struct node *node = context;
    bool was_answered = subscription->node_state == NODE_ANSWERED;
    if (was_answered)
        take_out(node, subscription);
    subscription->stored.reason = subscription->reason;
    if (node->leaving && was_answered && subscription->reason == STORE_CLOSED)
        keep(node, subscription);
    else if (subscription->node_state != NODE_REFUSED)
        store_unsubscribe(node->store, &subscription->stored);
    subscription->released.run = port_on_released;
    node_send(node, subscription->worker, &subscription->released);
}

void node_let_go(struct node *node)
{
    struct mail *mail;
    while ((mail = STAILQ_FIRST(&node->kept))) {
        struct subscription *subscription = CONTAINER_OF(mail, struct subscription, unsubscribe);
        STAILQ_REMOVE_HEAD(&node->kept, next);
        store_unsubscribe(node->store, &subscription->stored);
        subscription_free(subscription);
    }
}
