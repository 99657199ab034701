/* A connection's life, what it receives, and its outbox, over a transport that only takes notes. */
#include "tests/unit/edge/pusher/fake_transport.h"

static void send_text(const char *text)
{
    struct frame *frame = frame_copy(text, strlen(text));
    frame->header_bytes = 2;
    connection_send(wire.connection, frame);
    frame_unref(frame);
}

static void send_lazy(const char *text)
{
    struct frame *frame = frame_copy(text, strlen(text));
    frame->header_bytes = 2;
    connection_send_lazy(wire.connection, frame);
    frame_unref(frame);
}

static void end_turn(void)
{
    connection_flush_dirty(&fake.worker);
}

/* ---- life ---- */

static void the_first_frame_says_who_the_client_is(void **state)
{
    (void)state;
    wire_open(); /* besides the one of the setup */
    assert_true(wire_has_said("\\\"socket_id\\\":\\\"1234.1235\\\",\\\"activity_timeout\\\":120"));
    assert_int_equal(fake.worker.connection_count, 2);
    assert_int_equal(fake.worker.metrics.connections, 2);
    connection_closed(wire.connection);
    assert_int_equal(fake_app()->counters->connections, 1);
    wire.connection = LIST_FIRST(&fake.worker.connections);
}

static void one_that_is_refused_hears_why_and_counts_nowhere(void **state)
{
    (void)state;
    struct connection *refused =
        connection_new(&fake.worker, &wire_transport, -1, &(struct admission){0}, NULL);
    struct connection *first = wire.connection;
    connection_refuse(refused, PUSHER_NO_SUCH_APP, "No app has this key");
    end_turn();
    wire_assert_said(
        "{\"event\":\"pusher:error\",\"data\":{\"message\":\"No app has this key\",\"code\":4001}}\n");
    assert_int_equal(wire.close_code, 4001);
    assert_string_equal(wire.close_why, "No app has this key");
    assert_int_equal(fake.worker.metrics.connections, 1);
    assert_int_equal(fake.worker.metrics.connections_refused, 1);
    assert_int_equal(fake.worker.connection_count, 1);
    wire.connection = first;
}

static void an_end_waits_for_the_end_of_the_turn_and_is_the_last_word(void **state)
{
    (void)state;
    send_text("one");
    connection_end(wire.connection, PUSHER_RECONNECT, "bye");
    connection_end(wire.connection, PUSHER_NO_PONG, "again");
    send_text("two");
    connection_receive(wire.connection, "{\"event\":\"pusher:ping\"}", 23);
    assert_int_equal(wire.closes, 0);
    end_turn();
    wire_assert_said("one\n{\"event\":\"pusher:error\",\"data\":{\"message\":\"bye\",\"code\":4200}}\n");
    assert_int_equal(wire.closes, 1);
    assert_int_equal(wire.close_code, PUSHER_RECONNECT);
    assert_int_equal(fake.worker.connection_count, 0);
}

/* ---- receiving ---- */

static void pings_are_answered(void **state)
{
    (void)state;
    wire_receive("{\"event\":\"pusher:ping\"}");
    wire_receive("{\"event\":\"pusher:ping\",\"data\":\"\"}");
    wire_assert_said("{\"event\":\"pusher:pong\",\"data\":{}}\n{\"event\":\"pusher:pong\",\"data\":{}}\n");
    wire_receive("{\"event\":\"pusher:pong\",\"data\":{}}");
    wire_assert_silent();
}

static void other_messages_get_an_error_and_the_connection_stays(void **state)
{
    (void)state;
    wire_receive("hello");
    wire_assert_said("{\"event\":\"pusher:error\",\"data\":{\"message\":\"The message is not a JSON object\","
                     "\"code\":null}}\n");
    wire_receive("");
    assert_true(wire_has_said("The message is empty"));
    wire_receive("{\"event\":\"pusher:nonsense\"}");
    assert_true(wire_has_said("Event pusher:nonsense is not known here"));
    assert_int_equal(fake.worker.metrics.messages_refused, 3);
    assert_non_null(wire.connection);
}

static void a_message_that_is_not_utf8_ends_the_connection(void **state)
{
    (void)state;
    wire_receive("{\"event\":\"\xff\"}");
    wire_assert_said("{\"event\":\"pusher:error\",\"data\":{\"message\":\"The message is not UTF-8\","
                     "\"code\":null}}\n");
    assert_int_equal(wire.close_code, 1007);
}

