/* A WebSocket client for tests of the transport: a plain socket whose every byte is in the test's hands. The
 * server side runs on the fake worker's loop, in the same thread. Comes after fake_worker.h. */
#pragma once

#include "edge/pusher/websocket.h"
#include "tests/unit/edge/pusher/fake_worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* RFC 6455, 1.3 */
#define SAMPLE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SAMPLE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define SAMPLE_PATH "/app/278d425bdf160c739803"

enum { HANG_MS = 20000, TURNS_THAT_SETTLE = 8 };
enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10, FIN = 0x80 };

struct peer {
    int fd;
    struct buffer in; /* what was read and not yet taken */
    bool ended;       /* the server has ended the stream */
    int error;        /* with this errno */
};

struct peer_frame {
    uint8_t first; /* FIN and opcode */
    const char *bytes;
    size_t length;
};

static uv_prepare_t end_of_turn;
static struct websocket_host *host;

static void on_end_of_turn(uv_prepare_t *handle)
{
    (void)handle;
    connection_flush_dirty(&fake.worker);
}

static inline int ws_begin(void **state)
{
    if (fake_begin(state) != 0)
        return -1;
    uv_prepare_init(&fake.worker.loop, &end_of_turn);
    uv_prepare_start(&end_of_turn, on_end_of_turn);
    host = websocket_host_new(&fake.worker);
    fake.worker.websockets = host;
    return host ? 0 : -1;
}

static inline int ws_end(void **state)
{
    websocket_host_free(host);
    assert_int_equal(fake.worker.connection_count, 0);
    uv_close((uv_handle_t *)&end_of_turn, NULL);
    return fake_end(state);
}

/* A few turns of the server's loop. */
static inline void turn(void)
{
    for (int i = 0; i < TURNS_THAT_SETTLE; i++)
        uv_run(&fake.worker.loop, UV_RUN_NOWAIT);
}

static inline void tcp_pair(int *client, int *server, int receive_buffer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer)
        setsockopt(*client, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(*client, (struct sockaddr *)&address, sizeof(address)), 0);
    *server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(*server >= 0);
    close(listener);
    fcntl(*client, F_SETFL, O_NONBLOCK);
    int no_delay = 1;
    setsockopt(*client, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay));
}

static inline void adopt(int fd, const char *path, const char *query)
{
    struct http_request request = {
        .method = "GET",
        .path = {path, strlen(path)},
        .query = {query, strlen(query)},
        .headers = {{{"Sec-WebSocket-Key", 17}, {SAMPLE_KEY, strlen(SAMPLE_KEY)}}},
        .header_count = 1,
    };
    websocket_adopt(host, fd, &request);
}

/* Reads what is there. */
static inline void peer_read(struct peer *peer)
{
    static char bytes[65536];
    ssize_t length;
    while ((length = recv(peer->fd, bytes, sizeof(bytes), 0)) > 0)
        buffer_add(&peer->in, bytes, (size_t)length);
    if (length < 0 && errno == EAGAIN)
        return;
    peer->ended = true;
    peer->error = length < 0 ? errno : 0;
}

/* The first whole frame that was read, if there is one. */
static inline bool peer_peek(const struct peer *peer, struct peer_frame *frame, size_t *whole)
{
    const uint8_t *at = (const uint8_t *)peer->in.bytes;
    size_t have = peer->in.length, header = 2;
    if (have < 2)
        return false;
    uint64_t length = at[1];
    assert_true(length <= 127); /* a server does not mask */
    if (length >= 126) {
        header = length == 126 ? 4 : 10;
        if (have < header)
            return false;
        length = 0;
        for (size_t i = 2; i < header; i++)
            length = length << 8 | at[i];
    }
    *whole = header + length;
    *frame = (struct peer_frame){at[0], (const char *)at + header, length};
    return have >= *whole;
}

/* Turns the loop until the client has a whole frame; its bytes stay until peer_take(). */
static inline struct peer_frame peer_next(struct peer *peer)
{
    struct peer_frame frame;
    size_t whole = 0;
    uint64_t end_ms = uv_hrtime() / 1000000 + HANG_MS;
    while (!peer_peek(peer, &frame, &whole)) {
        if (peer->ended || uv_hrtime() / 1000000 > end_ms)
            fail_msg("no frame: %s, errno %d, %zu bytes", peer->ended ? "ended" : "time is up", peer->error,
                peer->in.length);
        turn();
        peer_read(peer);
    }
    return frame;
}

static inline void peer_take(struct peer *peer)
{
    struct peer_frame frame;
    size_t whole = 0;
    assert_true(peer_peek(peer, &frame, &whole));
    buffer_consume(&peer->in, whole);
}

