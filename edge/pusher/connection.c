#include "edge/pusher/connection_private.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

/* Disjoint between workers (they count serial_step apart) and between processes (edge_number is random), so
 * never used twice in a fleet's life. */
static struct socket_id next_id(struct worker *worker)
{
    struct socket_id id = {.edge = worker->edge_number, .serial = worker->next_serial};
    worker->next_serial += worker->serial_step;
    return id;
}

struct connection *connection_new(struct worker *worker, const struct transport *transport, int fd,
    const struct admission *admission, struct door_seat *seat)
{
    struct connection *connection = new_zeroed(sizeof(*connection));
    connection->transport = transport;
    connection->worker = worker;
    connection->fd = connection->read_fd = fd;
    connection->app = admission->app;
    connection->key = admission->key;
    connection->counts =
        connection->app ? app_metrics_of(&worker->apps, connection->app->id) : &worker->apps.nobody;
    connection->protocol = admission->protocol;
    connection->seat = seat;
    connection->reason = STORE_CLOSED;
    connection->id = next_id(worker);
    connection->opened_ms = connection->heard_ms = connection->progress_ms = worker_now_ms(worker);
    outbox_init(&connection->outbox);
    LIST_INSERT_HEAD(&worker->connections, connection, of_worker);
    worker->connection_count++;
    if (connection->app) {
        metric_add(&worker->metrics.connections, 1);
        metric_add(&worker->metrics.connections_opened, 1);
        metric_add(&connection->counts->connected, 1);
        metric_add(&connection->counts->connections, 1);
    }
    return connection;
}

void connection_opened(struct connection *connection)
{
    struct frame *frame =
        event_connection_established(connection->id, connection->worker->config->edge.activity_timeout_s);
    connection_send(connection, frame);
    frame_unref(frame);
    connection_watch(connection);
}

void connection_refuse(struct connection *connection, int code, const char *why)
{
    metric_add(&connection->worker->metrics.connections_refused, 1);
    connection_end(connection, code, why);
}

void connection_end(struct connection *connection, int code, const char *why)
{
    if (connection->state != CONNECTION_OPEN)
        return;
    struct frame *frame = event_error(code >= PUSHER_TLS_ONLY ? code : 0, why);
    connection_send(connection, frame);
    frame_unref(frame);
    if (connection->state != CONNECTION_OPEN)
        return; /* that was one frame too many for a slow reader */
    connection->state = CONNECTION_CLOSING;
    connection->end_code = code;
    if (code == PUSHER_NO_PONG)
        connection->reason = STORE_TIMED_OUT;
    connection->end_why = new_text(why);
    connection_mark_dirty(connection);
}

void connection_terminate(struct connection *connection, const char *why)
{
    if (connection->state != CONNECTION_OPEN)
        return;
    connection->reason = STORE_TERMINATED;
    connection_end(connection, PUSHER_UNAUTHORIZED, why);
}

void connection_lost(struct connection *connection)
{
    connection->state = CONNECTION_CLOSING;
    connection->end_code = CONNECTION_RESET;
    connection_mark_dirty(connection);
}

void connection_closed(struct connection *connection)
{
    struct worker *worker = connection->worker;
    connection->state = CONNECTION_CLOSING;
    connection_give_up_subscriptions(connection);
    connection_forget_publishes(connection);
    connection_stop_sending(connection);
    wheel_cancel(&connection->deadline);
    LIST_REMOVE(connection, of_worker);
    worker->connection_count--;
    if (connection->app) {
        connection_give_back(connection->app, worker);
        metric_subtract(&worker->metrics.connections, 1);
        metric_add(&worker->metrics.connections_closed, 1);
        metric_subtract(&connection->counts->connected, 1);
        metric_add(&connection->counts->disconnections, 1);
    }
    door_seat_leave(connection->seat);
    user_free(connection->user);
    free(connection->end_why);
    free(connection);
}

/* ---- key pairs ---- */

const struct app_key *connection_pair_of(const struct connection *connection, struct json_text auth)
{
    const char *colon = auth.bytes ? memchr(auth.bytes, ':', auth.length) : NULL;
    if (!colon)
        return connection->key;
    struct json_text key = {auth.bytes, (size_t)(colon - auth.bytes)};
    for (size_t i = 0; i < connection->app->key_count; i++)
        if (json_text_is(key, connection->app->keys[i].key))
            return &connection->app->keys[i];
    return connection->key;
}

/* ---- words ---- */

void connection_words(char words[WORDS_MAX_BYTES], const char *format, va_list arguments)
{
    vsnprintf(words, WORDS_MAX_BYTES, format, arguments);
    size_t length = strlen(words);
    /* Only a cut can have left half a character at the end; a text that fits is whole. */
    if (length == WORDS_MAX_BYTES - 1)
        words[json_text_cut((struct json_text){words, length}, length - 4)] = '\0';
}

void connection_complain(struct connection *connection, int code, const char *format, ...)
{
    char words[WORDS_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    connection_words(words, format, arguments);
    va_end(arguments);
    metric_add(&connection->worker->metrics.messages_refused, 1);
    struct frame *frame = event_error(code, words);
    connection_send(connection, frame);
    frame_unref(frame);
}
