/* The scripts about facts: every answer, and what is there afterwards. */
#include "scripts_world.h"

static void test_writes_are_numbered(void **state)
{
    struct test *test = *state;
    redisReply *reply = join(test, &test->a, "1", "anna");
    ANSWERS(reply, "OK");
    char version[24];
    snprintf(version, sizeof version, "%s", reply->element[2]->str);
    reply = join(test, &test->a, "1", "anna");
    ANSWERS(reply, "DUP");
    assert_true(is(reply, 2, version));
    reply = join(test, &test->a, "3", "bert");
    ANSWERS(reply, "GAP");
    assert_true(is(reply, 1, "1"));
    assert_int_equal(1, users(test));
}

static void test_a_user_is_present_while_an_owner_holds_him(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "anna");
    join(test, &test->b, "1", "anna");
    assert_int_equal(1, users(test));
    leave(test, &test->a, "2", "anna");
    assert_int_equal(1, users(test));
    leave(test, &test->a, "3", "anna"); /* finds nothing */
    assert_int_equal(1, users(test));
    leave(test, &test->b, "2", "anna");
    assert_int_equal(0, users(test));
    redisReply *ttl = redis_server_do(&test->redis, "PTTL " BASE ":r:" CHANNEL);
    assert_in_range(ttl->integer, 1, 120000); /* its version stays for 2 S */
    freeReplyObject(ttl);
}

static void test_the_cap(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "u1");
    join(test, &test->a, "2", "u2");
    join(test, &test->b, "1", "u3");
    redisReply *reply = join(test, &test->b, "2", "u4");
    ANSWERS(reply, "OK");
    assert_true(is(reply, 2, "-1"));
    assert_true(is(join(test, &test->b, "2", "u4"), 2, "-1"));
    ANSWERS(test->reply, "DUP");
    assert_false(is(join(test, &test->b, "3", "u1"), 2, "-1")); /* he is counted already */
    reply = CALL(test, &test->b, SCRIPT_ASSERT, "9", "1", "2", "j", CHANNEL, "u3", "{}", "0", "j", CHANNEL,
        "u5", "{}", "0");
    assert_false(is(reply, 3, "-1")); /* what was accepted is never refused */
    assert_int_equal(4, users(test));
}

static void test_assert_replaces_all(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "u1");
    join(test, &test->a, "2", "u2");
    CALL(test, &test->a, SCRIPT_WRITE, "3", "1", "n", "app:public", "5", "1", "-", "1");
    join(test, &test->b, "1", "u2");
    redisReply *reply = CALL(test, &test->a, SCRIPT_ASSERT, "17", "1", "1", "j", CHANNEL, "u3", "{}", "0");
    ANSWERS(reply, "OK");
    assert_int_equal(2, users(test)); /* u2 by b, u3 */
    reply = CALL(test, &test->a, SCRIPT_READ, "app:public");
    assert_true(is(reply, 3, "0"));
    ANSWERS(CALL(test, &test->a, SCRIPT_ASSERT, "17", "1", "0"), "DUP");
    assert_int_equal(2, users(test));
    ANSWERS(join(test, &test->a, "18", "u1"), "OK");
}

static void test_scrub_finds_and_mends(void **state)
{
    struct test *test = *state;
    redisReply *reply = join(test, &test->a, "1", "anna");
    char version[24];
    snprintf(version, sizeof version, "%s", reply->element[2]->str);
    assert_true(is(CALL(test, &test->a, SCRIPT_SCRUB, "1", CHANNEL, "r", version, "0", "1", "anna"), 1, "0"));
    assert_true(is(CALL(test, &test->a, SCRIPT_SCRUB, "1", CHANNEL, "r", "5", "0", "1", "anna"), 1, "1"));
    assert_true(is(CALL(test, &test->a, SCRIPT_SCRUB, "1", CHANNEL, "r", version, "0", "1", "bert"), 1, "2"));
    assert_true(is(CALL(test, &test->a, SCRIPT_SCRUB, "1", CHANNEL, "r", version, "4", "1", "anna"), 1, "2"));

    /* once a period it looks at the whole: facts of nobody, junk, and held sets that lost a channel */
    redis_server_just(&test->redis, "HSET " BASE ":r:" CHANNEL " ughost 99| uhalf %s,99|{} junk x uodd nobar",
        test->a.number);
    redis_server_just(&test->redis, "DEL " BASE ":h:%s", test->a.number);
    redis_server_just(&test->redis, "ZREM " BASE ":l %s", test->b.number);
    redis_server_just(&test->redis, "HSET " BASE ":r:" CHANNEL " ubert %s|", test->b.number);
    redis_server_just(&test->redis, "PEXPIRE " BASE ":r:" CHANNEL " 500000");
    reply = CALL(test, &test->a, SCRIPT_SCRUB, "1", CHANNEL, "r", version, "0", "1", "anna");
    assert_true(is(reply, 1, "1"));   /* what was removed raised the version */
    assert_int_equal(3, users(test)); /* anna, half, bert */
    redisReply *held = redis_server_do(&test->redis, "SISMEMBER " BASE ":h:%s " CHANNEL, test->a.number);
    assert_int_equal(1, held->integer);
    freeReplyObject(held);
    redisReply *lease = redis_server_do(&test->redis, "ZSCORE " BASE ":l %s", test->b.number);
    assert_int_equal(REDIS_REPLY_STRING, lease->type); /* a record without a lease got one */
    freeReplyObject(lease);
    redisReply *ttl = redis_server_do(&test->redis, "PTTL " BASE ":r:" CHANNEL);
    assert_in_range(ttl->integer, 590000, 600000);
    freeReplyObject(ttl);
}

