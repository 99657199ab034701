/* The only file that knows libwebsockets (4.1.6; what it does was read in its source and measured).
 *
 *   sending    The outbox is joined into one sendmsg() on the socket itself. What the kernel leaves of a
 * frame in flight is given to lws at once (lws_write RAW keeps it), because lws writes pongs whenever it
 * finds the socket writable and nothing of its own waiting. So lws only ever has the rest of one frame, and
 * whole frames stay in the outbox. receiving  lws unmasks and gives pieces as large as rx_buffer_size;
 * messages are put together here, bounded. UTF-8 is checked with the JSON, not by lws: it checks the payload
 * of pongs as well, and misses a character that a last, empty fragment cuts off. closing    Never from within
 * lws' callbacks, except when lws itself says that a socket has ended. The connection is freed at once; the
 * socket stays with lws until what it has left is sent (5 s at most). TLS        lws has one end of a bridge
 * (edge/tls/bridge.h), and reads and writes there as if there were no TLS. Our frames go to the client through the
 * bridge itself, which takes them whole, so that there lws never has a rest.
 *
 * A wsi's opaque pointer is its connection while there is one, and NULL afterwards.
 */
#include "edge/pusher/websocket.h"

#include "edge/base/log.h"
#include "edge/pusher/connection_private.h"
#include "edge/pusher/websocket_frame.h"
#include "edge/tls/bridge.h"
#include "presence/base/new.h"

#include <errno.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    /* Allocated per connection; a subscription with its signature and user fits. */
    RX_BUFFER_BYTES = 512,
    /* lws cuts its own writes to this. */
    TX_PACKET_BYTES = 1 << 20,
    /* Frames joined into one write. IOV_MAX is 1024; 64 already make the call's own cost disappear. */
    JOINED_FRAMES_MAX = 64,
    /* With TLS: frames that are joined into one record, and so the most beside one frame that can wait there. */
    JOINED_TLS_BYTES = TLS_RECORD_BYTES,
    /* Unsent bytes the kernel takes for one socket: a slow reader shows in its outbox, not in kernel memory.
     */
    UNSENT_MAX_BYTES = 64 * 1024,
    /* What is read and thrown away before a close, so that the kernel does not answer unread bytes with a
     * reset that overtakes our last frames. */
    SWALLOW_BYTES = 4096,
    SWALLOW_READS = 16,
    HANDSHAKE_MAX_BYTES = 256,
};

struct websocket_host {
    struct worker *worker;
    struct lws_context *context; /* lws sets it to NULL when it has freed it */
    struct lws_vhost *vhost;
    struct connection *adopting; /* while websocket_adopt() runs */
    struct frame *ping;
    struct tls_bridges bridges;
};

/* lws keeps one for each established connection. */
struct session {
    struct buffer message; /* the pieces so far of a message that came in several */
};

static struct lws *wsi_of(const struct connection *connection)
{
    return connection->transport_data;
}

static struct websocket_host *host_of(const struct connection *connection)
{
    return connection->worker->websockets;
}

/* ---- writing ---- */

/* Points at the frames of the outbox, oldest first, at least one and no more than `most` bytes besides; returns how
 * many, and their bytes in *total. */
static size_t gather(const struct outbox *outbox, struct iovec *pieces, size_t most, size_t *total)
{
    size_t count = 0;
    *total = 0;
    while (count < outbox->count && count < JOINED_FRAMES_MAX) {
        struct frame *frame = outbox_at(outbox, (uint32_t)count);
        size_t bytes = frame_wire_bytes(frame);
        if (count > 0 && *total + bytes > most)
            break;
        pieces[count++] = (struct iovec){.iov_base = (void *)frame_wire(frame), .iov_len = bytes};
        *total += bytes;
    }
    return count;
}

static ssize_t send_pieces(int fd, struct iovec *pieces, size_t count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t sent;
    do /* most often it is one frame, and send() is 3 to 5 % cheaper than sendmsg() (measured) */
        sent = count == 1 ? send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                          : sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : sent;
}

