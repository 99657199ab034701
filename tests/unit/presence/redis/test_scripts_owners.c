/* The scripts about owners: who may speak, how long, and what is left of whoever went. */
#include "scripts_world.h"

static void test_hello_stamps_and_keeps(void **state)
{
    struct test *test = *state;
    char timeline[48], number[24];
    assert_string_not_equal(test->a.number, test->b.number);
    assert_string_equal(test->a.timeline, test->b.timeline);
    strcpy(timeline, test->a.timeline);
    strcpy(number, test->a.number);
    assert_true(is(hello(test, &test->a), 9, "1"));
    assert_string_equal(timeline, test->a.timeline);
    assert_string_equal(number, test->a.number);
    strcpy(test->a.incarnation, "00000000000000ff"); /* not the one of that number */
    assert_true(is(hello(test, &test->a), 9, "0"));
    assert_string_not_equal(number, test->a.number);
}

static void test_hello_refuses_what_is_not_meant(void **state)
{
    struct test *test = *state;
    struct owner other = {0};
    redisReply *reply = hello_as(test, &other, "c", "b", SETTINGS, true);
    ANSWERS(reply, "WRONGSHARD");
    assert_true(is(reply, 2, "a"));
    ANSWERS(hello_as(test, &other, "d", "a", SETTINGS, true), "WRONGSHARD");
    CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a");
    reply = hello_as(test, &other, "c", "a", "1 32 1 8", true);
    ANSWERS(reply, "SETTINGS");
    assert_true(is(reply, 1, SETTINGS));
    usleep(20000); /* nobody has lived by them for 2 L */
    ANSWERS(hello_as(test, &other, "c", "a", "1 32 1 8", true), "OK");
    ANSWERS(hello_as(test, &test->a, "c", "a", "1 32 1 8", true), "OK");
}

static void test_hello_in_empty_and_foreign_data(void **state)
{
    struct test *test = *state;
    struct owner fresh = {0};
    redis_server_just(&test->redis, "FLUSHALL");
    ANSWERS(hello_as(test, &fresh, "c", "a", SETTINGS, false), "UNSURE");
    redis_server_just(&test->redis, "SET someone elses EX 100");
    ANSWERS(hello_as(test, &fresh, "c", "a", SETTINGS, true), "FOREIGN");
    redisReply *keys = redis_server_do(&test->redis, "DBSIZE");
    assert_int_equal(1, keys->integer); /* nothing was written */
    freeReplyObject(keys);
    redis_server_just(&test->redis, "DEL someone");
    ANSWERS(hello_as(test, &fresh, "c", "a", SETTINGS, true), "OK");
}

static void test_hello_mends_stamps_with_a_new_timeline(void **state)
{
    static const char *const damage[] = {"DEL r:shard", "SET r:shard junk", "HDEL r:shard t", "DEL " BASE,
        "SET " BASE " junk", "HSET " BASE " c junk", "HSET " BASE " t junk", "HSET r:shard r 0000", NULL};
    struct test *test = *state;
    char timeline[48];
    for (size_t i = 0; damage[i]; i++) {
        strcpy(timeline, test->a.timeline);
        redis_server_just(&test->redis, damage[i]);
        ANSWERS(hello(test, &test->a), "OK");
        if (strcmp(timeline, test->a.timeline) >= 0)
            fail_msg("no later timeline after %s", damage[i]);
        ANSWERS(CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a"), "OK");
    }
    ANSWERS(CALL(test, &test->b, SCRIPT_HEARTBEAT, "r:b:1", "a"), "NEWTIMELINE");
}

static void test_a_new_timeline_lifts_leases(void **state)
{
    struct test *test = *state;
    beat(test, &test->a, 10); /* b's has run out */
    redis_server_just(&test->redis, "HSET r:shard r 0000");
    hello(test, &test->a);
    redisReply *reply = CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a");
    assert_int_equal(8, reply->elements); /* nobody is expired */
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "0"), 1, "-1"));
}

static void test_hello_renews_a_lease(void **state)
{
    struct test *test = *state;
    join(test, &test->b, "1", "bert");
    beat(test, &test->a, 12); /* b's has run out, and nobody has reaped it */
    assert_true(is(hello(test, &test->b), 9, "1"));
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "0"), 1, "-1"));
    assert_int_equal(1, users(test));
}

/* tear_down() looks at every key. */
static void test_hello_limits_what_a_lost_record_leaves(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "anna");
    redis_server_just(&test->redis, "SET " BASE ":o:%s junk", test->a.number);
    redis_server_just(&test->redis, "SET " BASE ":h:%s junk", test->a.number);
    assert_true(is(hello(test, &test->a), 9, "0"));
}

