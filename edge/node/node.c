#include "edge/node/node_private.h"

#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/pusher/events.h"
#include "presence/store_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void node_send(struct node *node, unsigned worker, struct mail *mail)
{
    outgoing_add(&node->lines[worker].to_worker, mail);
}

bool node_workers_have_room(const struct node *node)
{
    for (unsigned w = 0; w < node->workers; w++)
        if (!mailbox_has_room(node->lines[w].to_worker.to))
            return false;
    return true;
}

/* ---- channels ---- */

static struct channel *channel_of(struct node *node, struct store_channel *stored, const struct app *app)
{
    if (!stored->context) {
        stored->context = channel_new(app, stored->name, node->workers);
        metric_add(&node->metrics.channels, 1);
    }
    return stored->context;
}

/* Forgets the channel when its last subscription has gone; what is on its way to workers keeps it alive. */
static void drop_if_empty(struct node *node, struct store_channel *stored)
{
    struct channel *channel = stored->context;
    if (!channel || channel->subscriptions > 0)
        return;
    stored->context = NULL;
    metric_subtract(&node->metrics.channels, 1);
    channel_unref(channel);
}

/* One frame to every worker that has a subscriber. Consumes the caller's reference to the frame. */
static void broadcast(
    struct node *node, struct channel *channel, struct frame *frame, struct socket_id exclude, bool lazy)
{
    for (unsigned w = 0; w < node->workers; w++) {
        if (channel->on_worker[w] == 0)
            continue;
        struct delivery *delivery = malloc(sizeof(*delivery));
        if (!delivery)
            abort();
        *delivery = (struct delivery){
            .mail.run = port_on_delivery,
            .channel = channel_ref(channel),
            .frame = frame_ref(frame),
            .exclude = exclude,
            .lazy = lazy,
        };
        node_send(node, w, &delivery->mail);
    }
    frame_unref(frame);
}

/* ---- what the store tells ---- */

static void on_member_added(void *context, struct store_channel *stored, const struct member *member)
{
    struct channel *channel = stored->context;
    if (channel && channel->subscriptions > 0)
        broadcast(context, channel, event_member_added(stored->name, member), (struct socket_id){0}, true);
}

static void on_member_removed(void *context, struct store_channel *stored, const struct member *member)
{
    struct channel *channel = stored->context;
    if (channel && channel->subscriptions > 0)
        broadcast(context, channel, event_member_removed(stored->name, member), (struct socket_id){0}, true);
}

static void on_event(void *context, struct store_channel *stored, const struct store_event *event)
{
    struct channel *channel = stored->context;
    if (channel && event->kind == STORE_EVENT_MESSAGE)
        broadcast(context, channel, frame_ref(event->frame), event->exclude, false);
}

static void on_subscription_count(void *context, struct store_channel *stored, uint64_t count)
{
    (void)context;
    (void)stored;
    (void)count;
}

static const struct store_observer observer = {
    .member_added = on_member_added,
    .member_removed = on_member_removed,
    .event = on_event,
    .subscription_count = on_subscription_count,
};

/* ---- subscriptions ---- */

static struct frame *succeeded_frame(struct channel *channel, const struct store_channel *stored)
{
    if (stored->has_roster)
        return event_subscription_succeeded(stored->name, &stored->roster);
    if (!channel->succeeded)
        channel->succeeded = event_subscription_succeeded(stored->name, NULL);
    return frame_ref(channel->succeeded);
}

