#include "presence/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t total(const struct latency *latency)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= LATENCY_BOUNDS; i++)
        sum += latency->counts[i];
    return sum;
}

static void test_bounds_belong_to_their_bucket(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
        struct latency latency = {0};
        latency_add(&latency, latency_bounds_us[i]);
        assert_int_equal(latency.counts[i], 1);
        latency_add(&latency, latency_bounds_us[i] + 1);
        assert_int_equal(latency.counts[i + 1], 1);
        assert_int_equal(latency.sum_us, 2 * latency_bounds_us[i] + 1);
        assert_true(i == 0 || latency_bounds_us[i] > latency_bounds_us[i - 1]);
    }
}

static void test_the_smallest_and_the_largest(void **state)
{
    (void)state;
    struct latency latency = {0};
    latency_add(&latency, 0);
    latency_add(&latency, UINT64_MAX / 2);
    assert_int_equal(latency.counts[0], 1);
    assert_int_equal(latency.counts[LATENCY_BOUNDS], 1);
    latency_add_since(&latency, latency_now_us() + 1000000); /* a moment that is still to come */
    assert_int_equal(latency.counts[0], 2);
}

static void test_a_pile_ends_together(void **state)
{
    (void)state;
    struct latency latency = {0};
    struct latency_pile pile = {0};
    latency_pile_end(&pile, &latency);
    assert_int_equal(total(&latency), 0);
    uint64_t now_us = latency_now_us();
    for (unsigned i = 0; i < 1000; i++)
        latency_pile_add(&pile, now_us - 20000000);
    latency_pile_end(&pile, &latency);
    assert_int_equal(latency.counts[LATENCY_BOUNDS], 1000);
    latency_pile_end(&pile, &latency);
    assert_int_equal(total(&latency), 1000);
    latency_pile_deinit(&pile);
}

/* Begun at a known time, to see which one ended. */
static void begin(struct latency_queue *queue, uint64_t before_us)
{
    latency_queue_begin(queue);
    size_t last = (queue->first + queue->count - 1) % queue->capacity;
    queue->began_us[last] -= before_us;
}

static void test_a_queue_ends_in_order_also_while_it_grows(void **state)
{
    (void)state;
    struct latency latency = {0};
    struct latency_queue queue = {0};
    latency_queue_end(&queue, &latency);
    for (unsigned i = 0; i < 40; i++)
        begin(&queue, 0);
    for (unsigned i = 0; i < 40; i++) /* the ring goes round */
        latency_queue_end(&queue, &latency);
    begin(&queue, 20000000);
    for (unsigned i = 0; i < 500; i++)
        begin(&queue, 0);
    assert_int_equal(latency.counts[LATENCY_BOUNDS], 0);
    latency_queue_end(&queue, &latency);
    assert_int_equal(latency.counts[LATENCY_BOUNDS], 1);
    for (unsigned i = 0; i < 600; i++)
        latency_queue_end(&queue, &latency);
    assert_int_equal(latency.counts[LATENCY_BOUNDS], 1);
    assert_int_equal(total(&latency), 541);
    begin(&queue, 0);
    latency_queue_forget(&queue);
    latency_queue_end(&queue, &latency);
    assert_int_equal(total(&latency), 541);
    latency_queue_deinit(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_belong_to_their_bucket),
        cmocka_unit_test(test_the_smallest_and_the_largest),
        cmocka_unit_test(test_a_pile_ends_together),
        cmocka_unit_test(test_a_queue_ends_in_order_also_while_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
