#include "tests/unit/edge/pusher/fake_worker.h"

static struct http_text text(const char *string)
{
    return (struct http_text){string, strlen(string)};
}

static int admit(const char *path, const char *query, uint8_t *protocol)
{
    struct http_request request = {.path = text(path), .query = text(query)};
    struct admission admission;
    int code = connection_admit(&fake.worker, &request, &admission);
    *protocol = admission.protocol;
    assert_int_equal(code == 0, admission.app != NULL);
    assert_int_equal(code == 0, admission.key != NULL);
    assert_int_equal(code == 0, admission.why == NULL);
    app_unref(admission.app); /* the connection's, were there one */
    return code;
}

#define PATH "/app/278d425bdf160c739803"

static void protocols_5_to_7_are_admitted(void **state)
{
    uint8_t protocol;
    (void)state;
    assert_int_equal(admit(PATH, "protocol=7&client=js&version=8.6.0&flash=false", &protocol), 0);
    assert_int_equal(protocol, 7);
    assert_int_equal(admit(PATH, "client=java-client&protocol=5&version=2.4.4", &protocol), 0);
    assert_int_equal(protocol, 5);
    assert_int_equal(admit(PATH, "protocol=6", &protocol), 0);
    assert_int_equal(protocol, 6);
    assert_int_equal(fake_app()->counters->connections, 3);
}

static void each_refusal_has_its_code(void **state)
{
    static const struct {
        const char *path, *query;
        int code;
    } cases[] = {
        {PATH, "", PUSHER_NO_PROTOCOL},
        {PATH, "protocol=", PUSHER_NO_PROTOCOL},
        {PATH, "protocol", PUSHER_NO_PROTOCOL},
        {PATH, "xprotocol=7", PUSHER_NO_PROTOCOL},
        {PATH, "protocol=4", PUSHER_UNSUPPORTED_PROTOCOL},
        {PATH, "protocol=8", PUSHER_UNSUPPORTED_PROTOCOL},
        {PATH, "protocol=77", PUSHER_UNSUPPORTED_PROTOCOL},
        {PATH, "protocol=7.0", PUSHER_UNSUPPORTED_PROTOCOL},
        {PATH, "protocol=seven", PUSHER_UNSUPPORTED_PROTOCOL},
        {PATH, "protocol=-7", PUSHER_UNSUPPORTED_PROTOCOL},
        {PATH, "protocol=7777777777777777777777", PUSHER_UNSUPPORTED_PROTOCOL},
        {PATH, "protocol=7&version=", PUSHER_INVALID_VERSION},
        {PATH, "protocol=7&version=x", PUSHER_INVALID_VERSION},
        {PATH, "protocol=7&version=8.6%20", PUSHER_INVALID_VERSION},
        {PATH, "protocol=7&version=8%00", PUSHER_INVALID_VERSION},
        {"/app/278d425bdf160c73980", "protocol=7", PUSHER_NO_SUCH_APP},
        {"/app/278d425bdf160c7398033", "protocol=7", PUSHER_NO_SUCH_APP},
        {"/app/278D425BDF160C739803", "protocol=7", PUSHER_NO_SUCH_APP},
        {"/app/", "protocol=7", PUSHER_PATH_NOT_FOUND},
        {"/app", "protocol=7", PUSHER_PATH_NOT_FOUND},
        {"/", "protocol=7", PUSHER_PATH_NOT_FOUND},
        {"", "protocol=7", PUSHER_PATH_NOT_FOUND},
        {PATH "/", "protocol=7", PUSHER_PATH_NOT_FOUND},
        {"/App/278d425bdf160c739803", "protocol=7", PUSHER_PATH_NOT_FOUND},
        {"/apps/278d425bdf160c739803", "protocol=7", PUSHER_PATH_NOT_FOUND},
    };
    uint8_t protocol;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (admit(cases[i].path, cases[i].query, &protocol) != cases[i].code)
            fail_msg("%s?%s", cases[i].path, cases[i].query);
    assert_int_equal(fake_app()->counters->connections, 0);
}

static void a_key_may_come_percent_encoded(void **state)
{
    uint8_t protocol;
    (void)state;
    assert_int_equal(admit("/app/278d425bdf160c73980%33", "protocol=7", &protocol), 0);
    assert_int_equal(admit("/app/278d425bdf160c73980%3", "protocol=7", &protocol), PUSHER_NO_SUCH_APP);
    assert_int_equal(admit("/app/278d425bdf160c739803%00", "protocol=7", &protocol), PUSHER_NO_SUCH_APP);
}