static void a_flood_costs_the_flooder_his_connection(void **state)
{
    (void)state;
    fake.config->edge.messages_per_second = 1;
    fake.config->edge.messages_burst = 5;
    for (int i = 0; i < 5; i++)
        wire_receive("{\"event\":\"pusher:pong\"}");
    wire_assert_silent();
    wire_receive("{\"event\":\"pusher:pong\"}");
    assert_int_equal(wire.close_code, PUSHER_OVER_CAPACITY);
    wire_assert_said(
        "{\"event\":\"pusher:error\",\"data\":{\"message\":\"Too many messages\",\"code\":4100}}\n");
}

static void pieces_without_end_are_a_flood_too(void **state)
{
    (void)state;
    fake.config->edge.messages_per_second = 1;
    fake.config->edge.messages_burst = 5;
    for (int i = 0; i < 6; i++)
        connection_receive_piece(wire.connection);
    end_turn();
    assert_int_equal(wire.close_code, PUSHER_OVER_CAPACITY);
}

/* ---- writes ---- */

static void frames_of_one_turn_leave_in_one_write(void **state)
{
    (void)state;
    send_text("a");
    send_lazy("b");
    send_text("c");
    wire_assert_silent();
    end_turn();
    wire_assert_said("a\nb\nc\n");
    assert_int_equal(wire.writes, 1);
    end_turn();
    assert_int_equal(wire.writes, 1);
}

/* Turns the loop as the worker does, until `until_ms` have passed. */
static void turn_loop(uint64_t until_ms)
{
    uint64_t end_ms = uv_hrtime() / 1000000 + until_ms;
    bool over;
    do { /* one turn more when the time is over: a busy machine may have let it pass between two */
        over = uv_hrtime() / 1000000 >= end_ms;
        uv_run(&fake.worker.loop, UV_RUN_NOWAIT);
        end_turn();
    } while (!over);
}

static void the_first_member_event_goes_at_once_and_those_after_it_together(void **state)
{
    (void)state;
    send_lazy("1");
    end_turn();
    wire_assert_said("1\n");
    send_lazy("2");
    end_turn();
    send_lazy("3");
    end_turn();
    wire_assert_silent();
    turn_loop(3 * CONNECTION_LAZY_MS);
    wire_assert_said("2\n3\n");
    assert_int_equal(wire.writes, 2);
    /* After a pause the next one is alone again. */
    turn_loop(2 * CONNECTION_LAZY_MS);
    send_lazy("4");
    end_turn();
    wire_assert_said("4\n");
}

static void anything_else_lets_held_back_frames_go_in_order(void **state)
{
    (void)state;
    send_lazy("1");
    end_turn();
    send_lazy("2");
    send_text("3");
    end_turn();
    wire_assert_said("1\n2\n3\n");
    assert_true(LIST_EMPTY(&fake.worker.lazy));
}

static void a_connection_may_end_while_frames_are_held_back(void **state)
{
    (void)state;
    send_lazy("1");
    end_turn();
    send_lazy("2");
    connection_end(wire.connection, PUSHER_RECONNECT, "bye");
    end_turn();
    assert_true(wire_has_said("1\n2\n{"));
    wire_open();
    send_lazy("3");
    end_turn();
    send_lazy("4");
    connection_closed(wire.connection);
    wire.connection = NULL;
    turn_loop(2 * CONNECTION_LAZY_MS);
    assert_true(LIST_EMPTY(&fake.worker.lazy));
}

/* 500 clients join one channel of 500, each join in a turn of its own, as fast as the loop turns: at most a
 * quarter of the writes that one write a member event would be. */
static void a_crowd_that_joins_costs_few_writes(void **state)
{
    (void)state;
    /* The loop's clock stands still meanwhile, however slow the machine: one moment in 500 turns. */
    for (int i = 0; i < 500; i++) {
        send_lazy("x");
        end_turn();
    }
    turn_loop(2 * CONNECTION_LAZY_MS);
    assert_int_equal(wire.said.length, 500 * 2);
    assert_int_equal(wire.writes, 2);
}

/* ---- slow readers ---- */

static char large[2000];

