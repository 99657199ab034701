/* Edges (stores in one process) on a real Redis. The oracle is outside them: the test knows who is subscribed.
 * H is 500 ms and L 2 s, the shortest a real edge would run with; bounds scale with them. */
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
    uint64_t count; /* as last told */
    size_t alternation_errors;
    struct {
        char user[96];
        bool here;
    } shown[USERS];
    size_t shown_count;
};

struct world {
    uv_loop_t loop;
    struct redis_server redis;
    struct edge edges[3];
};

static void note(struct edge *edge, struct store_channel *channel, const struct member *member, bool added)
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
    edge->alternation_errors += edge->shown[i].here == added;
    edge->shown[i].here = added;
}

static void on_added(void *context, struct store_channel *channel, const struct member *member)
{
    note(context, channel, member, true);
}

static void on_removed(void *context, struct store_channel *channel, const struct member *member)
{
    note(context, channel, member, false);
}

static void on_event(void *context, struct store_channel *channel, const struct store_event *event)
{
    struct edge *edge = context;
    (void)channel;
    assert_true(edge->event_count < 64);
    snprintf(edge->events[edge->event_count++], 64, "%s%s", event->frame->text,
        event->kind == STORE_EVENT_TERMINATE ? "!" : "");
}

static void on_count(void *context, struct store_channel *channel, uint64_t count)
{
    struct edge *edge = context;
    (void)channel;
    edge->count = count;
}

static void on_log(void *context, enum engine_level level, const char *event, const char *text)
{
    (void)context;
    if (getenv("VERBOSE"))
        fprintf(stderr, "[%d] %s: %s\n", (int)level, event, text);
}

static void edge_start(struct world *world, struct edge *edge)
{
    static const struct store_observer observer = {on_added, on_removed, on_event, on_count};
    struct store_redis_shard shard = {"a", world->redis.address, NULL, NULL};
    struct store_redis_options options = {.cluster = "test",
        .prefix = "rollcall",
        .edge_name = "edge",
        .shards = &shard,
        .shard_count = 1,
        .partitions = 4,
        .heartbeat_ms = H_MS,
        .lease_ms = L_MS,
        .scrub_ms = 3000,
        .data_ttl_ms = 60000,
        .log = on_log};
    char problem[200];
    memset(edge, 0, sizeof *edge);
    assert_int_equal(
        0, store_redis_new(&world->loop, &options, &observer, edge, &edge->store, problem, sizeof problem));
}

static void edge_kill(struct edge *edge)
{
    store_free(edge->store);
    edge->store = NULL;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    uv_loop_init(&world->loop);
    redis_server_start(&world->redis);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < 3; i++) {
        if (world->edges[i].store)
            edge_kill(&world->edges[i]);
    }
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&world->loop));
    redis_server_stop(&world->redis);
    free(world);
    return 0;
}

static uint64_t now_ms(void)
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

static void run_for(struct world *world, uint64_t ms)
{
    uint64_t end = now_ms() + ms;
    while (now_ms() < end)
        uv_run(&world->loop, UV_RUN_ONCE);
}

static void on_done(struct store_subscription *subscription, enum store_result result, struct frame *cached)
{
    struct client *client = (struct client *)subscription;
    client->answered = true;
    client->result = result;
    if (result == STORE_OK)
        client->seen = roster_count(&subscription->channel->roster);
    if (cached)
        snprintf(client->cached, sizeof client->cached, "%s", cached->text);
}

static void join_capped(
    struct edge *edge, struct client *client, const char *channel, const char *user, uint32_t cap)
{
    struct store_user of = {
        .id = user, .id_bytes = user ? strlen(user) : 0, .info = "{\"n\":1}", .info_bytes = 7};
    memset(client, 0, sizeof *client);
    client->subscription.done = on_done;
    store_subscribe(edge->store, "app", channel, (struct store_channel_options){true, cap}, user ? &of : NULL,
        &client->subscription);
}

static void join(struct edge *edge, struct client *client, const char *channel, const char *user)
{
    join_capped(edge, client, channel, user, 0);
}

static void subscribe(struct edge *edge, struct client *client, const char *channel)
{
    memset(client, 0, sizeof *client);
    client->subscription.done = on_done;
    store_subscribe(
        edge->store, "app", channel, (struct store_channel_options){false, 0}, NULL, &client->subscription);
}

static void leave(struct edge *edge, struct client *client)
{
    store_unsubscribe(edge->store, &client->subscription);
}

