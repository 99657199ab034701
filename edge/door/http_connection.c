#include "edge/door/http_connection.h"
#include "edge/base/container.h"
#include "edge/base/log.h"

#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STEPS_PER_TURN = 64, /* pipelined requests of one connection before others have a turn */
    /* After an error a client may still be sending. If we closed now, its next packet would be answered with
     * a RST, and a RST makes its kernel forget the answer it has not read yet (RFC 9112, 9.6). So we read on
     * and throw away, so long and so much. */
    LINGER_MS = 5000,
    LINGER_BYTES = 16 * 1024 * 1024,
    /* Whoever connects has something to say, and it is on its way: so long a way at most. */
    NEW_MS = 1000,
};

/* ---- the end ---- */

static void free_if_unused(struct http_connection *c)
{
    if (c->state == HTTP_GONE && !c->running && !c->is_orphan && !c->poll_is_open)
        free(c);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct http_connection *c = CONTAINER_OF((uv_poll_t *)handle, struct http_connection, poll);
    struct door *door = c->door;
    c->poll_is_open = false;
    free_if_unused(c);
    door_handle_closed(door);
}

void http_connection_detach(struct http_connection *c)
{
    c->state = HTTP_GONE;
    /* It stops watching at once: the next owner of the socket may watch it before the callback runs. */
    if (c->poll_is_open)
        uv_close((uv_handle_t *)&c->poll, on_poll_closed);
    if (c->is_ready)
        TAILQ_REMOVE(&c->door->ready, c, ready);
    c->is_ready = false;
    wheel_cancel(&c->deadline);
    LIST_REMOVE(c, entry);
    c->door->connections--;
    buffer_deinit(&c->in);
    buffer_deinit(&c->head);
    buffer_deinit(&c->body);
    buffer_deinit(&c->out);
    c->out_sent = 0;
}

static void end_tls(struct http_connection *c)
{
    if (c->tls)
        tls_session_say_end(c->tls);
    tls_session_free(c->tls);
    c->tls = NULL;
}

void http_connection_end(struct http_connection *c)
{
    if (c->state == HTTP_GONE)
        return;
    bool is_due = c->state == HTTP_ANSWER_DUE || c->state == HTTP_STREAMS;
    struct http_exchange exchange = c->exchange;
    http_connection_detach(c);
    end_tls(c);
    close(c->fd);
    c->fd = -1;
    door_seat_leave(c->seat);
    if (is_due && !exchange.gone) {
        c->is_orphan = true;
        LIST_INSERT_HEAD(&c->door->orphans, c, entry);
    }
    free_if_unused(c);
    if (is_due && exchange.gone)
        exchange.gone(exchange.context);
}

void http_connection_reset(struct http_connection *c)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    tls_session_free(c->tls); /* without a goodbye */
    c->tls = NULL;
    http_connection_end(c);
}

void http_connection_bury(struct http_connection *orphan)
{
    if (!orphan->is_orphan)
        return;
    LIST_REMOVE(orphan, entry);
    orphan->is_orphan = false;
    free_if_unused(orphan);
}

static bool is_new(const struct http_connection *c)
{
    return !c->has_asked && door_now_ms(c->door) < c->opened_ms + NEW_MS;
}

void http_connections_end_idle(struct door *door)
{
    struct http_connection *next;
    for (struct http_connection *c = LIST_FIRST(&door->open); c; c = next) {
        next = LIST_NEXT(c, entry);
        if (c->state == HTTP_READS_HEAD && c->in.length == 0 && !c->is_ready && !is_new(c))
            http_connection_end(c);
    }
}

void http_connections_end(struct door *door)
{
    struct http_connection *c;
    while ((c = LIST_FIRST(&door->open)))
        http_connection_end(c);
    while ((c = LIST_FIRST(&door->orphans)))
        http_connection_bury(c);
}

/* ---- deadlines and turns ---- */

void http_connection_set_deadline(struct http_connection *c, uint32_t after_ms)
{
    wheel_set(c->door->wheel, &c->deadline, door_now_ms(c->door) + after_ms);
}

