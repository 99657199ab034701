/* HTTP over the door: what ordinary clients, impatient ones and hostile ones get. */
#include "door_world.h"

#include <sys/resource.h>

#define HOST "Host: a\r\n"
#define CLOSE "Connection: close\r\n"

static uint64_t value_of(metric *m)
{
    return atomic_load(m);
}

static void test_answers(void **state)
{
    (void)state;
    struct world *world = world_new();
    char *answer = ask(world, "GET /a%20b?c=d HTTP/1.1\r\n" HOST CLOSE "\r\n");
    assert_string_equal(answer, "HTTP/1.1 200 OK\r\nContent-Length: 28\r\nConnection: close\r\n"
                                "Content-Type: text/plain\r\n\r\nGET /a%20b ?c=d [] 127.0.0.1");
    free(answer);
    assert_int_equal(value_of(&world->metrics.http_requests), 1);
    assert_int_equal(value_of(&world->metrics.http_errors), 0);
    assert_int_equal(value_of(&world->metrics.sockets_accepted), 1);
    WAIT_UNTIL(world, door_connections(world->door) == 0);
    world_free(world);
}

static void test_keep_alive(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    for (unsigned i = 0; i < 3; i++) {
        say(&client, "POST /k HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
        hear(&client, "POST /k ? [hello] 127.0.0.1");
        assert_null(strstr(client.text, "Connection:"));
        forget(&client);
    }
    say(&client, "\r\nGET /after HTTP/1.1\r\n" HOST "\r\n"); /* one empty line too many is forgiven */
    hear(&client, "GET /after ");
    assert_int_equal(world->requests, 4);
    assert_int_equal(door_connections(world->door), 1);
    client_free(&client);
    WAIT_UNTIL(world, door_connections(world->door) == 0);
    world_free(world);
}

static void test_http_1_0(void **state)
{
    (void)state;
    struct world *world = world_new();
    char *answer = ask(world, "GET /old HTTP/1.0\r\n\r\n");
    assert_non_null(strstr(answer, "GET /old "));
    free(answer);
    struct client client = client_new(world);
    say(&client, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hear(&client, "GET /old ");
    assert_true(has(&client, "\r\nConnection: keep-alive\r\n"));
    say(&client, "GET /again HTTP/1.0\r\n\r\n");
    hear(&client, "GET /again ");
    WAIT_UNTIL(world, has_ended(&client));
    client_free(&client);
    world_free(world);
}

static void test_head_and_options(void **state)
{
    (void)state;
    struct world *world = world_new();
    char *answer = ask(world, "HEAD /h HTTP/1.1\r\n" HOST CLOSE "\r\n");
    assert_non_null(strstr(answer, "Content-Length: 22\r\n"));
    assert_string_equal(answer + strlen(answer) - 4, "\r\n\r\n");
    free(answer);
    assert_answer(world, "OPTIONS * HTTP/1.1\r\n" HOST CLOSE "\r\n", 200);
    assert_string_equal(world->last, "OPTIONS * ? [] 127.0.0.1");
    world_free(world);
}

static void test_one_byte_at_a_time(void **state)
{
    (void)state;
    static const char text[] = "POST /slow?q HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                               "POST /slow?r HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "1;x\r\nd\r\n2\r\nef\r\n0\r\nT: v\r\n\r\n";
    struct world *world = world_new();
    struct client client = client_new(world);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        say_bytes(&client, text + i, 1);
        turn(world, 2);
    }
    hear(&client, "POST /slow ?q [abc] ");
    hear(&client, "POST /slow ?r [def] ");
    client_free(&client);
    world_free(world);
}

static void test_cut_at_every_place(void **state)
{
    (void)state;
    static const char text[] = "GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /2 HTTP/1.1\r\n" HOST
                               "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                               "POST /3 HTTP/1.1\r\n" HOST CLOSE "Content-Length: 3\r\n\r\ndef";
    struct world *world = world_new();
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        struct client client = client_new(world);
        say_bytes(&client, text, cut);
        turn(world, 3);
        say_bytes(&client, text + cut, sizeof(text) - 1 - cut);
        WAIT_UNTIL(world, has_ended(&client));
        assert_int_equal(count_of(&client, "HTTP/1.1 200 OK"), 3);
        assert_non_null(strstr(client.text, "POST /2 ? [abc]"));
        assert_non_null(strstr(client.text, "POST /3 ? [def]"));
        client_free(&client);
    }
    world_free(world);
}