static bool shows(struct edge *edge, const char *channel, const char *user)
{
    struct store_channel *found = store_find(edge->store, "app", channel);
    return found && roster_find(&found->roster, user, strlen(user));
}

static size_t told_of(struct edge *edge, const char *user, bool added)
{
    size_t count = 0;
    for (size_t i = 0; i < edge->told_count; i++)
        count += edge->told[i].added == added && !strcmp(edge->told[i].user, user);
    return count;
}

static bool all_ready(struct edge *edge)
{
    for (unsigned i = 0; i < 4; i++) {
        struct engine_partition_status status;
        engine_partition_status(store_redis_engine(edge->store), i, &status);
        if (status.state != PARTITION_READY)
            return false;
    }
    return true;
}

static void start_edges(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++)
        edge_start(world, &world->edges[i]);
    for (size_t i = 0; i < count; i++)
        UNTIL(world, 5000, all_ready(&world->edges[i]));
}

/* The wait after the first timeline binds all who open views in it: let it pass, for tests of the usual life. */
static bool waits(struct edge *edge)
{
    for (unsigned i = 0; i < 4; i++) {
        struct engine_partition_status status;
        engine_partition_status(store_redis_engine(edge->store), i, &status);
        if (status.removals_wait)
            return true;
    }
    return false;
}

static void settle(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++)
        UNTIL(world, 3 * (L_MS + H_MS), !waits(&world->edges[i]));
}

/* Every key has a TTL, or is of a partition's fixed set. */
static void check_ttls(struct world *world)
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

static void test_joins_and_leaves_are_seen_across(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &anna, "presence-x", "anna");
    UNTIL(world, 900, anna.answered);
    assert_int_equal(STORE_OK, anna.result);
    assert_int_equal(1, anna.seen);
    join(b, &bert, "presence-x", "bert");
    UNTIL(world, 900, bert.answered);
    assert_int_equal(2, bert.seen);
    UNTIL(world, 900, shows(a, "presence-x", "bert"));
    assert_string_equal("{\"n\":1}", bert.subscription.member->info);
    leave(b, &bert);
    UNTIL(world, 900, !shows(a, "presence-x", "bert"));
    assert_int_equal(0, engine_counters(store_redis_engine(a->store))->degraded_answers);
    check_ttls(world);
    leave(a, &anna);
    assert_int_equal(0, a->alternation_errors);
}

static void test_a_user_on_two_edges_is_one_member(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client here, there, watcher, second;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &watcher, "presence-x", NULL);
    UNTIL(world, 900, watcher.answered);
    assert_int_equal(0, watcher.seen);
    join(a, &here, "presence-x", "anna");
    join(a, &second, "presence-x", "anna");
    join(b, &there, "presence-x", "anna");
    UNTIL(world, 900, here.answered && there.answered && second.answered);
    leave(a, &here);
    leave(b, &there);
    run_for(world, 200);
    assert_true(shows(a, "presence-x", "anna"));
    leave(a, &second);
    UNTIL(world, 900, !shows(a, "presence-x", "anna"));
    assert_int_equal(1, told_of(a, "anna", true));
    assert_int_equal(1, told_of(a, "anna", false));
    leave(a, &watcher);
}

static void test_the_cap_is_the_fleets(void **state)
{
    struct world *world = *state;
    struct client one, two, three;
    start_edges(world, 2);
    join_capped(&world->edges[0], &one, "presence-x", "u1", 2);
    join_capped(&world->edges[1], &two, "presence-x", "u2", 2);
    UNTIL(world, 900, one.answered && two.answered);
    join_capped(&world->edges[0], &three, "presence-x", "u3", 2);
    UNTIL(world, 900, three.answered);
    assert_int_equal(STORE_OK, one.result);
    assert_int_equal(STORE_OK, two.result);
    assert_int_equal(STORE_FULL, three.result);
    assert_null(three.subscription.channel);
    join_capped(&world->edges[0], &three, "presence-x", "u2", 2); /* he is counted already */
    UNTIL(world, 900, three.answered);
    assert_int_equal(STORE_OK, three.result);
    leave(&world->edges[0], &one);
    leave(&world->edges[0], &three);
    leave(&world->edges[1], &two);
}

static void on_published(struct store_publish *publish, enum store_result result)
{
    publish->app_id = result == STORE_OK ? "ok" : "unavailable";
}

static const char *publish(struct world *world, struct edge *edge, const char *channel, const char *text,
    uint32_t ttl_ms, bool terminate, bool local)
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

