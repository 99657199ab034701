/* The list of shards says where partitions are to be; where they are, all edges that live decide. They never hold one on
 * two shards. */
#include "edges.h"

#include <errno.h>

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

/* A store with this list from now on, while it runs. */
static void change(struct two *two, struct edge *edge, const char *list)
{
    struct store_redis_shard shards[2];
    char problem[200];
    for (size_t i = 0; list[i]; i++)
        shards[i] = list[i] == 'a' ? two->a : two->b;
    assert_int_equal(
        0, store_redis_change_shards(edge->store, shards, (unsigned)strlen(list), problem, sizeof problem));
}

/* How many partitions the edge has on the shard of that name. */
static unsigned on(struct edge *edge, const char *name)
{
    struct engine *engine = store_redis_engine(edge->store);
    unsigned count = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct engine_partition_status status;
        engine_partition_status(engine, i, &status);
        count += status.state == PARTITION_READY && (int)status.shard == engine_shard_index(engine, name);
    }
    return count;
}

/* Keys of partitions that stay for ever. */
static unsigned kept_in(struct redis_server *server)
{
    redisReply *keys = redis_server_do(server, "KEYS rollcall:{*");
    unsigned kept = 0;
    for (size_t i = 0; i < keys->elements; i++) {
        redisReply *ttl = redis_server_do(server, "PTTL %s", keys->element[i]->str);
        kept += ttl->integer == -1;
        freeReplyObject(ttl);
    }
    freeReplyObject(keys);
    return kept;
}

/* Clients of one channel in each partition, on both edges. */
struct crowd {
    struct client anna[4], bert[4];
    char channel[4][32];
};

static void gather(struct two *two, struct crowd *crowd)
{
    struct edge *edges = two->world->edges;
    for (unsigned p = 0; p < 4; p++) {
        unsigned number = 0;
        do {
            snprintf(crowd->channel[p], sizeof crowd->channel[p], "presence-%u", number++);
        } while (engine_partition_of(store_redis_engine(edges[0].store), "app", crowd->channel[p]) != p);
        join(&edges[0], &crowd->anna[p], crowd->channel[p], "anna");
        join(&edges[1], &crowd->bert[p], crowd->channel[p], "bert");
    }
    for (unsigned p = 0; p < 4; p++) {
        UNTIL(two->world, 2000, crowd->anna[p].answered && crowd->bert[p].answered);
        UNTIL(two->world, 2000,
            shows(&edges[0], crowd->channel[p], "bert") && shows(&edges[1], crowd->channel[p], "anna"));
    }
}

/* Nobody was told that anyone left, and both edges, and Redis, have all. */
static void all_there(struct two *two, const struct crowd *crowd)
{
    for (size_t e = 0; e < 2; e++) {
        struct edge *edge = &two->world->edges[e];
        assert_int_equal(0, told_of(edge, "anna", false) + told_of(edge, "bert", false));
        for (unsigned p = 0; p < 4; p++) {
            UNTIL(two->world, 2000, ask(two->world, edge, crowd->channel[p], 2).members == 2);
            assert_true(shows(edge, crowd->channel[p], "anna") && shows(edge, crowd->channel[p], "bert"));
        }
    }
}

static void scatter(struct two *two, struct crowd *crowd)
{
    for (unsigned p = 0; p < 4; p++) {
        leave(&two->world->edges[0], &crowd->anna[p]);
        leave(&two->world->edges[1], &crowd->bert[p]);
    }
}

/* One edge after the other gets a shard more, and then one less: it moves when the last one has it, and clients see
 * nothing. */