static void test_every_refusal_of_a_caller(void **state)
{
    struct test *test = *state;
    const char *more[] = {CHANNEL};
    ANSWERS(call(test, "d\na\n1\n" SETTINGS, &test->a, SCRIPT_READ, more, 1), "WRONGSHARD");
    ANSWERS(call(test, "c\nb\n1\n" SETTINGS, &test->a, SCRIPT_READ, more, 1), "WRONGSHARD");
    ANSWERS(call(test, "c\na\n2\n" SETTINGS, &test->a, SCRIPT_READ, more, 1), "NEWLAYOUT");
    ANSWERS(call(test, "c\na\n1\nother", &test->a, SCRIPT_READ, more, 1), "SETTINGS");
    struct owner old = test->a;
    old.timeline[3] ^= 1;
    assert_true(is(call(test, ID, &old, SCRIPT_READ, more, 1), 1, test->a.timeline));
    ANSWERS(test->reply, "NEWTIMELINE");
    old = test->a;
    old.incarnation[15] ^= 1;
    ANSWERS(call(test, ID, &old, SCRIPT_READ, more, 1), "NOOWNER");
    strcpy(old.number, "1");
    ANSWERS(call(test, ID, &old, SCRIPT_READ, more, 1), "NOOWNER");
    redis_server_just(&test->redis, "DEL " BASE);
    ANSWERS(call(test, ID, &test->a, SCRIPT_READ, more, 1), "NOSTAMP");
}

static void test_the_clock_stands_while_nobody_beats(void **state)
{
    struct test *test = *state;
    uint64_t before = beat(test, &test->a, 1);
    usleep(50000);
    uint64_t after = beat(test, &test->a, 1);
    assert_in_range(after - before, 1, 1100);
    assert_true(atoll(test->reply->element[7]->str) > 45000); /* it says for how long */
    assert_true(atoll(CALL(test, &test->b, SCRIPT_HEARTBEAT, "r:b:1", "a")->element[7]->str) < 20000);
}

/* A heartbeat, and then Redis' clock is a minute behind. Returns the lease clock. */
static uint64_t beat_and_go_back(struct test *test)
{
    char stamped[64];
    uint64_t clock = beat(test, &test->a, 1);
    snprintf(
        stamped, sizeof stamped, "HSET " BASE " hb %lld", atoll(test->reply->element[5]->str) + 60000000);
    redis_server_just(&test->redis, stamped);
    return clock;
}

static void test_the_clock_stands_when_that_of_redis_goes_back(void **state)
{
    struct test *test = *state;
    uint64_t before = beat_and_go_back(test);
    uint64_t after = beat(test, &test->a, 1);
    assert_int_equal(before, after);
    assert_in_range(-atoll(test->reply->element[7]->str), 50000000, 60000000);
}

/* A replica took over whose clock is behind. */
static void test_the_clock_goes_on_from_a_new_timeline(void **state)
{
    struct test *test = *state;
    uint64_t before = beat_and_go_back(test);
    redis_server_just(&test->redis, "HSET r:shard r 0000");
    ANSWERS(hello(test, &test->a), "OK");
    assert_in_range(-atoll(test->reply->element[11]->str), 50000000, 60000000);
    usleep(500);
    uint64_t after = beat(test, &test->a, 1);
    assert_in_range(after - before, 500, 1100);
}

static void test_an_expired_owner_is_condemned_and_drained(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "both");
    join(test, &test->b, "1", "both");
    join(test, &test->b, "2", "bert");
    CALL(test, &test->b, SCRIPT_WRITE, "3", "1", "n", "app:public", "2", "1", "-", "1");
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "1"), 1, "-1"));
    ANSWERS(CALL(test, &test->b, SCRIPT_READ, CHANNEL), "OK"); /* and it lives on */
    beat(test, &test->a, 12);
    redisReply *reply = CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a");
    assert_true(is(reply, 8, test->b.number));
    assert_int_equal(2, users(test)); /* an expired lease changes nothing until its reaper has come */
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "1", "1"), 1, "1"));
    long long drained = atoll(test->reply->element[3]->str);
    ANSWERS(join(test, &test->b, "5", "late"), "NOOWNER");
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "1"), 1, "0"));
    assert_int_equal(2, drained + atoll(test->reply->element[3]->str));
    assert_int_equal(1, users(test));
    assert_true(is(CALL(test, &test->a, SCRIPT_READ, "app:public"), 3, "0"));
    assert_int_equal(8, CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a")->elements);
}

static long long usage_entries(struct test *test)
{
    redisReply *reply = redis_server_do(&test->redis, "HLEN " BASE ":q");
    long long entries = reply->integer;
    freeReplyObject(reply);
    return entries;
}

static const char *elsewhere(struct test *test, const struct owner *owner, const char *app, const char *here)
{
    redisReply *reply = CALL(test, owner, SCRIPT_HEARTBEAT, "r:b:1", "a", app, here);
    ANSWERS(reply, "OK");
    assert_true(reply->elements > 8);
    return reply->element[8]->str;
}

