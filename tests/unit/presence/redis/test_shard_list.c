/* The list of shards says where a partition is. Edges with different lists must never hold one partition on two shards:
 * who has another list than the fleet waits until nobody lives by the present one. */
#include "edges.h"

struct two {
    struct world *world;
    struct redis_server second;
    struct store_redis_shard a, b;
};

static void two_start(struct two *two, struct world *world)
{
    two->world = world;
    redis_server_start(&two->second);
    two->a = (struct store_redis_shard){.name = "a", .address = world->redis.address};
    two->b = (struct store_redis_shard){.name = "b", .address = two->second.address};
}

/* Whoever holds connections to the second server goes first. */
static void two_stop(struct two *two)
{
    for (size_t i = 0; i < 3; i++) {
        if (two->world->edges[i].store)
            edge_kill(&two->world->edges[i]);
    }
    redis_server_stop(&two->second);
}

static unsigned ready(struct edge *edge)
{
    unsigned count = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct engine_partition_status status;
        engine_partition_status(store_redis_engine(edge->store), i, &status);
        count += status.state == PARTITION_READY;
    }
    return count;
}

static long long keys_in(struct redis_server *server)
{
    redisReply *reply = redis_server_do(server, "DBSIZE");
    long long count = reply->integer;
    freeReplyObject(reply);
    return count;
}

static void edge_start_with(struct two *two, struct edge *edge, const char *list)
{
    struct store_redis_shard shards[2];
    for (size_t i = 0; list[i]; i++)
        shards[i] = list[i] == 'a' ? two->a : two->b;
    edge_start_on(&two->world->loop, edge, shards, (unsigned)strlen(list));
}

static void test_a_fleet_starts_on_two_empty_shards(void **state)
{
    struct two two;
    two_start(&two, *state);
    struct edge *edges = two.world->edges;
    for (size_t i = 0; i < 3; i++)
        edge_start_with(&two, &edges[i], "ab");
    for (size_t i = 0; i < 3; i++)
        UNTIL(two.world, 2000, ready(&edges[i]) == 4);
    two_stop(&two);
}

/* Partitions of the new list that would be on the new shard, and those on a shard that has never had them. */
static void refused_while_the_fleet_lives(struct two *two, const char *fleet, const char *other)
{
    struct world *world = two->world;
    edge_start_with(two, &world->edges[0], fleet);
    UNTIL(world, 2000, ready(&world->edges[0]) == 4);
    redisReply *before = redis_server_do(&world->redis, "HGETALL rollcall:shard");
    long long second_before = keys_in(&two->second);
    edge_start_with(two, &world->edges[1], other);
    uint64_t end = now_ms() + 3 * L_MS;
    while (now_ms() < end) {
        uv_run(&world->loop, UV_RUN_ONCE);
        assert_int_equal(0, ready(&world->edges[1]));
        assert_int_equal(4, ready(&world->edges[0]));
    }
    assert_int_equal(second_before, keys_in(&two->second));
    redisReply *after = redis_server_do(&world->redis, "HGETALL rollcall:shard");
    assert_int_equal(before->elements, after->elements); /* no partition more */
    freeReplyObject(before);
    freeReplyObject(after);
    edge_kill(&world->edges[0]);
    UNTIL(world, 4 * L_MS, ready(&world->edges[1]) == 4);
}

static void test_a_shard_more_waits_for_the_fleet_to_go(void **state)
{
    struct two two;
    two_start(&two, *state);
    refused_while_the_fleet_lives(&two, "a", "ab");
    assert_true(keys_in(&two.second) > 0);
    two_stop(&two);
}

static void test_another_order_waits_for_the_fleet_to_go(void **state)
{
    struct two two;
    two_start(&two, *state);
    refused_while_the_fleet_lives(&two, "ab", "ba");
    two_stop(&two);
}

static void test_a_shard_less_waits_for_the_fleet_to_go(void **state)
{
    struct two two;
    two_start(&two, *state);
    refused_while_the_fleet_lives(&two, "ab", "a");
    two_stop(&two);
}

/* A living fleet stamps again what was emptied, whatever the other shard does. */
static void test_an_emptied_shard_is_stamped_while_the_other_is_away(void **state)
{
    struct two two;
    two_start(&two, *state);
    struct edge *edges = two.world->edges;
    edge_start_with(&two, &edges[0], "ab");
    UNTIL(two.world, 2000, ready(&edges[0]) == 4);
    redis_server_kill(&two.second);
    UNTIL(two.world, 2000, ready(&edges[0]) == 2);
    redis_server_just(&two.world->redis, "FLUSHALL");
    UNTIL(two.world, 3 * H_MS, keys_in(&two.world->redis) > 0 && ready(&edges[0]) == 2);
    edge_kill(&edges[0]);
    redis_server_just(&two.world->redis, "FLUSHALL");
    /* and so does an edge that has seen no fleet yet, when the other stays away */
    edge_start_with(&two, &edges[1], "ab");
    UNTIL(two.world, 3 * L_MS, ready(&edges[1]) == 2);
    edge_kill(&edges[1]);
    redis_server_run(&two.second, NULL);
    two_stop(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_fleet_starts_on_two_empty_shards),
        TEST(test_a_shard_more_waits_for_the_fleet_to_go),
        TEST(test_another_order_waits_for_the_fleet_to_go),
        TEST(test_a_shard_less_waits_for_the_fleet_to_go),
        TEST(test_an_emptied_shard_is_stamped_while_the_other_is_away),
    };
    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
