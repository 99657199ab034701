/* Whose request it is, and whether it is signed. */
#include "tests/unit/edge/api/api_world.h"

static void test_signatures(void **state)
{
    (void)state;
    expect("GET", "/apps/1/channels", NULL, 401);
    assert_string_equal(exchange.body, "auth_key is missing: it must be the app's key");
    expect("GET", signed_target(&apps[2], "GET", "/apps/1/channels", "", NULL), NULL, 401);
    expect("GET", signed_target(&apps[0], "POST", "/apps/1/channels", "", NULL), NULL, 401);
    assert_null(strstr(exchange.body, "expected"));
    expect("GET", "/apps/1/channels?auth_key=key&auth_timestamp=1&auth_version=1.0&auth_signature=00", NULL,
        401);
    assert_non_null(strstr(exchange.body, " seconds behind)"));
    expect("GET", signed_target(&apps[0], "GET", "/apps/2/channels", "", NULL), NULL, 404);
    const char *target = signed_target(&apps[0], "POST", "/apps/1/events", "", "{\"name\":1}");
    expect("POST", target, "{\"name\":2}", 401);
    assert_null(asked);
}

static void test_any_pair_of_the_app(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        send_request("GET", target_signed_with(&keys[i], "GET", "/apps/1/channels", "", NULL), NULL);
        answer_query(NODE_OK, "{}", STORE_FRESH);
        assert_int_equal(exchange.status, 200);
    }
    /* the pairs are not mixed, and an app has its own only */
    const struct app_key mixed = {"key-new", "secret"}, unknown = {"key-old", "secret"};
    expect("GET", target_signed_with(&mixed, "GET", "/apps/1/channels", "", NULL), NULL, 401);
    expect("GET", target_signed_with(&unknown, "GET", "/apps/1/channels", "", NULL), NULL, 401);
    assert_string_equal(exchange.body, "auth_key is not the key of this app");
    expect("GET", target_signed_with(&keys[1], "GET", "/apps/app-id/channels", "", NULL), NULL, 401);
    assert_string_equal(exchange.body, "auth_key is not the key of this app");
}

static void test_disabled_app(void **state)
{
    (void)state;
    expect("GET", "/apps/off/channels", NULL, 401);
    expect("GET", signed_target(&apps[1], "GET", "/apps/off/channels", "", NULL), NULL, 403);
}

static void test_escaped_app_id(void **state)
{
    (void)state;
    get("/apps/%31/channels", "");
    answer_query(NODE_OK, "{}", STORE_FRESH);
    assert_int_equal(exchange.status, 200);
    refuse_get("/apps/%3/channels", "", 404);
}

/* The longest id that an app can have (config_table_apps.c), with every byte escaped. */
static void test_longest_app_id(void **state)
{
    (void)state;
    char id[201], path[700] = "/apps/";
    memset(id, '/', 200);
    id[200] = '\0';
    for (int i = 0; i < 200; i++)
        strcat(path, "%2F");
    strcat(path, "/channels");
    apps[0].id = id;
    get(path, "");
    apps[0].id = "1";
    answer_query(NODE_OK, "{}", STORE_FRESH);
    assert_int_equal(exchange.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_signatures),
        API_TEST(test_any_pair_of_the_app),
        API_TEST(test_disabled_app),
        API_TEST(test_escaped_app_id),
        API_TEST(test_longest_app_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
