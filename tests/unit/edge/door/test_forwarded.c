/* Whom a proxy speaks for, and who only says so. */
#include "edge/door/forwarded.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config *config_with(const char *proxies)
{
    char text[512];
    struct config *config;
    snprintf(text, sizeof(text), "{\"edge\": {\"trusted_proxies\": [%s]}}", proxies);
    assert_int_equal(config_parse(text, strlen(text), "x.json", &config, stderr), 0);
    return config;
}

static struct address address_of(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (strcmp(text, "unix") == 0)
        return (struct address){.family = AF_UNIX};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return address_from((struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_from((struct sockaddr *)&in6);
}

static struct http_text text_of(const char *text)
{
    return (struct http_text){text, strlen(text)};
}

/* The client as text, with up to three headers X-Forwarded-For. */
static const char *client(
    const char *proxies, const char *peer, const char *first, const char *second, const char *third)
{
    static char text[ADDRESS_TEXT_BYTES];
    struct config *config = config_with(proxies);
    struct http_request request = {0};
    const char *const values[] = {first, second, third};
    for (int i = 0; i < 3; i++)
        if (values[i])
            request.headers[request.header_count++] = (struct http_header){
                text_of(i == 1 ? "x-forwarded-for" : "X-Forwarded-For"), text_of(values[i])};
    struct address from = address_of(peer);
    struct address found = forwarded_client(config, &request, &from);
    address_print(&found, text);
    config_unref(config);
    return text;
}

#define OURS "\"10.0.0.0/8\", \"2001:db8:1::/48\""

static void test_the_right_most_untrusted_address_is_the_client(void **state)
{
    (void)state;
    assert_string_equal(client(OURS, "10.0.0.9", "192.0.2.1", NULL, NULL), "192.0.2.1");
    assert_string_equal(client(OURS, "10.0.0.9", "192.0.2.1, 203.0.113.7", NULL, NULL), "203.0.113.7");
    assert_string_equal(
        client(OURS, "10.0.0.9", "192.0.2.1, 203.0.113.7 ,\t10.3.4.5", NULL, NULL), "203.0.113.7");
    assert_string_equal(client(OURS, "2001:db8:1::9", "2001:db8:2::1,10.0.0.1", NULL, NULL), "2001:db8:2::1");
    assert_string_equal(
        client(OURS, "10.0.0.9", "10.0.0.1, 10.0.0.2", NULL, NULL), "10.0.0.1"); /* all are ours */
}

static void test_several_headers_are_one_list(void **state)
{
    (void)state;
    assert_string_equal(client(OURS, "10.0.0.9", "192.0.2.1", "203.0.113.7", "10.0.0.1"), "203.0.113.7");
    assert_string_equal(client(OURS, "10.0.0.9", "192.0.2.1", "10.0.0.2", "10.0.0.1"), "192.0.2.1");
}

static void test_strangers_are_not_believed(void **state)
{
    (void)state;
    assert_string_equal(client(OURS, "192.0.2.99", "203.0.113.7", NULL, NULL), "192.0.2.99");
    assert_string_equal(client("", "10.0.0.9", "203.0.113.7", NULL, NULL), "10.0.0.9");
    assert_string_equal(client(OURS, "unix", "203.0.113.7", NULL, NULL), "unix");
    assert_string_equal(client("\"unix\"", "unix", "203.0.113.7", NULL, NULL), "203.0.113.7");
    assert_string_equal(client(OURS, "10.0.0.9", NULL, NULL, NULL), "10.0.0.9");
    /* IPv4 in IPv6 is the IPv4 that it is */
    assert_string_equal(client(OURS, "::ffff:10.0.0.9", "::ffff:192.0.2.1", NULL, NULL), "192.0.2.1");
}

static void test_garbage_ends_the_walk(void **state)
{
    (void)state;
    static const char *const garbage[] = {"", " ", ",", "unknown", "_hidden", "192.0.2", "192.0.2.1.5",
        "999.1.1.1", "[", "[]", "[2001:db8::", ":", "::g", "\"192.0.2.1\"", "192.0.2.1 192.0.2.2",
        "2001:0db8:0000:0000:0000:0000:0000:00000000000000000000000000001"};
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        char list[200];
        assert_string_equal(client(OURS, "10.0.0.9", garbage[i], NULL, NULL), "10.0.0.9");
        snprintf(list, sizeof(list), "192.0.2.66, %s, 10.0.0.1", garbage[i]);
        assert_string_equal(client(OURS, "10.0.0.9", list, NULL, NULL), "10.0.0.1");
        snprintf(list, sizeof(list), "%s, 203.0.113.7", garbage[i]);
        assert_string_equal(client(OURS, "10.0.0.9", list, NULL, NULL), "203.0.113.7");
    }
}

static void test_ports_are_left_out(void **state)
{
    (void)state;
    assert_string_equal(client(OURS, "10.0.0.9", "192.0.2.1:8080", NULL, NULL), "192.0.2.1");
    assert_string_equal(client(OURS, "10.0.0.9", "[2001:db8:2::1]:8080", NULL, NULL), "2001:db8:2::1");
    assert_string_equal(client(OURS, "10.0.0.9", "[2001:db8:2::1]", NULL, NULL), "2001:db8:2::1");
}

static bool secure(const char *peer, const char *protocol)
{
    struct config *config = config_with(OURS);
    struct http_request request = {.header_count = 1};
    request.headers[0] = (struct http_header){text_of("X-Forwarded-Proto"), text_of(protocol)};
    struct address from = address_of(peer);
    struct address found = forwarded_client(config, &request, &from);
    config_unref(config);
    return found.secure;
}

static void test_tls_at_the_proxy(void **state)
{
    (void)state;
    assert_true(secure("10.0.0.9", "https"));
    assert_true(secure("10.0.0.9", "HTTPS"));
    assert_false(secure("10.0.0.9", "http"));
    assert_false(secure("10.0.0.9", "https, http"));
    assert_false(secure("192.0.2.1", "https"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_right_most_untrusted_address_is_the_client),
        cmocka_unit_test(test_several_headers_are_one_list),
        cmocka_unit_test(test_strangers_are_not_believed),
        cmocka_unit_test(test_garbage_ends_the_walk),
        cmocka_unit_test(test_ports_are_left_out),
        cmocka_unit_test(test_tls_at_the_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