static void send_large(size_t bytes)
{
    memset(large, 'x', sizeof(large));
    large[bytes] = '\0';
    send_text(large);
}

static void a_full_outbox_ends_its_connection(void **state)
{
    (void)state;
    fake.config->edge.outbox_bytes = 1000;
    wire.frames_taken_max = 0;
    send_large(300);
    end_turn();
    assert_true(wire.connection->blocked);
    assert_int_equal(fake.worker.outbox_bytes, 302);
    /* The oldest does not count; behind it there is room for 1000. */
    send_large(498);
    send_large(498);
    end_turn();
    assert_int_equal(wire.resets, 0);
    assert_int_equal(fake.worker.outbox_bytes, 1302);
    wire.frames_taken_max = 1;
    send_large(1);
    end_turn();
    assert_int_equal(wire.resets, 1);
    wire_assert_said(
        "{\"event\":\"pusher:error\",\"data\":{\"message\":\"You read too slowly\",\"code\":4100}}\n");
    assert_int_equal(fake.worker.outbox_bytes, 0);
    assert_int_equal(fake.worker.metrics.outbox_bytes, 0);
    assert_int_equal(fake.worker.metrics.slow_readers, 1);
}

static void one_larger_frame_may_pass(void **state)
{
    (void)state;
    fake.config->edge.outbox_bytes = 100;
    wire.frames_taken_max = 0;
    send_large(1500);
    end_turn();
    send_large(90);
    end_turn();
    assert_non_null(wire.connection);
    wire.frames_taken_max = SIZE_MAX;
    wire_flush(wire.connection);
    assert_false(wire.connection->blocked);
    assert_int_equal(wire.said.length, 1501 + 91);
    assert_int_equal(fake.worker.outbox_bytes, 0);
}

static void a_burst_within_a_turn_is_no_slow_reader(void **state)
{
    (void)state;
    fake.config->edge.outbox_bytes = 1000;
    for (int i = 0; i < 100; i++)
        send_large(500);
    end_turn();
    assert_int_equal(wire.said.length, 100 * 501);
    assert_non_null(wire.connection);
}

static void a_closing_slow_reader_is_still_reset(void **state)
{
    (void)state;
    fake.config->edge.outbox_bytes = 1000;
    wire.frames_taken_max = 0;
    send_large(500);
    end_turn();
    send_large(980);
    connection_end(wire.connection, PUSHER_RECONNECT, "bye"); /* its error is one frame too many */
    end_turn();
    assert_int_equal(wire.resets, 1);
    assert_int_equal(wire.closes, 0);
}

static void together_outboxes_have_a_cap_and_the_largest_goes(void **state)
{
    (void)state;
    struct connection *small = wire.connection;
    wire.frames_taken_max = 0;
    fake.config->edge.outbox_bytes = 100000;
    fake.config->edge.outbox_worker_bytes = 5000;
    send_large(1000);
    end_turn();
    struct connection *big = wire_open();
    wire.frames_taken_max = 0;
    send_large(1900);
    send_large(1900);
    end_turn();
    assert_int_equal(fake.worker.outbox_bytes, 1002 + 2 * 1902);
    /* The small one grows over the cap; the big one is reset for it. */
    wire.connection = small;
    send_large(1000);
    assert_int_equal(big->state, CONNECTION_CLOSING);
    end_turn();
    assert_int_equal(wire.resets, 1);
    assert_int_equal(fake.worker.outbox_bytes, 2 * 1002);
    wire.connection = small;
}

/* ---- deadlines; the wheel's time is an argument ---- */

static uint64_t opened_ms;

static void run_wheel_until(uint64_t after_ms)
{
    wheel_run(&fake.worker.wheel, opened_ms + after_ms);
    end_turn();
}

static void begin_deadlines(void)
{
    opened_ms = worker_now_ms(&fake.worker);
    fake.config->edge.ping_after_ms = 30000;
    fake.config->edge.pong_timeout_ms = 10000;
    fake.config->edge.outbox_stall_ms = 10000;
}

static void a_silent_connection_is_pinged_and_then_closed(void **state)
{
    (void)state;
    begin_deadlines();
    run_wheel_until(29800);
    assert_int_equal(wire.pings, 0);
    run_wheel_until(30200);
    assert_int_equal(wire.pings, 1);
    run_wheel_until(40000);
    assert_int_equal(wire.closes, 0);
    run_wheel_until(40500);
    assert_int_equal(wire.closes, 1);
    assert_int_equal(wire.close_code, PUSHER_NO_PONG);
    assert_int_equal(fake.worker.metrics.pong_timeouts, 1);
    assert_int_equal(wire.pings, 1);
}