static void test_a_shard_comes_and_goes_under_a_fleet_that_lives(void **state)
{
    struct two two;
    struct crowd crowd;
    two_start(&two, *state);
    struct edge *edges = two.world->edges;
    edge_start_with(&two, &edges[0], "a");
    edge_start_with(&two, &edges[1], "a");
    UNTIL(two.world, 2000, ready(&edges[0]) == 4 && ready(&edges[1]) == 4);
    settle(two.world, 2);
    gather(&two, &crowd);
    change(&two, &edges[0], "ab");
    run_for(two.world, 3 * H_MS);
    assert_int_equal(4, on(&edges[0], "a"));   /* the other edge does not know b */
    assert_int_equal(1, keys_in(&two.second)); /* its stamp, which says where the fleet lives */
    change(&two, &edges[1], "ab");
    UNTIL(two.world, 4 * H_MS, on(&edges[0], "b") == 2 && on(&edges[1], "b") == 2);
    settle(two.world, 2);
    all_there(&two, &crowd);
    change(&two, &edges[1], "b"); /* by a reload; a shard that is not in the list is one that leaves */
    run_for(two.world, 3 * H_MS);
    assert_int_equal(2, on(&edges[1], "a"));
    change(&two, &edges[0], "b");
    UNTIL(two.world, 4 * H_MS, on(&edges[0], "b") == 4 && on(&edges[1], "b") == 4);
    settle(two.world, 2);
    all_there(&two, &crowd);
    assert_int_equal(0, kept_in(&two.world->redis));
    for (size_t e = 0; e < 2; e++)
        UNTIL(two.world, 2000, engine_shard_index(store_redis_engine(edges[e].store), "a") == -1);
    scatter(&two, &crowd);
    two_stop(&two);
}

enum { HEARD = 64 };
static struct {
    char id[96];
    bool after;
} heard[HEARD];
static size_t heard_count;
static bool takes; /* the receiver */

static void on_transitions(void *context, unsigned lane, const struct store_transition *list, size_t count)
{
    struct edge *edge = context;
    for (size_t i = 0; i < count; i++) {
        if (list[i].kind != STORE_CLIENT_EVENT)
            continue;
        assert_true(heard_count < HEARD);
        snprintf(heard[heard_count].id, sizeof heard[0].id, "%s", list[i].id);
        heard[heard_count++].after = takes;
    }
    if (takes)
        store_transitions_done(edge->store, lane, list[count - 1].id);
}

static bool came_after(const char *id)
{
    for (size_t i = 0; i < heard_count; i++) {
        if (heard[i].after && !strcmp(heard[i].id, id))
            return true;
    }
    return false;
}

/* An event is no state, so nobody would tell it again: it has to come from the copy that was left. */
static void test_what_was_not_delivered_comes_from_the_copy_that_was_left(void **state)
{
    struct two two;
    two_start(&two, *state);
    struct edge *edges = two.world->edges;
    transitions_to = on_transitions;
    edge_start_with(&two, &edges[0], "a");
    edge_start_with(&two, &edges[1], "a");
    transitions_to = NULL;
    UNTIL(two.world, 2000, ready(&edges[0]) == 4 && ready(&edges[1]) == 4);
    settle(two.world, 2);
    takes = false;
    heard_count = 0;
    struct store_transition event = {.kind = STORE_CLIENT_EVENT, .app_id = "app"};
    char channel[32];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(channel, sizeof channel, "private-%u", i);
        event.channel = channel;
        store_note(edges[0].store, &event);
    }
    UNTIL(two.world, 4 * H_MS, heard_count == 8);
    change(&two, &edges[0], "b");
    takes = true; /* of what it has it is not done, and will not be: it is told again */
    change(&two, &edges[1], "b");
    UNTIL(two.world, 4 * H_MS, on(&edges[0], "b") == 4 && on(&edges[1], "b") == 4);
    for (unsigned i = 0; i < 8; i++)
        UNTIL(two.world, 2 * L_MS + 4 * H_MS, came_after(heard[i].id));
    event.channel = "private-0"; /* and then those of the present one */
    size_t before = heard_count;
    store_note(edges[1].store, &event);
    UNTIL(two.world, 2 * L_MS + 4 * H_MS, heard_count > before);
    UNTIL(two.world, 3 * L_MS, engine_shard_index(store_redis_engine(edges[0].store), "a") == -1);
    two_stop(&two);
}

