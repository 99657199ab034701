/* What an instance says of itself, and what is said of that. */
#include "presence/redis/setup_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_too_old(void **state)
{
    char version[24];
    (void)state;
    assert_true(
        setup_is_too_old("# Server\r\nredis_version:6.2.14\r\nos:Linux\r\n", version, sizeof version));
    assert_string_equal("6.2.14", version);
    assert_false(setup_is_too_old("# Server\r\nredis_version:7.0.0\r\n", version, sizeof version));
    assert_false(setup_is_too_old("redis_version:10.1\r\n", version, sizeof version));
    assert_false(setup_is_too_old("server_name:valkey\r\nvalkey_version:8.0.1\r\n", version, sizeof version));
    assert_string_equal("", version);
}

static void keep(void *context, const char *text)
{
    strncat(context, text, 900 - strlen(context));
}

static void test_an_instance(void **state)
{
    char said[1000] = "";
    (void)state;
    setup_check_instance(
        "redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\nmin_slaves_good_slaves:1\r\n", "s", "here",
        true, keep, said);
    assert_string_equal("", said);
    setup_check_instance(
        "redis_version:6.2.14\r\nmaxmemory_policy:allkeys-lru\r\n", "s", "here", true, keep, said);
    assert_non_null(strstr(said, "here is Redis 6.2.14"));
    assert_non_null(strstr(said, "maxmemory-policy allkeys-lru"));
    assert_non_null(strstr(said, "no min-replicas-to-write"));
    said[0] = '\0';
    setup_check_instance(
        "redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\n", "s", "here", false, keep, said);
    assert_string_equal("", said); /* it has no replicas */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_old),
        cmocka_unit_test(test_an_instance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
