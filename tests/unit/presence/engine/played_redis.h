/* An engine of one partition alone with a Redis that a test plays: it sees what is sent, and says what is answered. */
#pragma once

#include "presence/engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { H = 500, L = 2000, SENT_MAX = 64, NOTHING = SCRIPT_COUNT + 1 };

/* What the engine has sent, oldest first, and not been answered. */
static struct {
    struct sent {
        enum script script;
        char number[24]; /* of a batch: ARGV[5] */
        char facts[24];  /* of an assert: ARGV[7] */
    } sent[SENT_MAX];
    size_t count;
    uint64_t now_ms, random;
    char sequence[24];          /* the owner's number that it has */
    bool knows_owner;           /* it has given the number out */
    bool out_of_memory;         /* so it refuses writes */
    bool has_seen;              /* the next write, of which nothing is left */
    const char *stood_still_us; /* of the lease clock, as the next heartbeat is told */
    const char *expired;        /* an owner whose lease has run out, as it is told; NULL: nobody's has */
    const char *reaped[3];      /* what reap answers: channels left, the edge's name, users drained */
} redis;

static uint64_t now_ms(void *context)
{
    (void)context;
    return redis.now_ms;
}

static uint64_t next_random(void *context)
{
    (void)context;
    return ++redis.random;
}

static void keep(char *to, size_t bytes, const struct engine_request *request, size_t at)
{
    if (at < request->argc && request->argv_bytes[at] < bytes)
        memcpy(to, request->argv[at], request->argv_bytes[at]);
}

static void on_send(void *context, unsigned shard, const struct engine_request *request)
{
    (void)context;
    assert_int_equal(0, shard);
    assert_true(redis.count < SENT_MAX);
    struct sent *sent = &redis.sent[redis.count++];
    *sent = (struct sent){.script = request->script};
    keep(sent->number, sizeof sent->number, request, 5);
    keep(sent->facts, sizeof sent->facts, request, 7);
}

static void ignore_topic(void *context, unsigned shard, const char *topic)
{
    (void)context;
    (void)shard;
    (void)topic;
}

static void must_not(void *context, unsigned shard, const char *why)
{
    (void)context;
    (void)shard;
    fail_msg("the connection was given up: %s", why);
}

static void ignore_log(void *context, enum engine_level level, const char *event, const char *text)
{
    (void)context;
    (void)level;
    (void)event;
    (void)text;
}

static bool is_batch(enum script script)
{
    return script == SCRIPT_WRITE || script == SCRIPT_LEAVE || script == SCRIPT_ASSERT;
}

static void refuse(struct engine *engine)
{
    static const char why[] = "OOM command not allowed when used memory > 'maxmemory'.";
    engine_reply(engine, 0, &(struct reply){.type = REPLY_ERROR, .text = why, .bytes = strlen(why)});
}

static void answer(struct engine *engine)
{
    struct sent sent = redis.sent[0];
    memmove(redis.sent, redis.sent + 1, --redis.count * sizeof *redis.sent);
    if (sent.script == SCRIPT_WRITE && redis.out_of_memory) {
        refuse(engine);
        return;
    }
    if (is_batch(sent.script))
        memcpy(redis.sequence, sent.number, sizeof sent.number);
    const char *const layout[] = {"OK", "STAMPED", "1 one", "0", NULL};
    const char *const hello[] = {"OK", "1-ab", "100", "1", "7", redis.sequence, "1", "100", "id",
        redis.knows_owner ? "1" : "0", "", "0", NULL};
    const char *const heartbeat[] = {"OK", redis.sequence, "100", "1", "0", "100", "",
        redis.stood_still_us ? redis.stood_still_us : "0", redis.expired, NULL};
    const char *const reap[] = {"OK", redis.reaped[0], redis.reaped[1], redis.reaped[2], NULL};
    bool is_seen = sent.script == SCRIPT_WRITE && redis.has_seen;
    redis.has_seen &= !is_seen;
    const char *const seen[] = {"DUP", redis.sequence, "-1", "-1", "-1", "-1", NULL};
    const char *const batch[] = {"OK", redis.sequence, "1", "1", "1", "1", NULL};
    const char *const *words = sent.script == SCRIPT_LAYOUT      ? layout
                               : sent.script == SCRIPT_HELLO     ? hello
                               : sent.script == SCRIPT_HEARTBEAT ? heartbeat
                               : sent.script == SCRIPT_REAP      ? reap
                               : is_seen                         ? seen
                                                                 : batch;
    struct reply elements[16] = {0}, reply = {.type = REPLY_ARRAY, .elements = elements};
    for (; words[reply.count]; reply.count++)
        elements[reply.count] = (struct reply){
            .type = REPLY_TEXT, .text = words[reply.count], .bytes = strlen(words[reply.count])};
    redis.knows_owner |= sent.script == SCRIPT_HELLO;
    engine_reply(engine, 0, &reply);
}

/* Redis answers what it has been asked, up to the first of that script. */
static void answer_all(struct engine *engine, int until)
{
    while (redis.count && (int)redis.sent[0].script != until)
        answer(engine);
}

static const struct sent *find(enum script script)
{
    for (size_t i = 0; i < redis.count; i++) {
        if (redis.sent[i].script == script)
            return &redis.sent[i];
    }
    return NULL;
}

static void tick_for(struct engine *engine, uint64_t ms, int until)
{
    for (uint64_t end = redis.now_ms + ms; redis.now_ms < end;) {
        redis.now_ms += 20;
        engine_tick(engine);
        answer_all(engine, until);
    }
}

/* Until it has sent one of that script, which is not answered. */
static void tick_until(struct engine *engine, enum script script)
{
    for (unsigned ticks = 0; !find(script); ticks++) {
        assert_true(ticks < 1000);
        tick_for(engine, 20, (int)script);
    }
}

static struct engine *start(void)
{
    static const struct engine_shard shards[] = {{"one", false}};
    static const struct engine_options options = {.prefix = "p",
        .cluster = "c",
        .edge_name = "e",
        .shards = shards,
        .shard_count = 1,
        .partitions = 1,
        .heartbeat_ms = H,
        .lease_ms = L,
        .scrub_ms = 60000,
        .data_ttl_ms = 600000,
        .command_ms = 2000,
        .answer_ms = 1000};
    static const struct engine_io io = {.now_ms = now_ms,
        .random = next_random,
        .send = on_send,
        .bus_subscribe = ignore_topic,
        .bus_unsubscribe = ignore_topic,
        .reset = must_not,
        .bus_reset = must_not,
        .quarantine = must_not,
        .log = ignore_log};
    struct engine_partition_status status;
    memset(&redis, 0, sizeof redis);
    redis.sequence[0] = '0';
    redis.now_ms = 1000;
    struct engine *engine = engine_new(&options, &io, NULL, &(struct store_observer){0}, NULL);
    engine_shard_up(engine, 0);
    answer_all(engine, NOTHING);
    tick_for(engine, 20, SCRIPT_HEARTBEAT);
    engine_partition_status(engine, 0, &status);
    assert_int_equal(PARTITION_READY, status.state);
    return engine;
}
