/* Webhooks of apps: what may stand there, and what it means. */
#include <errno.h>

#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

#define APP(webhooks)                                                                                        \
    "{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": \"s\", \"webhooks\": [" webhooks "]}]}"
#define URL "\"url\": \"https://example.com/hook\""

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = parse_good(APP("{" URL "}"));
    const struct app *app = &config->apps[0];
    assert_int_equal(app->webhook_count, 1);
    assert_string_equal(app->webhooks[0].url, "https://example.com/hook");
    assert_true(app->webhooks[0].enabled);
    assert_false(app->webhooks[0].allow_private_addresses);
    assert_string_equal(app->webhooks[0].prefix, "");
    assert_string_equal(app->webhooks[0].ca_file, "");
    assert_int_equal(app->webhooks[0].wants, (1 << WEBHOOK_EVENTS) - 1);
    assert_int_equal(app->webhook_events, (1 << WEBHOOK_EVENTS) - 1);
    config_unref(config);
}

static void test_an_app_wants_what_its_enabled_endpoints_want(void **state)
{
    (void)state;
    struct config *config = parse_good(APP("{" URL ", \"events\": [\"member_added\", \"member_removed\"]},"
                                           "{" URL ", \"events\": [\"cache_miss\"], \"prefix\": \"cache-\"},"
                                           "{" URL ", \"enabled\": false}"));
    const struct app *app = &config->apps[0];
    assert_int_equal(app->webhooks[0].wants, 1 << WEBHOOK_MEMBER_ADDED | 1 << WEBHOOK_MEMBER_REMOVED);
    assert_int_equal(app->webhooks[1].wants, 1 << WEBHOOK_CACHE_MISS);
    assert_string_equal(app->webhooks[1].prefix, "cache-");
    assert_int_equal(app->webhooks[2].wants, 0);
    assert_int_equal(app->webhook_events, app->webhooks[0].wants | app->webhooks[1].wants);
    config_unref(config);
}

static void test_every_event_has_a_name(void **state)
{
    (void)state;
    for (unsigned event = 0; event < WEBHOOK_EVENTS; event++)
        assert_null(config_check_webhook_event(config_webhook_event_name(event)));
    assert_non_null(config_check_webhook_event("member_add"));
    assert_problems(APP("{" URL ", \"events\": [\"occupied\"]}"),
        "x.json:1: apps[0].webhooks[0].events[0]: must be channel_occupied, channel_vacated, member_added, "
        "member_removed, client_event, cache_miss or subscription_count, but is \"occupied\"\n");
}

static void test_urls(void **state)
{
    (void)state;
    static const char *const good[] = {"https://example.com", "http://example.com/",
        "https://a.b:8443/x?y=%20", "http://[::1]:8080/x", "https://[2001:db8::1]", "http://127.0.0.1?x"};
    static const char *const bad[] = {"", "example.com/x", "ftp://example.com/", "HTTPS://example.com",
        "https://", "https:///x", "https://user@example.com/", "https://user:pw@example.com/",
        "https://example.com/#x", "https://example.com/a b", "https://example.com/\xc3\xa4",
        "https://example.com/\r\nX: y", "https://example.com:0/", "https://example.com:65536/",
        "https://example.com:/", "https://[::1/", "https://[1.2.3.4]/", "https://-x/", "https://a_b@c",
        "file:///etc/passwd", "https://exa\\mple.com/"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (config_check_webhook_url(good[i]))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (!config_check_webhook_url(bad[i]))
            fail_msg("%s was taken", bad[i]);
    assert_problems(APP("{}"), "x.json:1: apps[0].webhooks[0].url: is missing; it has no default\n");
}

static void test_a_url_with_a_very_long_host(void **state)
{
    (void)state;
    char url[2048] = "https://";
    memset(url + 8, 'a', 300);
    assert_non_null(config_check_webhook_url(url));
}

static void test_headers(void **state)
{
    (void)state;
    setenv("ROLLCALL_TEST_HEADER", "Bearer x", 1);
    struct config *config =
        parse_good(APP("{" URL ", \"headers\": [{\"name\": \"Authorization\", \"value\": {\"env\": "
                       "\"ROLLCALL_TEST_HEADER\"}}, {\"name\": \"X-A\", \"value\": \"b c\"}]}"));
    const struct config_webhook *webhook = &config->apps[0].webhooks[0];
    assert_int_equal(webhook->header_count, 2);
    assert_string_equal(webhook->headers[0].name, "Authorization");
    assert_string_equal(webhook->headers[0].value, "Bearer x");
    assert_string_equal(webhook->headers[1].value, "b c");
    config_unref(config);
}

static void test_headers_that_are_none(void **state)
{
    (void)state;
    static const char *const bad_names[] = {"X A", "X:", "", "X\r\nY", "content-type", "X-Pusher-Key",
        "x-pusher-signature", "Host", "Content-Length", "transfer-encoding", "\xc3\xa4"};
    for (size_t i = 1; i < sizeof(bad_names) / sizeof(bad_names[0]); i++)
        if (bad_names[i][0] && !config_check_header_name(bad_names[i]))
            fail_msg("%s was taken", bad_names[i]);
    /* Also when it comes from elsewhere, and without repeating it: it may be a secret. */
    setenv("ROLLCALL_TEST_HEADER", "x\r\nX-Evil: 1", 1);
    assert_problems(
        APP("{" URL ", \"headers\": [{\"name\": \"A\", \"value\": {\"env\": \"ROLLCALL_TEST_HEADER\"}}]}"),
        "x.json:1: apps[0].webhooks[0].headers[0].value.env: must be a text without control characters\n");
    assert_problems(APP("{" URL ", \"headers\": [{\"name\": \"A\", \"value\": \" x\"}]}"),
        "x.json:1: apps[0].webhooks[0].headers[0].value: must be a text without spaces at its ends\n");
    assert_problems(APP("{" URL ", \"headers\": [{\"name\": \"Host\", \"value\": \"x\"}]}"),
        "x.json:1: apps[0].webhooks[0].headers[0].name: must be a header that the delivery does not set "
        "itself, but is \"Host\"\n");
}

static void test_ca_file(void **state)
{
    (void)state;
    config_unref(parse_good(APP("{" URL ", \"ca_file\": \"/etc/ca.pem\"}")));
    assert_problems(APP("{" URL ", \"ca_file\": \"ca.pem\"}"),
        "x.json:1: apps[0].webhooks[0].ca_file: must be an absolute path, but is \"ca.pem\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_an_app_wants_what_its_enabled_endpoints_want),
        cmocka_unit_test(test_every_event_has_a_name),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_a_url_with_a_very_long_host),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_headers_that_are_none),
        cmocka_unit_test(test_ca_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
