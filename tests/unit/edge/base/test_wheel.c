#include "edge/base/wheel.h"

#include "edge/base/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct probe {
    struct wheel_timer timer;
    struct wheel *wheel;
    uint64_t fired_ms;
    unsigned times;
    uint64_t again_after_ms;
    struct probe *victim; /* cancelled when this one fires */
};

static void on_expired(struct wheel_timer *timer, uint64_t now_ms)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
    probe->fired_ms = now_ms;
    probe->times++;
    if (probe->again_after_ms)
        wheel_set(probe->wheel, timer, now_ms + probe->again_after_ms);
    if (probe->victim)
        wheel_cancel(&probe->victim->timer);
}

static void init(struct probe *probe, struct wheel *wheel)
{
    *probe = (struct probe){.timer.expired = on_expired, .wheel = wheel};
}

static void run_until(struct wheel *wheel, uint64_t from_ms, uint64_t to_ms)
{
    for (uint64_t ms = from_ms; ms <= to_ms; ms += 10)
        wheel_run(wheel, ms);
}

static void test_fires_in_time_and_once(void **state)
{
    (void)state;
    static const uint64_t waits_ms[] = {1, 99, 100, 101, 5000, WHEEL_SLOTS * WHEEL_TICK_MS,
        WHEEL_SLOTS * WHEEL_TICK_MS + 1, 3 * WHEEL_SLOTS * WHEEL_TICK_MS + 777};
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        struct wheel wheel;
        struct probe probe;
        wheel_init(&wheel, 1234);
        init(&probe, &wheel);
        wheel_set(&wheel, &probe.timer, 1234 + waits_ms[i]);
        run_until(&wheel, 1234, 1234 + waits_ms[i] + 1000);
        assert_int_equal(probe.times, 1);
        assert_true(probe.fired_ms >= 1234 + waits_ms[i]);
        assert_true(probe.fired_ms <= 1234 + waits_ms[i] + 2 * WHEEL_TICK_MS);
    }
}

static void test_a_cancelled_timer_stays_silent(void **state)
{
    (void)state;
    struct wheel wheel;
    struct probe probe;
    wheel_init(&wheel, 0);
    init(&probe, &wheel);
    wheel_set(&wheel, &probe.timer, 500);
    wheel_cancel(&probe.timer);
    wheel_cancel(&probe.timer);
    run_until(&wheel, 0, 2000);
    assert_int_equal(probe.times, 0);
}

static void test_moving_replaces_the_deadline(void **state)
{
    (void)state;
    struct wheel wheel;
    struct probe probe;
    wheel_init(&wheel, 0);
    init(&probe, &wheel);
    wheel_set(&wheel, &probe.timer, 500);
    wheel_set(&wheel, &probe.timer, 1500);
    run_until(&wheel, 0, 1400);
    assert_int_equal(probe.times, 0);
    run_until(&wheel, 1400, 3000);
    assert_int_equal(probe.times, 1);
}

static void test_may_set_itself_again_and_cancel_others_while_firing(void **state)
{
    (void)state;
    struct wheel wheel;
    struct probe first, second;
    wheel_init(&wheel, 0);
    init(&first, &wheel);
    init(&second, &wheel);
    first.again_after_ms = 300;
    first.victim = &second;
    wheel_set(&wheel, &second.timer, 300); /* in the slot before `first`, so behind it in the list */
    wheel_set(&wheel, &first.timer, 300);
    run_until(&wheel, 0, 1000);
    assert_int_equal(second.times, 0);
    assert_true(first.times >= 2);
    wheel_cancel(&first.timer);
}

static void test_a_long_pause_fires_everything_once(void **state)
{
    (void)state;
    struct wheel wheel;
    enum { COUNT = 2000 };
    struct probe *probes = calloc(COUNT, sizeof(*probes));
    assert_non_null(probes);
    wheel_init(&wheel, 0);
    for (size_t i = 0; i < COUNT; i++) {
        init(&probes[i], &wheel);
        wheel_set(&wheel, &probes[i].timer, 1 + i * 53);
    }
    wheel_run(&wheel, 1000000);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(probes[i].times, 1);
    free(probes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fires_in_time_and_once),
        cmocka_unit_test(test_a_cancelled_timer_stays_silent),
        cmocka_unit_test(test_moving_replaces_the_deadline),
        cmocka_unit_test(test_may_set_itself_again_and_cancel_others_while_firing),
        cmocka_unit_test(test_a_long_pause_fires_everything_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
