/* The usual life of edges on one Redis. */
#include "edges.h"

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

static void test_connections_are_summed_over_the_fleet(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    start_edges(world, 2);
    store_set_usage(a->store, "app", 5);
    store_set_usage(b->store, "app", 0);
    UNTIL(world, 3 * H_MS, b->elsewhere == 5);
    assert_int_equal(0, a->elsewhere);
    store_set_usage(b->store, "app", 2);
    store_set_usage(a->store, "app", 4);
    UNTIL(world, 3 * H_MS, a->elsewhere == 2 && b->elsewhere == 4);
    edge_start(world, &world->edges[2]);
    store_set_usage(world->edges[2].store, "app", 1);
    UNTIL(world, 3 * H_MS, world->edges[2].elsewhere == 6 && a->elsewhere == 3 && b->elsewhere == 5);
    run_for(world, 2 * H_MS); /* what is equal is not told again: on_usage() looks */
    edge_kill(b);
    UNTIL(world, L_MS + 4 * H_MS, a->elsewhere == 1);
    redis_server_just(&world->redis, "FLUSHALL");
    run_for(world, 3 * H_MS);
    assert_int_equal(1, a->elsewhere);
    engine_retire(store_redis_engine(a->store), L_MS);
    UNTIL(world, 3 * H_MS, world->edges[2].elsewhere == 0);
    assert_int_equal(1, a->elsewhere);
}

static void test_options_that_cannot_be(void **state)
{
    struct world *world = *state;
    struct store_redis_shard shard = {.name = "a", .address = "localhost"};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_joins_and_leaves_are_seen_across),
        TEST(test_a_user_on_two_edges_is_one_member),
        TEST(test_the_cap_is_the_fleets),
        TEST(test_events_reach_all_edges_once_and_are_cached),
        TEST(test_questions_are_answered_for_the_fleet),
        TEST(test_connections_are_summed_over_the_fleet),
        TEST(test_options_that_cannot_be),
    };
    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
