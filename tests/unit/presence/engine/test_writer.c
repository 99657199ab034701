/* What is sent again, and under which numbers, when answers are lost and Redis is out of memory or has lost what it had. */
#include "tests/unit/presence/engine/played_redis.h"

static void on_done(struct store_subscription *subscription, enum store_result result, struct frame *cached)
{
    (void)subscription;
    (void)cached;
    assert_int_equal(STORE_OK, result);
}

static void join(struct engine *engine, struct store_subscription *subscription)
{
    const struct store_user anna = {.id = "anna", .id_bytes = 4};
    *subscription = (struct store_subscription){.done = on_done};
    store_subscribe(engine_store(engine), "app", "presence-a", (struct store_channel_options){.roster = true},
        &anna, subscription);
}

/* What was sent is taken, its answer is lost with the connection, and it is sent again over the next. */
static void send_again(struct engine *engine)
{
    tick_until(engine, SCRIPT_WRITE);
    memcpy(redis.sequence, find(SCRIPT_WRITE)->number, sizeof redis.sequence);
    redis.count = 0;
    engine_shard_down(engine, 0, "closed");
    engine_shard_up(engine, 0);
    tick_until(engine, SCRIPT_WRITE);
    assert_string_equal(redis.sequence, find(SCRIPT_WRITE)->number);
}

/* It was taken by nobody: its number is used again. */
static void test_refused_at_once(void **state)
{
    struct engine *engine = start();
    struct store_subscription subscription;
    char number[24];
    (void)state;
    redis.out_of_memory = true;
    join(engine, &subscription);
    tick_until(engine, SCRIPT_WRITE);
    memcpy(number, find(SCRIPT_WRITE)->number, sizeof number);
    answer_all(engine, NOTHING);
    redis.out_of_memory = false;
    tick_until(engine, SCRIPT_WRITE);
    assert_string_equal(number, find(SCRIPT_WRITE)->number);
    engine_free(engine);
}

/* It was taken, the answer was lost, and then it is refused: whatever came under its number would be taken for seen. */
static void test_refused_when_sent_again(void **state)
{
    struct engine *engine = start();
    struct store_subscription subscription;
    (void)state;
    join(engine, &subscription);
    send_again(engine);
    redis.out_of_memory = true;
    answer_all(engine, SCRIPT_ASSERT);
    tick_until(engine, SCRIPT_ASSERT);
    assert_true(strtoull(find(SCRIPT_ASSERT)->number, NULL, 10) > strtoull(redis.sequence, NULL, 10));
    assert_string_equal(
        "1", find(SCRIPT_ASSERT)->facts); /* others know her: left out she would be told to have left */
    engine_free(engine);
}

/* It was taken, the answer was lost, and then what it had written: that is not a channel that was full. */
static void test_seen_and_lost(void **state)
{
    struct engine *engine = start();
    struct store_subscription subscription;
    (void)state;
    join(engine, &subscription);
    send_again(engine);
    redis.has_seen = true;
    answer(engine);
    tick_until(engine, SCRIPT_WRITE);
    assert_true(strtoull(find(SCRIPT_WRITE)->number, NULL, 10) > strtoull(redis.sequence, NULL, 10));
    engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_refused_when_sent_again),
        cmocka_unit_test(test_seen_and_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