static void test_events_reach_all_edges_once_and_are_cached(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client one, two, late;
    start_edges(world, 2);
    subscribe(a, &one, "cache-x");
    subscribe(b, &two, "cache-x");
    UNTIL(world, 900, one.answered && two.answered);
    assert_string_equal("", one.cached);
    assert_string_equal("ok", publish(world, a, "cache-x", "{\"hi\":1}", 60000, false, false));
    UNTIL(world, 900, a->event_count && b->event_count);
    assert_string_equal("ok", publish(world, b, "cache-x", "{}", 0, true, false));
    UNTIL(world, 900, a->event_count == 2 && b->event_count == 2);
    assert_string_equal("{\"hi\":1}", b->events[0]);
    assert_string_equal("{}!", a->events[1]);
    subscribe(a, &late, "cache-x");
    UNTIL(world, 900, late.answered);
    assert_string_equal("{\"hi\":1}", late.cached);
    UNTIL(world, 900, a->count == 3 && b->count == 3);
    leave(a, &one);
    leave(a, &late);
    leave(b, &two);
    subscribe(b, &late, "cache-x"); /* a channel that was left entirely is read again */
    UNTIL(world, 900, late.answered);
    assert_string_equal("{\"hi\":1}", late.cached);
    leave(b, &late);
}

/* ---- questions ---- */

struct question {
    struct store_query query;
    size_t channels, members;
    struct store_channel_state last;
    bool done;
    enum store_result result;
};

static void on_each_channel(
    struct store_query *query, const char *name, const struct store_channel_state *state)
{
    struct question *question = (struct question *)query;
    assert_non_null(name);
    question->channels++;
    question->last = *state;
}

static void on_each_member(struct store_query *query, const struct member *member)
{
    assert_non_null(member->id);
    ((struct question *)query)->members++;
}

static void on_query_done(struct store_query *query, enum store_result result)
{
    ((struct question *)query)->done = true;
    ((struct question *)query)->result = result;
}

static struct question ask(struct world *world, struct edge *edge, const char *channel, int what)
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

static void test_questions_are_answered_for_the_fleet(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client clients[6];
    start_edges(world, 2);
    join(a, &clients[0], "presence-x", "u1");
    join(a, &clients[1], "presence-x", "u1");
    join(b, &clients[2], "presence-x", "u2");
    subscribe(a, &clients[3], "public");
    subscribe(b, &clients[4], "public");
    join(b, &clients[5], "presence-watched", NULL);
    UNTIL(world, 900,
        clients[0].answered && clients[1].answered && clients[2].answered && clients[3].answered &&
            clients[4].answered && clients[5].answered);
    run_for(world, 100);
    struct question question = ask(world, a, "", 0);
    assert_int_equal(2, question.channels); /* watchers are not seen */
    question = ask(world, b, "presence-", 0);
    assert_int_equal(1, question.channels);
    assert_int_equal(2, question.last.user_count);
    assert_int_equal(3, question.last.subscription_count);
    question = ask(world, b, "public", 1);
    assert_true(question.last.occupied);
    assert_int_equal(2, question.last.subscription_count);
    assert_int_equal(STORE_FRESH, question.query.stale_s);
    question = ask(world, b, "nobody", 1);
    assert_false(question.last.occupied);
    assert_int_equal(1, question.channels);
    question = ask(world, b, "presence-x", 2);
    assert_int_equal(2, question.members);
    for (size_t i = 0; i < 6; i++)
        leave(i == 2 || i > 3 ? b : a, &clients[i]);
}

/* ---- what goes wrong ---- */

static void test_flushall_heals_unseen(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client clients[4];
    static const char *const users[] = {"u0", "u1", "u2", "u3"};
    start_edges(world, 2);
    settle(world, 2);
    for (size_t i = 0; i < 4; i++)
        join(i % 2 ? b : a, &clients[i], "presence-x", users[i]);
    UNTIL(world, 900,
        shows(a, "presence-x", "u1") && shows(a, "presence-x", "u3") && clients[0].answered &&
            clients[2].answered && shows(b, "presence-x", "u2") && shows(b, "presence-x", "u0"));
    UNTIL(world, 900, clients[1].answered && clients[3].answered);
    size_t told_a = a->told_count, told_b = b->told_count;
    redis_server_just(&world->redis, "FLUSHALL");
    uint64_t took = UNTIL(world, H_MS + 1000, ask(world, a, "presence-x", 2).members == 4);
    assert_true(took <= 2 * H_MS);
    run_for(world, L_MS + 3 * H_MS);
    assert_int_equal(told_a, a->told_count);
    assert_int_equal(told_b, b->told_count);
    leave(b, &clients[1]);
    UNTIL(world, L_MS + 3 * H_MS, !shows(a, "presence-x", "u1"));
    check_ttls(world);
    leave(a, &clients[0]);
    leave(a, &clients[2]);
    leave(b, &clients[3]);
}

