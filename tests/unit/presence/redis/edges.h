/* Edges (stores in one process) on a real Redis, their clients, and what those were told. The oracle is outside
 * the edges: the test knows who is subscribed. H is 500 ms and L 2 s, the shortest a real edge would run with;
 * bounds scale with them. Include it in one file of a test. */
#pragma once

#include "presence/redis/store_redis.h"
#include "tests/support/redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { H_MS = 500, L_MS = 2000, USERS = 64, TOLD = 512 };

/* A client of an edge: a subscription, and what it was told. */
struct client {
    struct store_subscription subscription;
    bool answered;
    enum store_result result;
    size_t seen; /* members in the roster it got */
    char cached[64];
};

struct edge {
    struct store *store;
    struct {
        bool added;
        char channel[64], user[64];
    } told[TOLD];
    size_t told_count;
    char events[64][64];
    size_t event_count;
    uint64_t count;     /* as last told */
    uint64_t elsewhere; /* connections of "app", as last told */
    size_t alternation_errors;
    struct {
        char user[96];
        bool here;
    } shown[USERS];
    size_t shown_count;
};

struct world {
    uv_loop_t loop, other; /* an edge on the other one stands still while the test does not turn that */
    struct redis_server redis;
    struct edge edges[3];
};

static inline void note(
    struct edge *edge, struct store_channel *channel, const struct member *member, bool added)
{
    char name[96];
    size_t i;
    snprintf(name, sizeof name, "%s/%s", channel->name, member->id);
    assert_true(edge->told_count < TOLD);
    edge->told[edge->told_count].added = added;
    snprintf(edge->told[edge->told_count].channel, 64, "%s", channel->name);
    snprintf(edge->told[edge->told_count++].user, 64, "%s", member->id);
    for (i = 0; i < edge->shown_count && strcmp(edge->shown[i].user, name) != 0; i++)
        ;
    if (i == edge->shown_count) {
        assert_true(edge->shown_count < USERS);
        snprintf(edge->shown[edge->shown_count++].user, sizeof name, "%s", name);
    }
    if (edge->shown[i].here == added)
        print_error("%s told twice of %s\n", added ? "added" : "removed", name);
    edge->alternation_errors += edge->shown[i].here == added;
    edge->shown[i].here = added;
}

static inline void on_added(void *context, struct store_channel *channel, const struct member *member)
{
    note(context, channel, member, true);
}

static inline void on_removed(void *context, struct store_channel *channel, const struct member *member)
{
    note(context, channel, member, false);
}

static inline void on_event(void *context, struct store_channel *channel, const struct store_event *event)
{
    struct edge *edge = context;
    (void)channel;
    assert_true(edge->event_count < 64);
    snprintf(edge->events[edge->event_count++], 64, "%s%s", event->frame->text,
        event->kind == STORE_EVENT_TERMINATE ? "!" : "");
}

static inline void on_count(void *context, struct store_channel *channel, uint64_t count)
{
    struct edge *edge = context;
    (void)channel;
    edge->count = count;
}

static inline void on_usage(void *context, const char *app_id, uint64_t elsewhere)
{
    struct edge *edge = context;
    assert_string_equal("app", app_id);
    assert_true(elsewhere != edge->elsewhere);
    edge->elsewhere = elsewhere;
}

static inline void on_log(void *context, enum engine_level level, const char *event, const char *text)
{
    (void)context;
    if (getenv("VERBOSE"))
        fprintf(stderr, "[%d] %s: %s\n", (int)level, event, text);
}

/* How often each kind was noted, by all edges. */
static unsigned noted[NOTE_DIVERGED + 1];

static inline void on_note(void *context, const struct engine_note *note)
{
    (void)context;
    assert_true(note->shard < 2 && note->partition < 4); /* two in the tests of the list of shards */
    noted[note->kind]++;
}

/* H of edges that are started from now on; L is four of them. */
static uint32_t heartbeat_ms = H_MS;

/* Set around the start of edges that are to tell transitions. */
static void (*transitions_to)(
    void *context, unsigned lane, const struct store_transition *list, size_t count);

