/* The scripts, one by one, on a real Redis: every answer, and what is there afterwards. The lease clock moves
 * only with heartbeats, and never by more than 1.1 H for one, so a lease of 8 ms with H = 1 ms runs out in a
 * handful of them. */
#include "presence/redis/keys_and_scripts.h"
#include "tests/support/redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BASE "r:{7}"
#define SETTINGS "1 64 1 8"
#define ID "c\na\n1\n" SETTINGS
#define CHANNEL "app:presence-x"

struct owner {
    char number[24], incarnation[17], timeline[48];
    uint64_t random;
};

struct test {
    struct redis_server redis;
    struct owner a, b;
    redisReply *reply;
};

/* Runs a script; the reply is the test's until the next one. `more` ends with NULL. */
static redisReply *run(struct test *test, enum script script, size_t argc, const char **argv)
{
    const char *all[128] = {"EVAL", script_texts[script].text, "2", BASE, "r:shard"};
    for (size_t i = 0; i < argc; i++)
        all[5 + i] = argv[i];
    if (test->reply)
        freeReplyObject(test->reply);
    test->reply = redisCommandArgv(test->redis.control, (int)argc + 5, all, NULL);
    assert_non_null(test->reply);
    return test->reply;
}

static bool is(const redisReply *reply, size_t at, const char *text)
{
    return reply->type == REDIS_REPLY_ARRAY && at < reply->elements && !strcmp(reply->element[at]->str, text);
}

#define ANSWERS(reply, text)                                                                                 \
    do {                                                                                                     \
        const redisReply *r_ = (reply);                                                                      \
        if (!is(r_, 0, text))                                                                                \
            fail_msg("not %s but %s", text, r_->type == REDIS_REPLY_ARRAY ? r_->element[0]->str : r_->str);  \
    } while (0)

static redisReply *hello_as(struct test *test, struct owner *owner, const char *cluster, const char *shard,
    const char *settings, bool sure)
{
    char random[17], fresh[17];
    snprintf(random, sizeof random, "%016llx", (unsigned long long)(0xabcd0000 + owner->random++));
    snprintf(fresh, sizeof fresh, "%016llx",
        (unsigned long long)((owner == &test->b ? 0x1000u : 0u) + owner->random));
    const char *argv[] = {cluster, shard, "1", settings, "7", sure ? "1" : "0", random,
        owner->number[0] ? owner->number : "0", owner->incarnation, fresh, "edge", "1000", "8000",
        "600000000", "60000000"};
    redisReply *reply = run(test, SCRIPT_HELLO, 15, argv);
    if (is(reply, 0, "OK")) {
        snprintf(owner->timeline, sizeof owner->timeline, "%s", reply->element[1]->str);
        snprintf(owner->number, sizeof owner->number, "%s", reply->element[4]->str);
        if (is(reply, 9, "0"))
            strcpy(owner->incarnation, fresh);
    }
    return reply;
}

static redisReply *hello(struct test *test, struct owner *owner)
{
    return hello_as(test, owner, "c", "a", SETTINGS, true);
}

#define CALL(test, owner, script, ...)                                                                       \
    call(test, ID, owner, script, (const char *[]){__VA_ARGS__},                                             \
        sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

static redisReply *call(struct test *test, const char *id, const struct owner *owner, enum script script,
    const char **more, size_t count)
{
    const char *argv[128] = {id, owner->timeline, owner->number, owner->incarnation};
    for (size_t i = 0; i < count; i++)
        argv[4 + i] = more[i];
    return run(test, script, 4 + count, argv);
}

static void check_ttls(struct test *test)
{
    redisReply *keys = redis_server_do(&test->redis, "KEYS *");
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = keys->element[i]->str, *end = strchr(key, '}');
        bool fixed = !end || !end[1] || !strcmp(end, "}:l") || !strcmp(end, "}:due") || !strcmp(end, "}:out");
        redisReply *ttl = redis_server_do(&test->redis, "PTTL %s", key);
        if (!fixed && ttl->integer < 0)
            fail_msg("%s has no TTL", key);
        freeReplyObject(ttl);
    }
    freeReplyObject(keys);
}

static int set_up(void **state)
{
    struct test *test = calloc(1, sizeof *test);
    redis_server_start(&test->redis);
    *state = test;
    hello(test, &test->a);
    hello(test, &test->b);
    return 0;
}

static int tear_down(void **state)
{
    struct test *test = *state;
    check_ttls(test);
    freeReplyObject(test->reply);
    redis_server_stop(&test->redis);
    free(test);
    return 0;
}

static redisReply *join(struct test *test, struct owner *owner, const char *number, const char *user)
{
    return CALL(test, owner, SCRIPT_WRITE, number, "1", "j", CHANNEL, user, "{}", "3", "-");
}

static redisReply *leave(struct test *test, struct owner *owner, const char *number, const char *user)
{
    return CALL(test, owner, SCRIPT_LEAVE, number, "1", "l", CHANNEL, user, "-", "-", "0");
}

/* The roster as "u<id>=owners count" is more than these tests need: how many users, or -1 if the key is gone. */
static long long users(struct test *test)
{
    redisReply *fields = redis_server_do(&test->redis, "HLEN " BASE ":r:" CHANNEL);
    long long count = fields->integer ? fields->integer - 2 : -1;
    freeReplyObject(fields);
    return count;
}