static void test_junk_of_another_type_is_deleted(void **state)
{
    struct test *test = *state;
    redis_server_just(&test->redis, "SET " BASE ":r:" CHANNEL " junk");
    redis_server_just(&test->redis, "SET " BASE ":h:%s junk", test->a.number);
    redis_server_just(&test->redis, "SET " BASE ":l junk");
    redis_server_just(&test->redis, "SET " BASE ":c:app junk");
    redis_server_just(&test->redis, "SET " BASE ":due junk");
    redis_server_just(&test->redis, "SET " BASE ":out junk");
    ANSWERS(join(test, &test->a, "1", "anna"), "OK");
    ANSWERS(CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a"), "OK");
    assert_int_equal(1, users(test));
    redis_server_just(&test->redis, "SET " BASE ":o:%s junk", test->a.number);
    ANSWERS(join(test, &test->a, "2", "bert"), "NOOWNER");
}

static void test_an_outbox_that_takes_no_more_is_deleted(void **state)
{
    struct test *test = *state;
    redis_server_just(&test->redis, "XADD " BASE ":out 18446744073709551615-18446744073709551615 k junk");
    ANSWERS(join(test, &test->a, "1", "anna"), "OK");
    assert_int_equal(1, users(test));
}

static void test_versions_stay_above_the_clock(void **state)
{
    struct test *test = *state;
    redisReply *reply = join(test, &test->a, "1", "anna");
    unsigned long long first = strtoull(reply->element[2]->str, NULL, 10);
    reply = leave(test, &test->a, "2", "anna");
    unsigned long long second = strtoull(reply->element[2]->str, NULL, 10);
    assert_true(second > first);
    redis_server_just(&test->redis, "DEL " BASE ":r:" CHANNEL);
    reply = CALL(test, &test->a, SCRIPT_READ, CHANNEL);
    assert_int_equal(reply->element[6]->elements, 0);
    assert_true(strtoull(reply->element[1]->str, NULL, 10) >= second); /* orders the absent roster */
    reply = join(test, &test->a, "3", "anna");
    assert_true(strtoull(reply->element[2]->str, NULL, 10) > second);
}

/* tear_down() looks at every key. */
static void test_what_others_wrote_gets_a_ttl_when_seen(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "anna");
    redis_server_just(&test->redis, "PERSIST " BASE ":r:" CHANNEL);
    redis_server_just(&test->redis, "SET " BASE ":k:" CHANNEL " cached");
    redis_server_just(&test->redis, "HSET " BASE ":s:" CHANNEL " 1 1");
    assert_true(is(CALL(test, &test->b, SCRIPT_READ, CHANNEL), 4, "cached"));
    check_ttls(test);
    redis_server_just(&test->redis, "PERSIST " BASE ":r:" CHANNEL);
    redis_server_just(&test->redis, "PERSIST " BASE ":s:" CHANNEL);
    redis_server_just(&test->redis, "PERSIST " BASE ":c:app");
    ANSWERS(CALL(test, &test->b, SCRIPT_CHANNELS, "app", "0", ""), "OK");
}

static void test_channels_in_slices_each_checked(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "anna");
    CALL(test, &test->a, SCRIPT_WRITE, "2", "0", "n", "app:public", "5", "1", "-", "1");
    redis_server_just(&test->redis, "SADD " BASE ":c:app gone");
    redisReply *reply = CALL(test, &test->a, SCRIPT_CHANNELS, "app", "0", "");
    assert_int_equal(2 + 2 * 3, reply->elements);
    reply = CALL(test, &test->a, SCRIPT_CHANNELS, "app", "0", "presence-");
    assert_int_equal(2 + 3, reply->elements);
    assert_true(is(reply, 2, "presence-x") && is(reply, 3, "1") && is(reply, 4, "1"));
    assert_int_equal(2, CALL(test, &test->a, SCRIPT_CHANNELS, "app2", "0", "")->elements);
}