static inline void peer_expect(struct peer *peer, uint8_t first, const char *text)
{
    struct peer_frame frame = peer_next(peer);
    if (frame.first != first || frame.length != strlen(text) || memcmp(frame.bytes, text, frame.length) != 0)
        fail_msg("%02x %.*s instead of %s", frame.first, (int)frame.length, frame.bytes, text);
    peer_take(peer);
}

/* A Close with that code comes, after pusher:error where one is due, and then the end of the stream. */
static inline void peer_expect_close(struct peer *peer, int code, const char *reason)
{
    struct peer_frame frame = peer_next(peer);
    assert_int_equal(frame.first, FIN | OP_CLOSE);
    assert_true(frame.length >= 2);
    assert_int_equal((uint8_t)frame.bytes[0] << 8 | (uint8_t)frame.bytes[1], code);
    assert_int_equal(frame.length - 2, strlen(reason));
    assert_memory_equal(frame.bytes + 2, reason, strlen(reason));
    peer_take(peer);
    for (int i = 0; i < 1000 && !peer->ended; i++) {
        turn();
        peer_read(peer);
    }
    assert_true(peer->ended);
    assert_int_equal(peer->in.length, 0);
}

/* Turns the loop until the server has ended the stream; what came before is thrown away. */
static inline void peer_expect_end(struct peer *peer)
{
    uint64_t end_ms = uv_hrtime() / 1000000 + HANG_MS;
    while (!peer->ended && uv_hrtime() / 1000000 < end_ms) {
        turn();
        peer_read(peer);
        peer->in.length = 0;
    }
    assert_true(peer->ended);
}

static inline void peer_write(struct peer *peer, const void *bytes, size_t length)
{
    const char *at = bytes;
    uint64_t end_ms = uv_hrtime() / 1000000 + HANG_MS;
    while (length > 0) {
        ssize_t sent = send(peer->fd, at, length, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(uv_hrtime() / 1000000 < end_ms);
            turn();
            continue;
        }
        at += sent;
        length -= (size_t)sent;
    }
}

/* A masked frame as bytes. */
static inline void add_masked(struct buffer *out, uint8_t first, const char *bytes, size_t length)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t header[14] = {first};
    size_t header_length = 2;
    header[1] = 0x80 | (uint8_t)(length < 126 ? length : length < 65536 ? 126 : 127);
    for (int i = length < 126 ? 0 : length < 65536 ? 2 : 8; i-- > 0;)
        header[header_length++] = (uint8_t)(length >> (8 * i));
    memcpy(header + header_length, mask, 4);
    buffer_add(out, header, header_length + 4);
    for (size_t i = 0; i < length; i++) {
        char c = (char)(bytes[i] ^ mask[i & 3]);
        buffer_add(out, &c, 1);
    }
}

static inline void peer_send(struct peer *peer, uint8_t first, const char *bytes, size_t length)
{
    struct buffer out = {0};
    add_masked(&out, first, bytes, length);
    peer_write(peer, out.bytes, out.length);
    buffer_deinit(&out);
}

static inline void peer_say(struct peer *peer, const char *text)
{
    peer_send(peer, FIN | OP_TEXT, text, strlen(text));
}

/* Reads the answer to the handshake, checks it, and takes it away. */
static inline void peer_expect_handshake(struct peer *peer)
{
    const char *end = NULL;
    for (int i = 0; i < 1000 && !end; i++) {
        turn();
        peer_read(peer);
        end = peer->in.length ? memmem(peer->in.bytes, peer->in.length, "\r\n\r\n", 4) : NULL;
    }
    assert_non_null(end);
    assert_memory_equal(peer->in.bytes, "HTTP/1.1 101 ", 13);
    assert_non_null(memmem(peer->in.bytes, peer->in.length, SAMPLE_ACCEPT "\r\n", strlen(SAMPLE_ACCEPT) + 2));
    assert_null(memmem(peer->in.bytes, peer->in.length, "xtensions", 9));
    buffer_consume(&peer->in, (size_t)(end + 4 - peer->in.bytes));
}

/* A client that has read its handshake, and nothing after it. */
static inline struct peer peer_connect(const char *path, const char *query, int receive_buffer)
{
    struct peer peer = {0};
    int server;
    tcp_pair(&peer.fd, &server, receive_buffer);
    adopt(server, path, query);
    peer_expect_handshake(&peer);
    return peer;
}

/* One that has read pusher:connection_established; its connection is the first of the worker. */
static inline struct peer peer_open(int receive_buffer)
{
    struct peer peer = peer_connect(SAMPLE_PATH, "protocol=7", receive_buffer);
    struct peer_frame frame = peer_next(&peer);
    assert_non_null(memmem(frame.bytes, frame.length, "pusher:connection_established", 29));
    peer_take(&peer);
    return peer;
}

static inline void peer_close(struct peer *peer)
{
    close(peer->fd);
    buffer_deinit(&peer->in);
    turn();
}
