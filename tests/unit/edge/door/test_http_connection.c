/* HTTP over the door: what ordinary clients, impatient ones and hostile ones get for their requests. */
#include "door_world.h"

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
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nul_and_large_heads),
        cmocka_unit_test(test_a_refusal_is_not_lost_to_a_reset),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_slowloris),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