static void test_the_outbox_forgets_a_reload(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "anna");
    redisReply *reply = CALL(test, &test->a, SCRIPT_OUTBOX, "10", "");
    assert_int_equal(1 + 2 * 5, reply->elements); /* occupied, added */
    assert_true(is(reply, 2, "channel_occupied") && is(reply, 7, "member_added"));
    char last[40];
    snprintf(last, sizeof last, "%s", reply->element[6]->str);
    leave(test, &test->a, "2", "anna");
    join(test, &test->a, "3", "anna"); /* came back in time */
    assert_int_equal(1, CALL(test, &test->a, SCRIPT_OUTBOX, "10", last)->elements);
    leave(test, &test->a, "4", "anna");
    redis_server_just(&test->redis, "HINCRBY " BASE " c 3000011"); /* as if many had beaten */
    reply = CALL(test, &test->a, SCRIPT_OUTBOX, "10", "");
    assert_int_equal(1 + 2 * 5, reply->elements);
    assert_true(is(reply, 2, "member_removed") && is(reply, 7, "channel_vacated"));
}

/* b dies, and whom it held comes back on a before that is told. Returns how often he was told as added. */
static size_t come_back_after_reaping(struct test *test)
{
    size_t told = 0;
    join(test, &test->b, "1", "bert");
    beat(test, &test->a, 12);
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "1"), 1, "0"));
    join(test, &test->a, "1", "bert");
    redisReply *reply = CALL(test, &test->a, SCRIPT_OUTBOX, "50", "");
    for (size_t i = 0; i < reply->elements; i++)
        told += is(reply, i, "member_added");
    return told;
}

static void test_the_outbox_forgets_who_changes_edges(void **state)
{
    redis_server_just(
        &((struct test *)*state)->redis, "HINCRBY " BASE " m -60000000"); /* nothing was lost lately */
    assert_int_equal(1, come_back_after_reaping(*state));
}

/* What b held may be of old data, and his departure told long ago. */
static void test_after_a_loss_who_comes_back_is_told(void **state)
{
    assert_int_equal(2, come_back_after_reaping(*state));
}

static void test_restating_tells_the_present_state_at_once(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "anna");
    leave(test, &test->a, "2", "anna");
    CALL(test, &test->a, SCRIPT_OUTBOX, "10", "9999999999999-0"); /* all delivered */
    CALL(test, &test->a, SCRIPT_ASSERT, "9", "1", "0", CHANNEL, "anna");
    redisReply *reply = CALL(test, &test->a, SCRIPT_OUTBOX, "10", "");
    assert_int_equal(1 + 2 * 5, reply->elements);
    assert_true(is(reply, 2, "member_removed") && is(reply, 7, "channel_vacated"));
    redis_server_just(&test->redis, "HINCRBY " BASE " c 30000000"); /* and nothing waits any more */
    assert_int_equal(1 + 2 * 5, CALL(test, &test->a, SCRIPT_OUTBOX, "10", "")->elements);
}

static void test_out_of_memory(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "anna");
    redis_server_just(&test->redis, "CONFIG SET maxmemory 1");
    assert_true(strstr(join(test, &test->a, "2", "bert")->str, "OOM") != NULL);
    assert_true(strstr(CALL(test, &test->a, SCRIPT_PUBLISH, CHANNEL, "0", "x")->str, "OOM") != NULL);
    ANSWERS(CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "a"), "OK");
    ANSWERS(CALL(test, &test->a, SCRIPT_READ, CHANNEL), "OK");
    ANSWERS(hello(test, &test->a), "OK");
    ANSWERS(leave(test, &test->a, "2", "anna"), "OK");
    ANSWERS(CALL(test, &test->a, SCRIPT_ASSERT, "9", "1", "0"), "OK");
    ANSWERS(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "1"), "OK");
    redis_server_just(&test->redis, "CONFIG SET maxmemory 0");
    ANSWERS(join(test, &test->a, "10", "bert"), "OK");
}

static void test_a_replica_refuses_every_script(void **state)
{
    struct test *test = *state;
    const char *argv[] = {ID, test->a.timeline, test->a.number, test->a.incarnation, "a", "b", "c"};
    redis_server_just(&test->redis, "REPLICAOF 127.0.0.1 1");
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        redisReply *reply = run(test, (enum script)i, 7, argv);
        if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "READONLY", 8) != 0)
            fail_msg("%s ran on a replica", script_texts[i].name);
    }
    redis_server_just(&test->redis, "REPLICAOF NO ONE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_writes_are_numbered),
        TEST(test_a_user_is_present_while_an_owner_holds_him),
        TEST(test_the_cap),
        TEST(test_assert_replaces_all),
        TEST(test_scrub_finds_and_mends),
        TEST(test_junk_of_another_type_is_deleted),
        TEST(test_an_outbox_that_takes_no_more_is_deleted),
        TEST(test_versions_stay_above_the_clock),
        TEST(test_what_others_wrote_gets_a_ttl_when_seen),
        TEST(test_channels_in_slices_each_checked),
        TEST(test_the_outbox_forgets_a_reload),
        TEST(test_the_outbox_forgets_who_changes_edges),
        TEST(test_after_a_loss_who_comes_back_is_told),
        TEST(test_restating_tells_the_present_state_at_once),
        TEST(test_out_of_memory),
        TEST(test_a_replica_refuses_every_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
