/* When an edge says that it lives. */
#include "presence/engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { H = 500, L = 2000, SENT_MAX = 64, NOTHING = SCRIPT_COUNT + 1 };

/* What the engine has sent, oldest first, and not been answered. */
static struct {
    enum script scripts[SENT_MAX];
    size_t count;
    uint64_t now_ms, random;
} server;

static uint64_t now_ms(void *context)
{
    (void)context;
    return server.now_ms;
}

static uint64_t next_random(void *context)
{
    (void)context;
    return ++server.random;
}

static void on_send(void *context, unsigned shard, const struct engine_request *request)
{
    (void)context;
    assert_int_equal(0, shard);
    assert_true(server.count < SENT_MAX);
    server.scripts[server.count++] = request->script;
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

static void answer(struct engine *engine, enum script script)
{
    static const char *const layout[] = {"OK", "STAMPED", "1 one", "0", NULL};
    static const char *const hello[] = {"OK", "1-ab", "100", "1", "7", "0", "1", "100", "id", "0", "", NULL};
    static const char *const heartbeat[] = {"OK", "0", "100", "1", "0", "100", "", NULL};
    static const char *const nothing[] = {"OK", NULL};
    const char *const *words = script == SCRIPT_LAYOUT      ? layout
                               : script == SCRIPT_HELLO     ? hello
                               : script == SCRIPT_HEARTBEAT ? heartbeat
                                                            : nothing;
    struct reply elements[16] = {0};
    struct reply reply = {.type = REPLY_ARRAY, .elements = elements};
    for (; words[reply.count]; reply.count++)
        elements[reply.count] = (struct reply){
            .type = REPLY_TEXT, .text = words[reply.count], .bytes = strlen(words[reply.count])};
    engine_reply(engine, 0, &reply);
}

/* Redis answers what it has been asked, up to the first of that script. */
static void answer_all(struct engine *engine, int until)
{
    while (server.count && (int)server.scripts[0] != until) {
        enum script script = server.scripts[0];
        memmove(server.scripts, server.scripts + 1, --server.count * sizeof *server.scripts);
        answer(engine, script);
    }
}

static size_t count(enum script script)
{
    size_t n = 0;
    for (size_t i = 0; i < server.count; i++)
        n += server.scripts[i] == script;
    return n;
}

static void tick_for(struct engine *engine, uint64_t ms, int until)
{
    for (uint64_t end = server.now_ms + ms; server.now_ms < end;) {
        server.now_ms += 20;
        engine_tick(engine);
        answer_all(engine, until);
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
    memset(&server, 0, sizeof server);
    server.now_ms = 1000;
    struct engine *engine = engine_new(&options, &io, NULL, &(struct store_observer){0}, NULL);
    engine_shard_up(engine, 0);
    answer_all(engine, NOTHING);
    struct engine_partition_status status;
    tick_for(engine, 100, SCRIPT_HEARTBEAT);
    engine_partition_status(engine, 0, &status);
    assert_int_equal(PARTITION_READY, status.state);
    return engine;
}

/* Its lease is on the clock of the others, who may condemn it at any moment. */
static void test_stood_still_with_a_heartbeat_out(void **state)
{
    struct engine *engine = start();
    (void)state;
    while (!count(SCRIPT_HEARTBEAT))
        tick_for(engine, 20, SCRIPT_HEARTBEAT);
    uint64_t before = engine_counters(engine)->heartbeats;
    server.now_ms += L + H; /* SIGSTOP, SIGCONT; timers come before what has been received */
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
    assert_int_equal(1, count(SCRIPT_HEARTBEAT));
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