static inline void edge_start_on(
    uv_loop_t *loop, struct edge *edge, const struct store_redis_shard *shards, unsigned shard_count)
{
    struct store_observer observer = {.member_added = on_added,
        .member_removed = on_removed,
        .event = on_event,
        .subscription_count = on_count,
        .usage = on_usage,
        .transitions = transitions_to};
    struct store_redis_options options = {.cluster = "test",
        .prefix = "rollcall",
        .edge_name = "edge",
        .shards = shards,
        .shard_count = shard_count,
        .partitions = 4,
        .heartbeat_ms = heartbeat_ms,
        .lease_ms = 4 * heartbeat_ms,
        .scrub_ms = 3000,
        .data_ttl_ms = 60000,
        .log = on_log,
        .note = on_note};
    char problem[200];
    memset(edge, 0, sizeof *edge);
    assert_int_equal(
        0, store_redis_new(loop, &options, &observer, edge, &edge->store, problem, sizeof problem));
}

static inline void edge_start_as(
    struct world *world, uv_loop_t *loop, struct edge *edge, const char *shard_name)
{
    struct store_redis_shard shard = {.name = shard_name, .address = world->redis.address};
    edge_start_on(loop, edge, &shard, 1);
}

static inline void edge_start(struct world *world, struct edge *edge)
{
    edge_start_as(world, &world->loop, edge, "a");
}

static inline void edge_kill(struct edge *edge)
{
    store_free(edge->store);
    edge->store = NULL;
}

static inline int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    uv_loop_init(&world->loop);
    uv_loop_init(&world->other);
    redis_server_start(&world->redis);
    *state = world;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < 3; i++) {
        if (world->edges[i].store)
            edge_kill(&world->edges[i]);
    }
    uv_run(&world->loop, UV_RUN_DEFAULT);
    uv_run(&world->other, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&world->other));
    assert_int_equal(0, uv_loop_close(&world->loop));
    redis_server_stop(&world->redis);
    free(world);
    return 0;
}

static inline uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* Turns the loop until the condition holds; fails after limit_ms. Returns how long it took. */
#define UNTIL(world, limit_ms, condition)                                                                    \
    __extension__({                                                                                          \
        uint64_t began_ = now_ms();                                                                          \
        while (!(condition)) {                                                                               \
            if (now_ms() - began_ > (uint64_t)(limit_ms))                                                    \
                fail_msg("not within %d ms: %s", (int)(limit_ms), #condition);                               \
            uv_run(&(world)->loop, UV_RUN_ONCE);                                                             \
        }                                                                                                    \
        now_ms() - began_;                                                                                   \
    })

static inline void run_for(struct world *world, uint64_t ms)
{
    uint64_t end = now_ms() + ms;
    while (now_ms() < end)
        uv_run(&world->loop, UV_RUN_ONCE);
}

static inline void on_done(
    struct store_subscription *subscription, enum store_result result, struct frame *cached)
{
    struct client *client = (struct client *)subscription;
    client->answered = true;
    client->result = result;
    if (result == STORE_OK)
        client->seen = roster_count(&subscription->channel->roster);
    if (cached)
        snprintf(client->cached, sizeof client->cached, "%s", cached->text);
}

static inline void join_capped(
    struct edge *edge, struct client *client, const char *channel, const char *user, uint32_t cap)
{
    struct store_user of = {
        .id = user, .id_bytes = user ? strlen(user) : 0, .info = "{\"n\":1}", .info_bytes = 7};
    memset(client, 0, sizeof *client);
    client->subscription.done = on_done;
    store_subscribe(edge->store, "app", channel, (struct store_channel_options){true, cap}, user ? &of : NULL,
        &client->subscription);
}

static inline void join(struct edge *edge, struct client *client, const char *channel, const char *user)
{
    join_capped(edge, client, channel, user, 0);
}

static inline void subscribe(struct edge *edge, struct client *client, const char *channel)
{
    memset(client, 0, sizeof *client);
    client->subscription.done = on_done;
    store_subscribe(
        edge->store, "app", channel, (struct store_channel_options){false, 0}, NULL, &client->subscription);
}

static inline void leave(struct edge *edge, struct client *client)
{
    store_unsubscribe(edge->store, &client->subscription);
}

static inline bool shows(struct edge *edge, const char *channel, const char *user)
{
    struct store_channel *found = store_find(edge->store, "app", channel);
    return found && roster_find(&found->roster, user, strlen(user));
}

static inline size_t told_of(struct edge *edge, const char *user, bool added)
{
    size_t count = 0;
    for (size_t i = 0; i < edge->told_count; i++)
        count += edge->told[i].added == added && !strcmp(edge->told[i].user, user);
    return count;
}

static inline bool all_ready(struct edge *edge)
{
    for (unsigned i = 0; i < 4; i++) {
        struct engine_partition_status status;
        engine_partition_status(store_redis_engine(edge->store), i, &status);
        if (status.state != PARTITION_READY)
            return false;
    }
    return true;
}

static inline void start_edges(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++)
        edge_start(world, &world->edges[i]);
    for (size_t i = 0; i < count; i++)
        UNTIL(world, 5000, all_ready(&world->edges[i]));
}

