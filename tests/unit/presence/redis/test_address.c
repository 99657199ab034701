#include "presence/redis/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void good(const char *text, const char *host, uint16_t port, bool is_unix)
{
    struct redis_address address;
    assert_int_equal(0, redis_address_parse(text, &address));
    assert_string_equal(host, address.host);
    assert_int_equal(port, address.port);
    assert_int_equal(is_unix, address.is_unix);
}

static void test_good(void **state)
{
    (void)state;
    good("redis-1.example:6379", "redis-1.example", 6379, false);
    good("127.0.0.1:1", "127.0.0.1", 1, false);
    good("[::1]:65535", "::1", 65535, false);
    good("unix:/run/redis:1.sock", "/run/redis:1.sock", 0, true);
}

static void test_bad(void **state)
{
    static const char *const bad[] = {"", ":", ":6379", "host", "host:", "host:0", "host:65536", "host:x",
        "host:1x", "host:-1", "::1:6379", "[::1]", "[]:1", "[::1:6379", "unix:", "host: 1", NULL};
    struct redis_address address;
    (void)state;
    for (size_t i = 0; bad[i]; i++) {
        if (!redis_address_parse(bad[i], &address))
            fail_msg("taken: %s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
