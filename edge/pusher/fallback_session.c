#include "edge/pusher/fallback_private.h"

#include "edge/base/container.h"
#include "edge/pusher/fallback_lines.h"
#include "edge/pusher/websocket_frame.h"
#include "presence/base/new.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* pusher-js asks for the next response as soon as it has read one to its end: when nobody has received for so
     * long, it has gone. As long as a pong may take by default. */
    AWAY_MS = 10000,
    /* What an ended connection had not said, and is kept for a client that is expected back; if there is more, only
     * why it ended. */
    LEFT_MAX_BYTES = 64 * 1024,
};

static const char headers[] = "Cache-Control: no-store, no-transform\r\n"
                              "X-Accel-Buffering: no\r\n"           /* nginx: pass on what comes at once */
                              "X-Content-Type-Options: nosniff\r\n" /* browsers wait for more to sniff at */
                              "Access-Control-Allow-Origin: *\r\n";

static struct fallback_session *session_of(const struct connection *connection)
{
    return connection->transport_data;
}

/* ---- the table ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct fallback_session *)a)->name, ((const struct fallback_session *)b)->name);
}

static struct fallback_session *allocate(struct http_text name)
{
    struct fallback_session *session = new_zeroed(sizeof(*session) + name.length + 1);
    memcpy(session->name, name.bytes, name.length);
    return session;
}

struct fallback_session *fallback_session_find(struct fallback_host *host, struct http_text name)
{
    struct fallback_session *wanted = allocate(name);
    struct fallback_session **found = tfind(wanted, &host->by_name, compare);
    free(wanted);
    return found ? *found : NULL;
}

static void session_free(struct fallback_session *session)
{
    tdelete(session, &session->host->by_name, compare);
    LIST_REMOVE(session, of_host);
    wheel_cancel(&session->away);
    outbox_deinit(&session->left);
    free(session->end_why);
    free(session->origin);
    free(session);
}

void fallback_session_drop(struct fallback_session *session)
{
    struct connection *connection = session->connection;
    session->connection = NULL;
    if (session->receiver.exchange)
        http_exchange_reset(session->receiver.exchange);
    if (connection)
        connection_closed(connection);
    session_free(session);
}

static void on_away(struct wheel_timer *timer, uint64_t now_ms)
{
    struct fallback_session *session = CONTAINER_OF(timer, struct fallback_session, away);
    (void)now_ms;
    if (session->connection)
        session->connection->reason = STORE_TIMED_OUT;
    fallback_session_drop(session);
}

static void watch_absence(struct fallback_session *session)
{
    struct worker *worker = session->host->worker;
    wheel_set(&worker->wheel, &session->away, worker_now_ms(worker) + AWAY_MS);
}

/* ---- writing ---- */

static struct outbox *outbox_of(struct fallback_session *session)
{
    return session->connection ? &session->connection->outbox : &session->left;
}

static bool is_full(const struct fallback_receiver *receiver)
{
    return receiver->units > FALLBACK_RESPONSE_UNITS;
}

/* All there is to say to the present receiver, but nothing behind the line that makes its response too long. */
static void add_lines(struct fallback_session *session, struct buffer *lines)
{
    struct fallback_receiver *receiver = &session->receiver;
    struct outbox *outbox = outbox_of(session);
    if (!session->open_said)
        fallback_add_open(lines, session->host->worker->config->edge.fallback_host);
    session->open_said = true;
    if (outbox->count > 0 || session->answer_due)
        fallback_add_messages(lines, outbox, FALLBACK_RESPONSE_UNITS - receiver->units);
    session->answer_due = false;
    receiver->units += fallback_units(lines->bytes, lines->length);
    if (session->connection || outbox->count > 0 || is_full(receiver))
        return;
    fallback_add_close(lines, session->end_code, session->end_why);
    session->close_said = true;
}

static void end_receiver(struct fallback_session *session)
{
    http_stream_end(session->receiver.exchange);
    session->receiver = (struct fallback_receiver){0};
    watch_absence(session);
}

static void write_lines(struct fallback_session *session, const struct buffer *lines)
{
    struct fallback_receiver *receiver = &session->receiver;
    struct metrics *metrics = &session->host->worker->metrics;
    metric_add(&metrics->socket_writes, 1);
    metric_add(&metrics->bytes_sent, lines->length);
    if (session->connection)
        metric_add(&session->connection->counts->sent_bytes, lines->length);
    receiver->waiting_bytes = http_stream_write(receiver->exchange, lines->bytes, lines->length);
    if (receiver->polls || is_full(receiver) || session->close_said)
        end_receiver(session);
}

/* Returns how many bytes were written. */
static size_t deliver(struct fallback_session *session)
{
    struct buffer lines = {0};
    if (!session->receiver.exchange || session->receiver.waiting_bytes > 0)
        return 0;
    add_lines(session, &lines);
    size_t bytes = lines.length;
    if (bytes > 0)
        write_lines(session, &lines);
    buffer_deinit(&lines);
    return bytes;
}

/* Of a session whose connection has ended: goes as soon as the client knows. */
static void say_end(struct fallback_session *session)
{
    deliver(session);
    if (session->close_said)
        session_free(session);
}

/* ---- the transport ---- */

