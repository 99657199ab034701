/* Sessions of the HTTP fallback: who receives what, what waits for whom, and when a client has gone. */
#include "fallback_world.h"

#include "edge/pusher/fallback_lines.h"

/* ---- opening ---- */

static void the_first_receiver_opens_and_is_told_so_once(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    assert_int_equal(stream->status, 200);
    assert_true(stream->said.length > 4 && memcmp(stream->said.bytes, "o\na[", 4) == 0);
    assert_true(has_said(stream, "pusher:connection_established"));
    assert_non_null(strstr(stream->headers, "Access-Control-Allow-Origin: *\r\n"));
    assert_non_null(strstr(stream->headers, "X-Accel-Buffering: no\r\n"));
    assert_false(stream->ended);
    struct http_exchange *again = ask(BASE "xhr_streaming", "");
    send_and_turn("x");
    assert_said(again, "a[\"x\"]\n");
    assert_int_equal(fake.worker.connection_count, 1);
    assert_int_equal(fake.worker.metrics.connections_opened, 1);
}

static void a_poll_ends_with_its_line(void **state)
{
    (void)state;
    struct http_exchange *poll = ask(BASE "xhr", "");
    assert_true(poll->ended);
    assert_true(has_said(poll, "o\na["));
    poll = ask(BASE "xhr", "");
    assert_false(poll->ended);
    assert_said(poll, "");
    send_text("1");
    send_text("2");
    connection_flush_dirty(&fake.worker);
    assert_said(poll, "a[\"1\",\"2\"]\n");
    assert_true(poll->ended);
}

static void a_refusal_is_told_and_leaves_nothing(void **state)
{
    (void)state;
    struct http_exchange *stream = ask("/pusher/app/nobody/12/abcdefgh/xhr_streaming", "");
    assert_said(stream,
        "o\na[\"{\\\"event\\\":\\\"pusher:error\\\",\\\"data\\\":{\\\"message\\\":\\\"No app has "
        "this key\\\",\\\"code\\\":4001}}\"]\nc[4001,\"No app has this key\"]\n");
    assert_true(stream->ended);
    assert_true(LIST_EMPTY(&host->sessions));
    assert_int_equal(fake.worker.metrics.connections_refused, 1);
    address_is_full = true;
    struct http_exchange *poll = ask(BASE "xhr", "");
    assert_true(has_said(poll, "c[4100,"));
    assert_true(LIST_EMPTY(&host->sessions));
    assert_int_equal(fake_app()->counters->connections, 0);
}

static void while_the_server_leaves_nobody_stays(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    fallback_drain(host);
    connection_flush_dirty(&fake.worker);
    assert_true(has_said(stream, "c[4200,"));
    assert_true(stream->ended);
    fake.worker.drain.active = true;
    struct http_exchange *late = ask(BASE "xhr", "");
    assert_true(has_said(late, "c[4200,"));
    assert_true(LIST_EMPTY(&host->sessions));
}

/* ---- between receivers ---- */

static void what_comes_between_waits_for_the_next(void **state)
{
    (void)state;
    ask(BASE "xhr", "");
    send_and_turn("1");
    send_and_turn("2");
    assert_true(the_connection()->blocked);
    assert_true(fake.worker.outbox_bytes > 0);
    struct http_exchange *poll = ask(BASE "xhr", "");
    assert_said(poll, "a[\"1\",\"2\"]\n");
    assert_true(poll->ended);
    assert_int_equal(fake.worker.outbox_bytes, 0);
    assert_false(the_connection()->blocked);
}

