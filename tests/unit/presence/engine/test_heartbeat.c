/* When an edge says that it lives. */
#include "tests/unit/presence/engine/played_redis.h"

/* Its lease is on the clock of the others, who may condemn it at any moment. */
static void test_stood_still_with_a_heartbeat_out(void **state)
{
    struct engine *engine = start();
    (void)state;
    tick_until(engine, SCRIPT_HEARTBEAT);
    uint64_t before = engine_counters(engine)->heartbeats;
    redis.now_ms += L + H; /* SIGSTOP, SIGCONT; timers come before what has been received */
    engine_tick(engine);
    answer_all(engine, NOTHING);
    assert_int_equal(before + 1, engine_counters(engine)->heartbeats);
    tick_for(engine, 20, NOTHING);
    assert_int_equal(before + 2, engine_counters(engine)->heartbeats);
    tick_for(engine, H, NOTHING); /* and then as always */
    assert_int_equal(before + 3, engine_counters(engine)->heartbeats);
    engine_free(engine);
}

static void test_one_at_a_time(void **state)
{
    struct engine *engine = start();
    (void)state;
    tick_for(engine, 3 * H, SCRIPT_HEARTBEAT);
    size_t out = 0;
    for (size_t i = 0; i < redis.count; i++)
        out += redis.sent[i].script == SCRIPT_HEARTBEAT;
    assert_int_equal(1, out);
    engine_free(engine);
}

static void beat(struct engine *engine)
{
    uint64_t before = engine_counters(engine)->heartbeats;
    while (engine_counters(engine)->heartbeats == before)
        tick_for(engine, 20, NOTHING);
}

static void test_what_the_clock_did(void **state)
{
    struct engine *engine = start();
    const struct engine_counters *counters = engine_counters(engine);
    (void)state;
    redis.stood_still_us = "500000"; /* no longer than a heartbeat: this machine was late */
    beat(engine);
    assert_int_equal(0, counters->clock_stalls + counters->clock_steps_back);
    redis.stood_still_us = "500001";
    beat(engine);
    assert_int_equal(1, counters->clock_stalls);
    redis.stood_still_us = "-1";
    beat(engine);
    assert_int_equal(1, counters->clock_stalls);
    assert_int_equal(1, counters->clock_steps_back);
    engine_free(engine);
}

static void test_whom_we_reap(void **state)
{
    struct engine *engine = start();
    const struct engine_counters *counters = engine_counters(engine);
    (void)state;
    redis.expired = "5";
    memcpy(redis.reaped, (const char *[]){"-1", "", ""}, sizeof redis.reaped); /* he lives again */
    beat(engine);
    assert_int_equal(0, counters->reaps + counters->facts_drained);
    memcpy(redis.reaped, (const char *[]){"0", "other", "7"}, sizeof redis.reaped);
    beat(engine);
    assert_int_equal(1, counters->reaps);
    assert_int_equal(7, counters->facts_drained);
    engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stood_still_with_a_heartbeat_out),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_what_the_clock_did),
        cmocka_unit_test(test_whom_we_reap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