static void accept_subscription(struct node *node, struct subscription *subscription, struct frame *cached)
{
    struct store_channel *stored = subscription->stored.channel;
    struct channel *channel = channel_of(node, stored, subscription->app);
    subscription->node_state = NODE_ANSWERED;
    subscription->node_channel = channel;
    subscription->channel = channel_ref(channel);
    subscription->answer = succeeded_frame(channel, stored);
    subscription->cached = cached ? frame_ref(cached) : NULL;
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

void node_on_subscribe(struct mail *mail, void *context)
{
    struct subscription *subscription = CONTAINER_OF(mail, struct subscription, subscribe);
    struct node *node = context;
    bool presence = subscription->kind == CHANNEL_PRESENCE;
    struct store_user user = {
        .id = subscription->user_id,
        .id_bytes = presence ? strlen(subscription->user_id) : 0,
        .info = subscription->user_info,
        .info_bytes = subscription->user_info ? strlen(subscription->user_info) : 0,
    };
    struct store_channel_options options = {
        .roster = presence,
        .members_max = subscription->app->limits.presence_members,
    };
    subscription->node = node;
    subscription->node_state = NODE_ASKED;
    subscription->stored.done = on_stored;
    /* The store's answer may hand the subscription back to its worker before this call returns; but it is
     * sent at the end of the turn, so it is still ours until then. */
    store_subscribe(node->store, subscription->app->id, subscription->name, options, presence ? &user : NULL,
        &subscription->stored);
    free(subscription->user_info);
    subscription->user_info = NULL;
}

void node_on_unsubscribe(struct mail *mail, void *context)
{
    struct subscription *subscription = CONTAINER_OF(mail, struct subscription, unsubscribe);
    struct node *node = context;
    if (subscription->node_state == NODE_ANSWERED) {
        struct channel *channel = subscription->node_channel;
        channel->subscriptions--;
        channel->on_worker[subscription->worker]--;
        metric_subtract(&node->metrics.subscriptions, 1);
        if (channel->subscriptions == 0)
            drop_if_empty(node, subscription->stored.channel);
    }
    if (subscription->node_state != NODE_REFUSED)
        store_unsubscribe(node->store, &subscription->stored);
    subscription->released.run = port_on_released;
    node_send(node, subscription->worker, &subscription->released);
}

/* ---- life ---- */

static void on_end_of_turn(uv_prepare_t *handle)
{
    struct node *node = handle->data;
    for (unsigned w = 0; w < node->workers; w++)
        outgoing_flush(&node->lines[w].to_worker);
}

int node_new(uv_loop_t *loop, const struct config *config, unsigned workers, struct node **created)
{
    struct node *node = calloc(1, sizeof(*node));
    if (!node)
        abort();
    node->loop = loop;
    node->config = config;
    node->workers = workers;
    node->lines = calloc(workers, sizeof(*node->lines));
    node->publish_rates = calloc(config->app_count + 1, sizeof(*node->publish_rates));
    if (!node->lines || !node->publish_rates)
        abort();
    if (getrandom(&node->incarnation, sizeof(node->incarnation), 0) != sizeof(node->incarnation)) {
        node_free(node);
        return -EIO;
    }
    int error = mailbox_init(&node->mailbox, loop, config->edge.mailbox_length, node);
    if (error) {
        node_free(node);
        return error;
    }
    node->store = store_memory_new(&observer, node, clock_monotonic_ms);
    uv_prepare_init(loop, &node->end_of_turn);
    node->end_of_turn.data = node;
    uv_prepare_start(&node->end_of_turn, on_end_of_turn);
    *created = node;
    return 0;
}

struct mailbox *node_mailbox(struct node *node)
{
    return &node->mailbox;
}

void node_connect(struct node *node, struct node_port *port, unsigned worker, struct mailbox *worker_mailbox)
{
    *port = (struct node_port){.node = node, .worker = worker, .worker_mailbox = worker_mailbox};
    outgoing_init(&port->to_node, &node->mailbox);
    outgoing_init(&node->lines[worker].to_worker, worker_mailbox);
}

struct metrics *node_metrics(struct node *node)
{
    return &node->metrics;
}

uint64_t node_incarnation(const struct node *node)
{
    return node->incarnation;
}

void node_close(struct node *node)
{
    mailbox_close(&node->mailbox);
    uv_close((uv_handle_t *)&node->end_of_turn, NULL);
}

void node_free(struct node *node)
{
    if (node->store)
        store_free(node->store);
    free(node->lines);
    free(node->publish_rates);
    free(node);
}