static void too_much_for_nobody_is_a_slow_reader(void **state)
{
    (void)state;
    ask(BASE "xhr", "");
    fake.config->edge.outbox_bytes = 100;
    send_and_turn("12345678901234567890123456789012345678901234567890123456789012345678901234567890");
    send_and_turn("12345678901234567890123456789012345678901234567890123456789012345678901234567890");
    assert_int_equal(fake.worker.connection_count, 1);
    send_and_turn("12345678901234567890123456789012345678901234567890123456789012345678901234567890");
    assert_int_equal(fake.worker.connection_count, 0);
    assert_int_equal(fake.worker.metrics.slow_readers, 1);
    struct http_exchange *poll = ask(BASE "xhr", "");
    assert_true(has_said(poll, "You read too slowly") && has_said(poll, "c[4100,"));
    assert_true(LIST_EMPTY(&host->sessions));
}

static void who_does_not_come_back_has_gone(void **state)
{
    (void)state;
    ask(BASE "xhr", "");
    wait_ms(9800);
    assert_int_equal(fake.worker.connection_count, 1);
    wait_ms(10200);
    assert_int_equal(fake.worker.connection_count, 0);
    assert_true(LIST_EMPTY(&host->sessions));
    assert_int_equal(fake.worker.metrics.connections, 0);
    assert_int_equal(fake.worker.metrics.slow_readers, 0);
}

static void who_receives_is_not_missed(void **state)
{
    (void)state;
    ask(BASE "xhr", "");
    ask(BASE "xhr", "");
    wait_ms(20000);
    assert_int_equal(fake.worker.connection_count, 1);
}

static void who_waits_long_with_something_waiting_is_not_called_slow_at_once(void **state)
{
    (void)state;
    ask(BASE "xhr", "");
    the_connection()->progress_ms = 0; /* long ago */
    send_and_turn("x");
    wait_ms(9000);
    assert_int_equal(fake.worker.connection_count, 1);
}

static void an_answer_that_breaks_off_takes_the_session_along(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    stream->gone(stream->context);
    assert_int_equal(fake.worker.connection_count, 0);
    assert_true(LIST_EMPTY(&host->sessions));
    ask(BASE "xhr", "");
    struct http_exchange *poll = ask(BASE "xhr", "");
    poll->gone(poll->context);
    assert_int_equal(fake.worker.connection_count, 0);
    assert_true(LIST_EMPTY(&host->sessions));
}

static void the_second_receiver_takes_over(void **state)
{
    (void)state;
    struct http_exchange *first = ask(BASE "xhr_streaming", "");
    forget(first);
    struct http_exchange *second = ask(BASE "xhr_streaming", "");
    assert_true(first->was_reset);
    send_and_turn("x");
    assert_said(first, "");
    assert_said(second, "a[\"x\"]\n");
}

/* ---- long responses ---- */

static char *text_of(size_t length)
{
    char *text = malloc(length + 1);
    assert_non_null(text);
    memset(text, 'x', length);
    text[length] = '\0';
    return text;
}

static void a_stream_ends_with_the_line_that_fills_it(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    /* a[""] and its end make 6; up to the limit exactly the stream goes on */
    char *text = text_of(FALLBACK_RESPONSE_UNITS - stream->said.length - 6);
    send_and_turn(text);
    free(text);
    assert_int_equal(stream->said.length, FALLBACK_RESPONSE_UNITS);
    assert_false(stream->ended);
    send_text("1");
    connection_flush_dirty(&fake.worker);
    assert_true(stream->ended);
    send_and_turn("2");
    send_and_turn("3");
    assert_false(has_said(stream, "[\"2\""));
    struct http_exchange *next = ask(BASE "xhr_streaming", "");
    assert_said(next, "a[\"2\",\"3\"]\n");
    assert_false(next->ended);
}

static void the_end_of_a_full_stream_is_told_to_the_next(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    forget(stream);
    char *text = text_of(FALLBACK_RESPONSE_UNITS);
    fake.config->edge.outbox_bytes = 1 << 20;
    send_text(text);
    free(text);
    connection_end(the_connection(), PUSHER_RECONNECT, "bye");
    connection_flush_dirty(&fake.worker);
    assert_true(stream->ended);
    assert_false(has_said(stream, "\nc["));
    assert_int_equal(fake.worker.connection_count, 0);
    struct http_exchange *next = ask(BASE "xhr_streaming", "");
    assert_said(next,
        "a[\"{\\\"event\\\":\\\"pusher:error\\\",\\\"data\\\":{\\\"message\\\":\\\"bye\\\",\\\"code\\\":"
        "4200}}\"]\nc[4200,\"bye\"]\n");
    assert_true(next->ended);
    assert_true(LIST_EMPTY(&host->sessions));
}

