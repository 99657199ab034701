/* Ending the connections of a user. */
#include "tests/unit/edge/api/api_world.h"

static void expect_terminated(const char *channel)
{
    assert_non_null(published);
    assert_ptr_equal(published->app, &apps[0]);
    assert_int_equal(published->kind, STORE_EVENT_TERMINATE);
    assert_false(published->counted);
    assert_int_equal(published->count, 1);
    assert_string_equal(published->items[0].channel, channel);
    assert_int_equal(published->items[0].frame->text_bytes, 0);
    assert_true(published->items[0].frame->header_bytes > 0);
    answer_publish(NODE_OK, "{}", STORE_FRESH);
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, "{}");
}

static void test_terminate(void **state)
{
    (void)state;
    post("/apps/1/users/ann/terminate_connections", "{}");
    expect_terminated("#user-ann");
    post("/apps/1/users/a%7C1/terminate_connections", "{}");
    expect_terminated("#user-a|1");
    post("/apps/1/users/%C3%A4%20%25/terminate_connections", "{}");
    expect_terminated("#user-\xc3\xa4 %");
    post("/apps/1/users/a/b//terminate_connections", "{}");
    expect_terminated("#user-a/b/");
    /* an SDK that signs before it escapes */
    const char *target = signed_target(&apps[0], "POST", "/apps/1/users/a|1/terminate_connections", "", "{}");
    char escaped[2048];
    snprintf(escaped, sizeof(escaped), "/apps/1/users/a%%7C1%s", strstr(target, "/terminate"));
    send_request("POST", escaped, "{}");
    expect_terminated("#user-a|1");
}

static void test_terminate_without_app_in_the_path(void **state)
{
    (void)state;
    post("/users/ann/terminate_connections", "{}");
    expect_terminated("#user-ann");
    send_request(
        "POST", target_signed_with(&keys[1], "POST", "/users/x/terminate_connections", "", "{}"), "{}");
    expect_terminated("#user-x");
    static const char path[] = "/users/ann/terminate_connections";
    const struct app_key unknown = {"nobody", "secret"}, guessed = {"key", "guessed"}, empty = {"", ""};
    expect("POST", target_signed_with(&unknown, "POST", path, "", "{}"), "{}", 401);
    assert_string_equal(exchange.body, "auth_key is not the key of any app");
    expect("POST", target_signed_with(&guessed, "POST", path, "", "{}"), "{}", 401);
    expect("POST", target_signed_with(&empty, "POST", path, "", "{}"), "{}", 401);
    expect("POST", target_signed_with(&keys[2], "POST", path, "", "{}"), "{}", 403);
    expect("POST", path, "{}", 401);
    assert_string_equal(exchange.body, "auth_key is missing: it must be the app's key");
}

static void test_terminate_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {"/apps/1/users//terminate_connections", 404},
        {"/users//terminate_connections", 404},
        {"/users/terminate_connections", 404},
        {"/apps/1/users/a/terminate_connections/", 404},
        {"/apps/1/users/a%00/terminate_connections", 400},
        {"/apps/1/users/%ff/terminate_connections", 400},
        {"/apps/1/users/a%2/terminate_connections", 400},
        {"/apps/1/users/123456789/terminate_connections", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        post(cases[i].path, "{}");
        assert_null(published);
        assert_int_equal(exchange.answers, 1);
        assert_int_equal(exchange.status, cases[i].status);
    }
    expect("GET", "/apps/1/users/a/terminate_connections", NULL, 405);
    expect("POST", "/apps/1/users/a/terminate_connections", "{}", 401);
    has_room = false;
    post("/apps/1/users/a/terminate_connections", "{}");
    assert_int_equal(exchange.status, 503);
}

/* The fleet has not been told. */
static void test_terminate_without_store(void **state)
{
    (void)state;
    post("/apps/1/users/ann/terminate_connections", "{}");
    answer_publish(NODE_UNAVAILABLE, NULL, STORE_FRESH);
    assert_int_equal(exchange.status, 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_terminate),
        API_TEST(test_terminate_without_app_in_the_path),
        API_TEST(test_terminate_refused),
        API_TEST(test_terminate_without_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
