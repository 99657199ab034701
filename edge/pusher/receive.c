/* What clients say: how often they may, and what it is about. */
#include "edge/pusher/connection_private.h"

#include "edge/pusher/websocket_frame.h"

#include <errno.h>
#include <string.h>

/* Over the rate a connection is closed with 4100, which every client answers by backing off (pusher-js for a
 * second), rather than told with an error for each message: so a flood costs the flooder a new connection,
 * and us one frame. Nothing is dropped that a client could be waiting for. */
static bool within_rate(struct connection *connection)
{
    const struct config *config = connection->worker->config;
    if (rate_take(&connection->messages, 1, config->edge.messages_per_second, config->edge.messages_burst,
            worker_now_ms(connection->worker)))
        return true;
    metric_add(&connection->worker->metrics.messages_refused, 1);
    connection_end(connection, PUSHER_OVER_CAPACITY, "Too many messages");
    return false;
}

static bool begins_with(struct json_text text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text.length >= length && memcmp(text.bytes, prefix, length) == 0;
}

static void answer_ping(struct connection *connection)
{
    struct frame *frame = event_pong();
    connection_send(connection, frame);
    frame_unref(frame);
}

static void dispatch(struct connection *connection, struct message *message)
{
    if (begins_with(message->event, "client-"))
        connection_client_event(connection, message);
    else if (json_text_is(message->event, "pusher:subscribe"))
        connection_subscribe(connection, message);
    else if (json_text_is(message->event, "pusher:unsubscribe"))
        connection_unsubscribe(connection, message);
    else if (json_text_is(message->event, "pusher:signin"))
        connection_signin(connection, message);
    else if (json_text_is(message->event, "pusher:ping"))
        answer_ping(connection);
    else if (!json_text_is(message->event, "pusher:pong"))
        connection_complain(connection, 0,
            "Event %.*s is not known here; clients may send events that begin with client-, and "
            "pusher:subscribe, pusher:unsubscribe, pusher:signin, pusher:ping, pusher:pong",
            QUOTE(message->event));
}

void connection_receive(struct connection *connection, const char *text, size_t length)
{
    struct metrics *metrics = &connection->worker->metrics;
    struct message message;
    const char *why;
    if (connection->state != CONNECTION_OPEN)
        return;
    connection_heard(connection);
    metric_add(&metrics->messages_received, 1);
    metric_add(&metrics->bytes_received, length);
    metric_add(&connection->counts->messages_received, 1);
    metric_add(&connection->counts->received_bytes, length);
    if (!within_rate(connection))
        return;
    int error = message_read(&message, text, length, &why);
    if (error == -EILSEQ)
        connection_end(connection, WEBSOCKET_CLOSE_NOT_UTF8, "The message is not UTF-8");
    else if (error)
        connection_complain(connection, 0, "The message %s", why);
    else
        dispatch(connection, &message);
    message_deinit(&message);
}

void connection_receive_piece(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN)
        within_rate(connection);
}
