/* A WebSocket's bridge: both ways, order, those who do not read on either side, and every way to end. */
#include "tls_world.h"

#include "edge/base/buffer.h"
#include "edge/tls/bridge.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct bridge_world {
    uv_loop_t loop;
    uv_timer_t tick;
    struct wheel wheel;
    struct tls_bridges bridges;
    struct tls_server *server;
    struct tls_client client;
    struct tls_bridge *bridge;
    int outer; /* libwebsockets' end */
    unsigned writable;
    struct buffer heard; /* by the client */
    bool client_ended;
    uint64_t added_ms;
};

static void on_tick(uv_timer_t *timer)
{
    struct bridge_world *world = timer->data;
    wheel_run(&world->wheel, uv_now(&world->loop) + world->added_ms);
}

static void on_writable(void *context)
{
    ((struct bridge_world *)context)->writable++;
}

/* Over TCP, so that there are resets. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), small = 16 * 1024;
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, sizeof(address)), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    close(listener);
}

static int begin(void **state)
{
    struct bridge_world *world = calloc(1, sizeof(*world));
    int fds[2];
    uv_loop_init(&world->loop);
    uv_timer_init(&world->loop, &world->tick);
    world->tick.data = world;
    uv_timer_start(&world->tick, on_tick, 10, 10);
    wheel_init(&world->wheel, uv_now(&world->loop));
    world->bridges = (struct tls_bridges){.loop = &world->loop, .wheel = &world->wheel};
    world->server = server_with("a.test", NULL);
    tcp_pair(fds);
    struct tls_session *session = tls_session_new(world->server, fds[1]);
    client_init(&world->client, fds[0]);
    uint64_t until_ms = clock_monotonic_ms() + HANG_MS;
    while (shake_hands(&world->client, session) != TLS_HANDSHAKE_DONE)
        assert_true(clock_monotonic_ms() < until_ms);
    world->bridge = tls_bridge_new(&world->bridges, fds[1], session, &world->outer, on_writable, world);
    assert_non_null(world->bridge);
    *state = world;
    return 0;
}

static void close_outer(struct bridge_world *world)
{
    if (world->outer >= 0)
        close(world->outer);
    world->outer = -1;
}

/* Also shows that no handle is left. */
static int end(void **state)
{
    struct bridge_world *world = *state;
    close_outer(world);
    tls_bridges_end(&world->bridges);
    uv_close((uv_handle_t *)&world->tick, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    client_deinit(&world->client);
    tls_server_unref(world->server);
    buffer_deinit(&world->heard);
    free(world);
    return 0;
}

/* What there is for the client, up to `most` bytes. */
static void client_reads(struct bridge_world *world, size_t most)
{
    char bytes[65536];
    int count;
    ERR_clear_error();
    while (most > 0 && (count = SSL_read(world->client.ssl, bytes,
                            (int)(most < sizeof(bytes) ? most : sizeof(bytes)))) > 0) {
        buffer_add(&world->heard, bytes, (size_t)count);
        most -= (size_t)count;
    }
    world->client_ended = SSL_get_shutdown(world->client.ssl) & SSL_RECEIVED_SHUTDOWN;
}

#define UNTIL(world, condition)                                                                              \
    do {                                                                                                     \
        uint64_t until_ms_ = clock_monotonic_ms() + HANG_MS;                                                 \
        while (!(condition)) {                                                                               \
            if (clock_monotonic_ms() > until_ms_)                                                            \
                fail_msg("hangs: %s", #condition);                                                           \
            uv_run(&(world)->loop, UV_RUN_NOWAIT);                                                           \
        }                                                                                                    \
    } while (0)

static bool client_heard(struct bridge_world *world, const char *text)
{
    client_reads(world, SIZE_MAX);
    return world->heard.length == strlen(text) && memcmp(world->heard.bytes, text, strlen(text)) == 0;
}

static bool outer_hears(struct bridge_world *world, const char *text)
{
    char bytes[256];
    ssize_t count = recv(world->outer, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    return count == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

static bool outer_ended(struct bridge_world *world)
{
    char byte;
    return recv(world->outer, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static ssize_t say(struct bridge_world *world, const char *bytes, size_t length)
{
    return tls_bridge_send(world->bridge, &(struct iovec){(void *)(uintptr_t)bytes, length}, 1);
}

static void test_both_ways_in_order(void **state)
{
    struct bridge_world *world = *state;
    assert_int_equal(write(world->outer, "answer ", 7), 7);
    tls_bridge_carry(world->bridge);
    assert_int_equal(say(world, "frame ", 6), 6);
    assert_int_equal(write(world->outer, "pong", 4), 4);
    UNTIL(world, client_heard(world, "answer frame pong"));
    SSL_write(world->client.ssl, "hel", 3);
    SSL_write(world->client.ssl, "lo", 2);
    UNTIL(world, outer_hears(world, "hello"));
    assert_int_equal(world->writable, 0);
}

/* What lws writes while we wait for the client is not cut into our frames, nor in front of them. */
static void test_client_that_does_not_read(void **state)
{
    struct bridge_world *world = *state;
    size_t size = 1 << 20;
    char *frame = calloc(1, size);
    memset(frame, 'a', size);
    assert_int_equal(say(world, frame, size), size);
    size_t waiting = tls_bridge_waiting_bytes(world->bridge);
    assert_true(waiting > size / 2);
    assert_int_equal(tls_bridges_unsent(&world->bridges), 1);
    assert_int_equal(write(world->outer, "pong", 4), 4);
    for (int i = 0; i < 20; i++)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(world->writable, 0);
    UNTIL(world, (client_reads(world, 5000), world->heard.length == size + 4));
    assert_memory_equal(world->heard.bytes, frame, size);
    assert_memory_equal(world->heard.bytes + size, "pong", 4);
    assert_true(world->writable >= 1); /* once more, if the pong had to wait, too */
    assert_int_equal(tls_bridges_unsent(&world->bridges), 0);
    free(frame);
}

/* The client cannot send without end while lws takes nothing. */
static void test_lws_that_does_not_read(void **state)
{
    struct bridge_world *world = *state;
    char bytes[10000], taken[65536];
    size_t sent = 0, got = 0;
    memset(bytes, 'b', sizeof(bytes));
    uint64_t until_ms = clock_monotonic_ms() + HANG_MS;
    for (int refused = 0; refused < 200; uv_run(&world->loop, UV_RUN_NOWAIT)) {
        int count = SSL_write(world->client.ssl, bytes, sizeof(bytes));
        sent += count > 0 ? (size_t)count : 0;
        refused = count > 0 ? 0 : refused + 1;
        assert_true(clock_monotonic_ms() < until_ms && sent < 8 << 20);
    }
    assert_true(sent > 100000);
    for (ssize_t count; got < sent; uv_run(&world->loop, UV_RUN_NOWAIT)) {
        count = recv(world->outer, taken, sizeof(taken), MSG_DONTWAIT);
        got += count > 0 ? (size_t)count : 0;
        assert_true(clock_monotonic_ms() < until_ms);
    }
}

static void test_lws_closes(void **state)
{
    struct bridge_world *world = *state;
    assert_int_equal(write(world->outer, "last", 4), 4);
    close_outer(world);
    UNTIL(world, (client_heard(world, "last") && world->client_ended));
    assert_false(LIST_EMPTY(&world->bridges.open)); /* it waits for the client to close */
    SSL_shutdown(world->client.ssl);
    shutdown(world->client.fd, SHUT_WR);
    UNTIL(world, LIST_EMPTY(&world->bridges.open));
}

static void test_lws_closes_and_the_client_stays(void **state)
{
    struct bridge_world *world = *state;
    close_outer(world);
    UNTIL(world, (client_reads(world, 1), world->client_ended));
    for (int i = 0; i < 50; i++)
        uv_run(&world->loop, UV_RUN_ONCE);
    assert_false(LIST_EMPTY(&world->bridges.open));
    world->added_ms = BRIDGE_LINGER_MS + 1000;
    UNTIL(world, LIST_EMPTY(&world->bridges.open));
}

/* Its last frames reach a client that reads slowly, though nobody on this side is left. */
static void test_parted_while_something_waits(void **state)
{
    struct bridge_world *world = *state;
    size_t size = 300000;
    char *frame = calloc(1, size);
    assert_int_equal(say(world, frame, size), size);
    tls_bridge_part(world->bridge);
    close_outer(world);
    SSL_shutdown(world->client.ssl); /* says that it sends no more; it still reads */
    shutdown(world->client.fd, SHUT_WR);
    UNTIL(world, (client_reads(world, 5000), world->client_ended));
    assert_int_equal(world->heard.length, size);
    assert_int_equal(world->writable, 0);
    UNTIL(world, LIST_EMPTY(&world->bridges.open));
    free(frame);
}

static void test_client_closes(void **state)
{
    struct bridge_world *world = *state;
    SSL_write(world->client.ssl, "bye", 3);
    shutdown(world->client.fd, SHUT_WR);
    UNTIL(world, outer_hears(world, "bye"));
    char bytes[8];
    assert_int_equal(recv(world->outer, bytes, sizeof(bytes), 0), 3);
    UNTIL(world, outer_ended(world));
    assert_int_equal(say(world, "still here", 10), 10); /* half closed */
    UNTIL(world, client_heard(world, "still here"));
    close_outer(world);
    UNTIL(world, LIST_EMPTY(&world->bridges.open));
}

static void test_client_resets(void **state)
{
    struct bridge_world *world = *state;
    struct linger linger = {.l_onoff = 1};
    size_t size = 1 << 20;
    char *frame = calloc(1, size);
    say(world, frame, size);
    setsockopt(world->client.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(world->client.fd);
    world->client.fd = -1;
    UNTIL(world, outer_ended(world));
    assert_int_equal(say(world, "x", 1), -1);
    assert_int_equal(tls_bridge_waiting_bytes(world->bridge), 0);
    uint64_t turns = 0;
    for (uint64_t until_ms = clock_monotonic_ms() + 50; clock_monotonic_ms() < until_ms; turns++)
        uv_run(&world->loop, UV_RUN_ONCE); /* each waits for something: the timer */
    assert_in_range(turns, 1, 20);
    close_outer(world);
    UNTIL(world, LIST_EMPTY(&world->bridges.open));
    assert_int_equal(world->writable, 0);
    free(frame);
}

static void test_client_that_breaks_the_protocol(void **state)
{
    struct bridge_world *world = *state;
    assert_int_equal(
        write(world->client.fd, "\x17\x03\x03\x00\x20 this is not what was agreed upon", 38), 38);
    UNTIL(world, outer_ended(world));
    assert_int_equal(say(world, "x", 1), -1);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the client's own writes */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_ways_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_client_that_does_not_read, begin, end),
        cmocka_unit_test_setup_teardown(test_lws_that_does_not_read, begin, end),
        cmocka_unit_test_setup_teardown(test_lws_closes, begin, end),
        cmocka_unit_test_setup_teardown(test_lws_closes_and_the_client_stays, begin, end),
        cmocka_unit_test_setup_teardown(test_parted_while_something_waits, begin, end),
        cmocka_unit_test_setup_teardown(test_client_closes, begin, end),
        cmocka_unit_test_setup_teardown(test_client_resets, begin, end),
        cmocka_unit_test_setup_teardown(test_client_that_breaks_the_protocol, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