/* ---- the end ---- */

static void a_stream_ends_with_c(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    forget(stream);
    send_text("last");
    connection_end(the_connection(), PUSHER_NO_PONG, "Pong reply not received in time");
    connection_flush_dirty(&fake.worker);
    assert_true(has_said(stream, "a[\"last\",\"{\\\"event\\\":\\\"pusher:error\\\""));
    assert_true(has_said(stream, "\nc[4201,\"Pong reply not received in time\"]\n"));
    assert_true(stream->ended);
    assert_true(LIST_EMPTY(&host->sessions));
}

static void who_is_away_at_the_end_is_told_later_and_not_for_ever(void **state)
{
    (void)state;
    for (int comes_back = 0; comes_back < 2; comes_back++) {
        ask(BASE "xhr", "");
        send_and_turn("1");
        connection_end(the_connection(), PUSHER_RECONNECT, "bye");
        connection_flush_dirty(&fake.worker);
        assert_int_equal(fake.worker.connection_count, 0);
        assert_int_equal(ask(BASE "xhr_send", "[]")->status, 404);
        if (comes_back) {
            struct http_exchange *poll = ask(BASE "xhr", "");
            assert_true(has_said(poll, "a[\"1\",") && has_said(poll, "c[4200,\"bye\"]\n"));
        } else {
            wait_ms(10200);
        }
        assert_true(LIST_EMPTY(&host->sessions));
        wheel_init(&fake.worker.wheel, worker_now_ms(&fake.worker)); /* back to the loop's time */
    }
}

static void of_much_that_waits_only_why_it_ended_is_kept(void **state)
{
    (void)state;
    ask(BASE "xhr", "");
    char *text = text_of(50000);
    send_and_turn(text);
    send_and_turn(text);
    free(text);
    connection_end(the_connection(), PUSHER_RECONNECT, "bye");
    connection_flush_dirty(&fake.worker);
    struct http_exchange *poll = ask(BASE "xhr", "");
    assert_true(has_said(poll, "pusher:error") && has_said(poll, "c[4200,"));
    assert_true(poll->said.length < 300);
}

/* ---- clients that take no more ---- */

static void a_full_socket_holds_back_until_it_is_taken(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    forget(stream);
    stream->takes = 10;
    send_and_turn("0123456789");
    assert_said(stream, "a[\"0123456789\"]\n"); /* 16 bytes, 6 of which wait in the door */
    assert_true(the_connection()->blocked);
    assert_int_equal(fake.worker.outbox_bytes, 6);
    send_and_turn("next");
    assert_said(stream, "");
    the_connection()->progress_ms = 0;
    stream->taken(stream->context, 3);
    assert_int_equal(the_connection()->progress_ms, worker_now_ms(&fake.worker));
    assert_int_equal(the_connection()->partial_bytes, 3);
    assert_said(stream, "");
    stream->takes = SIZE_MAX;
    stream->taken(stream->context, 0);
    assert_said(stream, "a[\"next\"]\n");
    assert_false(the_connection()->blocked);
    assert_int_equal(fake.worker.outbox_bytes, 0);
}

static void who_takes_nothing_is_reset(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    stream->takes = 1;
    send_and_turn("x");
    the_connection()->progress_ms -= fake.config->edge.outbox_stall_ms;
    wait_ms(2000);
    assert_true(stream->was_reset);
    assert_int_equal(fake.worker.connection_count, 0);
    assert_int_equal(fake.worker.metrics.slow_readers, 1);
    assert_true(LIST_EMPTY(&host->sessions));
}

