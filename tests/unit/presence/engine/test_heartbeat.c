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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stood_still_with_a_heartbeat_out),
        cmocka_unit_test(test_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
