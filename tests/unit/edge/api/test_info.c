#include "edge/api/api_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNTS = INFO_USER_COUNT | INFO_SUBSCRIPTION_COUNT, ALL = COUNTS | INFO_CACHE };

static int parse(const char *list, unsigned allowed)
{
    unsigned info;
    size_t length = strlen(list);
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, list, length);
    bool good = api_info_parse(exact, length, allowed, &info);
    free(exact);
    return good ? (int)info : -1;
}

static void test_lists(void **state)
{
    (void)state;
    assert_int_equal(parse("", ALL), 0);
    assert_int_equal(parse("user_count", ALL), INFO_USER_COUNT);
    assert_int_equal(parse("user_count,subscription_count,cache", ALL), ALL);
    assert_int_equal(parse("cache, user_count", ALL), INFO_CACHE | INFO_USER_COUNT);
    assert_int_equal(parse("user_count,user_count,", ALL), INFO_USER_COUNT);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_int_equal(parse("cache", COUNTS), -1);
    assert_int_equal(parse("user_counts", ALL), -1);
    assert_int_equal(parse("user_coun", ALL), -1);
    assert_int_equal(parse("USER_COUNT", ALL), -1);
    assert_int_equal(parse("user_count;cache", ALL), -1);
    assert_int_equal(parse("user_count,x", ALL), -1);
}

static void test_of_channel(void **state)
{
    (void)state;
    assert_int_equal(api_info_of_channel(ALL, "c"), INFO_SUBSCRIPTION_COUNT);
    assert_int_equal(api_info_of_channel(ALL, "presence-c"), COUNTS);
    assert_int_equal(api_info_of_channel(ALL, "private-cache-c"), INFO_SUBSCRIPTION_COUNT | INFO_CACHE);
    assert_int_equal(api_info_of_channel(ALL, "presence-cache-c"), ALL);
    assert_int_equal(api_info_of_channel(0, "presence-cache-c"), 0);
}

static void test_words(void **state)
{
    (void)state;
    assert_null(strstr(api_info_words(COUNTS), "cache"));
    assert_non_null(strstr(api_info_words(ALL), "cache"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_of_channel),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