static void test_a_killed_edge_goes_with_its_lease(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert, both_a, both_b, plain;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &anna, "presence-x", "anna");
    join(b, &bert, "presence-x", "bert");
    join(a, &both_a, "presence-x", "both");
    join(b, &both_b, "presence-x", "both");
    subscribe(b, &plain, "public");
    UNTIL(world, 900, anna.answered && bert.answered && both_a.answered && both_b.answered && plain.answered);
    run_for(world, 100);
    edge_kill(b);
    uint64_t took = UNTIL(world, L_MS + 3 * H_MS, !shows(a, "presence-x", "bert"));
    assert_true(took >= L_MS - H_MS);
    assert_true(took <= L_MS + 2 * H_MS + 200);
    assert_true(shows(a, "presence-x", "both"));
    assert_int_equal(2, ask(world, a, "presence-x", 2).members);
    UNTIL(world, 1000, !ask(world, a, "public", 1).last.occupied);
    assert_int_equal(1, told_of(a, "bert", false));
    assert_int_equal(0, told_of(a, "both", false));
    leave(a, &anna);
    leave(a, &both_a);
}

static void test_an_outage_shows_nobody_leaving(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert, carl;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &anna, "presence-x", "anna");
    join(b, &bert, "presence-x", "bert");
    UNTIL(world, 900, anna.answered && bert.answered && shows(a, "presence-x", "bert"));
    redis_server_kill(&world->redis);
    run_for(world, 2 * H_MS + 1100);
    join(a, &carl, "presence-x", "carl");
    UNTIL(world, 1200, carl.answered);
    assert_int_equal(3, carl.seen);
    assert_string_equal("ok", publish(world, a, "presence-x", "{\"local\":1}", 0, false, true));
    assert_int_equal(1, a->event_count);
    assert_string_equal("unavailable", publish(world, a, "presence-x", "{}", 0, false, false));
    struct question question = ask(world, a, "presence-x", 2);
    assert_int_equal(3, question.members);
    assert_true(question.query.stale_s >= 1);
    assert_int_equal(STORE_UNAVAILABLE, ask(world, a, "elsewhere", 1).result);
    run_for(world, L_MS + 2 * H_MS);
    assert_true(shows(a, "presence-x", "bert"));
    leave(a, &anna); /* ours alone: shown at once */
    assert_false(shows(a, "presence-x", "anna"));
    redis_server_run(&world->redis, NULL);
    UNTIL(world, 5000, all_ready(a) && all_ready(b));
    UNTIL(world, 2000, ask(world, a, "presence-x", 2).members == 2);
    UNTIL(world, 2000, shows(b, "presence-x", "carl"));
    UNTIL(world, L_MS + 4 * H_MS, !shows(b, "presence-x", "anna"));
    assert_int_equal(0, told_of(a, "bert", false));
    assert_int_equal(0, a->alternation_errors + b->alternation_errors);
    leave(a, &carl);
    leave(b, &bert);
}

static void test_redis_gone_from_the_start(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0];
    struct client anna, bert, cold;
    redis_server_kill(&world->redis);
    edge_start(world, a);
    join(a, &anna, "presence-x", "anna");
    join(a, &bert, "presence-x", "bert");
    subscribe(a, &cold, "public");
    UNTIL(world, 1500, anna.answered && bert.answered && cold.answered);
    assert_int_equal(STORE_OK, anna.result);
    assert_true(shows(a, "presence-x", "bert"));
    redis_server_run(&world->redis, NULL);
    UNTIL(world, 5000, all_ready(a));
    UNTIL(world, 2000, ask(world, a, "presence-x", 2).members == 2);
    leave(a, &anna);
    leave(a, &bert);
    leave(a, &cold);
}

static void test_retired_facts_go_after_the_grace(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert, again;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &anna, "presence-x", "anna");
    join(b, &bert, "presence-x", "bert");
    UNTIL(world, 900, anna.answered && bert.answered);
    engine_retire(store_redis_engine(a->store), 1000);
    UNTIL(world, 900, !engine_in_flight(store_redis_engine(a->store)));
    edge_kill(a);
    join(b, &again, "presence-x", "anna"); /* came back elsewhere in time: no event */
    UNTIL(world, 900, again.answered);
    run_for(world, 1000 + 4 * H_MS);
    assert_int_equal(0, told_of(b, "anna", false));
    assert_int_equal(2, ask(world, b, "presence-x", 2).members);
    leave(b, &again);
    UNTIL(world, 900, !shows(b, "presence-x", "anna"));
    leave(b, &bert);
}