static void versions_of_real_clients_are_admitted(void **state)
{
    static const char *const good[] = {"8.6.0", "2.4.4", "10.1.5", "8.4.0-rc2", "1", "2.0.0%2B5"};
    char query[64];
    uint8_t protocol;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(query, sizeof(query), "protocol=7&version=%s", good[i]);
        assert_int_equal(admit(PATH, query, &protocol), 0);
    }
}

static void a_disabled_app_is_refused(void **state)
{
    uint8_t protocol;
    (void)state;
    fake_app()->enabled = false;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), PUSHER_APP_DISABLED);
    assert_int_equal(fake_app()->counters->connections, 0);
}

static void the_quota_is_exact(void **state)
{
    uint8_t protocol;
    (void)state;
    fake_app()->limits.connections = 2;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), 0);
    assert_int_equal(admit(PATH, "protocol=7", &protocol), 0);
    assert_int_equal(admit(PATH, "protocol=7", &protocol), PUSHER_OVER_QUOTA);
    assert_int_equal(fake_app()->counters->connections, 2);
    atomic_fetch_sub(&fake_app()->counters->connections, 1);
    assert_int_equal(admit(PATH, "protocol=7", &protocol), 0);
}

static void the_quota_is_of_the_whole_fleet(void **state)
{
    uint8_t protocol;
    (void)state;
    fake_app()->limits.connections = 3;
    fake_app()->counters->elsewhere = 2;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), 0);
    assert_int_equal(admit(PATH, "protocol=7", &protocol), PUSHER_OVER_QUOTA);
    fake_app()->counters->elsewhere = 1;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), 0);
    fake_app()->counters->elsewhere = UINT32_MAX;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), PUSHER_OVER_QUOTA);
    assert_int_equal(fake_app()->counters->connections, 2);
    fake_app()->limits.connections = 0;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), 0);
}

static void the_process_has_a_limit_of_its_own(void **state)
{
    uint8_t protocol;
    (void)state;
    fake.config->edge.connections = 1;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), 0);
    assert_int_equal(admit(PATH, "protocol=7", &protocol), PUSHER_OVER_CAPACITY);
    assert_int_equal(fake_app()->counters->connections, 1);
    assert_int_equal(fake.connections, 1);
}

static void nobody_comes_in_while_memory_is_full(void **state)
{
    uint8_t protocol;
    (void)state;
    fake.full = true;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), PUSHER_OVER_CAPACITY);
    fake.full = false;
    assert_int_equal(admit(PATH, "protocol=7", &protocol), 0);
    assert_int_equal(fake.connections, 1);
}

/* What an app has no room for must not use up room of the process. */
static void a_place_that_is_not_used_is_given_back(void **state)
{
    uint8_t protocol;
    (void)state;
    fake_app()->limits.connections = 1;
    admit(PATH, "protocol=7", &protocol);
    assert_int_equal(admit(PATH, "protocol=7", &protocol), PUSHER_OVER_QUOTA);
    assert_int_equal(fake.connections, 1);
}

static void only_allowed_origins_come_in(void **state)
{
    static char *const patterns[] = {"https://*.example.com"};
    struct http_request request = {.path = text(PATH), .query = text("protocol=7"), .header_count = 1};
    struct admission admission;
    struct app *app = fake_app();
    (void)state;
    app->allowed_origins = (char **)patterns;
    app->allowed_origin_count = 1;
    request.headers[0] = (struct http_header){text("Origin"), text("https://a.example.com")};
    assert_int_equal(connection_admit(&fake.worker, &request, &admission), 0);
    request.headers[0].value = text("https://example.org");
    assert_int_equal(connection_admit(&fake.worker, &request, &admission), PUSHER_UNAUTHORIZED);
    app->allowed_origins = NULL;
    app->allowed_origin_count = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(protocols_5_to_7_are_admitted, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(each_refusal_has_its_code, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(versions_of_real_clients_are_admitted, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(a_key_may_come_percent_encoded, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(a_disabled_app_is_refused, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(the_quota_is_exact, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(the_quota_is_of_the_whole_fleet, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(the_process_has_a_limit_of_its_own, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(nobody_comes_in_while_memory_is_full, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(a_place_that_is_not_used_is_given_back, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(only_allowed_origins_come_in, fake_begin, fake_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