static void the_end_waits_behind_what_is_taken_slowly(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    stream->takes = 1;
    send_and_turn("x");
    forget(stream);
    connection_end(the_connection(), PUSHER_RECONNECT, "bye");
    connection_flush_dirty(&fake.worker);
    assert_int_equal(fake.worker.connection_count, 0);
    assert_false(stream->ended);
    stream->takes = SIZE_MAX;
    stream->taken(stream->context, 2);
    assert_said(stream, "");
    stream->taken(stream->context, 0);
    assert_true(has_said(stream, "c[4200,\"bye\"]\n"));
    assert_true(stream->ended);
    assert_true(LIST_EMPTY(&host->sessions));
}

/* ---- signs of life ---- */

static void an_empty_array_wants_an_empty_array(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    forget(stream);
    struct http_exchange *send = ask(BASE "xhr_send", " [ ] ");
    assert_int_equal(send->status, 204);
    assert_said(stream, "a[]\n");
    ask_with("POST", BASE "xhr_send", "[]", SIZE_MAX);
    send_and_turn("x");
    assert_said(stream, "a[\"x\"]\n"); /* as good a sign of life */
}

static void an_empty_array_between_polls_is_answered_by_the_next_once(void **state)
{
    (void)state;
    ask(BASE "xhr", "");
    ask(BASE "xhr_send", "[]");
    ask(BASE "xhr_send", "[]");
    assert_said(ask(BASE "xhr", ""), "a[]\n");
    struct http_exchange *poll = ask(BASE "xhr", "");
    assert_said(poll, "");
    assert_false(poll->ended);
}

static void a_silent_poll_gets_a_heartbeat_and_a_stream_a_ping(void **state)
{
    (void)state;
    ask(BASE "xhr", "");
    struct http_exchange *poll = ask(BASE "xhr", "");
    the_connection()->transport->ping(the_connection());
    assert_said(poll, "h\n");
    assert_true(poll->ended);
    the_connection()->liveness = CONNECTION_PINGED;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    assert_int_equal(the_connection()->liveness, CONNECTION_QUIET);
    the_connection()->transport->ping(the_connection());
    connection_flush_dirty(&fake.worker);
    assert_said(stream, "a[\"{\\\"event\\\":\\\"pusher:ping\\\",\\\"data\\\":{}}\"]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(the_first_receiver_opens_and_is_told_so_once),
        SESSION_TEST(a_poll_ends_with_its_line),
        SESSION_TEST(a_refusal_is_told_and_leaves_nothing),
        SESSION_TEST(while_the_server_leaves_nobody_stays),
        SESSION_TEST(what_comes_between_waits_for_the_next),
        SESSION_TEST(too_much_for_nobody_is_a_slow_reader),
        SESSION_TEST(who_does_not_come_back_has_gone),
        SESSION_TEST(who_receives_is_not_missed),
        SESSION_TEST(who_waits_long_with_something_waiting_is_not_called_slow_at_once),
        SESSION_TEST(an_answer_that_breaks_off_takes_the_session_along),
        SESSION_TEST(the_second_receiver_takes_over),
        SESSION_TEST(a_stream_ends_with_the_line_that_fills_it),
        SESSION_TEST(the_end_of_a_full_stream_is_told_to_the_next),
        SESSION_TEST(a_stream_ends_with_c),
        SESSION_TEST(who_is_away_at_the_end_is_told_later_and_not_for_ever),
        SESSION_TEST(of_much_that_waits_only_why_it_ended_is_kept),
        SESSION_TEST(a_full_socket_holds_back_until_it_is_taken),
        SESSION_TEST(who_takes_nothing_is_reset),
        SESSION_TEST(the_end_waits_behind_what_is_taken_slowly),
        SESSION_TEST(an_empty_array_wants_an_empty_array),
        SESSION_TEST(an_empty_array_between_polls_is_answered_by_the_next_once),
        SESSION_TEST(a_silent_poll_gets_a_heartbeat_and_a_stream_a_ping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
