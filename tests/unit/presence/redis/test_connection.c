#include "presence/redis/connection.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    uv_loop_t loop;
    uv_tcp_t server, peer;
    uint16_t port;
    bool opened, is_accepted;
    char lost[100], reply[100];
    struct redis_connection *connection;
};

/* libuv's resolver asks this one: "two.test" is 127.0.0.2, where nobody listens, and 127.0.0.1. */
static struct addrinfo *new_address(const char *text, const char *port, struct addrinfo *next)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *made = calloc(1, sizeof *made); /* one piece, as freeaddrinfo() has it */
    if (!made)
        abort();
    made->address.sin_family = AF_INET;
    made->address.sin_port = htons((uint16_t)atoi(port));
    inet_pton(AF_INET, text, &made->address.sin_addr);
    made->info = (struct addrinfo){.ai_family = AF_INET,
        .ai_socktype = SOCK_STREAM,
        .ai_addrlen = sizeof made->address,
        .ai_addr = (struct sockaddr *)&made->address,
        .ai_next = next};
    return &made->info;
}

int getaddrinfo(const char *restrict name, const char *restrict port, const struct addrinfo *restrict hints,
    struct addrinfo **restrict found)
{
    if (strcmp(name, "two.test") != 0) {
        __typeof__(&getaddrinfo) real = (__typeof__(&getaddrinfo))dlsym(RTLD_NEXT, "getaddrinfo");
        return real(name, port, hints, found);
    }
    *found = new_address("127.0.0.2", port, new_address("127.0.0.1", port, NULL));
    return 0;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char room[4096];
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(room, sizeof room);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

/* The server answers whatever comes with +PONG. */
static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer)
{
    uv_buf_t pong = uv_buf_init("+PONG\r\n", 7);
    (void)buffer;
    if (bytes <= 0)
        return;
    uv_write_t *request = malloc(sizeof *request);
    if (!request || uv_write(request, stream, &pong, 1, on_written))
        abort();
}

static void on_accept(uv_stream_t *server, int status)
{
    struct world *world = server->data;
    (void)status;
    uv_tcp_init(&world->loop, &world->peer);
    world->is_accepted = true;
    uv_accept(server, (uv_stream_t *)&world->peer);
    uv_read_start((uv_stream_t *)&world->peer, on_room, on_read);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct sockaddr_in any;
    int bytes = sizeof any;
    if (!world || uv_loop_init(&world->loop))
        abort();
    uv_ip4_addr("127.0.0.1", 0, &any);
    uv_tcp_init(&world->loop, &world->server);
    world->server.data = world;
    if (uv_tcp_bind(&world->server, (struct sockaddr *)&any, 0) ||
        uv_listen((uv_stream_t *)&world->server, 8, on_accept) ||
        uv_tcp_getsockname(&world->server, (struct sockaddr *)&any, &bytes))
        abort();
    world->port = ntohs(any.sin_port);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    redis_connection_close(world->connection);
    uv_close((uv_handle_t *)&world->server, NULL);
    if (world->is_accepted)
        uv_close((uv_handle_t *)&world->peer, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&world->loop);
    free(world);
    return left;
}

static void on_opened(void *context)
{
    struct world *world = context;
    world->opened = true;
    redis_connection_send(world->connection, 1, (const char *const[]){"PING"}, (const size_t[]){4});
}

static void on_reply(void *context, const redisReply *reply)
{
    struct world *world = context;
    snprintf(world->reply, sizeof world->reply, "%s", reply->str);
}

static void on_lost(void *context, const char *why)
{
    struct world *world = context;
    world->connection = NULL;
    snprintf(world->lost, sizeof world->lost, "%s", why);
}

static void open_and_wait(struct world *world, const char *host, uint16_t port)
{
    static const struct redis_connection_events events = {on_opened, on_reply, on_lost};
    struct redis_address address = {.port = port};
    snprintf(address.host, sizeof address.host, "%s", host);
    world->connection = redis_connection_open(&world->loop, &address, NULL, &events, world);
    while (!world->reply[0] && !world->lost[0])
        uv_run(&world->loop, UV_RUN_ONCE);
}

static void test_an_address(void **state)
{
    struct world *world = *state;
    open_and_wait(world, "127.0.0.1", world->port);
    assert_string_equal(world->reply, "PONG");
}

static void test_a_name_with_several_addresses(void **state)
{
    struct world *world = *state;
    open_and_wait(world, "two.test", world->port);
    assert_string_equal(world->reply, "PONG");
}

static void test_nobody_listens(void **state)
{
    struct world *world = *state;
    uint16_t free_port = world->port;
    uv_close((uv_handle_t *)&world->server, NULL);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    open_and_wait(world, "two.test", free_port);
    assert_false(world->opened);
    assert_string_equal(world->lost, "connection refused");
    uv_tcp_init(&world->loop, &world->server); /* for the teardown */
}

static void test_a_name_that_is_none(void **state)
{
    struct world *world = *state;
    open_and_wait(world, "no-such-host.invalid", 6379);
    assert_false(world->opened);
    assert_true(world->lost[0]);
}

static void test_closed_while_it_is_resolved(void **state)
{
    static const struct redis_connection_events events = {on_opened, on_reply, on_lost};
    struct world *world = *state;
    struct redis_address address = {.host = "localhost", .port = world->port};
    world->connection = redis_connection_open(&world->loop, &address, NULL, &events, world);
    redis_connection_close(world->connection);
    world->connection = NULL;
    uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_false(world->opened);
    assert_string_equal(world->lost, "");
}

/* At each moment of opening: none of them may be told of, or leave anything behind. */
static void test_closed_at_any_turn(void **state)
{
    static const struct redis_connection_events events = {on_opened, on_reply, on_lost};
    struct world *world = *state;
    for (int turns = 0; turns < 12; turns++) {
        struct redis_address address = {.host = "two.test", .port = 1};
        world->connection = redis_connection_open(&world->loop, &address, NULL, &events, world);
        for (int i = 0; i < turns && world->connection; i++)
            uv_run(&world->loop, UV_RUN_NOWAIT);
        redis_connection_close(world->connection);
        world->connection = NULL;
    }
    assert_false(world->opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_with_several_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_listens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_that_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_while_it_is_resolved, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_at_any_turn, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
