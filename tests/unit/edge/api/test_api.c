/* Which path and method is which call. */
#include "tests/unit/edge/api/api_world.h"

static void test_paths(void **state)
{
    (void)state;
    static const char *const nowhere[] = {"", "//", "/x", "/apps", "/apps/", "/apps/1", "/apps/1/",
        "/apps/1/event", "/apps/1/events/", "/apps/1/eventss", "/apps//events", "/apps/1/channels/",
        "/apps/1/channels//users", "/apps/1/channels/c/", "/apps/1/channels/c/users/", "/apps/1/channels/c/x",
        "/apps/1/channels/c/users/x", "/healthz/", "*", "/users", "/users/a"};
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
        expect("GET", nowhere[i], NULL, 404);
    expect("POST", "/apps/1/nothing", "{}", 404);
    expect("GET", "/apps/1/channels/c", NULL, 401);
}

static void test_methods(void **state)
{
    (void)state;
    expect("GET", "/apps/1/events", NULL, 405);
    assert_string_equal(exchange.headers, "Allow: POST, OPTIONS\r\n");
    expect("PUT", "/apps/1/channels", NULL, 405);
    assert_string_equal(exchange.headers, "Allow: GET, HEAD, OPTIONS\r\n");
    expect("DELETE", "/demo/auth", NULL, 405);
    assert_string_equal(exchange.headers, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    expect("POST", "/healthz", "", 405);
    expect("HEAD", "/healthz", NULL, 200);
    send_request("HEAD", signed_target(&apps[0], "HEAD", "/apps/1/channels", "", NULL), NULL);
    answer_query(NODE_OK, "{\"channels\":{}}", STORE_FRESH);
    assert_int_equal(exchange.status, 200);
}

static void test_options(void **state)
{
    (void)state;
    expect("OPTIONS", "/apps/1/batch_events", NULL, 200);
    assert_string_equal(exchange.headers, "Allow: POST, OPTIONS\r\n"); /* and nothing for browsers */
    assert_string_equal(exchange.body, "{}");
    expect("OPTIONS", "/apps/1/channels/c", NULL, 200);
    assert_string_equal(exchange.headers, "Allow: GET, HEAD, OPTIONS\r\n");
    expect("OPTIONS", "/users/a/terminate_connections", NULL, 200);
    expect("OPTIONS", "*", NULL, 200);
    assert_string_equal(exchange.headers, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    expect("OPTIONS", "/nowhere", NULL, 404);
}

static void test_not_upgraded(void **state)
{
    (void)state;
    expect("GET", "/app/key?protocol=7", NULL, 426);
    assert_string_equal(exchange.headers, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    expect("POST", "/app/key", "", 405);
    expect("GET", "/app/", NULL, 404);
    expect("GET", "/app/key/more", NULL, 404);
}

static void test_health(void **state)
{
    (void)state;
    expect("GET", "/healthz", NULL, 200);
    expect("GET", "/readyz", NULL, 200);
    has_room = false;
    expect("GET", "/healthz", NULL, 200);
    expect("GET", "/readyz", NULL, 503);
    assert_non_null(strstr(exchange.body, "\"overloaded\""));
    assert_non_null(strstr(exchange.headers, "Retry-After: "));
    has_room = true;
    worker.drain.active = true;
    expect("GET", "/healthz", NULL, 200);
    expect("GET", "/readyz", NULL, 503);
    assert_non_null(strstr(exchange.body, "\"draining\""));
    worker.drain.active = false;
    readiness_set(&readiness, READINESS_BLIND, "no Redis");
    expect("GET", "/readyz", NULL, 503);
    assert_non_null(strstr(exchange.body, "\"no Redis\""));
    readiness_set(&readiness, READINESS_BLIND, NULL);
    expect("GET", "/readyz", NULL, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_paths),
        API_TEST(test_methods),
        API_TEST(test_options),
        API_TEST(test_not_upgraded),
        API_TEST(test_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
