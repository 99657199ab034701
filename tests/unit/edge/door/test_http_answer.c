/* Answers of the door: late ones, streams, and clients that leave or read slowly meanwhile. */
#include "door_world.h"

#include <sys/resource.h>

/* ---- answers that are due ---- */

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

/* ---- clients that read slowly ---- */

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

/* ---- forms ---- */

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

int main(void)
{
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_answers_keep_their_order),
        cmocka_unit_test(test_no_spinning_while_an_answer_is_due),
        cmocka_unit_test(test_urgent_data_ends_a_half_closed_wait),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_the_door_closes_with_answers_due),
        cmocka_unit_test(test_slow_readers),
        cmocka_unit_test(test_answers_do_not_pile_up),
        cmocka_unit_test(test_error_answers_are_json),
        cmocka_unit_test(test_answers_that_close),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_streams_to_slow_readers),
        cmocka_unit_test(test_streams_of_old_and_gone_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