static uint64_t beat(struct test *test, struct owner *owner, int times)
{
    uint64_t clock = 0;
    for (int i = 0; i < times; i++) {
        usleep(1200);
        redisReply *reply = CALL(test, owner, SCRIPT_HEARTBEAT, "r:b:1");
        ANSWERS(reply, "OK");
        clock = strtoull(reply->element[2]->str, NULL, 10);
    }
    return clock;
}

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
    CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1");
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
        ANSWERS(CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1"), "OK");
    }
    ANSWERS(CALL(test, &test->b, SCRIPT_HEARTBEAT, "r:b:1"), "NEWTIMELINE");
}

static void test_a_new_timeline_lifts_leases(void **state)
{
    struct test *test = *state;
    beat(test, &test->a, 10); /* b's has run out */
    redis_server_just(&test->redis, "HSET r:shard r 0000");
    hello(test, &test->a);
    redisReply *reply = CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1");
    assert_int_equal(6, reply->elements); /* nobody is expired */
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "0"), 1, "-1"));
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
    assert_true(is(reply, 5, "0"));
    ANSWERS(CALL(test, &test->a, SCRIPT_ASSERT, "17", "1", "0"), "DUP");
    assert_int_equal(2, users(test));
    ANSWERS(join(test, &test->a, "18", "u1"), "OK");
}

static void test_the_clock_stands_while_nobody_beats(void **state)
{
    struct test *test = *state;
    uint64_t before = beat(test, &test->a, 1);
    usleep(50000);
    uint64_t after = beat(test, &test->a, 1);
    assert_in_range(after - before, 1, 1100);
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
    redisReply *reply = CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1");
    assert_true(is(reply, 6, test->b.number));
    assert_int_equal(2, users(test)); /* an expired lease changes nothing until its reaper has come */
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "1", "1"), 1, "1"));
    ANSWERS(join(test, &test->b, "5", "late"), "NOOWNER");
    assert_true(is(CALL(test, &test->a, SCRIPT_REAP, test->b.number, "10", "1"), 1, "0"));
    assert_int_equal(1, users(test));
    assert_true(is(CALL(test, &test->a, SCRIPT_READ, "app:public"), 5, "0"));
    assert_int_equal(6, CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1")->elements);
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
    redisReply *reply = CALL(test, owner, SCRIPT_HEARTBEAT, "r:b:1", app, here);
    ANSWERS(reply, "OK");
    assert_true(reply->elements > 6);
    return reply->element[6]->str;
}

/* H is 1 ms here, so whatever takes half of it is summed again; a rush of heartbeats may see the last sum. */
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
        CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1", "none", "1", "other % app", "0", "app", "7");
    assert_int_equal(9, reply->elements);
    assert_true(is(reply, 6, "0") && is(reply, 7, "9") && is(reply, 8, "0"));
    assert_int_equal(6, CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1")->elements);
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
    ANSWERS(CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1"), "OK");
    assert_int_equal(1, users(test));
    redis_server_just(&test->redis, "SET " BASE ":o:%s junk", test->a.number);
    ANSWERS(join(test, &test->a, "2", "bert"), "NOOWNER");
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
    assert_true(is(reply, 1, "0"));
    assert_true(strtoull(reply->element[3]->str, NULL, 10) >= second); /* orders the absent roster */
    reply = join(test, &test->a, "3", "anna");
    assert_true(strtoull(reply->element[2]->str, NULL, 10) > second);
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
    redis_server_just(&test->redis, "HINCRBY " BASE " c 3000001"); /* as if many had beaten */
    reply = CALL(test, &test->a, SCRIPT_OUTBOX, "10", "");
    assert_int_equal(1 + 2 * 5, reply->elements);
    assert_true(is(reply, 2, "member_removed") || is(reply, 2, "channel_vacated"));
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
    redisReply *due = redis_server_do(&test->redis, "ZCARD " BASE ":due");
    assert_int_equal(0, due->integer);
    freeReplyObject(due);
}

static void test_out_of_memory(void **state)
{
    struct test *test = *state;
    join(test, &test->a, "1", "anna");
    redis_server_just(&test->redis, "CONFIG SET maxmemory 1");
    assert_true(strstr(join(test, &test->a, "2", "bert")->str, "OOM") != NULL);
    assert_true(strstr(CALL(test, &test->a, SCRIPT_PUBLISH, CHANNEL, "0", "x")->str, "OOM") != NULL);
    ANSWERS(CALL(test, &test->a, SCRIPT_HEARTBEAT, "r:b:1"), "OK");
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hello_stamps_and_keeps),
        TEST(test_hello_refuses_what_is_not_meant),
        TEST(test_hello_in_empty_and_foreign_data),
        TEST(test_hello_mends_stamps_with_a_new_timeline),
        TEST(test_a_new_timeline_lifts_leases),
        TEST(test_every_refusal_of_a_caller),
        TEST(test_writes_are_numbered),
        TEST(test_a_user_is_present_while_an_owner_holds_him),
        TEST(test_the_cap),
        TEST(test_assert_replaces_all),
        TEST(test_the_clock_stands_while_nobody_beats),
        TEST(test_an_expired_owner_is_condemned_and_drained),
        TEST(test_connections_are_summed),
        TEST(test_connections_of_the_dead_do_not_count),
        TEST(test_junk_among_the_connections_goes),
        TEST(test_connections_of_the_retired_do_not_count),
        TEST(test_retire),
        TEST(test_scrub_finds_and_mends),
        TEST(test_junk_of_another_type_is_deleted),
        TEST(test_versions_stay_above_the_clock),
        TEST(test_channels_in_slices_each_checked),
        TEST(test_the_outbox_forgets_a_reload),
        TEST(test_restating_tells_the_present_state_at_once),
        TEST(test_out_of_memory),
        TEST(test_a_replica_refuses_every_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
