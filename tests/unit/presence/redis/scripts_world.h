/* A real Redis with two owners in it, and the scripts one by one. The lease clock moves only with heartbeats, and
 * never by more than 1.1 H for one, so a lease of 8 ms with H = 1 ms runs out in a handful of them. */
#pragma once

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

/* Runs a script; the reply is the test's until the next one. */
static inline redisReply *run(struct test *test, enum script script, size_t argc, const char **argv)
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

static inline bool is(const redisReply *reply, size_t at, const char *text)
{
    return reply->type == REDIS_REPLY_ARRAY && at < reply->elements && !strcmp(reply->element[at]->str, text);
}

#define ANSWERS(reply, text)                                                                                 \
    do {                                                                                                     \
        const redisReply *r_ = (reply);                                                                      \
        if (!is(r_, 0, text))                                                                                \
            fail_msg("not %s but %s", text, r_->type == REDIS_REPLY_ARRAY ? r_->element[0]->str : r_->str);  \
    } while (0)

static inline redisReply *hello_as(struct test *test, struct owner *owner, const char *cluster,
    const char *shard, const char *settings, bool sure)
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

static inline redisReply *hello(struct test *test, struct owner *owner)
{
    return hello_as(test, owner, "c", "a", SETTINGS, true);
}

#define CALL(test, owner, script, ...)                                                                       \
    call(test, ID, owner, script, (const char *[]){__VA_ARGS__},                                             \
        sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

static inline redisReply *call(struct test *test, const char *id, const struct owner *owner,
    enum script script, const char **more, size_t count)
{
    const char *argv[128] = {id, owner->timeline, owner->number, owner->incarnation};
    for (size_t i = 0; i < count; i++)
        argv[4 + i] = more[i];
    return run(test, script, 4 + count, argv);
}

static inline void check_ttls(struct test *test)
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

static inline int set_up(void **state)
{
    struct test *test = calloc(1, sizeof *test);
    redis_server_start(&test->redis);
    *state = test;
    hello(test, &test->a);
    hello(test, &test->b);
    return 0;
}

static inline int tear_down(void **state)
{
    struct test *test = *state;
    check_ttls(test);
    freeReplyObject(test->reply);
    redis_server_stop(&test->redis);
    free(test);
    return 0;
}

static inline redisReply *join(struct test *test, struct owner *owner, const char *number, const char *user)
{
    return CALL(test, owner, SCRIPT_WRITE, number, "1", "j", CHANNEL, user, "{}", "3", "-");
}

static inline redisReply *leave(struct test *test, struct owner *owner, const char *number, const char *user)
{
    return CALL(test, owner, SCRIPT_LEAVE, number, "1", "l", CHANNEL, user, "-", "-", "0");
}

/* The roster as "u<id>=owners count" is more than these tests need: how many users, or -1 if the key is gone. */
static inline long long users(struct test *test)
{
    redisReply *fields = redis_server_do(&test->redis, "HLEN " BASE ":r:" CHANNEL);
    long long count = fields->integer ? fields->integer - 2 : -1;
    freeReplyObject(fields);
    return count;
}

static inline uint64_t beat(struct test *test, struct owner *owner, int times)
{
    uint64_t clock = 0;
    for (int i = 0; i < times; i++) {
        usleep(1200);
        redisReply *reply = CALL(test, owner, SCRIPT_HEARTBEAT, "r:b:1", "a");
        ANSWERS(reply, "OK");
        clock = strtoull(reply->element[2]->str, NULL, 10);
    }
    return clock;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