static void test_another_order_moves_too(void **state)
{
    struct two two;
    struct crowd crowd;
    two_start(&two, *state);
    struct edge *edges = two.world->edges;
    edge_start_with(&two, &edges[0], "ab");
    UNTIL(two.world, 2000, ready(&edges[0]) == 4);
    edge_start_with(&two, &edges[1], "ba"); /* goes where the fleet is */
    UNTIL(two.world, 2000, ready(&edges[1]) == 4);
    settle(two.world, 2);
    gather(&two, &crowd);
    run_for(two.world, 3 * H_MS);
    change(&two, &edges[0], "ba");
    UNTIL(two.world, 4 * H_MS, engine_counters(store_redis_engine(edges[0].store))->moves == 4);
    settle(two.world, 2);
    all_there(&two, &crowd);
    scatter(&two, &crowd);
    two_stop(&two);
}

/* Who cannot speak to a shard must not take its partitions elsewhere while the fleet lives there. */
static void test_a_line_too_few_is_refused_in_part(void **state)
{
    struct two two;
    two_start(&two, *state);
    struct edge *edges = two.world->edges;
    edge_start_with(&two, &edges[0], "ab");
    UNTIL(two.world, 2000, ready(&edges[0]) == 4);
    edge_start_with(&two, &edges[1], "a");
    uint64_t end = now_ms() + 4 * L_MS;
    while (now_ms() < end) {
        uv_run(&two.world->loop, UV_RUN_ONCE);
        assert_int_equal(4, ready(&edges[0]));
        assert_in_range(ready(&edges[1]), 0, 2);
    }
    assert_int_equal(2, ready(&edges[1]));
    edge_kill(&edges[0]);
    UNTIL(two.world, 2 * L_MS + 12 * H_MS, on(&edges[1], "a") == 4);
    two_stop(&two);
}

/* It will not come back: with all edges told so, its partitions are taken from it unasked. */
static void test_a_dead_shard_leaves(void **state)
{
    struct two two;
    two_start(&two, *state);
    struct edge *edges = two.world->edges;
    edge_start_with(&two, &edges[0], "ab");
    edge_start_with(&two, &edges[1], "ab");
    UNTIL(two.world, 2000, ready(&edges[0]) == 4 && ready(&edges[1]) == 4);
    redis_server_kill(&two.second);
    UNTIL(two.world, 2000, ready(&edges[0]) == 2 && ready(&edges[1]) == 2);
    two.b.leaving = true;
    change(&two, &edges[0], "ab");
    run_for(two.world, 2 * L_MS + 12 * H_MS);
    assert_int_equal(2, ready(&edges[0])); /* the other edge waits for it */
    change(&two, &edges[1], "ab");
    UNTIL(two.world, 2 * L_MS + 12 * H_MS, on(&edges[0], "a") == 4 && on(&edges[1], "a") == 4);
    redis_server_run(&two.second, NULL);
    two_stop(&two);
}

static void test_a_list_that_cannot_be_is_refused(void **state)
{
    struct two two;
    char problem[200];
    two_start(&two, *state);
    edge_start_with(&two, &two.world->edges[0], "ab");
    struct store *store = two.world->edges[0].store;
    struct store_redis_shard wrong = {.name = "c", .address = "nowhere"};
    assert_int_equal(-EINVAL, store_redis_change_shards(store, &wrong, 1, problem, sizeof problem));
    assert_non_null(strstr(problem, "redis.shards[0].address: must be host:port"));
    two.a.leaving = true;
    assert_int_equal(-EINVAL, store_redis_change_shards(store, &two.a, 1, problem, sizeof problem));
    assert_non_null(strstr(problem, "one is not leaving"));
    UNTIL(two.world, 2000, ready(&two.world->edges[0]) == 4);
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
        TEST(test_a_shard_comes_and_goes_under_a_fleet_that_lives),
        TEST(test_what_was_not_delivered_comes_from_the_copy_that_was_left),
        TEST(test_another_order_moves_too),
        TEST(test_a_line_too_few_is_refused_in_part),
        TEST(test_a_dead_shard_leaves),
        TEST(test_a_list_that_cannot_be_is_refused),
        TEST(test_an_emptied_shard_is_stamped_while_the_other_is_away),
    };
    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