static void test_scripts_flushed_clients_killed(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &anna, "presence-x", "anna");
    UNTIL(world, 900, anna.answered);
    redis_server_just(&world->redis, "SCRIPT FLUSH");
    UNTIL(world, 5000, !all_ready(a) || engine_counters(store_redis_engine(a->store))->resets);
    UNTIL(world, 5000, all_ready(a) && all_ready(b));
    redis_server_just(&world->redis, "CLIENT KILL TYPE pubsub");
    redis_server_just(&world->redis, "CLIENT KILL TYPE normal SKIPME yes");
    run_for(world, 50);
    UNTIL(world, 5000, all_ready(a) && all_ready(b));
    join(b, &bert, "presence-x", "bert");
    UNTIL(world, 2000, shows(a, "presence-x", "bert"));
    assert_int_equal(0, told_of(a, "anna", false));
    leave(a, &anna);
    leave(b, &bert);
}

static void test_junk_and_deleted_keys_heal(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &anna, "presence-x", "anna");
    join(b, &bert, "presence-x", "bert");
    UNTIL(world, 900, anna.answered && bert.answered);
    unsigned p = engine_partition_of(store_redis_engine(a->store), "app", "presence-x");
    redis_server_just(&world->redis, "SET rollcall:{%u}:r:app:presence-x junk", p);
    UNTIL(world, 3000 + 2 * H_MS, ask(world, a, "presence-x", 2).members == 2);
    redis_server_just(&world->redis, "DEL rollcall:{%u}", p);
    redis_server_just(&world->redis, "SET rollcall:shard junk");
    run_for(world, 2 * H_MS);
    UNTIL(world, 3000, all_ready(a) && all_ready(b));
    redis_server_just(&world->redis, "HSET rollcall:{%u}:r:app:presence-x unobody 12345| junk field", p);
    UNTIL(world, 10000, ask(world, a, "presence-x", 2).members == 2);
    run_for(world, L_MS + 2 * H_MS);
    assert_int_equal(0, told_of(a, "bert", false) + told_of(b, "anna", false));
    assert_int_equal(2, ask(world, a, "presence-x", 2).members);
    check_ttls(world);
    leave(a, &anna);
    leave(b, &bert);
}

static void test_options_that_cannot_be(void **state)
{
    struct world *world = *state;
    struct store_redis_shard shard = {"a", "localhost", NULL, NULL};
    struct store_redis_options options = {.cluster = "c",
        .prefix = "a{b",
        .edge_name = "e",
        .shards = &shard,
        .shard_count = 1,
        .partitions = 4,
        .heartbeat_ms = 2500,
        .lease_ms = 10000};
    char problem[200];
    struct store *store;
    struct store_observer observer = {0};
    assert_int_equal(-EINVAL, store_redis_new(&world->loop, &options, &observer, NULL, &store, problem, 200));
    assert_non_null(strstr(problem, "redis.prefix"));
    options.prefix = "r";
    assert_int_equal(-EINVAL, store_redis_new(&world->loop, &options, &observer, NULL, &store, problem, 200));
    assert_non_null(strstr(problem, "redis.shards[0].address: must be host:port"));
    shard.address = "localhost:1";
    options.lease_ms = 9999;
    assert_int_equal(-EINVAL, store_redis_new(&world->loop, &options, &observer, NULL, &store, problem, 200));
    assert_non_null(strstr(problem, "four times"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_joins_and_leaves_are_seen_across),
        TEST(test_a_user_on_two_edges_is_one_member),
        TEST(test_the_cap_is_the_fleets),
        TEST(test_events_reach_all_edges_once_and_are_cached),
        TEST(test_questions_are_answered_for_the_fleet),
        TEST(test_flushall_heals_unseen),
        TEST(test_a_killed_edge_goes_with_its_lease),
        TEST(test_an_outage_shows_nobody_leaving),
        TEST(test_redis_gone_from_the_start),
        TEST(test_retired_facts_go_after_the_grace),
        TEST(test_scripts_flushed_clients_killed),
        TEST(test_junk_and_deleted_keys_heal),
        TEST(test_options_that_cannot_be),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
