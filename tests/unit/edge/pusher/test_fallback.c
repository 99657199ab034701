/* Requests of the HTTP fallback: what is sent, which requests there are, and whose they are. */
#include "fallback_world.h"

/* ---- sending ---- */

static void messages_are_received_in_their_order(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    forget(stream);
    struct http_exchange *send = ask(BASE "xhr_send",
        "[\"{\\\"event\\\":\\\"pusher:ping\\\"}\",\"{\\\"event\\\":\\\"a\\u0062\\\"}\",\"no\"]");
    assert_int_equal(send->status, 204);
    assert_non_null(strstr(send->headers, "Access-Control-Allow-Origin: *\r\n"));
    assert_int_equal(fake.worker.metrics.messages_received, 3);
    assert_true(has_said(stream, "a[\"{\\\"event\\\":\\\"pusher:pong\\\""));
    assert_true(has_said(stream, "Event ab is not known here"));
}

static void of_a_bad_body_nothing_is_received(void **state)
{
    (void)state;
    ask(BASE "xhr_streaming", "");
    static const char *const bodies[] = {"", "{}", "\"a\"", "[\"{\\\"event\\\":\\\"pusher:ping\\\"}\",1]",
        "[\"{\\\"event\\\":\\\"pusher:ping\\\"}\"", "[\"a\",\"\\ud800\"]", "[\"a\"]]"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct http_exchange *send = ask(BASE "xhr_send", bodies[i]);
        assert_int_equal(send->status, 400);
        assert_non_null(strstr(send->answer, "must be a JSON array of strings"));
    }
    assert_int_equal(fake.worker.metrics.messages_received, 0);
}

static void a_message_that_is_too_large_ends_the_connection(void **state)
{
    (void)state;
    struct http_exchange *stream = ask(BASE "xhr_streaming", "");
    fake.config->edge.message_bytes = 4;
    ask(BASE "xhr_send", "[\"12345\",\"{\\\"event\\\":\\\"pusher:ping\\\"}\"]");
    assert_true(has_said(stream, "c[1009,\"The message is too large\"]"));
    assert_false(has_said(stream, "pusher:pong"));
}

/* ---- which requests, and whose ---- */

static void other_requests(void **state)
{
    (void)state;
    assert_int_equal(ask(BASE "xhr_send", "[\"x\"]")->status, 404);
    struct http_exchange *preflight = ask_with("OPTIONS", BASE "xhr_send", "", 0);
    assert_int_equal(preflight->status, 204);
    assert_non_null(strstr(preflight->headers, "Access-Control-Max-Age: 86400\r\n"));
    struct http_exchange *get = ask_with("GET", BASE "xhr", "", 0);
    assert_int_equal(get->status, 405);
    assert_non_null(strstr(get->headers, "Allow: POST, OPTIONS\r\n"));
    assert_int_equal(ask(BASE, "")->status, 404);
    assert_int_equal(ask(BASE "websocket", "")->status, 404);
    assert_int_equal(fake.worker.connection_count, 0);
}

static bool owns(const char *path)
{
    return fallback_owns((struct http_text){path, strlen(path)});
}

static void paths(void **state)
{
    (void)state;
    assert_true(owns("/pusher/app/"));
    assert_true(owns(BASE "xhr"));
    assert_false(owns("/pusher/app"));
    assert_false(owns("/pusher/apps/1/events"));
    assert_false(owns("/pusherx/app/k"));
    assert_false(owns("/app/key"));
    assert_false(owns("/"));
    assert_false(owns(""));
}

static bool home_of(const char *method, const char *path, unsigned workers, unsigned *home)
{
    struct http_request request = {.method = method, .path = {path, strlen(path)}};
    return fallback_home(&request, workers, home);
}

static void every_request_of_a_session_has_the_same_home(void **state)
{
    (void)state;
    unsigned count[4] = {0}, stream, poll, send, none;
    for (int i = 0; i < 400; i++) {
        char path[3][96];
        snprintf(path[0], sizeof(path[0]), "/pusher/app/key/%d/abcdefgh/xhr_streaming", i);
        snprintf(path[1], sizeof(path[1]), "/pusher/app/key/%d/abcdefgh/xhr", i);
        snprintf(path[2], sizeof(path[2]), "/pusher/app/key/%d/abcdefgh/xhr_send", i);
        assert_true(home_of("POST", path[0], 4, &stream));
        assert_true(home_of("POST", path[1], 4, &poll));
        assert_true(home_of("POST", path[2], 4, &send));
        assert_true(stream == poll && poll == send && send < 4);
        assert_false(home_of("OPTIONS", path[2], 4, &none));
        count[send]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(count[i], 50, 150);
    assert_false(home_of("POST", "/pusher/app/key/1/abcdefgh/other", 4, &none));
    assert_false(home_of("POST", "/apps/1/events", 4, &none));
}

static void a_session_that_could_not_move_home_is_refused(void **state)
{
    (void)state;
    unsigned home;
    assert_true(home_of("POST", BASE "xhr", 2, &home));
    fake.worker.worker_count = 2;
    fake.worker.number = 1 - home;
    struct http_exchange *poll = ask(BASE "xhr", "");
    assert_int_equal(poll->status, 503);
    assert_non_null(strstr(poll->headers, "Retry-After: "));
    assert_int_equal(ask_with("OPTIONS", BASE "xhr", "", 0)->status, 204);
    fake.worker.number = home;
    assert_int_equal(ask(BASE "xhr", "")->status, 200);
}

static void names_are_compared_whole(void **state)
{
    (void)state;
    ask(BASE "xhr_streaming", "");
    static const char *const others[] = {"/pusher/app/278d425bdf160c739803/12/abcdefg/xhr_send",
        "/pusher/app/278d425bdf160c739803/12/abcdefghi/xhr_send",
        "/pusher/app/278d425bdf160c739803/1/abcdefgh/xhr_send", "/pusher/app/other/12/abcdefgh/xhr_send"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(ask(others[i], "[]")->status, 404);
    assert_int_equal(ask(BASE "xhr_send", "[]")->status, 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(messages_are_received_in_their_order),
        SESSION_TEST(of_a_bad_body_nothing_is_received),
        SESSION_TEST(a_message_that_is_too_large_ends_the_connection),
        SESSION_TEST(other_requests),
        SESSION_TEST(paths),
        SESSION_TEST(every_request_of_a_session_has_the_same_home),
        SESSION_TEST(a_session_that_could_not_move_home_is_refused),
        SESSION_TEST(names_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
