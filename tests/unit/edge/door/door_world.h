/* A door on a loop of its own, with a small handler, and clients on real sockets; all in one thread: whoever
 * waits for something turns the loop meanwhile. Time limits are for hangs only.
 */
#pragma once

#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/door/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST "Host: a\r\n"
#define CLOSE "Connection: close\r\n"

enum { HANG_MS = 60000, LATE_MAX = 8 };

struct world {
    uv_loop_t loop;
    uv_timer_t tick;
    struct wheel wheel;
    struct config config;
    struct config_listen listen_at;
    struct metrics metrics;
    struct door *door;
    uint16_t port;
    /* what the handler saw */
    unsigned requests, upgrades, gone;
    char last[512]; /* method, path, query, body and peer of the last request */
    int upgraded_fd;
    struct door_seat *kept_seat;
    bool keep_seats;
    struct http_exchange *late[LATE_MAX]; /* of paths /late: answered by the test */
    size_t late_count;
};

static inline void on_gone(void *context)
{
    struct world *world = context;
    world->gone++;
}

/* /late waits for the test, /watched too and is told when the client goes, /large answers with 8 MiB, /close
 * ends the connection; everything else is answered at once with what was asked. */
static inline void on_request(void *context, const struct http_request *request)
{
    struct world *world = context;
    world->requests++;
    snprintf(world->last, sizeof(world->last), "%s %.*s ?%.*s [%.*s] %s%s", request->method,
        (int)request->path.length, request->path.bytes, (int)request->query.length, request->query.bytes,
        (int)(request->body_bytes < 200 ? request->body_bytes : 200), request->body, request->peer,
        request->secure ? " secure" : "");
    if (http_text_is(request->path, "/late") || http_text_is(request->path, "/watched")) {
        assert_true(world->late_count < LATE_MAX);
        world->late[world->late_count++] = request->exchange;
        if (http_text_is(request->path, "/watched"))
            http_exchange_watch(request->exchange, on_gone, world);
        return;
    }
    if (http_text_is(request->path, "/large")) {
        size_t size = 8 << 20;
        char *body = malloc(size);
        memset(body, 'x', size);
        http_answer(
            request->exchange, &(struct http_answer){.status = 200, .body = body, .body_bytes = size});
        free(body);
        return;
    }
    http_answer(request->exchange, &(struct http_answer){.status = 200,
                                       .content_type = "text/plain",
                                       .body = world->last,
                                       .body_bytes = strlen(world->last),
                                       .close = http_text_is(request->path, "/close")});
}

static inline void on_upgrade(void *context, int fd, const struct http_request *request)
{
    struct world *world = context;
    world->upgrades++;
    world->upgraded_fd = fd;
    assert_null(request->exchange);
    if (world->keep_seats)
        world->kept_seat = request->seat;
    else
        door_seat_leave(request->seat);
    snprintf(world->last, sizeof(world->last), "upgrade %.*s %s", (int)request->path.length,
        request->path.bytes, request->peer);
}

static inline void on_tick(uv_timer_t *timer)
{
    struct world *world = CONTAINER_OF(timer, struct world, tick);
    wheel_run(&world->wheel, uv_now(&world->loop));
}

static inline void world_listen(struct world *world, const char *address, bool proxy_protocol)
{
    world->listen_at =
        (struct config_listen){.address = (char *)(uintptr_t)address, .proxy_protocol = proxy_protocol};
    int fd = door_listen(&world->listen_at, DOOR_FIRST, &world->port);
    assert_true(fd >= 0);
    assert_int_equal(door_add_listener(world->door, fd, &world->listen_at), 0);
}

/* Everything is long, so that only what a test shortens comes to pass. */
static inline struct world *world_new_with(const struct door_handlers *handlers, char *path_prefix)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    uv_timer_init(&world->loop, &world->tick);
    uv_timer_start(&world->tick, on_tick, 20, 20);
    wheel_init(&world->wheel, uv_now(&world->loop));
    world->config.edge.head_bytes = 8192;
    world->config.edge.body_bytes = 1 << 20;
    world->config.edge.head_timeout_ms = 2 * HANG_MS;
    world->config.edge.body_timeout_ms = 2 * HANG_MS;
    world->config.edge.keep_alive_timeout_ms = 2 * HANG_MS;
    world->config.edge.outbox_stall_ms = 2 * HANG_MS;
    world->config.edge.path_prefix = path_prefix;
    world->upgraded_fd = -1;
    world->door = door_new(&world->loop, &world->wheel, &world->config, &world->metrics, handlers, world);
    return world;
}