static void test_pipelining(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /2 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nxy"
                 "POST /3 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nzz"
                 "GET /4 HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /4 ");
    char *first = strstr(client.text, "GET /1 "), *second = strstr(client.text, "POST /2 ? [xy]"),
         *third = strstr(client.text, "POST /3 ? [zz]");
    assert_true(first && first < second && second < third);
    client_free(&client);
    world_free(world);
}

/* More than one connection gets in one turn of the loop. */
static void test_pipelining_of_thousands(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    enum { COUNT = 3000 };
    struct world *world = world_new();
    struct client client = client_new(world);
    char *all = malloc(COUNT * (sizeof(text) - 1));
    for (size_t i = 0; i < COUNT; i++)
        memcpy(all + i * (sizeof(text) - 1), text, sizeof(text) - 1);
    say_bytes(&client, all, COUNT * (sizeof(text) - 1));
    free(all);
    WAIT_UNTIL(world, count_of(&client, "HTTP/1.1 200 OK") == COUNT);
    assert_int_equal(world->requests, COUNT);
    client_free(&client);
    world_free(world);
}

static void answer_late(struct world *world, size_t i, const char *body)
{
    http_answer(
        world->late[i], &(struct http_answer){.status = 200, .body = body, .body_bytes = strlen(body)});
}

