#include "edge/tls/bridge.h"

#include "edge/base/buffer.h"
#include "edge/base/container.h"
#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    /* Records of one client before others have a turn. */
    RECORDS_PER_TURN = 4,
    /* What is read and thrown away of a client that lingers. */
    LINGER_READS = 16,
};

struct tls_bridge {
    struct tls_bridges *bridges;
    struct tls_session *session;
    int fd, inner;
    uv_poll_t outside, inside; /* of fd, and of inner */
    int outside_watched, inside_watched;
    unsigned handles;  /* open with libuv */
    bool client_ended; /* it sends no more */
    bool lost;         /* and takes no more */
    bool inner_ended; /* libwebsockets has closed its end: nothing comes from there, nothing is taken there */
    bool told_inner;  /* that the client has ended */
    bool lingers;     /* all is sent and said; the client's own end is waited for */
    bool ended;
    struct buffer arrived; /* decrypted, and not taken by libwebsockets yet */
    struct wheel_timer deadline;
    void (*writable)(void *context);
    void *context;
    LIST_ENTRY(tls_bridge) entry;
};

static void go_on(struct tls_bridge *bridge);

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct tls_bridge *bridge = handle->data;
    if (--bridge->handles == 0)
        free(bridge);
}

static void end(struct tls_bridge *bridge)
{
    if (bridge->ended)
        return;
    bridge->ended = true;
    LIST_REMOVE(bridge, entry);
    wheel_cancel(&bridge->deadline);
    if (bridge->handles > 1)
        uv_close((uv_handle_t *)&bridge->inside, on_closed);
    uv_close((uv_handle_t *)&bridge->outside, on_closed);
    tls_session_free(bridge->session);
    bridge->session = NULL;
    buffer_deinit(&bridge->arrived);
    close(bridge->fd);
    close(bridge->inner);
}

static void on_deadline(struct wheel_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    end(CONTAINER_OF(timer, struct tls_bridge, deadline));
}

/* Libwebsockets has gone. When everything is sent the client is told, and its own end is waited for: a close now would
 * answer what it may still be sending with a reset, which overtakes our last frames. */
static void begin_end(struct tls_bridge *bridge)
{
    if (bridge->deadline.due_ms == 0)
        wheel_set(
            bridge->bridges->wheel, &bridge->deadline, uv_now(bridge->bridges->loop) + BRIDGE_LINGER_MS);
    if (tls_session_waiting_bytes(bridge->session) > 0 || bridge->lingers)
        return;
    tls_session_say_end(bridge->session);
    if (tls_session_waiting_bytes(bridge->session) > 0)
        return;
    bridge->lingers = true;
    (void)shutdown(bridge->fd, SHUT_WR);
}

/* The client is beyond reach. The bridge stays for libwebsockets, which is told and closes its end. */
static void lose_client(struct tls_bridge *bridge)
{
    bridge->client_ended = bridge->lost = true;
    buffer_deinit(&bridge->arrived);
}

/* ---- from the client ---- */

static bool is_broken(ssize_t result)
{
    return result < 0 && errno != EAGAIN && errno != EINTR;
}

