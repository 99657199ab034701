#include "edge/base/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static unsigned take_many(struct rate *rate, unsigned tries, uint64_t now_ms)
{
    unsigned granted = 0;
    for (unsigned i = 0; i < tries; i++)
        granted += rate_take(rate, 1, 10, 20, now_ms);
    return granted;
}

static void test_a_new_bucket_is_full(void **state)
{
    (void)state;
    struct rate rate = {0};
    assert_int_equal(take_many(&rate, 100, 5), 20);
}

static void test_refills_with_time(void **state)
{
    (void)state;
    struct rate rate = {0};
    take_many(&rate, 100, 0);
    assert_int_equal(take_many(&rate, 100, 99), 0);
    assert_int_equal(take_many(&rate, 100, 100), 1);
    assert_int_equal(take_many(&rate, 100, 1100), 10);
}

static void test_never_holds_more_than_its_burst(void **state)
{
    (void)state;
    struct rate rate = {0};
    take_many(&rate, 100, 0);
    assert_int_equal(take_many(&rate, 100, UINT64_MAX / 2), 20);
}

static void test_small_steps_add_up(void **state)
{
    (void)state;
    struct rate rate = {0};
    take_many(&rate, 100, 0);
    unsigned granted = 0;
    for (uint64_t ms = 1; ms <= 1000; ms++)
        granted += take_many(&rate, 1, ms);
    assert_int_equal(granted, 10);
}

static void test_a_clock_that_goes_back_brings_nothing(void **state)
{
    (void)state;
    struct rate rate = {0};
    take_many(&rate, 100, 5000);
    assert_int_equal(take_many(&rate, 10, 1000), 0);
}

static void test_what_is_given_back_can_be_taken_again(void **state)
{
    (void)state;
    struct rate rate = {0};
    assert_true(rate_take(&rate, 2, 10, 2, 1000));
    assert_false(rate_take(&rate, 1, 10, 2, 1000));
    rate_give_back(&rate, 1);
    assert_true(rate_take(&rate, 1, 10, 2, 1000));
    assert_false(rate_take(&rate, 1, 10, 2, 1000));
    for (int i = 0; i < 5; i++) /* more than it holds: no more than it holds is there after a while */
        rate_give_back(&rate, 1);
    assert_true(rate_take(&rate, 2, 10, 2, 2000));
    assert_false(rate_take(&rate, 1, 10, 2, 2000));
}

static void test_zero_is_no_limit(void **state)
{
    (void)state;
    struct rate rate = {0};
    assert_true(rate_take(&rate, UINT32_MAX, 0, 0, 0));
}

static void test_more_than_the_burst_is_never_granted(void **state)
{
    (void)state;
    struct rate rate = {0};
    assert_false(rate_take(&rate, 21, 10, 20, 0));
    assert_true(rate_take(&rate, 20, 10, 20, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_bucket_is_full),
        cmocka_unit_test(test_refills_with_time),
        cmocka_unit_test(test_never_holds_more_than_its_burst),
        cmocka_unit_test(test_what_is_given_back_can_be_taken_again),
        cmocka_unit_test(test_small_steps_add_up),
        cmocka_unit_test(test_a_clock_that_goes_back_brings_nothing),
        cmocka_unit_test(test_zero_is_no_limit),
        cmocka_unit_test(test_more_than_the_burst_is_never_granted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
