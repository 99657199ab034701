/* The workers' end of the line: everything here runs on a worker's thread. */
#include "edge/node/node_private.h"

#include "edge/base/container.h"
#include "edge/pusher/connection.h"
#include "edge/worker.h"

#include <stdlib.h>

bool node_port_has_room(const struct node_port *port)
{
    return mailbox_has_room(port->to_node.to);
}

static void post(struct node_port *port, struct mail *mail, void (*run)(struct mail *, void *))
{
    mail->run = run;
    outgoing_add(&port->to_node, mail);
}

/* ---- subscriptions ---- */

void node_subscribe(struct node_port *port, struct subscription *subscription)
{
    port->outstanding++;
    subscription->state = SUBSCRIPTION_PENDING;
    subscription->asked_us = latency_now_us();
    post(port, &subscription->subscribe, node_on_subscribe);
}

void node_unsubscribe(struct node_port *port, struct subscription *subscription)
{
    if (subscription->state == SUBSCRIPTION_ACTIVE)
        channel_detach(subscription->channel, subscription->worker, subscription);
    subscription->state = SUBSCRIPTION_ENDED;
    post(port, &subscription->unsubscribe, node_on_unsubscribe);
}

void port_on_answered(struct mail *mail, void *context)
{
    struct subscription *subscription = CONTAINER_OF(mail, struct subscription, answered);
    struct worker *worker = context;
    if (subscription->state == SUBSCRIPTION_ENDED)
        return; /* given up meanwhile; `released` follows */
    app_unref(subscription->app);
    subscription->app = NULL;
    if (subscription->result != STORE_OK) {
        connection_subscribed(subscription);
        subscription_free(subscription);
        worker->node.outstanding--;
        return;
    }
    subscription->state = SUBSCRIPTION_ACTIVE;
    latency_add_since(&worker->metrics.join_latency, subscription->asked_us);
    subscription->since_ms = worker_now_ms(worker);
    channel_attach(subscription->channel, subscription->worker, subscription);
    connection_subscribed(subscription);
}

void port_on_released(struct mail *mail, void *context)
{
    struct subscription *subscription = CONTAINER_OF(mail, struct subscription, released);
    struct worker *worker = context;
    if (!subscription->kept)
        subscription_free(subscription);
    worker->node.outstanding--;
}

/* ---- deliveries ---- */

static bool same_socket(struct socket_id a, struct socket_id b)
{
    return a.serial == b.serial && a.edge == b.edge;
}

static void deliver(const struct delivery *delivery, struct subscription *subscription)
{
    struct connection *connection = subscription->connection;
    bool is_member = subscription->user_id;
    switch (delivery->kind) {
    case DELIVERY_EVENT:
        connection_send(connection, delivery->frame);
        break;
    case DELIVERY_MEMBER:
        connection_send_lazy(connection, delivery->frame);
        break;
    case DELIVERY_USER_ONLINE:
    case DELIVERY_USER_OFFLINE:
        if (!is_member)
            connection_user_changed(subscription, delivery->kind == DELIVERY_USER_ONLINE, delivery->frame);
        break;
    case DELIVERY_TERMINATE:
        if (is_member)
            connection_terminate(connection, "You got disconnected by the app");
        break;
    }
}

void port_on_delivery(struct mail *mail, void *context)
{
    struct delivery *delivery = CONTAINER_OF(mail, struct delivery, mail);
    struct worker *worker = context;
    const struct channel_local *local = &delivery->channel->local[worker->number];
    /* Neither sending nor ending frees a connection within the turn, so the list stands still during the walk. */
    for (uint32_t i = 0; i < local->count; i++) {
        if (i + 4 < local->count)
            __builtin_prefetch(local->subscribers[i + 4]);
        if (!same_socket(local->subscribers[i]->connection->id, delivery->exclude))
            deliver(delivery, local->subscribers[i]);
    }
    if (delivery->kind == DELIVERY_EVENT)
        latency_pile_add(&worker->deliveries, delivery->told_us);
    channel_unref(delivery->channel);
    frame_unref(delivery->frame);
    free(delivery);
}

/* ---- publishes and queries ---- */

void node_publish(struct node_port *port, struct publish *publish)
{
    port->outstanding++;
    publish->port = port;
    post(port, &publish->mail, node_on_publish);
}

void port_on_published(struct mail *mail, void *context)
{
    struct publish *publish = CONTAINER_OF(mail, struct publish, mail);
    struct worker *worker = context;
    worker->node.outstanding--;
    publish->answered(publish);
}

void node_query(struct node_port *port, struct query *query)
{
    port->outstanding++;
    query->port = port;
    post(port, &query->mail, node_on_query);
}

void port_on_query_answered(struct mail *mail, void *context)
{
    struct query *query = CONTAINER_OF(mail, struct query, mail);
    struct worker *worker = context;
    worker->node.outstanding--;
    query->answered(query);
}
