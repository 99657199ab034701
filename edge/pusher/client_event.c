/* Client events: who may send which, and how often. */
#include "edge/pusher/connection_private.h"

#include "edge/webhooks/webhooks.h"
#include "presence/base/new.h"

#include <stdlib.h>

/* The sender's own subscription, if the event may be sent there; otherwise NULL, and he was told. */
static struct subscription *allowed_channel(struct connection *connection, const struct message *message)
{
    if (!connection->app->client_events) {
        connection_complain(connection, 0, "Client events are not enabled for this app");
        return NULL;
    }
    if (!message->channel.bytes) {
        connection_complain(connection, 0, "A client event must name its channel, next to its event");
        return NULL;
    }
    struct subscription *subscription = connection_subscription(connection, message->channel);
    if (!subscription || subscription->state != SUBSCRIPTION_ACTIVE) {
        connection_complain(
            connection, 0, "No current subscription to channel %.*s", QUOTE(message->channel));
        return NULL;
    }
    if (subscription->kind != CHANNEL_PRIVATE && subscription->kind != CHANNEL_PRESENCE) {
        connection_complain(connection, 0,
            "Client events are for private and presence channels (not encrypted ones), and %.*s is neither",
            QUOTE(message->channel));
        return NULL;
    }
    return subscription;
}

static bool within_limits(struct connection *connection, const struct message *message)
{
    const struct config_limits *limits = &connection->app->limits;
    if (limits->event_name_chars && json_text_characters(message->event) > limits->event_name_chars) {
        connection_complain(connection, 0, "The event's name is too long: it may have at most %u characters",
            limits->event_name_chars);
        return false;
    }
    if (limits->event_bytes && message->data.raw.length > limits->event_bytes) {
        connection_complain(connection, 0, "The event's data is too large: it may have at most %u bytes",
            limits->event_bytes);
        return false;
    }
    if (!rate_take(&connection->client_events, 1, limits->client_events_per_second,
            limits->client_events_per_second, worker_now_ms(connection->worker))) {
        connection_complain(connection, PUSHER_CLIENT_EVENT_RATE,
            "Too many client events: at most %u a second; this one was dropped",
            limits->client_events_per_second);
        return false;
    }
    return true;
}

/* ---- on its way ---- */

static void on_answered(struct publish *publish)
{
    struct client_publish *handle = publish->context;
    if (handle->connection) {
        LIST_REMOVE(handle, of_connection);
        if (publish->status != NODE_OK)
            connection_complain(handle->connection, 0,
                publish->status == NODE_UNAVAILABLE
                    ? "A client event was dropped: its channel cannot be reached now"
                    : "A client event was dropped: the server is over capacity");
    }
    free(handle);
    publish_free(publish);
}

static struct client_publish *new_handle(struct connection *connection)
{
    struct client_publish *handle = must_have(malloc(sizeof(*handle)));
    handle->connection = connection;
    LIST_INSERT_HEAD(&connection->publishes, handle, of_connection);
    return handle;
}

void connection_forget_publishes(struct connection *connection)
{
    struct client_publish *handle;
    LIST_FOREACH (handle, &connection->publishes, of_connection)
        handle->connection = NULL;
    LIST_INIT(&connection->publishes);
}

/* What webhooks will say of it, on its own thread: their JSON need not be made by the node. */
static void add_note(struct connection *connection, const struct subscription *subscription,
    const struct message *message, struct json_text data, struct publish_item *item)
{
    char socket_id[SOCKET_ID_CHARS];
    if (!(connection->app->webhook_events >> WEBHOOK_CLIENT_EVENT & 1))
        return;
    socket_id_print(connection->id, socket_id);
    webhooks_add_payload(
        &item->note, message->event.bytes, message->event.length, data.bytes, data.length, socket_id);
    if (!subscription->user_id)
        return;
    item->note_user_id = new_text(subscription->user_id);
}

static void send_event(
    struct connection *connection, const struct subscription *subscription, const struct message *message)
{
    /* Absent data becomes an empty object: some clients need the key (protocol.md). */
    struct json_text data = message->data.raw.bytes ? message->data.raw : (struct json_text){"{}", 2};
    struct publish *publish = publish_new(connection->app, 1);
    publish->exclude = connection->id;
    publish->answered = on_answered;
    publish->context = new_handle(connection);
    publish->items[0].channel = new_text(subscription->name);
    publish->items[0].frame = event_from_client(subscription->name, message->event.bytes,
        message->event.length, data.bytes, data.length, subscription->user_id);
    add_note(connection, subscription, message, data, &publish->items[0]);
    node_publish(&connection->worker->node, publish);
}

void connection_client_event(struct connection *connection, struct message *message)
{
    struct subscription *subscription = allowed_channel(connection, message);
    if (!subscription || !within_limits(connection, message))
        return;
    if (node_port_has_room(&connection->worker->node))
        send_event(connection, subscription, message);
    else
        connection_complain(connection, 0, "A client event was dropped: the server is over capacity");
}