/* H is 1 ms here, so whatever takes half of it is summed again; a rush of heartbeats may see the last sum. */
static void test_junk_among_the_leases_goes(void **state)
{
    struct test *test = *state;
    join(test, &test->b, "1", "bert");
    for (int i = 0; i < 30; i++) /* more than a heartbeat tells of at once */
        redis_server_just(&test->redis, "ZADD " BASE ":l 1 junk-%d 1 0%d", i, i);
    beat(test, &test->a, 15);
    assert_true(is(test->reply, 8, test->b.number));
    redisReply *leases = redis_server_do(&test->redis, "ZRANGE " BASE ":l 0 -1");
    assert_int_equal(2, leases->elements);
    freeReplyObject(leases);
}

static void test_connections_are_summed(void **state)
{
    struct test *test = *state;
    assert_string_equal("0", elsewhere(test, &test->a, "app", "5"));
    assert_string_equal("5", elsewhere(test, &test->b, "app", "0"));
    usleep(1000);
    assert_string_equal("0", elsewhere(test, &test->a, "app", "7"));
    usleep(1000);
    assert_string_equal("7", elsewhere(test, &test->b, "app", "2"));
    usleep(1000);
    assert_string_equal("0", elsewhere(test, &test->b, "other % app", "9"));
    usleep(1000);
    redisReply *reply =
        CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a", "none", "1", "other % app", "0", "app", "7");
    assert_int_equal(11, reply->elements);
    assert_true(is(reply, 8, "0") && is(reply, 9, "9") && is(reply, 10, "0"));
    assert_int_equal(8, CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a")->elements);
}

static void test_connections_of_the_dead_do_not_count(void **state)
{
    struct test *test = *state;
    elsewhere(test, &test->b, "app", "3");
    usleep(1000);
    assert_string_equal("3", elsewhere(test, &test->a, "app", "1"));
    beat(test, &test->a, 15);
    assert_string_equal("0", elsewhere(test, &test->a, "app", "1"));
    assert_int_equal(2, usage_entries(test)); /* a's, and the sum */
}

/* What was written with a clock that has been lost since, and what nobody wrote. */
static void test_junk_among_the_connections_goes(void **state)
{
    struct test *test = *state;
    elsewhere(test, &test->b, "app", "3");
    redis_server_just(&test->redis, "HSET " BASE ":q 77 %s 78 junk 79 {}", "9999999999999999\napp\n5");
    usleep(1000);
    assert_string_equal("3", elsewhere(test, &test->a, "app", "1"));
    assert_int_equal(3, usage_entries(test));
    redis_server_just(&test->redis, "HSET " BASE ":q sum junk");
    assert_string_equal("3", elsewhere(test, &test->a, "app", "1"));
    redis_server_just(&test->redis, "SET " BASE ":q junk");
    assert_string_equal("0", elsewhere(test, &test->a, "app", "1"));
}

static void test_connections_of_the_retired_do_not_count(void **state)
{
    struct test *test = *state;
    elsewhere(test, &test->b, "app", "3");
    CALL(test, &test->b, SCRIPT_RETIRE, "3000");
    usleep(1000);
    assert_string_equal("0", elsewhere(test, &test->a, "app", "1"));
}

static void test_retire(void **state)
{
    struct test *test = *state;
    join(test, &test->b, "1", "bert");
    ANSWERS(CALL(test, &test->b, SCRIPT_RETIRE, "3000"), "OK");
    ANSWERS(join(test, &test->b, "2", "late"), "NOOWNER");
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "1"), 1, "-1"));
    beat(test, &test->a, 5);
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "1"), 1, "0"));
    assert_int_equal(0, users(test));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hello_stamps_and_keeps),
        TEST(test_hello_refuses_what_is_not_meant),
        TEST(test_hello_in_empty_and_foreign_data),
        TEST(test_hello_mends_stamps_with_a_new_timeline),
        TEST(test_a_new_timeline_lifts_leases),
        TEST(test_the_clock_goes_on_from_a_new_timeline),
        TEST(test_hello_renews_a_lease),
        TEST(test_hello_limits_what_a_lost_record_leaves),
        TEST(test_every_refusal_of_a_caller),
        TEST(test_the_clock_stands_while_nobody_beats),
        TEST(test_the_clock_stands_when_that_of_redis_goes_back),
        TEST(test_an_expired_owner_is_condemned_and_drained),
        TEST(test_junk_among_the_leases_goes),
        TEST(test_connections_are_summed),
        TEST(test_connections_of_the_dead_do_not_count),
        TEST(test_junk_among_the_connections_goes),
        TEST(test_connections_of_the_retired_do_not_count),
        TEST(test_retire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