/* Takes what was sent from the outbox; returns how much of the frame now oldest is among it. */
static size_t drop_sent(struct outbox *outbox, size_t sent)
{
    while (sent > 0) {
        size_t oldest = frame_wire_bytes(outbox_at(outbox, 0));
        if (sent < oldest)
            return sent;
        sent -= oldest;
        outbox_pop(outbox);
    }
    return 0;
}

static bool write_through_lws(struct lws *wsi, const uint8_t *bytes, size_t length)
{
    /* RAW neither changes the bytes nor needs room in front of them. */
    return lws_write(wsi, (unsigned char *)bytes, length, LWS_WRITE_RAW) >= 0;
}

/* Gives the rest of the oldest frame to lws, before it can write anything else. */
static bool hand_over_rest(struct connection *connection, size_t sent)
{
    struct frame *frame = outbox_at(&connection->outbox, 0);
    size_t rest = frame_wire_bytes(frame) - sent;
    bool written = write_through_lws(wsi_of(connection), frame_wire(frame) + sent, rest);
    connection->partial_bytes = lws_partial_buffered(wsi_of(connection)) ? (uint32_t)rest : 0;
    outbox_pop(&connection->outbox);
    return written;
}

static void count_bytes(struct connection *connection, size_t bytes)
{
    metric_add(&connection->worker->metrics.bytes_sent, bytes);
    metric_add(&connection->counts->sent_bytes, bytes);
}

/* write_once() with TLS: what is taken is taken whole, and encrypted. */
static ssize_t write_once_tls(struct connection *connection, bool *blocked)
{
    struct iovec pieces[JOINED_FRAMES_MAX];
    size_t total;
    size_t count = gather(&connection->outbox, pieces, JOINED_TLS_BYTES, &total);
    metric_add(&connection->worker->metrics.socket_writes, 1);
    if (tls_bridge_send(connection->bridge, pieces, count) < 0)
        return -1;
    count_bytes(connection, total);
    drop_sent(&connection->outbox, total);
    connection->partial_bytes = (uint32_t)tls_bridge_waiting_bytes(connection->bridge);
    *blocked = connection->partial_bytes > 0;
    return (ssize_t)total;
}

/* One write. Returns the bytes that went, or -1 when the socket is dead; *blocked: the client takes no more.
 */
static ssize_t write_once(struct connection *connection, bool *blocked)
{
    struct iovec pieces[JOINED_FRAMES_MAX];
    size_t total;
    if (connection->bridge)
        return write_once_tls(connection, blocked);
    size_t count = gather(&connection->outbox, pieces, SIZE_MAX, &total);
    ssize_t sent = send_pieces(connection->fd, pieces, count);
    metric_add(&connection->worker->metrics.socket_writes, 1);
    if (sent < 0)
        return -1;
    count_bytes(connection, (size_t)sent);
    size_t begun = drop_sent(&connection->outbox, (size_t)sent);
    *blocked = (size_t)sent < total;
    if (begun > 0) {
        count_bytes(connection, frame_wire_bytes(outbox_at(&connection->outbox, 0)) - begun);
        if (!hand_over_rest(connection, begun))
            return -1;
    }
    return sent;
}

/* The client has not taken all of what was written before; without TLS that may also be a pong of lws' own. */
static bool has_rest(const struct connection *connection)
{
    return connection->bridge ? tls_bridge_waiting_bytes(connection->bridge) > 0
                              : lws_partial_buffered(wsi_of(connection));
}

static void flush(struct connection *connection)
{
    bool blocked = has_rest(connection);
    size_t total = 0;
    while (!blocked && connection->outbox.count > 0) {
        ssize_t sent = write_once(connection, &blocked);
        if (sent < 0) {
            connection_lost(connection);
            return;
        }
        total += (size_t)sent;
    }
    if (blocked && !connection->bridge) /* the bridge calls by itself */
        lws_callback_on_writable(wsi_of(connection));
    connection_wrote(connection, total, blocked);
}

