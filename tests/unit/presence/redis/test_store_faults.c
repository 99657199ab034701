/* Edges when something goes wrong: Redis, a process, what lies in the keys. */
#include "edges.h"

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
    /* He may have been seen once more, until b had asserted what it holds. */
    assert_int_equal(told_of(a, "bert", true), told_of(a, "bert", false));
    assert_int_equal(0, a->alternation_errors);
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

static void test_out_of_memory_and_back(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert, carl;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &anna, "presence-x", "anna");
    join(b, &bert, "presence-x", "bert");
    UNTIL(world, 900, anna.answered && bert.answered && shows(a, "presence-x", "bert"));
    redis_server_just(&world->redis, "CONFIG SET maxmemory 1");
    join(a, &carl, "presence-x", "carl");
    leave(b, &bert); /* leaving works, behind a join that does not */
    UNTIL(world, 1500, !shows(a, "presence-x", "bert"));
    UNTIL(world, 1500, carl.answered);
    assert_string_equal("unavailable", publish(world, a, "presence-x", "{}", 0, false, false));
    run_for(world, L_MS + 2 * H_MS); /* leases are renewed all the while */
    assert_true(shows(a, "presence-x", "anna"));
    redis_server_just(&world->redis, "CONFIG SET maxmemory 0");
    UNTIL(world, 2500, ask(world, b, "presence-x", 2).members == 2);
    assert_int_equal(0, a->alternation_errors + b->alternation_errors);
    leave(a, &anna);
    leave(a, &carl);
}

/* A mistyped address: shard b's edges are sent to shard a. */
static void test_another_shards_redis_takes_nothing(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0];
    struct client anna, lost;
    start_edges(world, 1);
    join(a, &anna, "presence-x", "anna");
    UNTIL(world, 900, anna.answered);
    redisReply *before = redis_server_do(&world->redis, "KEYS *");
    struct edge *wrong = &world->edges[1];
    edge_start_as(world, &world->loop, wrong, "b");
    join(wrong, &lost, "presence-x", "lost");
    UNTIL(world, 1500, lost.answered); /* it lives on alone */
    run_for(world, 3000);
    redisReply *after = redis_server_do(&world->redis, "KEYS *");
    assert_int_equal(before->elements, after->elements);
    freeReplyObject(before);
    freeReplyObject(after);
    assert_false(shows(a, "presence-x", "lost"));
    assert_true(engine_counters(store_redis_engine(wrong->store))->resets > 0);
    leave(a, &anna);
    leave(wrong, &lost);
}

/* An old dump is loaded under open connections: who left since is back in it, who came since is not. */
static void test_data_rolled_back_in_place(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert, carl;
    start_edges(world, 2);
    settle(world, 2);
    join(a, &anna, "presence-x", "anna");
    join(b, &bert, "presence-x", "bert");
    UNTIL(world, 900, anna.answered && bert.answered);
    redis_server_just(&world->redis, "SAVE");
    leave(b, &bert);
    join(b, &carl, "presence-x", "carl");
    UNTIL(world, 900, carl.answered && shows(a, "presence-x", "carl") && !shows(a, "presence-x", "bert"));
    redis_server_kill(&world->redis);
    redis_server_run(&world->redis, NULL);
    UNTIL(world, 5000, all_ready(a) && all_ready(b));
    UNTIL(world, 2 * H_MS, ask(world, a, "presence-x", 2).members == 2);
    run_for(world, L_MS + 2 * H_MS);
    assert_true(shows(a, "presence-x", "carl") && shows(b, "presence-x", "anna"));
    assert_false(shows(a, "presence-x", "bert"));
    assert_int_equal(0, told_of(a, "carl", false) + told_of(b, "anna", false));
    /* He may have been seen once more, until b had asserted what it holds. */
    assert_int_equal(told_of(a, "bert", true), told_of(a, "bert", false));
    assert_int_equal(0, a->alternation_errors);
    leave(a, &anna);
    leave(b, &carl);
}

/* The process stands still for less than L: nobody sees anything, and no connection is given up for it. */
static void test_a_pause_is_not_seen(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0];
    struct client anna;
    start_edges(world, 1);
    settle(world, 1);
    join(a, &anna, "presence-x", "anna");
    UNTIL(world, 900, anna.answered);
    run_for(world, H_MS);
    uint64_t resets = engine_counters(store_redis_engine(a->store))->resets;
    struct timespec pause = {.tv_sec = 2, .tv_nsec = 500000000}; /* beyond the deadline of what was sent */
    nanosleep(&pause, NULL);
    run_for(world, 2 * H_MS);
    assert_int_equal(resets, engine_counters(store_redis_engine(a->store))->resets);
    assert_int_equal(0, told_of(a, "anna", false));
    leave(a, &anna);
}

/* Paused beyond its lease, an edge has been condemned meanwhile; its clients are still there, so it comes back
 * as another owner. */
static void test_a_condemned_edge_comes_back(void **state)
{
    struct world *world = *state;
    struct edge *b = &world->edges[0], *a = &world->edges[1];
    struct client anna, bert;
    struct engine_partition_status before, after;
    start_edges(world, 1);
    edge_start_as(world, &world->other, a, "a");
#define BOTH_UNTIL(limit_ms, condition)                                                                      \
    UNTIL(world, limit_ms, (uv_run(&world->other, UV_RUN_NOWAIT), (condition)))
    BOTH_UNTIL(5000, all_ready(a) && !waits(a) && !waits(b));
    join(a, &anna, "presence-x", "anna");
    join(b, &bert, "presence-x", "bert");
    BOTH_UNTIL(900, anna.answered && bert.answered && shows(b, "presence-x", "anna"));
    unsigned p = engine_partition_of(store_redis_engine(a->store), "app", "presence-x");
    engine_partition_status(store_redis_engine(a->store), p, &before);
    UNTIL(world, L_MS + 3 * H_MS, !shows(b, "presence-x", "anna"));
    BOTH_UNTIL(2000, shows(b, "presence-x", "anna"));
    engine_partition_status(store_redis_engine(a->store), p, &after);
    assert_true(after.owner > before.owner);
    assert_int_equal(0, told_of(a, "anna", false)); /* our own are always in our view */
    assert_int_equal(0, a->alternation_errors + b->alternation_errors);
    leave(a, &anna);
    leave(b, &bert);
    BOTH_UNTIL(900, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_flushall_heals_unseen),
        TEST(test_a_killed_edge_goes_with_its_lease),
        TEST(test_an_outage_shows_nobody_leaving),
        TEST(test_redis_gone_from_the_start),
        TEST(test_retired_facts_go_after_the_grace),
        TEST(test_scripts_flushed_clients_killed),
        TEST(test_junk_and_deleted_keys_heal),
        TEST(test_out_of_memory_and_back),
        TEST(test_another_shards_redis_takes_nothing),
        TEST(test_data_rolled_back_in_place),
        TEST(test_a_pause_is_not_seen),
        TEST(test_a_condemned_edge_comes_back),
    };
    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