static void flush(struct connection *connection)
{
    struct fallback_session *session = session_of(connection);
    size_t bytes = deliver(session);
    connection->partial_bytes = (uint32_t)session->receiver.waiting_bytes;
    connection_wrote(connection, bytes, connection->outbox.count > 0 || session->receiver.waiting_bytes > 0);
}

/* A poll is answered with a heartbeat, and the next one is the client's answer. In a stream a heartbeat would only
 * have the client ask for one of ours. */
static void ping(struct connection *connection)
{
    struct fallback_session *session = session_of(connection);
    if (session->receiver.exchange && session->receiver.polls) {
        struct buffer lines = {0};
        fallback_add_heartbeat(&lines);
        write_lines(session, &lines);
        buffer_deinit(&lines);
    } else {
        struct frame *frame = event_ping();
        connection_send(connection, frame);
        frame_unref(frame);
    }
}

/* What waits goes over to the session. */
static void take_over(struct fallback_session *session, struct connection *connection)
{
    session->left = connection->outbox;
    outbox_init(&connection->outbox);
    if (session->receiver.exchange || session->left.bytes <= LEFT_MAX_BYTES)
        return;
    while (session->left.count > 1)
        outbox_pop(&session->left);
}

static void close_connection(struct connection *connection, int code, const char *reason)
{
    struct fallback_session *session = session_of(connection);
    session->end_code = code ? code : WEBSOCKET_CLOSE_NORMAL;
    session->end_why = new_text(reason ? reason : "");
    take_over(session, connection);
    session->connection = NULL;
    connection_closed(connection);
    say_end(session);
}

static void reset(struct connection *connection)
{
    struct fallback_session *session = session_of(connection);
    if (session->receiver.waiting_bytes > 0)
        fallback_session_drop(session);
    else
        close_connection(connection, PUSHER_OVER_CAPACITY, NULL);
}

static const struct transport transport = {
    .flush = flush,
    .ping = ping,
    .close = close_connection,
    .reset = reset,
};

struct fallback_session *fallback_session_new(struct fallback_host *host, struct http_text name,
    const struct admission *admission, struct door_seat *seat)
{
    struct fallback_session *session = allocate(name);
    session->host = host;
    session->away.expired = on_away;
    session->connection = connection_new(host->worker, &transport, -1, admission, seat);
    session->connection->transport_data = session;
    outbox_init(&session->left);
    LIST_INSERT_HEAD(&host->sessions, session, of_host);
    must(tsearch(session, &host->by_name, compare));
    watch_absence(session);
    return session;
}

/* ---- receivers ---- */

/* pusher-js never goes on with a session one of whose responses has broken off. */
static void on_gone(void *context)
{
    struct fallback_session *session = context;
    session->receiver = (struct fallback_receiver){0};
    fallback_session_drop(session);
}

static void on_taken(void *context, size_t waiting_bytes)
{
    struct fallback_session *session = context;
    struct connection *connection = session->connection;
    size_t taken_bytes = session->receiver.waiting_bytes - waiting_bytes;
    session->receiver.waiting_bytes = waiting_bytes;
    if (!connection) {
        say_end(session);
    } else if (connection->state == CONNECTION_OPEN && waiting_bytes == 0) {
        flush(connection);
    } else {
        connection->partial_bytes = (uint32_t)waiting_bytes;
        connection_wrote(connection, taken_bytes, waiting_bytes > 0);
    }
}

void fallback_session_receive(struct fallback_session *session, struct http_exchange *exchange, bool polls)
{
    struct connection *connection = session->connection;
    if (session->receiver.exchange)
        http_exchange_reset(session->receiver.exchange);
    session->receiver = (struct fallback_receiver){.exchange = exchange, .polls = polls};
    wheel_cancel(&session->away);
    http_exchange_watch(exchange, on_gone, session);
    http_stream_watch(exchange, on_taken);
    http_stream_begin(exchange, 200, "application/javascript; charset=UTF-8", headers);
    if (!connection) {
        say_end(session);
        return;
    }
    connection_heard(connection);
    /* What waits goes at once, unless the connection ends in this turn, which will say all of it. */
    if (connection->state == CONNECTION_OPEN && (connection->blocked || session->answer_due))
        flush(connection);
}

void fallback_session_answer(struct fallback_session *session)
{
    struct connection *connection = session->connection;
    if (!connection || connection->state != CONNECTION_OPEN)
        return;
    connection_heard(connection);
    connection_receive_piece(connection);
    session->answer_due = true;
    connection_mark_dirty(connection);
}

/* ---- the host ---- */

struct fallback_host *fallback_host_new(struct worker *worker)
{
    struct fallback_host *host = new_zeroed(sizeof(*host));
    host->worker = worker;
    LIST_INIT(&host->sessions);
    return host;
}

void fallback_host_free(struct fallback_host *host)
{
    struct fallback_session *session;
    while ((session = LIST_FIRST(&host->sessions)))
        fallback_session_drop(session);
    free(host);
}

void fallback_drain(struct fallback_host *host)
{
    struct fallback_session *session;
    LIST_FOREACH (session, &host->sessions, of_host)
        if (session->connection)
            connection_end(
                session->connection, PUSHER_RECONNECT, "The server is shutting down, please reconnect");
}