static void refuse(struct http_connection *c, int status, const char *why)
{
    http_connection_refuse(c, &(struct http_refusal){.status = status, .why = why});
}

static void on_deadline(struct wheel_timer *timer, uint64_t now_ms)
{
    struct http_connection *c = CONTAINER_OF(timer, struct http_connection, deadline);
    (void)now_ms;
    switch ((enum http_connection_state)c->state) {
    case HTTP_READS_HEAD:
        /* Silence is ended in silence: browsers open connections in advance and would take an answer for
         * that of their next request. */
        if (c->in.length == 0)
            http_connection_end(c);
        else
            refuse(c, 408, "the head did not come in time");
        break;
    case HTTP_READS_BODY:
        refuse(c, 408, "the body did not come in time");
        break;
    case HTTP_STREAMS:
    case HTTP_FLUSHES:
        metric_add(&c->door->metrics->slow_readers, 1);
        log_info("http.slow_reader", "a client does not read its answer: reset");
        http_connection_reset(c);
        break;
    case HTTP_SHAKES_HANDS:
        http_connection_handshake_failed(c, TLS_FAILURE_TIMEOUT, NULL);
        http_connection_end(c);
        break;
    case HTTP_READS_PROXY:
    case HTTP_LINGERS:
        http_connection_end(c);
        break;
    case HTTP_ARRIVES:
    case HTTP_ANSWER_DUE: /* the handler's own matter */
    case HTTP_GONE:
        break;
    }
}

static void on_next_turn(uv_idle_t *idle);

static void go_on_soon(struct http_connection *c)
{
    struct door *door = c->door;
    if (c->is_ready)
        return;
    c->is_ready = true;
    c->ready_in = door->turn;
    TAILQ_INSERT_TAIL(&door->ready, c, ready);
    uv_idle_start(&door->next_turn, on_next_turn);
}

void http_connection_end_soon(struct http_connection *c)
{
    c->is_broken = true;
    go_on_soon(c);
}

/* ---- reading ---- */

static void read_some(struct http_connection *c);

static void keep_unused(struct http_connection *c, struct buffer *own, const struct http_input *in)
{
    bool wanted = in->length > 0 && c->state != HTTP_GONE && c->state != HTTP_LINGERS;
    if (wanted && own->bytes) {
        buffer_consume(own, own->length - in->length);
        c->in = *own;
        return;
    }
    if (wanted)
        buffer_add(&c->in, in->bytes, in->length);
    buffer_deinit(own);
}

/* Goes on with what was kept and these bytes, until more are needed. May free the connection. */
static void run(struct http_connection *c, const char *bytes, size_t length)
{
    /* Held here, because requests point into it, and the connection may end while a handler reads them. */
    struct buffer own = c->in;
    c->in = (struct buffer){0};
    struct http_input in = {bytes, length};
    if (own.bytes) {
        buffer_add(&own, bytes, length);
        in = (struct http_input){own.bytes, own.length};
    }
    c->running = true;
    unsigned steps = 0;
    while (steps < STEPS_PER_TURN && http_connection_step(c, &in))
        steps++;
    c->running = false;
    keep_unused(c, &own, &in);
    if (steps == STEPS_PER_TURN && c->in.length > 0 && c->state <= HTTP_READS_BODY)
        go_on_soon(c);
    if (c->state == HTTP_READS_HEAD && c->in.length > 0 && !c->head_begun) {
        c->head_begun = true;
        http_connection_set_deadline(c, c->door->config->edge.head_timeout_ms);
    }
    if (c->state == HTTP_GONE)
        free_if_unused(c);
    else if (c->state == HTTP_SHAKES_HANDS)
        read_some(c); /* what came behind the PROXY header is in the session's hands */
    else
        http_connection_watch(c);
}

