/* Patterns of origins, and which pages they let in. */
#include <errno.h>

#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

static void test_patterns(void **state)
{
    (void)state;
    static const char *const good[] = {"*", "null", "file://", "https://example.com", "http://localhost:3000",
        "example.com", "EXAMPLE.com:8080", "localhost:*", "https://*.example.com", "*.example.com:*",
        "capacitor://localhost", "chrome-extension://abcdefgh", "http://127.0.0.1:80", "http://[::1]:3000",
        "[2001:db8::1]", "xn--grsse-lva.example", "https://a_b.example", "example.com:65535"};
    static const char *const bad[] = {"", "**", "*.", "*.*.example", "https://", "://example.com",
        "https://example.com/", "https://example.com/path", "https://exa mple.com", "größe.example",
        "https://a*.example.com", "a..b", ".a", "a.", "example.com:", "example.com:0", "example.com:65536",
        "example.com:99999999999", "example.com:8a", "example.com:**", "1https://a", "h ttp://a", "[::1",
        "[::1]x", "[1.2.3.4]", "*.[::1]", "https://user@example.com", "https://https://a", "file:///x"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (config_check_origin(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (!config_check_origin(bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static bool allows(const char *pattern, const char *origin)
{
    char *patterns[] = {(char *)"https://other.example", (char *)pattern};
    const struct app app = {.allowed_origins = patterns, .allowed_origin_count = 2};
    return config_origin_allowed(&app, origin, strlen(origin));
}

static void test_who_is_let_in(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *origin;
        bool allowed;
    } cases[] = {
        {"*", "https://a.example", true},
        {"*", "null", true},
        {"null", "null", true},
        {"null", "https://a.example", false},
        {"null", "http://null", false},
        {"a.example", "null", false},
        {"a.example", "a.example", false}, /* no browser says this */
        {"file://", "file://", true},
        {"file://", "https://a.example", false},
        {"https://a.example", "https://a.example", true},
        {"https://A.example", "HTTPS://a.EXAMPLE", true},
        {"https://a.example", "http://a.example", false},
        {"https://a.example", "https://a.example:8443", false},
        {"https://a.example", "https://a.example.evil.example", false},
        {"https://a.example", "https://evil-a.example", false},
        {"https://a.example", "https://b.example", false},
        {"https://a.example:443", "https://a.example", true},
        {"http://a.example:443", "http://a.example", false},
        {"http://a.example:80", "http://a.example", true},
        {"a.example", "http://a.example", true},
        {"a.example", "https://a.example", true},
        {"a.example", "https://a.example:444", false},
        {"a.example:444", "https://a.example:444", true},
        {"a.example:*", "https://a.example:444", true},
        {"a.example:*", "https://a.example", true},
        {"a.example:*", "https://b.example:444", false},
        {"https://*.a.example", "https://x.a.example", true},
        {"https://*.a.example", "https://y.x.a.example", true},
        {"https://*.a.example", "https://a.example", false},
        {"https://*.a.example", "https://.a.example", false},
        {"https://*.a.example", "https://xa.example", false},
        {"https://*.a.example", "http://x.a.example", false},
        {"http://[::1]:3000", "http://[::1]:3000", true},
        {"http://[::1]", "http://[::1]:3000", false},
        {"http://[::1]", "http://[::1]", true},
        {"capacitor://localhost", "capacitor://localhost", true},
        {"a.example", "", false},
        {"a.example", "https://", false},
        {"*.a.example", "://", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (allows(cases[i].pattern, cases[i].origin) != cases[i].allowed)
            fail_msg("%s and %s", cases[i].pattern, cases[i].origin);
}

static void test_without_a_list_or_an_origin_all_may(void **state)
{
    (void)state;
    char *patterns[] = {(char *)"https://a.example"};
    const struct app open = {0}, closed = {.allowed_origins = patterns, .allowed_origin_count = 1};
    assert_true(config_origin_allowed(&open, "https://b.example", 17));
    assert_false(config_origin_allowed(&closed, "https://b.example", 17));
    assert_true(config_origin_allowed(&closed, NULL, 0));
    assert_false(config_origin_allowed(&closed, "", 0));
}

/* An origin is a piece of a request: nothing behind its end is looked at. */
static void test_origins_end_where_they_end(void **state)
{
    (void)state;
    static const char origin[] = "https://x.a.example:444";
    char *patterns[] = {(char *)"https://*.a.example:444"};
    const struct app app = {.allowed_origins = patterns, .allowed_origin_count = 1};
    for (size_t length = 0; length < sizeof(origin); length++) {
        char *exact = malloc(length ? length : 1);
        memcpy(exact, origin, length);
        bool whole = length == strlen(origin);
        if (length <= strlen(origin))
            assert_int_equal(config_origin_allowed(&app, exact, length), whole);
        free(exact);
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_problems(
        "{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": \"s\",\n\"allowed_origins\": [\"a\",\n"
        "\"https://a/\",\n5]}]}",
        "x.json:3: apps[0].allowed_origins[1]: must be \"*\" or an origin without a path, like "
        "https://example.com, https://*.example.com, example.com:8080 or localhost:*, but is \"https://a/\"\n"
        "x.json:4: apps[0].allowed_origins[2]: must be a text of 1 to 300 bytes, but is 5\n");
    assert_problems(
        "{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": \"s\", \"allowed_origins\": \"*\"}]}",
        "x.json:1: apps[0].allowed_origins: must be a list of 0 to 100 texts, but is \"*\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_who_is_let_in),
        cmocka_unit_test(test_without_a_list_or_an_origin_all_may),
        cmocka_unit_test(test_origins_end_where_they_end),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
