/* What is wrong only together with other keys, and the forms of texts. */
#include <errno.h>

#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

#define DEMO "\"apps\": [{\"id\": \"app-id\", \"key\": \"app-key\", \"secret\": \"app-secret\"}]"

static char *with_listener(const char *address)
{
    static char text[512];
    snprintf(text, sizeof(text), "{\"edge\": {\"listen\": [{\"port\": 1}, {\"address\": \"%s\"}]}, " DEMO "}",
        address);
    return text;
}

static void test_the_demo_secret_stays_on_loopback(void **state)
{
    (void)state;
    static const char *const inside[] = {
        "127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "unix:/run/x"};
    static const char *const outside[] = {
        "0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "::ffff:10.0.0.1", "fe80::1"};
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
        config_unref(parse_good(with_listener(inside[i])));
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        char expected[512];
        snprintf(expected, sizeof(expected),
            "x.json:1: apps[0].secret: \"app-secret\" is the secret of the demonstration and known to "
            "everyone, so "
            "with it the edge listens on loopback only (127.0.0.0/8, ::1, unix:), but edge.listen[1].address "
            "is %s; "
            "choose a secret of your own\n",
            outside[i]);
        assert_problems(with_listener(outside[i]), expected);
    }
}

static void test_a_secret_of_ones_own_listens_anywhere(void **state)
{
    (void)state;
    config_unref(
        parse_good("{\"edge\": {\"listen\": [{\"address\": \"::\"}]},"
                   "\"apps\": [{\"id\": \"app-id\", \"key\": \"app-key\", \"secret\": \"my own\"}]}"));
    setenv("ROLLCALL_TEST_SECRET", "app-secret", 1);
    char *said = problems_in(
        "{\"edge\": {\"listen\": [{\"address\": \"::\"}]}, \"apps\": [{\"id\": \"1\", \"key\": \"1\","
        "\"secret\": {\"env\": \"ROLLCALL_TEST_SECRET\"}}]}",
        "x.json");
    assert_non_null(strstr(said, "is the secret of the demonstration"));
    free(said);
    unsetenv("ROLLCALL_TEST_SECRET");
}

static void test_the_token_of_the_console(void **state)
{
    (void)state;
    struct config *config = parse_good("{}");
    assert_string_equal(config->edge.admin.token, "");
    assert_false(config->edge.admin.allow_changes);
    config_unref(config);
    config = parse_good("{\"edge\": {\"admin\": {\"token\": \"sesame/1\", \"allow_changes\": true}}}");
    assert_string_equal(config->edge.admin.token, "sesame/1");
    assert_true(config->edge.admin.allow_changes);
    config_unref(config);
    assert_problems("{\"edge\": {\"admin\": {\"token\": \"short\"}}}",
        "x.json:1: edge.admin.token: must be a text of 8 to 1024 bytes, but it has 5\n");
    assert_problems("{\"edge\": {\"admin\": {\"token\": \"two words\"}}}",
        "x.json:1: edge.admin.token: must be letters, digits and signs of ASCII without spaces: it travels "
        "in a "
        "header\n");
    assert_problems("{\"edge\": {\"admin\": {\"allow_changes\": true}}}",
        "x.json:1: edge.admin.allow_changes: needs \"token\" beside it\n");
}

static void test_the_demo_token_stays_on_loopback(void **state)
{
    (void)state;
    config_unref(parse_good("{\"edge\": {\"admin\": {\"address\": \"::1\", \"token\": \"console-token\"}}}"));
    config_unref(
        parse_good("{\"edge\": {\"admin\": {\"address\": \"0.0.0.0\", \"token\": \"a-token-of-mine\"}}}"));
    assert_problems("{\"edge\": {\"admin\": {\"address\": \"0.0.0.0\", \"token\": \"console-token\"}}}",
        "x.json:1: edge.admin.token: \"console-token\" is the token of the demonstration and known to "
        "everyone, so "
        "with it the admin listener is on loopback only (127.0.0.0/8, ::1), but edge.admin.address is "
        "0.0.0.0; "
        "choose a token of your own\n");
}

static void test_the_demo_secret_is_found_in_every_pair(void **state)
{
    (void)state;
    char *said = problems_in("{\"edge\": {\"listen\": [{\"address\": \"::\"}]}, \"apps\": [{\"id\": \"1\","
                             "\"keys\": [{\"key\": \"k\", \"secret\": \"own\"},\n"
                             "{\"key\": \"l\", \"secret\": \"app-secret\"}]}]}",
        "x.json");
    assert_non_null(strstr(said, "x.json:2: apps[0].keys[1].secret: \"app-secret\" is the secret of"));
    free(said);
}

static void test_ids_and_keys_are_unique(void **state)
{
    (void)state;
    assert_problems("{\"apps\": [{\"id\": \"1\", \"key\": \"a\", \"secret\": \"s\"},\n"
                    "{\"id\": \"2\", \"key\": \"a\", \"secret\": \"s\"},\n"
                    "{\"id\": \"1\", \"key\": \"b\", \"secret\": \"s\"}]}",
        "x.json:2: apps[1].key: must be unique, but apps[0].key is the same\n"
        "x.json:3: apps[2].id: must be unique, but apps[0].id is the same\n");
    assert_problems(
        "{\"apps\": [{\"id\": \"1\", \"key\": \"a\", \"secret\": \"s\",\n"
        "\"keys\": [{\"key\": \"b\", \"secret\": \"s\"},\n{\"key\": \"a\", \"secret\": \"t\"}]},\n"
        "{\"id\": \"2\", \"keys\": [{\"key\": \"c\", \"secret\": \"s\"},\n"
        "{\"key\": \"b\", \"secret\": \"s\"}]}]}",
        "x.json:3: apps[0].keys[1].key: must be unique, but apps[0].key is the same\n"
        "x.json:5: apps[1].keys[1].key: must be unique, but apps[0].keys[0].key is the same\n");
    config_unref(parse_good("{\"apps\": [{\"id\": \"1\", \"key\": \"2\", \"secret\": \"s\"},"
                            "{\"id\": \"2\", \"key\": \"1\", \"secret\": \"s\"}]}"));
}

static void test_listeners_differ(void **state)
{
    (void)state;
    assert_problems(
        "{\"edge\": {\"listen\": [{\"port\": 1},\n{\"port\": 2},\n{\"port\": 1},\n"
        "{\"address\": \"unix:/a\", \"port\": 5},\n{\"address\": \"unix:/a\"},\n{\"port\": 9601}]}}",
        "x.json:3: edge.listen[2]: is the same address and port as edge.listen[0]\n"
        "x.json:5: edge.listen[4]: is the same address and port as edge.listen[3]\n"
        "x.json:6: edge.listen[5]: is the same address and port as edge.admin\n");
    config_unref(
        parse_good("{\"edge\": {\"listen\": [{\"port\": 0}, {\"port\": 0}, {\"address\": \"::1\"}, {},"
                   "{\"port\": 9601}], \"admin\": {\"enabled\": false}}}"));
}

static void test_bounds_that_contradict(void **state)
{
    (void)state;
    assert_problems("{\"edge\": {\"outbox_bytes\": 1048576,\n\"outbox_worker_bytes\": 1000000}}",
        "x.json:2: edge.outbox_worker_bytes: must be at least edge.outbox_bytes (1048576), or one slow "
        "reader is "
        "too many\n");
    config_unref(parse_good("{\"edge\": {\"outbox_bytes\": 1048576, \"outbox_worker_bytes\": 1048576}}"));
}

static void test_one_mistake_is_said_once(void **state)
{
    (void)state;
    /* The default of what was refused must not be compared with what was written. */
    assert_problems(
        "{\"edge\": {\"listen\": [{\"port\": -1}, {}, 5, {\"address\": \"x.example\", \"port\": 9601}],"
        "\"outbox_worker_bytes\": 1}, \"apps\": [1, 2]}",
        "x.json:1: edge.listen[0].port: must be a whole number from 0 to 65535, but is -1\n"
        "x.json:1: edge.listen[2]: must be an object, but is 5\n"
        "x.json:1: edge.listen[3].address: must be an IPv4 or IPv6 address in digits (names are not looked "
        "up, and "
        "IPv6 has no brackets), or unix: and an absolute path of at most 107 bytes, but is \"x.example\"\n"
        "x.json:1: edge.outbox_worker_bytes: must be a whole number from 65536 to 1099511627776 (bytes), but "
        "is 1\n"
        "x.json:1: apps[0]: must be an object, but is 1\n"
        "x.json:1: apps[1]: must be an object, but is 2\n");
}

static void assert_forms(
    const char *(*check)(const char *), const char *const good[], const char *const bad[])
{
    for (; *good; good++)
        assert_null(check(*good));
    for (; *bad; bad++)
        assert_int_equal(strncmp(check(*bad), "must ", 5), 0);
}

static void test_forms_of_addresses(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1", "::", "2001:db8::1", "::ffff:1.2.3.4", NULL};
    static const char *const no_addresses[] = {
        "localhost", "1.2.3", "1.2.3.4:80", "[::1]", "fe80::1%eth0", "", "*", "unix:/x", "01.2.3.4x", NULL};
    assert_forms(config_check_address, addresses, no_addresses);
    char longest[128] = "unix:/", too_long[128] = "unix:/";
    memset(longest + 6, 'x', 106);
    memset(too_long + 6, 'x', 107);
    const char *const listeners[] = {"unix:/run/rollcall.sock", "0.0.0.0", longest, NULL};
    const char *const no_listeners[] = {
        "unix:", "unix:/", "unix:relative", "unix:@abstract", too_long, "un", NULL};
    assert_forms(config_check_listen_address, listeners, no_listeners);
}

static void test_forms_of_names(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"", "/realtime", "/a/b-c_d.e~f", NULL};
    static const char *const no_prefixes[] = {"/", "a", "/a/", "//a", "/a//b", "/a?b", "/a b", NULL};
    assert_forms(config_check_path_prefix, prefixes, no_prefixes);
    static const char *const keys[] = {"app-key", "0a1b2c", "A_b.c~d", "schlüssel", "a b", NULL};
    static const char *const no_keys[] = {
        "a:b", "a/b", "a?b", "a#b", "a%20", "a\n", "\x7f", "a\xc2\x85 b", NULL};
    assert_forms(config_check_app_key, keys, no_keys);
    static const char *const ids[] = {"1234", "shop|eu", "a@b.c", "a/b?c#d%e f:g", "größe", "\xc2\xa0", NULL};
    static const char *const no_ids[] = {"a\tb", "\x01", "\x7f", "\xc2\x9f", NULL};
    assert_forms(config_check_app_id, ids, no_ids);
    static const char *const labels[] = {"", "edge-1.eu:6001", NULL};
    static const char *const no_labels[] = {"a b", "\"", "a\n", NULL};
    assert_forms(config_check_label, labels, no_labels);
    static const char *const hosts[] = {"", "edge-1.example.com", "192.0.2.1", NULL};
    static const char *const no_hosts[] = {"edge:6001", "http://edge", "edge/", "a b", "::1", "a_b", NULL};
    assert_forms(config_check_host, hosts, no_hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_demo_secret_stays_on_loopback),
        cmocka_unit_test(test_a_secret_of_ones_own_listens_anywhere),
        cmocka_unit_test(test_the_demo_secret_is_found_in_every_pair),
        cmocka_unit_test(test_the_token_of_the_console),
        cmocka_unit_test(test_the_demo_token_stays_on_loopback),
        cmocka_unit_test(test_ids_and_keys_are_unique),
        cmocka_unit_test(test_listeners_differ),
        cmocka_unit_test(test_bounds_that_contradict),
        cmocka_unit_test(test_one_mistake_is_said_once),
        cmocka_unit_test(test_forms_of_addresses),
        cmocka_unit_test(test_forms_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