static void on_next_turn(uv_idle_t *idle)
{
    struct door *door = idle->data;
    struct http_connection *c;
    door->turn++;
    while ((c = TAILQ_FIRST(&door->ready)) && c->ready_in != door->turn) {
        TAILQ_REMOVE(&door->ready, c, ready);
        c->is_ready = false;
        if (c->is_broken)
            http_connection_end(c);
        else if (c->state <= HTTP_READS_BODY)
            run(c, NULL, 0);
    }
    if (TAILQ_EMPTY(&door->ready))
        uv_idle_stop(idle);
}

/* True when requests may come. May free the connection. */
static bool shake_hands(struct http_connection *c)
{
    c->running = true;
    bool is_done = http_connection_shake_hands(c);
    c->running = false;
    if (c->state == HTTP_GONE)
        free_if_unused(c);
    else if (!is_done)
        http_connection_watch(c);
    return is_done;
}

static void read_some(struct http_connection *c)
{
    if (c->is_ready)
        return; /* what was read before comes first */
    if (c->state == HTTP_SHAKES_HANDS && !shake_hands(c))
        return;
    char *scratch = c->door->scratch;
    ssize_t count = http_connection_receive(c, scratch, DOOR_READ_BYTES);
    if (count > 0)
        run(c, scratch, (size_t)count);
    else if (count < 0 && (errno == EAGAIN || errno == EINTR))
        http_connection_watch(c);
    else
        http_connection_end(c); /* also in the middle of a request: nobody is left who would send the rest */
}

