/* The demo app: its page, and the route that signs for it. */
#include "tests/unit/edge/api/api_world.h"

#include "auth/client_auth.h"

#include <jansson.h>

static void test_demo_exists_only_for_its_app(void **state)
{
    (void)state;
    expect("GET", "/", NULL, 200);
    assert_string_equal(exchange.type, "text/html; charset=utf-8");
    assert_non_null(strstr(exchange.body, "<!doctype html>"));
    assert_non_null(strstr(exchange.body, "</html>"));
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=private-x", 200);
    keys[3].secret = "another";
    expect("GET", "/", NULL, 404);
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=private-x", 404);
    expect("PUT", "/demo/auth", NULL, 404);
    keys[3].secret = "app-secret";
    app_count = 2;
    expect("GET", "/", NULL, 404);
}

static json_t *answered_json(void)
{
    json_t *json = json_loads(exchange.body, 0, NULL);
    assert_non_null(json);
    return json;
}

/* The answer's channel_data, checked to be what auth signs; "" where there is none. */
static void expect_signed(const char *channel, const char *channel_data)
{
    json_t *json = answered_json();
    const char *data = json_string_value(json_object_get(json, "channel_data"));
    const char *auth = json_string_value(json_object_get(json, "auth"));
    assert_non_null(auth);
    assert_string_equal(data ? data : "", channel_data);
    struct auth_input input = {"app-key", "app-secret", "1.2", auth, strlen(auth)};
    assert_int_equal(auth_channel(&input, channel, data, data ? strlen(data) : 0, NULL, 0), AUTH_GRANTED);
    json_decref(json);
}

static void test_demo_auth(void **state)
{
    (void)state;
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=private-x", 200);
    expect_signed("private-x", "");
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=presence-x", 200);
    expect_signed("presence-x", "{\"user_id\":\"1.2\"}");
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=presence-x&user_id=a%7C1&user_name=J+%C3%A4+%2B",
        200);
    expect_signed("presence-x", "{\"user_id\":\"a|1\",\"user_info\":{\"name\":\"J \u00e4 +\"}}");
    expect("POST", "/demo/auth",
        "{\"socket_id\":\"1.2\",\"channel_name\":\"presence-x\",\"user_id\":\"\\\"\",\"user_name\":null}",
        200);
    expect_signed("presence-x", "{\"user_id\":\"\\\"\"}");
    expect("GET", "/demo/auth?socket_id=1.2&channel_name=private-x", NULL, 200);
    expect_signed("private-x", "");
}

static void test_demo_auth_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "socket_id=1.2", "channel_name=private-x",
        "socket_id=1&channel_name=private-x", "socket_id=1.2&channel_name=public",
        "socket_id=1.2&channel_name=private-%20", "socket_id=1.2&channel_name=private-x%00",
        "socket_id=1.2%0&channel_name=private-x", "socket_id=1.2&channel_name=presence-x&user_id=%ff",
        "socket_id=111111111111111111111111111111111111111111111111.2&channel_name=private-x", "{}", "{",
        "{\"socket_id\":1.2,\"channel_name\":\"private-x\"}",
        "{\"socket_id\":\"1.2\",\"channel_name\":\"private-x\\u0000\"}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        expect("POST", "/demo/auth", bodies[i], 400);
    expect("GET", "/demo/auth", NULL, 400);
}

static void test_preflight_of_the_demo(void **state)
{
    (void)state;
    expect("OPTIONS", "/demo/auth", NULL, 200);
    assert_non_null(strstr(exchange.headers, "Allow: GET, HEAD, POST, OPTIONS\r\n"));
    assert_non_null(strstr(exchange.headers, "Access-Control-Allow-Origin: *\r\n"));
    assert_non_null(strstr(exchange.headers, "Access-Control-Allow-Headers: *, Authorization\r\n"));
    expect("POST", "/demo/auth", "socket_id=1.2", 400);
    assert_non_null(strstr(exchange.headers, "Access-Control-Allow-Origin: *\r\n"));
    app_count = 2;
    expect("OPTIONS", "/demo/auth", NULL, 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_demo_exists_only_for_its_app),
        API_TEST(test_demo_auth),
        API_TEST(test_demo_auth_refused),
        API_TEST(test_preflight_of_the_demo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