static void on_writable(struct connection *connection)
{
    connection->partial_bytes = 0;
    flush(connection);
}

static void on_bridge_writable(void *context)
{
    struct connection *connection = context;
    if (connection->state == CONNECTION_OPEN)
        on_writable(connection);
}

static void ping(struct connection *connection)
{
    connection_send(connection, host_of(connection)->ping);
}

/* ---- ending ---- */

/* From here on lws' wsi and our connection do not know each other. */
static void part(struct connection *connection)
{
    if (connection->transport_data)
        lws_set_opaque_user_data(wsi_of(connection), NULL);
    if (connection->bridge)
        tls_bridge_part(connection->bridge);
    connection_closed(connection);
}

static void swallow(int fd)
{
    char bytes[SWALLOW_BYTES];
    for (int i = 0; i < SWALLOW_READS; i++)
        if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < (ssize_t)sizeof(bytes))
            return;
}

static bool write_whatever_waits(struct connection *connection, const struct frame *frame)
{
    struct iovec piece = {.iov_base = (void *)frame_wire(frame), .iov_len = frame_wire_bytes(frame)};
    if (connection->bridge)
        return tls_bridge_send(connection->bridge, &piece, 1) >= 0;
    return write_through_lws(wsi_of(connection), piece.iov_base, piece.iov_len);
}

/* Everything that waits, and a Close frame behind it, goes to the kernel, to lws or to the bridge. */
static void say_close(struct connection *connection, int code, const char *reason)
{
    struct frame *frame = websocket_close_new(code ? code : WEBSOCKET_CLOSE_NORMAL, reason ? reason : "");
    outbox_push(&connection->outbox, frame);
    frame_unref(frame);
    flush(connection);
    while (connection->outbox.count > 0) {
        struct frame *oldest = outbox_at(&connection->outbox, 0);
        if (!write_whatever_waits(connection, oldest))
            return;
        outbox_pop(&connection->outbox);
    }
}

static bool is_established(struct lws *wsi)
{
    return lws_get_protocol(wsi) && lws_wsi_user(wsi);
}

static void close_connection(struct connection *connection, int code, const char *reason)
{
    struct lws *wsi = wsi_of(connection);
    if (is_established(wsi))
        say_close(connection, code, reason);
    swallow(lws_get_socket_fd(wsi));
    part(connection);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* Makes the kernel forget the socket with everything in it, and tell the peer (RST). */
static void abort_socket(int fd)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    /* For TCP; a unix socket has nothing to disconnect and is shut instead. */
    if (connect(fd, &nobody, sizeof(nobody)) != 0)
        shutdown(fd, SHUT_RDWR);
}