/* Gives libwebsockets what has arrived, as far as it takes it, and the end behind it. */
static void feed_inner(struct tls_bridge *bridge)
{
    if (bridge->inner_ended)
        buffer_deinit(&bridge->arrived);
    if (bridge->arrived.length > 0) {
        ssize_t sent =
            send(bridge->inner, bridge->arrived.bytes, bridge->arrived.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (is_broken(sent))
            sent = (ssize_t)bridge->arrived.length; /* it has closed; that is noticed where we read from it */
        if (sent > 0)
            buffer_consume(&bridge->arrived, (size_t)sent);
        if (bridge->arrived.length == 0)
            buffer_deinit(&bridge->arrived);
    }
    if (bridge->client_ended && !bridge->told_inner && bridge->arrived.length == 0) {
        bridge->told_inner = true;
        (void)shutdown(bridge->inner, SHUT_WR);
    }
}

static void take_in(struct tls_bridge *bridge, const char *bytes, size_t length)
{
    ssize_t sent = 0;
    if (bridge->inner_ended)
        return;
    if (bridge->arrived.length == 0)
        sent = send(bridge->inner, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (is_broken(sent))
        return;
    size_t taken = sent > 0 ? (size_t)sent : 0;
    if (taken < length)
        buffer_add(&bridge->arrived, bytes + taken, length - taken);
}

static void read_client(struct tls_bridge *bridge)
{
    char *scratch = bridge->bridges->scratch;
    for (int i = 0; i < RECORDS_PER_TURN && bridge->arrived.length == 0 && !bridge->client_ended; i++) {
        ssize_t count = tls_session_read(bridge->session, scratch, TLS_RECORD_BYTES);
        if (count > 0)
            take_in(bridge, scratch, (size_t)count);
        else if (count < 0 && errno == EAGAIN)
            return;
        else if (count == 0)
            bridge->client_ended = true;
        else
            lose_client(bridge);
    }
}

static void throw_away(struct tls_bridge *bridge)
{
    for (int i = 0; i < LINGER_READS; i++) {
        ssize_t count = recv(bridge->fd, bridge->bridges->scratch, TLS_RECORD_BYTES, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0) {
            end(bridge);
            return;
        }
    }
}

/* ---- to the client ---- */

static void flush(struct tls_bridge *bridge)
{
    if (tls_session_waiting_bytes(bridge->session) == 0)
        return;
    if (!tls_session_flush(bridge->session))
        lose_client(bridge);
    else if (tls_session_waiting_bytes(bridge->session) == 0 && bridge->writable)
        bridge->writable(bridge->context);
}

/* All of it, also when that makes something wait: so a frame is never cut. It is no more than a socket holds. */
static void read_inner(struct tls_bridge *bridge)
{
    char *scratch = bridge->bridges->scratch;
    while (!bridge->inner_ended) {
        ssize_t count = recv(bridge->inner, scratch, TLS_RECORD_BYTES, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0)
            bridge->inner_ended = true;
        else if (tls_session_send_all(bridge->session, &(struct iovec){scratch, (size_t)count}, 1) < 0)
            lose_client(bridge);
    }
}

/* ---- events ---- */

static void on_outside(uv_poll_t *poll, int status, int events)
{
    struct tls_bridge *bridge = CONTAINER_OF(poll, struct tls_bridge, outside);
    bridge->outside_watched = status < 0 ? 0 : bridge->outside_watched; /* libuv has stopped watching */
    if (status < 0)
        lose_client(bridge);
    else if (bridge->lingers)
        throw_away(bridge);
    else if (events & UV_WRITABLE)
        flush(bridge);
    if (!bridge->lost && !bridge->ended && !bridge->lingers && (events & UV_READABLE))
        read_client(bridge);
    go_on(bridge);
}

static void on_inside(uv_poll_t *poll, int status, int events)
{
    struct tls_bridge *bridge = CONTAINER_OF(poll, struct tls_bridge, inside);
    bridge->inside_watched = status < 0 ? 0 : bridge->inside_watched;
    if (events & UV_WRITABLE)
        feed_inner(bridge);
    if (status < 0 || (events & UV_READABLE))
        read_inner(bridge); /* what it has written stays readable */
    if (status < 0)
        bridge->inner_ended = true;
    go_on(bridge);
}

static void watch(uv_poll_t *poll, int *watched, int events, uv_poll_cb callback)
{
    if (*watched == events)
        return;
    *watched = events;
    if (events == 0)
        uv_poll_stop(poll);
    else
        uv_poll_start(poll, events, callback);
}

/* What follows from the new state. Nothing is read while nobody takes it: from the client while libwebsockets has
 * not taken what came before, from libwebsockets while something waits for the client. */
static void go_on(struct tls_bridge *bridge)
{
    if (bridge->ended)
        return;
    feed_inner(bridge);
    if (bridge->inner_ended && !bridge->lost)
        begin_end(bridge);
    bool waits = !bridge->lost && tls_session_waiting_bytes(bridge->session) > 0;
    if (bridge->inner_ended && bridge->client_ended && !waits) {
        end(bridge);
        return;
    }
    bool reads = !bridge->client_ended && bridge->arrived.length == 0;
    watch(&bridge->outside, &bridge->outside_watched, (reads ? UV_READABLE : 0) | (waits ? UV_WRITABLE : 0),
        on_outside);
    bool takes = !bridge->inner_ended && !waits;
    bool feeds = bridge->arrived.length > 0 && !bridge->inner_ended;
    watch(&bridge->inside, &bridge->inside_watched, (takes ? UV_READABLE : 0) | (feeds ? UV_WRITABLE : 0),
        on_inside);
}

/* ---- for the connection ---- */

ssize_t tls_bridge_send(struct tls_bridge *bridge, const struct iovec *pieces, size_t count)
{
    if (bridge->lost)
        return -1;
    bool waited = tls_session_waiting_bytes(bridge->session) > 0;
    ssize_t sent = tls_session_send_all(bridge->session, pieces, count);
    if (!waited && sent > 0 && tls_session_waiting_bytes(bridge->session) > 0)
        go_on(bridge);
    return sent;
}

size_t tls_bridge_waiting_bytes(const struct tls_bridge *bridge)
{
    return bridge->lost ? 0 : tls_session_waiting_bytes(bridge->session);
}

void tls_bridge_carry(struct tls_bridge *bridge)
{
    read_inner(bridge);
    go_on(bridge);
}

void tls_bridge_part(struct tls_bridge *bridge)
{
    bridge->writable = NULL;
}

/* ---- life ---- */

static bool open_polls(struct tls_bridge *bridge)
{
    uv_loop_t *loop = bridge->bridges->loop;
    bridge->outside.data = bridge->inside.data = bridge;
    if (uv_poll_init_socket(loop, &bridge->outside, bridge->fd))
        return false;
    bridge->handles++;
    if (uv_poll_init_socket(loop, &bridge->inside, bridge->inner))
        return false;
    bridge->handles++;
    return true;
}

static struct tls_bridge *give_up(struct tls_bridge *bridge, int outer)
{
    close(outer);
    if (bridge->handles > 0) {
        end(bridge);
        return NULL;
    }
    LIST_REMOVE(bridge, entry);
    tls_session_free(bridge->session);
    close(bridge->fd);
    close(bridge->inner);
    free(bridge);
    return NULL;
}

struct tls_bridge *tls_bridge_new(struct tls_bridges *bridges, int fd, struct tls_session *session,
    int *outer, void (*writable)(void *context), void *context)
{
    int ends[2] = {-1, -1};
    struct tls_bridge *bridge = new_zeroed(sizeof(*bridge));
    bool has_pair = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0;
    *bridge = (struct tls_bridge){.bridges = bridges,
        .session = session,
        .fd = fd,
        .inner = ends[0],
        .deadline.expired = on_deadline,
        .writable = writable,
        .context = context};
    *outer = ends[1];
    LIST_INSERT_HEAD(&bridges->open, bridge, entry);
    if (!has_pair || !open_polls(bridge))
        return give_up(bridge, *outer);
    go_on(bridge);
    return bridge;
}

size_t tls_bridges_unsent(const struct tls_bridges *bridges)
{
    size_t count = 0;
    struct tls_bridge *bridge;
    LIST_FOREACH (bridge, &bridges->open, entry)
        count += tls_session_waiting_bytes(bridge->session) > 0;
    return count;
}

void tls_bridges_end(struct tls_bridges *bridges)
{
    struct tls_bridge *bridge;
    while ((bridge = LIST_FIRST(&bridges->open)))
        end(bridge);
}