static inline struct world *world_new(void)
{
    static const struct door_handlers handlers = {.request = on_request, .upgrade = on_upgrade};
    struct world *world = world_new_with(&handlers, NULL);
    world_listen(world, "127.0.0.1", false);
    return world;
}

/* Also shows that nothing is left: a handle that stays open keeps the loop from closing. */
static inline void world_free(struct world *world)
{
    door_free(world->door);
    uv_close((uv_handle_t *)&world->tick, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    if (world->upgraded_fd >= 0)
        close(world->upgraded_fd);
    door_seat_leave(world->kept_seat);
    free(world);
}

/* Turns the loop until the condition holds. */
#define WAIT_UNTIL(world, condition)                                                                         \
    do {                                                                                                     \
        uint64_t give_up_ms_ = clock_monotonic_ms() + HANG_MS;                                               \
        while (!(condition)) {                                                                               \
            if (clock_monotonic_ms() > give_up_ms_)                                                          \
                fail_msg("hangs: %s", #condition);                                                           \
            uv_run(&(world)->loop, UV_RUN_NOWAIT);                                                           \
        }                                                                                                    \
    } while (0)

static inline uint64_t value_of(metric *m)
{
    return atomic_load(m);
}

/* Answers the i-th request for /late or /watched. */
static inline void answer_late(struct world *world, size_t i, const char *body)
{
    http_answer(
        world->late[i], &(struct http_answer){.status = 200, .body = body, .body_bytes = strlen(body)});
}

static inline void turn(struct world *world, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        uv_run(&world->loop, UV_RUN_NOWAIT);
}

/* ---- clients ---- */

struct client {
    struct world *world;
    int fd;
    char *text; /* everything received, NUL-terminated */
    size_t length, capacity;
    bool ended, was_reset;
};

static inline struct client client_of(struct world *world, int fd)
{
    assert_true(fd >= 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return (struct client){.world = world, .fd = fd, .text = calloc(1, 1), .capacity = 1};
}

static inline int connect_from(uint16_t port, uint32_t source)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {htonl(source)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline struct client client_new(struct world *world)
{
    return client_of(world, connect_from(world->port, INADDR_LOOPBACK));
}

static inline void client_free(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    free(client->text);
}

static inline void receive(struct client *client)
{
    char bytes[65536];
    ssize_t count = client->ended ? 0 : recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        client->was_reset |= count < 0;
        client->ended = true;
        return;
    }
    if (client->length + (size_t)count >= client->capacity) {
        client->capacity = 2 * (client->length + (size_t)count + 1); /* many MiB come in small pieces */
        client->text = realloc(client->text, client->capacity);
        assert_non_null(client->text);
    }
    memcpy(client->text + client->length, bytes, (size_t)count);
    client->length += (size_t)count;
    client->text[client->length] = '\0';
}

static inline bool has(struct client *client, const char *text)
{
    receive(client);
    return strstr(client->text, text) != NULL;
}

static inline bool has_ended(struct client *client)
{
    receive(client);
    return client->ended;
}

static inline size_t count_of(struct client *client, const char *text)
{
    size_t count = 0;
    receive(client);
    for (const char *at = client->text; (at = strstr(at, text)); at += strlen(text))
        count++;
    return count;
}

static inline void say_bytes(struct client *client, const char *bytes, size_t length)
{
    size_t sent = 0;
    while (sent < length) {
        ssize_t count = send(client->fd, bytes + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN)
            return; /* the door has had enough; what it said is what counts */
        sent += count > 0 ? (size_t)count : 0;
        if (count <= 0)
            turn(client->world, 1);
    }
}

static inline void say(struct client *client, const char *text)
{
    say_bytes(client, text, strlen(text));
}

static inline void hear(struct client *client, const char *text)
{
    WAIT_UNTIL(client->world, has(client, text));
}

static inline void forget(struct client *client)
{
    client->length = 0;
    client->text[0] = '\0';
}

/* One request on a connection of its own: everything that came back until the door closed it. */
static inline char *ask(struct world *world, const char *text)
{
    struct client client = client_new(world);
    say(&client, text);
    WAIT_UNTIL(world, has_ended(&client));
    assert_false(client.was_reset);
    char *answer = strdup(client.text);
    client_free(&client);
    return answer;
}

static inline void assert_answer(struct world *world, const char *request, int status)
{
    char line[32];
    char *answer = ask(world, request);
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0)
        fail_msg("not %d for\n%s\n%s", status, request, answer);
    if (status >= 400) {
        assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
        assert_non_null(strstr(answer, "\r\n\r\n{\"error\":\""));
    }
    free(answer);
}