static void reset(struct connection *connection)
{
    struct lws *wsi = wsi_of(connection);
    if (!has_rest(connection) && is_established(wsi)) {
        struct frame *frame = websocket_close_new(PUSHER_OVER_CAPACITY, "");
        outbox_push(&connection->outbox, frame);
        frame_unref(frame);
        bool blocked;
        write_once(connection, &blocked);
    }
    abort_socket(connection->fd);
    bool lws_has_rest = lws_partial_buffered(wsi);
    part(connection);
    /* lws would wait for a chance to send what it has left; a write that fails tells it that there is none.
     */
    if (lws_has_rest)
        write_through_lws(wsi, (const uint8_t *)"", 1);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static const struct transport transport = {
    .flush = flush,
    .ping = ping,
    .close = close_connection,
    .reset = reset,
};

/* ---- receiving ---- */

/* Pieces of one message, until it is whole. */
static void on_piece(
    struct lws *wsi, struct connection *connection, struct buffer *message, const char *bytes, size_t length)
{
    size_t max = connection->worker->config->edge.message_bytes;
    size_t rest = lws_remaining_packet_payload(wsi);
    bool final = lws_is_final_fragment(wsi);
    if (rest > max || message->length + length + rest > max) {
        connection_end(connection, WEBSOCKET_CLOSE_TOO_LARGE, "The message is too large");
        buffer_deinit(message);
    } else if (final && message->length == 0) {
        connection_receive(connection, bytes, length);
    } else if (final) {
        buffer_add(message, bytes, length);
        connection_receive(connection, message->bytes, message->length);
        buffer_deinit(message);
    } else {
        buffer_add(message, bytes, length);
        if (rest == 0)
            connection_receive_piece(connection);
    }
}

static void on_receive(
    struct lws *wsi, struct connection *connection, struct session *session, const char *bytes, size_t length)
{
    if (connection->state != CONNECTION_OPEN)
        return;
    if (lws_frame_is_binary(wsi))
        connection_end(connection, WEBSOCKET_CLOSE_UNSUPPORTED, "Messages must be text, not binary");
    else
        on_piece(wsi, connection, &session->message, bytes, length);
}

/* ---- beginning ---- */

static int on_instantiated(struct lws *wsi)
{
    struct websocket_host *host = lws_context_user(lws_get_context(wsi));
    struct connection *connection = host->adopting;
    if (!connection)
        return 0; /* one of lws' own sockets */
    connection->transport_data = wsi;
    lws_set_opaque_user_data(wsi, connection);
    return 0;
}

/* Only the handshake that websocket_adopt() wrote may upgrade (CVE-2025-11677): nothing else is ever parsed
 * as HTTP, and a second one on the same socket has no connection that waits for it. */
static int confirm_upgrade(struct connection *connection, const char *protocol)
{
    return connection && connection == host_of(connection)->adopting && strcmp(protocol, "websocket") == 0
               ? 0
               : 1;
}

static void on_established(struct connection *connection)
{
    if (connection->app) {
        connection_opened(connection);
        return;
    }
    char *why = connection->end_why;
    connection->end_why = NULL;
    connection_refuse(connection, connection->end_code, why);
    free(why);
}

static void set_socket_options(int fd)
{
    int unsent = UNSENT_MAX_BYTES;
    /* Fails on unix sockets, which have a small buffer of their own. */
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

/* The handshake that lws gets; the door has checked that the key is 24 characters of base64. Returns its
 * length, or 0 when there is no such key. */
static size_t write_handshake(const struct http_request *request, char handshake[HANDSHAKE_MAX_BYTES])
{
    const struct http_text *key = http_header_find(request, "sec-websocket-key");
    if (!key)
        return 0;
    int length = snprintf(handshake, HANDSHAKE_MAX_BYTES,
        "GET / HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %.*s\r\nSec-WebSocket-Version: 13\r\n\r\n",
        (int)key->length, key->bytes);
    return length > 0 && length < HANDSHAKE_MAX_BYTES ? (size_t)length : 0;
}

/* What lws reads and writes: the socket itself, or with TLS the end of a bridge. */
static bool connect_to_lws(
    struct websocket_host *host, struct connection *connection, struct tls_session *session)
{
    connection->read_fd = connection->fd;
    if (!session)
        return true;
    connection->bridge = tls_bridge_new(
        &host->bridges, connection->fd, session, &connection->read_fd, on_bridge_writable, connection);
    return connection->bridge != NULL;
}

void websocket_adopt(struct websocket_host *host, int fd, const struct http_request *request)
{
    char handshake[HANDSHAKE_MAX_BYTES];
    struct admission admission;
    size_t length = write_handshake(request, handshake);
    if (length == 0) {
        tls_session_free(request->tls);
        door_seat_leave(request->seat);
        close(fd);
        return;
    }
    int code = connection_admit(host->worker, request, &admission);
    struct connection *connection = connection_new(host->worker, &transport, fd, &admission, request->seat);
    if (code) {
        connection->end_code = code;
        connection->end_why = new_text(admission.why);
    }
    set_socket_options(fd);
    if (!connect_to_lws(host, connection, request->tls)) {
        connection_closed(connection);
        return;
    }
    host->adopting = connection;
    lws_adopt_socket_vhost_readbuf(host->vhost, connection->read_fd, handshake, length);
    /* By now the handshake is answered, or lws has closed the socket; in the second case on_gone() has the
     * connection, unless there never was a wsi. */
    if (host->adopting && !connection->transport_data)
        part(connection);
    else if (host->adopting && connection->bridge)
        tls_bridge_carry(connection->bridge); /* the handshake's answer, in front of our own frames */
    host->adopting = NULL;
}

/* ---- what lws says ---- */

static void on_gone(struct lws *wsi, struct session *session)
{
    struct connection *connection = lws_get_opaque_user_data(wsi);
    if (session)
        buffer_deinit(&session->message);
    if (!connection)
        return;
    if (host_of(connection)->adopting == connection)
        host_of(connection)->adopting = NULL;
    part(connection);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    struct connection *connection = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    switch (reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        return on_instantiated(wsi);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return confirm_upgrade(connection, in);
    case LWS_CALLBACK_HTTP:
        return -1; /* plain HTTP is the front door's */
    case LWS_CALLBACK_ESTABLISHED:
        on_established(connection);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        if (connection)
            on_receive(wsi, connection, user, in, length);
        return 0;
    case LWS_CALLBACK_RECEIVE_PONG:
        if (connection)
            connection_heard(connection);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        if (connection && connection->state == CONNECTION_OPEN)
            on_writable(connection);
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_WSI_DESTROY:
        on_gone(wsi, user);
        return 0;
    default:
        return 0;
    }
}

/* ---- the host ---- */

static void on_log(int level, const char *line)
{
    (void)level;
    log_warn("websocket.library", "%.*s", (int)strcspn(line, "\n"), line);
}

static const struct lws_protocols protocols[] = {
    {
        .name = "pusher",
        .callback = on_event,
        .per_session_data_size = sizeof(struct session),
        .rx_buffer_size = RX_BUFFER_BYTES,
        .tx_packet_size = TX_PACKET_BYTES,
    },
    {.name = NULL},
};

/* No timers of lws' own (it walks a sorted list to set one): deadlines are the connection's. */
static const lws_retry_bo_t no_timers = {.secs_since_valid_ping = 1, .secs_since_valid_hangup = 0};

struct websocket_host *websocket_host_new(struct worker *worker)
{
    struct websocket_host *host = new_zeroed(sizeof(*host));
    void *loops[] = {&worker->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .foreign_loops = loops,
        .count_threads = 1,
        .user = host,
        .pcontext = &host->context,
        .retry_and_idle_policy = &no_timers,
    };
    /* Nobody else's. Their types are not those of 4.1 any more. */
    info.gid = (__typeof__(info.gid))-1;
    info.uid = (__typeof__(info.uid))-1;
    host->worker = worker;
    host->bridges = (struct tls_bridges){.loop = &worker->loop, .wheel = &worker->wheel};
    host->ping = websocket_ping_new();
    lws_set_log_level(LLL_ERR, on_log);
    host->context = lws_create_context(&info);
    if (host->context)
        host->vhost = lws_create_vhost(host->context, &info);
    /* Only the making of it may speak: lws formats its lines in one static buffer for all threads, and says "calling
     * service" at error level with every socket it adopts. */
    lws_set_log_level(0, NULL);
    if (host->vhost)
        return host;
    websocket_host_free(host);
    return NULL;
}

size_t websocket_host_unsent(const struct websocket_host *host)
{
    return tls_bridges_unsent(&host->bridges);
}

void websocket_host_free(struct websocket_host *host)
{
    /* lws closes its sockets in one turn of the loop, its own handles in the next, and frees the context when
     * it is asked a second time, unless it has done so meanwhile. */
    if (host->context)
        lws_context_destroy(host->context);
    for (int turn = 0; turn < 4; turn++)
        uv_run(&host->worker->loop, UV_RUN_NOWAIT);
    if (host->context)
        lws_context_destroy(host->context);
    tls_bridges_end(&host->bridges);
    frame_unref(host->ping);
    free(host);
}