static void one_that_answers_lives_however_quiet(void **state)
{
    (void)state;
    begin_deadlines();
    run_wheel_until(30200);
    connection_heard(wire.connection);
    wire.connection->heard_ms = opened_ms + 31000;
    run_wheel_until(60900);
    assert_int_equal(wire.pings, 1);
    run_wheel_until(61200);
    assert_int_equal(wire.pings, 2);
    wire_receive("{\"event\":\"pusher:pong\"}");
    wire.connection->heard_ms = opened_ms + 62000;
    run_wheel_until(91000);
    assert_int_equal(wire.pings, 2);
    assert_int_equal(wire.closes, 0);
}

static void a_loop_that_was_held_up_gives_the_client_its_time(void **state)
{
    (void)state;
    begin_deadlines();
    /* The ping leaves late; the answer is due from then on. */
    run_wheel_until(100000);
    assert_int_equal(wire.pings, 1);
    run_wheel_until(109500);
    assert_int_equal(wire.closes, 0);
    run_wheel_until(110500);
    assert_int_equal(wire.closes, 1);
}

static void an_outbox_that_stands_still_ends_its_connection(void **state)
{
    (void)state;
    begin_deadlines();
    wire.frames_taken_max = 0;
    send_text("x");
    end_turn();
    for (uint64_t ms = 0; ms < 9900; ms += 100)
        run_wheel_until(ms);
    assert_int_equal(wire.resets, 0);
    for (uint64_t ms = 9900; ms <= 11300; ms += 100)
        run_wheel_until(ms);
    assert_int_equal(wire.resets, 1);
    assert_int_equal(wire.pings, 0);
}

static void progress_keeps_it_and_silence_is_judged_when_all_is_taken(void **state)
{
    (void)state;
    begin_deadlines();
    wire.frames_taken_max = 1;
    send_text("1");
    send_text("2");
    send_text("3");
    end_turn();
    for (uint64_t ms = 5000; ms <= 60000; ms += 5000) {
        wire.connection->progress_ms = opened_ms + ms - 1000;
        run_wheel_until(ms);
    }
    assert_int_equal(wire.resets, 0);
    assert_int_equal(wire.pings, 0);
    wire.frames_taken_max = SIZE_MAX;
    wire_flush(wire.connection);
    run_wheel_until(80000);
    assert_int_equal(wire.pings, 0);
    run_wheel_until(90500);
    assert_int_equal(wire.pings, 1);
    assert_int_equal(wire.closes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, wire_begin, wire_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_frame_says_who_the_client_is),
        TEST(one_that_is_refused_hears_why_and_counts_nowhere),
        TEST(an_end_waits_for_the_end_of_the_turn_and_is_the_last_word),
        TEST(pings_are_answered),
        TEST(other_messages_get_an_error_and_the_connection_stays),
        TEST(a_message_that_is_not_utf8_ends_the_connection),
        TEST(a_flood_costs_the_flooder_his_connection),
        TEST(pieces_without_end_are_a_flood_too),
        TEST(frames_of_one_turn_leave_in_one_write),
        TEST(the_first_member_event_goes_at_once_and_those_after_it_together),
        TEST(anything_else_lets_held_back_frames_go_in_order),
        TEST(a_connection_may_end_while_frames_are_held_back),
        TEST(a_crowd_that_joins_costs_few_writes),
        TEST(a_full_outbox_ends_its_connection),
        TEST(one_larger_frame_may_pass),
        TEST(a_burst_within_a_turn_is_no_slow_reader),
        TEST(a_closing_slow_reader_is_still_reset),
        TEST(together_outboxes_have_a_cap_and_the_largest_goes),
        TEST(a_silent_connection_is_pinged_and_then_closed),
        TEST(one_that_answers_lives_however_quiet),
        TEST(a_loop_that_was_held_up_gives_the_client_its_time),
        TEST(an_outbox_that_stands_still_ends_its_connection),
        TEST(progress_keeps_it_and_silence_is_judged_when_all_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