static void throw_away(struct http_connection *c)
{
    ssize_t count = recv(c->fd, c->door->scratch, DOOR_READ_BYTES, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->lingered_bytes += count > 0 ? (uint64_t)count : 0;
    if (count <= 0 || c->lingered_bytes > LINGER_BYTES)
        http_connection_end(c);
}

/* ---- events of the socket ---- */

/* While an answer is due nothing is read, but the poll handle stays as it is until the client does send
 * something: changing it costs two system calls, and ordinary clients wait for their answer. */
static int wanted_events(const struct http_connection *c)
{
    switch ((enum http_connection_state)c->state) {
    case HTTP_ANSWER_DUE:
        /* After its FIN the socket would be readable for ever, and hang up for ever; urgent data is what
         * nobody sends, and watching for it keeps the errors coming. */
        if (c->half_closed)
            return UV_PRIORITIZED;
        return c->more_waits ? UV_DISCONNECT : UV_READABLE;
    case HTTP_STREAMS:
        return UV_DISCONNECT | (http_connection_waiting_bytes(c) ? UV_WRITABLE : 0);
    case HTTP_FLUSHES:
        return UV_WRITABLE;
    default:
        /* A handshake, too, may wait for a client that does not read. */
        return UV_READABLE | (c->tls && tls_session_waiting_bytes(c->tls) > 0 ? UV_WRITABLE : 0);
    }
}

static void on_due_event(struct http_connection *c, int events)
{
    if (events & UV_PRIORITIZED) {
        http_connection_end(c);
        return;
    }
    if (events & UV_DISCONNECT)
        c->half_closed = true;
    c->more_waits = true;
    http_connection_watch(c);
}

static void on_stream_event(struct http_connection *c, int events)
{
    size_t waiting = http_connection_waiting_bytes(c);
    if (events & UV_DISCONNECT) {
        http_connection_end(c);
        return;
    }
    if (!http_connection_flush(c))
        return;
    http_connection_watch(c);
    if (c->exchange.taken && http_connection_waiting_bytes(c) < waiting)
        c->exchange.taken(c->exchange.context, http_connection_waiting_bytes(c));
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct http_connection *c = CONTAINER_OF(poll, struct http_connection, poll);
    if (status < 0) {
        http_connection_end(c);
        return;
    }
    switch ((enum http_connection_state)c->state) {
    case HTTP_ARRIVES:
    case HTTP_READS_PROXY:
    case HTTP_SHAKES_HANDS:
    case HTTP_READS_HEAD:
    case HTTP_READS_BODY:
        if (c->tls)
            (void)tls_session_flush(c->tls); /* what is broken is found by reading */
        read_some(c);
        break;
    case HTTP_ANSWER_DUE:
        on_due_event(c, events);
        break;
    case HTTP_STREAMS:
        on_stream_event(c, events);
        break;
    case HTTP_FLUSHES:
        if (http_connection_flush(c))
            http_connection_answered(c);
        break;
    case HTTP_LINGERS:
        throw_away(c);
        break;
    case HTTP_GONE:
        break;
    }
}

static bool open_poll(struct http_connection *c)
{
    int err = uv_poll_init_socket(c->door->loop, &c->poll, c->fd);
    if (err) {
        log_error("http.poll", "a connection cannot be watched: %s", uv_strerror(err));
        http_connection_end(c);
        return false;
    }
    c->poll_is_open = true;
    c->door->handles++;
    return true;
}

void http_connection_watch(struct http_connection *c)
{
    if (c->running || c->state == HTTP_GONE || (!c->poll_is_open && !open_poll(c)))
        return;
    int events = wanted_events(c);
    if (events == c->watched)
        return;
    c->watched = events;
    if (uv_poll_start(&c->poll, events, on_socket))
        http_connection_end(c);
}

/* ---- from one request to the next ---- */

void http_connection_linger(struct http_connection *c)
{
    c->state = HTTP_LINGERS;
    buffer_deinit(&c->in);
    buffer_deinit(&c->head);
    buffer_deinit(&c->body);
    if (c->tls)
        tls_session_say_end(c->tls);
    (void)shutdown(c->fd, SHUT_WR);
    http_connection_set_deadline(c, LINGER_MS);
    http_connection_watch(c);
}

static void await_next(struct http_connection *c)
{
    c->state = HTTP_READS_HEAD;
    c->scan = (struct http_head_scan){0};
    c->head_begun = c->blank_skipped = c->more_waits = false;
    http_connection_set_deadline(c, c->door->config->edge.keep_alive_timeout_ms);
    if (!c->running && c->in.length > 0)
        go_on_soon(c);
    http_connection_watch(c);
}

void http_connection_answered(struct http_connection *c)
{
    if (http_connection_waiting_bytes(c) > 0)
        http_connection_watch(c);
    else if (c->keep_alive && !c->door->stopped) /* which a stream could not know when it began */
        await_next(c);
    else if (c->closes_silently)
        http_connection_end(c);
    else
        http_connection_linger(c);
}

static struct http_connection *connection_new(
    struct door *door, int fd, const struct address *peer, struct door_seat *seat)
{
    struct http_connection *c = new_zeroed(sizeof(*c));
    c->door = door;
    c->fd = fd;
    c->peer = *peer;
    c->seat = seat;
    c->opened_ms = door_now_ms(door);
    c->deadline.expired = on_deadline;
    LIST_INSERT_HEAD(&door->open, c, entry);
    door->connections++;
    return c;
}

void http_connection_open(
    struct door_listener *listener, int fd, const struct address *peer, struct door_seat *seat)
{
    struct door *door = listener->door;
    struct http_connection *c = connection_new(door, fd, peer, seat);
    c->tls = listener->tls ? tls_session_new(listener->tls, fd) : NULL;
    c->peer.secure = c->tls != NULL;
    c->state = listener->proxy_protocol ? HTTP_READS_PROXY : c->tls ? HTTP_SHAKES_HANDS : HTTP_READS_HEAD;
    http_connection_set_deadline(c, door->config->edge.head_timeout_ms);
    /* Often the request came along with the connection; a WebSocket is then handed over without the poll
     * handle ever being opened. */
    read_some(c);
}

void http_connection_adopt(struct door *door, struct door_socket *socket)
{
    struct http_connection *c = connection_new(door, socket->fd, &socket->peer, socket->seat);
    c->state = HTTP_ARRIVES;
    c->tls = socket->tls;
    c->head = socket->head;
    c->body = socket->body;
    c->in = socket->rest;
    free(socket);
    run(c, NULL, 0);
}