static void test_late_answers_keep_their_order(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "GET /late HTTP/1.1\r\n" HOST "\r\nGET /late HTTP/1.1\r\n" HOST
                 "\r\nGET /now HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 1);
    turn(world, 5);
    assert_int_equal(world->requests, 1); /* the second waits until the first is answered */
    answer_late(world, 0, "{1}");
    assert_int_equal(world->requests, 1); /* and never from within http_answer() */
    WAIT_UNTIL(world, world->late_count == 2);
    hear(&client, "{1}");
    assert_false(has(&client, "GET /now"));
    answer_late(world, 1, "{2}");
    hear(&client, "GET /now ");
    assert_non_null(strstr(client.text, "{2}"));
    say(&client, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /later ");
    client_free(&client);
    world_free(world);
}

static double cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static void on_stop(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* The processor time of a second of the loop, sleeping when it has nothing to do. */
static double idle_cost_ms(struct world *world)
{
    uv_timer_t stop;
    uv_timer_init(&world->loop, &stop);
    uv_timer_start(&stop, on_stop, 1000, 0);
    double before_ms = cpu_ms();
    uv_run(&world->loop, UV_RUN_DEFAULT);
    double cost_ms = cpu_ms() - before_ms;
    uv_close((uv_handle_t *)&stop, NULL);
    turn(world, 1);
    return cost_ms;
}

/* Whatever a client does while its answer is due, the loop must not spin: pipelining, a half that is closed,
 * both, and urgent data. */
static void test_no_spinning_while_an_answer_is_due(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client pipelines = client_new(world), half = client_new(world), both = client_new(world),
                  partial = client_new(world);
    static const char late[] = "GET /late HTTP/1.1\r\n" HOST "\r\n";
    say(&pipelines, late);
    say(&half, late);
    say(&both, late);
    say(&partial, "GET /par");
    WAIT_UNTIL(world, world->late_count == 3);
    say(&pipelines, late);
    say(&both, late);
    shutdown(half.fd, SHUT_WR);
    shutdown(both.fd, SHUT_WR);
    assert_true(idle_cost_ms(world) < 300); /* of 1000, were it spinning; in practice 5 */
    assert_int_equal(world->gone, 0);
    for (size_t i = 0; i < 3; i++)
        answer_late(world, i, "{}");
    WAIT_UNTIL(world, has(&half, "{}") && has_ended(&half));
    WAIT_UNTIL(world, world->late_count == 5);
    answer_late(world, 3, "{}");
    answer_late(world, 4, "{}");
    WAIT_UNTIL(world, count_of(&both, "{}") == 2 && has_ended(&both));
    client_free(&pipelines);
    client_free(&half);
    client_free(&both);
    client_free(&partial);
    world_free(world);
}

static void test_urgent_data_ends_a_half_closed_wait(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "GET /watched HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 1);
    send(client.fd, "!", 1, MSG_OOB);
    shutdown(client.fd, SHUT_WR);
    WAIT_UNTIL(world, world->gone == 1);
    client_free(&client);
    world_free(world);
}

static void reset(struct client *client)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(client->fd);
    client->fd = -1;
}

static void test_gone(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world), half = client_new(world), unwatched = client_new(world);
    say(&client, "GET /watched HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 1);
    say(&half, "GET /watched HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 2);
    say(&unwatched, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 3);
    reset(&client);
    WAIT_UNTIL(world, world->gone == 1);
    shutdown(half.fd, SHUT_WR);
    turn(world, 5);
    assert_int_equal(world->gone, 1); /* it still waits */
    reset(&half);
    WAIT_UNTIL(world, world->gone == 2);
    reset(&unwatched);
    WAIT_UNTIL(world, door_connections(world->door) == 0);
    turn(world, 3);
    answer_late(world, 2, "{}"); /* nobody watched it, so it is still valid */
    client_free(&client);
    client_free(&half);
    client_free(&unwatched);
    world_free(world);
}

static void test_the_door_closes_with_answers_due(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client watched = client_new(world), unwatched = client_new(world), idle = client_new(world),
                  orphan = client_new(world);
    say(&watched, "GET /watched HTTP/1.1\r\n" HOST "\r\n");
    say(&unwatched, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    say(&orphan, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 3 && door_connections(world->door) == 4);
    reset(&orphan);
    WAIT_UNTIL(world, door_connections(world->door) == 3);
    client_free(&watched);
    client_free(&unwatched);
    client_free(&idle);
    client_free(&orphan);
    unsigned *gone = &world->gone;
    door_free(world->door);
    assert_int_equal(*gone, 1);
    uv_close((uv_handle_t *)&world->tick, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    free(world);
}

static void test_expect(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "POST /e HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    hear(&client, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(world->requests, 0);
    say(&client, "hello");
    hear(&client, "[hello]");
    forget(&client);
    /* one that does not wait needs no answer to its question */
    say(&client, "POST /e HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nyo");
    hear(&client, "[yo]");
    assert_null(strstr(client.text, "100 Continue"));
    forget(&client);
    say(&client, "POST /e HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
    hear(&client, "HTTP/1.1 100 Continue\r\n\r\n");
    say(&client, "2\r\nok\r\n0\r\n\r\n");
    hear(&client, "[ok]");
    forget(&client);
    /* nothing is asked for that will be refused anyway */
    say(&client, "POST /e HTTP/1.1\r\n" HOST "Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n");
    hear(&client, "HTTP/1.1 413 ");
    assert_null(strstr(client.text, "100 Continue"));
    client_free(&client);
    world_free(world);
}

static void test_refusals(void **state)
{
    (void)state;
    struct world *world = world_new();
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"nonsense\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"\x16\x03\x01\x02", 400},
        {"POST / HTTP/1.1\r\n" HOST "\r\n", 411},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: more\r\n\r\n", 417},
        {"BREW / HTTP/1.1\r\n" HOST "\r\n", 501},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    };
    size_t count = sizeof(rows) / sizeof(rows[0]);
    for (size_t i = 0; i < count; i++) {
        struct client client = client_new(world);
        char line[32];
        snprintf(line, sizeof(line), "HTTP/1.1 %d ", rows[i].status);
        say(&client, rows[i].text);
        hear(&client, line);
        assert_non_null(strstr(client.text, "\r\nConnection: close\r\n"));
        assert_non_null(strstr(client.text, "\r\n\r\n{\"error\":\""));
        WAIT_UNTIL(world, has_ended(&client));
        assert_false(client.was_reset);
        client_free(&client);
    }
    assert_int_equal(world->requests, 0);
    assert_int_equal(value_of(&world->metrics.http_errors), count);
    WAIT_UNTIL(world, door_connections(world->door) == 0);
    world_free(world);
}

static void test_nul_and_large_heads(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client nul = client_new(world), large = client_new(world), endless = client_new(world),
                  fits = client_new(world);
    static const char with_nul[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
    say_bytes(&nul, with_nul, sizeof(with_nul) - 1);
    hear(&nul, "HTTP/1.1 400 ");
    char bytes[12000];
    memset(bytes, 'x', sizeof(bytes));
    say(&large, "GET / HTTP/1.1\r\n" HOST "X: ");
    say_bytes(&large, bytes, sizeof(bytes));
    hear(&large, "HTTP/1.1 431 ");
    say_bytes(&endless, bytes, sizeof(bytes));
    hear(&endless, "HTTP/1.1 431 ");
    say(&fits, "GET / HTTP/1.1\r\n" HOST "X: ");
    say_bytes(&fits, bytes, 8000);
    say(&fits, "\r\n\r\n");
    hear(&fits, "HTTP/1.1 200 ");
    client_free(&nul);
    client_free(&large);
    client_free(&endless);
    client_free(&fits);
    world_free(world);
}

/* The client is in the middle of sending a body that was refused: it must be able to read why. */
static void test_a_refusal_is_not_lost_to_a_reset(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    size_t size = 4 << 20;
    char *body = malloc(size);
    memset(body, 'b', size);
    say(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4194304\r\n\r\n");
    say_bytes(&client, body, size); /* all of it, although the answer came long ago */
    free(body);
    WAIT_UNTIL(world, has_ended(&client));
    assert_false(client.was_reset);
    assert_true(has(&client, "HTTP/1.1 413 "));
    client_free(&client);
    WAIT_UNTIL(world, door_connections(world->door) == 0);
    world_free(world);
}

static void test_large_bodies(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    size_t size = 1 << 20;
    char *body = malloc(size);
    memset(body, 'b', size);
    say(&client, "POST /big HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
    say_bytes(&client, body, size);
    say(&client, "GET /next HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /next ");
    assert_true(has(&client, "POST /big ? [bbbb"));
    say(&client, "POST /chunks HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n80000\r\n");
    say_bytes(&client, body, size / 2);
    say(&client, "\r\n80000\r\n");
    say_bytes(&client, body, size / 2);
    say(&client, "\r\n0\r\n\r\n");
    hear(&client, "POST /chunks ? [bbbb");
    free(body);
    client_free(&client);
    world_free(world);
}

static void test_deadlines(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.edge.head_timeout_ms = 300;
    world->config.edge.body_timeout_ms = 400;
    world->config.edge.keep_alive_timeout_ms = 500;
    uint64_t began_ms = clock_monotonic_ms();
    struct client silent = client_new(world), slow = client_new(world), body = client_new(world),
                  chunks = client_new(world), kept = client_new(world), patient = client_new(world);
    say(&slow, "GET / HTTP/1.1\r\n");
    say(&body, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nab");
    say(&chunks, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nab");
    say(&kept, "GET /kept HTTP/1.1\r\n" HOST "\r\n");
    say(&patient, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, has_ended(&silent));
    assert_true(clock_monotonic_ms() - began_ms >= 300);
    assert_int_equal(silent.length, 0);
    hear(&slow, "HTTP/1.1 408 ");
    WAIT_UNTIL(world, has_ended(&body) && has_ended(&chunks));
    assert_true(has(&body, "HTTP/1.1 408 ") && has(&chunks, "HTTP/1.1 408 "));
    WAIT_UNTIL(world, has_ended(&kept));
    assert_true(clock_monotonic_ms() - began_ms >= 500);
    assert_int_equal(count_of(&kept, "HTTP/1.1 "), 1);
    assert_false(has_ended(&patient)); /* an answer may take its time */
    answer_late(world, 0, "{}");
    hear(&patient, "{}");
    struct client *const all[] = {&silent, &slow, &body, &chunks, &kept, &patient};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        client_free(all[i]);
    world_free(world);
}

/* One byte every now and then does not push the deadline of the head on. */
static void test_slowloris(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.edge.head_timeout_ms = 500;
    struct client client = client_new(world);
    uint64_t began_ms = clock_monotonic_ms(), next_ms = began_ms;
    say(&client, "GET / HTTP/1.1\r\nX: ");
    while (!has(&client, "HTTP/1.1 408 ")) {
        assert_true(clock_monotonic_ms() < began_ms + HANG_MS);
        if (clock_monotonic_ms() >= next_ms) {
            say(&client, "x");
            next_ms += 50;
        }
        turn(world, 1);
    }
    client_free(&client);
    world_free(world);
}

static void test_slow_readers(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.edge.outbox_stall_ms = 300;
    struct client stalled = client_new(world), slow = client_new(world);
    say(&stalled, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    say(&slow, "GET /large HTTP/1.1\r\n" HOST CLOSE "\r\n");
    WAIT_UNTIL(world, has_ended(&slow)); /* reads all the time, and gets everything */
    assert_false(slow.was_reset);
    assert_true(slow.length > 8 << 20);
    WAIT_UNTIL(world, door_connections(world->door) == 0);
    assert_int_equal(value_of(&world->metrics.slow_readers), 1);
    client_free(&stalled);
    client_free(&slow);
    world_free(world);
}

/* Nothing is read while an answer waits for its reader, so a pipelining client cannot pile answers up. */
static void test_answers_do_not_pile_up(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    for (unsigned i = 0; i < 5; i++)
        say(&client, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    turn(world, 50);
    assert_int_equal(world->requests, 1);
    WAIT_UNTIL(world, has_ended(&client) || client.length > 5 * (8 << 20));
    assert_int_equal(world->requests, 5);
    client_free(&client);
    world_free(world);
}

/* ---- streams ---- */

static void test_streams(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client,
        "POST /late HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\nGET /next HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 1);
    http_stream_begin(world->late[0], 200, "application/javascript", "Cache-Control: no-store\r\n");
    hear(&client, "Transfer-Encoding: chunked\r\nContent-Type: application/javascript\r\n"
                  "Cache-Control: no-store\r\n\r\n");
    assert_int_equal(http_stream_write(world->late[0], "o\n", 2), 0);
    assert_int_equal(http_stream_write(world->late[0], "", 0), 0);
    hear(&client, "\r\n\r\n2\r\no\n\r\n");
    http_stream_write(world->late[0], "a[\"0123456789\"]\n", 16);
    http_stream_end(world->late[0]);
    hear(&client, "10\r\na[\"0123456789\"]\n\r\n0\r\n\r\n");
    hear(&client, "GET /next ");
    client_free(&client);
    world_free(world);
}

static void test_streams_to_slow_readers(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    static char bytes[100000];
    memset(bytes, 's', sizeof(bytes));
    say(&client, "GET /watched HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 1);
    http_stream_begin(world->late[0], 200, NULL, NULL);
    size_t waiting = 0;
    for (unsigned i = 0; i < 100; i++)
        waiting = http_stream_write(world->late[0], bytes, sizeof(bytes));
    assert_true(waiting > 1000000);
    WAIT_UNTIL(world, (receive(&client), client.length > 100 * sizeof(bytes)));
    assert_int_equal(http_stream_write(world->late[0], "x", 1), 0);
    world->config.edge.outbox_stall_ms = 200;
    for (unsigned i = 0; i < 100; i++)
        http_stream_write(world->late[0], bytes, sizeof(bytes));
    WAIT_UNTIL(world, world->gone == 1);
    assert_int_equal(value_of(&world->metrics.slow_readers), 1);
    client_free(&client);
    world_free(world);
}

static void test_streams_of_old_and_gone_clients(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client old = client_new(world), head = client_new(world), half = client_new(world),
                  quick = client_new(world);
    say(&old, "GET /late HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    WAIT_UNTIL(world, world->late_count == 1);
    http_stream_begin(world->late[0], 200, NULL, NULL);
    http_stream_write(world->late[0], "abc", 3);
    http_stream_end(world->late[0]);
    WAIT_UNTIL(world, has_ended(&old));
    assert_true(has(&old, "\r\n\r\nabc"));
    assert_null(strstr(old.text, "chunked"));
    say(&head, "HEAD /late HTTP/1.1\r\n" HOST CLOSE "\r\n");
    WAIT_UNTIL(world, world->late_count == 2);
    http_stream_begin(world->late[1], 200, NULL, NULL);
    http_stream_write(world->late[1], "abc", 3);
    http_stream_end(world->late[1]);
    WAIT_UNTIL(world, has_ended(&head));
    assert_string_equal(head.text + head.length - 4, "\r\n\r\n");
    say(&half, "GET /watched HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 3);
    http_stream_begin(world->late[2], 200, NULL, NULL);
    hear(&half, "chunked");
    shutdown(half.fd, SHUT_WR); /* of a stream it is a goodbye */
    WAIT_UNTIL(world, world->gone == 1);
    say(&quick, "GET /watched HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 4);
    http_stream_begin(world->late[3], 200, NULL, NULL);
    reset(&quick);
    for (unsigned i = 0; i < 3; i++) /* the door finds out by writing, and says so later */
        http_stream_write(world->late[3], "abc", 3);
    assert_int_equal(world->gone, 1);
    WAIT_UNTIL(world, world->gone == 2);
    struct client *const all[] = {&old, &head, &half, &quick};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        client_free(all[i]);
    world_free(world);
}

static void test_error_answers_are_json(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "GET /late HTTP/1.1\r\n" HOST "\r\nGET /late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 1);
    http_answer_error(
        world->late[0], 405, "Allow: POST\r\n", "no \"%s\"\r\n here: %s", "GET", "\xc3\xab\xff\xc3");
    hear(&client, "HTTP/1.1 405 Method Not Allowed\r\n");
    hear(&client, "Content-Type: application/json\r\nAllow: POST\r\n\r\n"
                  "{\"error\":\"no \\\"GET\\\"\\r\\n here: \xc3\xab??\"}");
    WAIT_UNTIL(world, world->late_count == 2); /* an error of the handler's does not end the connection */
    http_answer(world->late[1], &(struct http_answer){.status = 204});
    hear(&client, "HTTP/1.1 204 No Content\r\n");
    assert_null(strstr(strstr(client.text, "204 No"), "Content-Length"));
    client_free(&client);
    world_free(world);
}

static void test_answers_that_close(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "GET /close HTTP/1.1\r\n" HOST "\r\nGET /never HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, has_ended(&client));
    assert_true(has(&client, "\r\nConnection: close\r\n"));
    assert_int_equal(world->requests, 1);
    client_free(&client);
    world_free(world);
}

int main(void)
{
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_http_1_0),
        cmocka_unit_test(test_head_and_options),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_cut_at_every_place),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_pipelining_of_thousands),
        cmocka_unit_test(test_late_answers_keep_their_order),
        cmocka_unit_test(test_no_spinning_while_an_answer_is_due),
        cmocka_unit_test(test_urgent_data_ends_a_half_closed_wait),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_the_door_closes_with_answers_due),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nul_and_large_heads),
        cmocka_unit_test(test_a_refusal_is_not_lost_to_a_reset),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_slowloris),
        cmocka_unit_test(test_slow_readers),
        cmocka_unit_test(test_answers_do_not_pile_up),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_streams_to_slow_readers),
        cmocka_unit_test(test_streams_of_old_and_gone_clients),
        cmocka_unit_test(test_error_answers_are_json),
        cmocka_unit_test(test_answers_that_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