/* The wait after the first timeline binds all who open views in it: let it pass, for tests of the usual life. */
static inline bool waits(struct edge *edge)
{
    for (unsigned i = 0; i < 4; i++) {
        struct engine_partition_status status;
        engine_partition_status(store_redis_engine(edge->store), i, &status);
        if (status.removals_wait)
            return true;
    }
    return false;
}

static inline void settle(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++)
        UNTIL(world, 3 * (L_MS + H_MS), !waits(&world->edges[i]));
}

/* Every key has a TTL, or is of a partition's fixed set. */
static inline void check_ttls(struct world *world)
{
    redisReply *keys = redis_server_do(&world->redis, "KEYS *");
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = keys->element[i]->str, *end = strchr(key, '}');
        redisReply *ttl = redis_server_do(&world->redis, "PTTL %s", key);
        bool fixed = !end || !end[1] || !strcmp(end, "}:l") || !strcmp(end, "}:due") || !strcmp(end, "}:out");
        if (!fixed && ttl->integer < 0)
            fail_msg("%s has no TTL", key);
        freeReplyObject(ttl);
    }
    freeReplyObject(keys);
}

static inline void on_published(struct store_publish *publish, enum store_result result)
{
    publish->app_id = result == STORE_OK ? "ok" : "unavailable";
}

static inline const char *publish(struct world *world, struct edge *edge, const char *channel,
    const char *text, uint32_t ttl_ms, bool terminate, bool local)
{
    struct store_publish event = {.app_id = "app", .channel = channel, .cache_ttl_ms = ttl_ms};
    event.event.frame = frame_copy(text, strlen(text));
    event.event.kind = terminate ? STORE_EVENT_TERMINATE : STORE_EVENT_MESSAGE;
    event.event.exclude = (struct socket_id){7, 8};
    event.local_suffices = local;
    event.done = on_published;
    store_publish(edge->store, &event);
    UNTIL(world, 5000, strcmp(event.app_id, "app") != 0);
    frame_unref(event.event.frame);
    return event.app_id;
}

/* ---- questions ---- */

struct question {
    struct store_query query;
    size_t channels, members;
    struct store_channel_state last;
    bool done;
    enum store_result result;
};

static inline void on_each_channel(
    struct store_query *query, const char *name, const struct store_channel_state *state)
{
    struct question *question = (struct question *)query;
    assert_non_null(name);
    question->channels++;
    question->last = *state;
}

static inline void on_each_member(struct store_query *query, const struct member *member)
{
    assert_non_null(member->id);
    ((struct question *)query)->members++;
}

static inline void on_query_done(struct store_query *query, enum store_result result)
{
    ((struct question *)query)->done = true;
    ((struct question *)query)->result = result;
}

static inline struct question ask(struct world *world, struct edge *edge, const char *channel, int what)
{
    struct question question = {.query = {.app_id = "app", .channel = channel}};
    question.query.each_channel = what < 2 ? on_each_channel : NULL;
    question.query.each_member = what == 2 ? on_each_member : NULL;
    question.query.done = on_query_done;
    if (what == 0)
        store_query_channels(edge->store, &question.query);
    else if (what == 1)
        store_query_channel(edge->store, &question.query);
    else
        store_query_members(edge->store, &question.query);
    UNTIL(world, 5000, question.done);
    return question;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
