#include "presence/redis/candidate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_majority_is_of_the_configured(void **state)
{
    (void)state;
    assert_true(candidate_majority(1, 1));
    assert_false(candidate_majority(1, 2));
    assert_true(candidate_majority(2, 2));
    assert_true(candidate_majority(2, 3));
    assert_false(candidate_majority(1, 3));
    assert_false(candidate_majority(2, 4));
    assert_true(candidate_majority(3, 5));
    assert_false(candidate_majority(0, 0));
}

static void test_none(void **state)
{
    (void)state;
    assert_int_equal(candidate_best(NULL, 0), 0);
}

static void check_second_is_best(struct candidate first, struct candidate second)
{
    struct candidate candidates[] = {first, second}, turned[] = {second, first};
    assert_int_equal(candidate_best(candidates, 2), 1);
    assert_int_equal(candidate_best(turned, 2), 0);
}

static void test_order(void **state)
{
    (void)state;
    struct candidate liar = {.votes = 1, .epoch = 999999, .stamped = true, .timeline = 9};
    struct candidate named = {.votes = 2, .majority = true, .epoch = 1};
    check_second_is_best(liar, named);
    struct candidate empty = {.votes = 1, .epoch = 7};
    struct candidate known = {.epoch = 0, .stamped = true, .timeline = 5};
    check_second_is_best(empty, known); /* what hello would not stamp is no master */
    check_second_is_best((struct candidate){.stamped = true, .epoch = 3, .timeline = 9},
        (struct candidate){.stamped = true, .epoch = 4, .timeline = 1});
    check_second_is_best((struct candidate){.stamped = true, .timeline = 1, .votes = 1},
        (struct candidate){.stamped = true, .timeline = 2});
    check_second_is_best((struct candidate){.stamped = true, .timeline = 2, .votes = 0},
        (struct candidate){.stamped = true, .timeline = 2, .votes = 1});
}

static void test_leaving(void **state)
{
    (void)state;
    struct candidate present = {.stamped = true, .epoch = 3, .timeline = 5, .votes = 1};
    struct candidate newer = present, other = present;
    newer.timeline = 6;
    assert_false(candidate_beaten(&present, &newer)); /* newer data alone */
    assert_false(candidate_beaten(&present, &other));
    other.epoch = 4;
    assert_true(candidate_beaten(&present, &other));
    assert_false(candidate_beaten(&other, &present));
    present.majority = true;
    assert_false(candidate_beaten(&present, &other));
    other.majority = true; /* of another time: cannot be, but then the epoch decides */
    assert_true(candidate_beaten(&present, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_majority_is_of_the_configured),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
