/* What people are told when they look, on a real Redis: who lives until when, who holds whom; and what was healed. */
#include "edges.h"

#include "presence/engine/look.h"

#include <signal.h>

struct looked {
    struct engine_look look;
    struct {
        uint64_t owner, channels, sequence;
        int64_t lease_ms;
        char edge[32];
        bool is_me;
    } owners[8];
    struct {
        uint64_t owner, number;
    } numbers[8];
    struct {
        char id[32], info[32];
        uint64_t owners[LOOK_HOLDERS_MAX];
        size_t owner_count;
    } users[8];
    size_t owner_count, number_count, user_count;
    bool done, known;
};

static void on_each_owner(struct engine_look *look, const struct engine_owner *owner)
{
    struct looked *looked = (struct looked *)look;
    size_t i = looked->owner_count++;
    assert_true(i < 8);
    looked->owners[i].owner = owner->owner;
    looked->owners[i].channels = owner->channels;
    looked->owners[i].sequence = owner->sequence;
    looked->owners[i].lease_ms = owner->lease_ms;
    looked->owners[i].is_me = owner->is_me;
    snprintf(looked->owners[i].edge, 32, "%.*s", (int)owner->edge_bytes, owner->edge);
}

static void on_each_number(struct engine_look *look, uint64_t owner, uint64_t number)
{
    struct looked *looked = (struct looked *)look;
    assert_true(looked->number_count < 8);
    looked->numbers[looked->number_count].owner = owner;
    looked->numbers[looked->number_count++].number = number;
}

static void on_each_user(struct engine_look *look, const char *id, size_t id_bytes, const char *info,
    size_t info_bytes, const uint64_t *owners, size_t owner_count)
{
    struct looked *looked = (struct looked *)look;
    size_t i = looked->user_count++;
    assert_true(i < 8);
    snprintf(looked->users[i].id, 32, "%.*s", (int)id_bytes, id);
    snprintf(looked->users[i].info, 32, "%.*s", (int)info_bytes, info ? info : "");
    looked->users[i].owner_count = owner_count;
    memcpy(looked->users[i].owners, owners, owner_count * sizeof *owners);
}

static void on_looked_at(struct engine_look *look, bool known)
{
    ((struct looked *)look)->done = true;
    ((struct looked *)look)->known = known;
}

static struct looked look(
    struct world *world, struct edge *edge, const char *channel, const char *user, uint32_t users_max)
{
    struct looked looked = {.look = {.each_owner = on_each_owner,
                                .each_number = on_each_number,
                                .each_user = on_each_user,
                                .done = on_looked_at}};
    struct engine_look_at at = {.app_id = channel ? "app" : NULL,
        .channel = channel,
        .user = user,
        .user_bytes = user ? strlen(user) : 0,
        .users_max = users_max};
    engine_look(store_redis_engine(edge->store), &at, &looked.look);
    UNTIL(world, 5000, looked.done);
    return looked;
}

static void test_edges_and_their_leases(void **state)
{
    struct world *world = *state;
    start_edges(world, 2);
    run_for(world, 2 * H_MS);
    struct looked looked = look(world, &world->edges[0], NULL, NULL, 0);
    assert_true(looked.known);
    assert_int_equal(2, looked.owner_count);
    assert_int_equal(1, looked.owners[0].is_me + looked.owners[1].is_me);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal("edge", looked.owners[i].edge);
        assert_in_range(looked.owners[i].lease_ms, L_MS - H_MS, L_MS + H_MS);
    }
    assert_int_equal(0, looked.user_count + looked.number_count);

    /* whoever dies is seen to run out, and then is gone */
    edge_kill(&world->edges[1]);
    run_for(world, L_MS);
    looked = look(world, &world->edges[0], NULL, NULL, 0);
    assert_int_equal(2, looked.owner_count);
    assert_in_range(looked.owners[0].lease_ms + L_MS, 0, 2 * L_MS); /* soonest first */
    assert_false(looked.owners[0].is_me);
    UNTIL(world, 3 * L_MS, look(world, &world->edges[0], NULL, NULL, 0).owner_count == 1);
    UNTIL(world, 3 * L_MS, noted[NOTE_REAPED] == 4);
}

static void test_who_holds_whom(void **state)
{
    struct world *world = *state;
    struct client a, b, c, d;
    start_edges(world, 2);
    join(&world->edges[0], &a, "presence-x", "anna");
    join(&world->edges[1], &b, "presence-x", "anna");
    join(&world->edges[1], &c, "presence-x", "bert");
    join(&world->edges[1], &d, "presence-x", "bert");
    UNTIL(world, 5000, a.answered && b.answered && c.answered && d.answered);
    struct looked looked = {0};
    UNTIL(world, 5000, (looked = look(world, &world->edges[0], "presence-x", NULL, 10)).number_count == 1);
    assert_int_equal(2, looked.user_count);
    assert_int_equal(2, looked.look.users);
    size_t anna = strcmp(looked.users[0].id, "anna") == 0 ? 0 : 1, me = looked.owners[0].is_me ? 0 : 1;
    assert_string_equal("bert", looked.users[1 - anna].id);
    assert_string_equal("{\"n\":1}", looked.users[anna].info);
    assert_int_equal(2, looked.users[anna].owner_count);
    assert_int_equal(1, looked.users[1 - anna].owner_count);
    assert_int_equal(looked.owners[1 - me].owner, looked.users[1 - anna].owners[0]);
    assert_int_equal(looked.owners[1 - me].owner, looked.numbers[0].owner); /* bert's second socket */
    assert_int_equal(1, looked.numbers[0].number);

    /* one of them; fewer than there are; nobody */
    looked = look(world, &world->edges[1], "presence-x", "bert", 10);
    assert_int_equal(1, looked.user_count);
    assert_string_equal("bert", looked.users[0].id);
    looked = look(world, &world->edges[1], "presence-x", NULL, 1);
    assert_int_equal(1, looked.user_count);
    assert_int_equal(2, looked.look.users);
    looked = look(world, &world->edges[1], "presence-x", "cara", 10);
    assert_true(looked.known);
    assert_int_equal(0, looked.user_count);

    struct engine_hold hold;
    struct engine *engine = store_redis_engine(world->edges[1].store);
    assert_true(engine_hold_of(engine, "app", "presence-x", "bert", 4, &hold));
    assert_true(hold.is_settled);
    assert_in_range(hold.write, 1, 20);
    assert_int_equal(hold.owner, looked.owners[0].is_me ? looked.owners[0].owner : looked.owners[1].owner);
    assert_false(engine_hold_of(engine, "app", "presence-x", "cara", 4, &hold));
    assert_false(
        engine_hold_of(store_redis_engine(world->edges[0].store), "app", "presence-x", "bert", 4, &hold));
    assert_false(engine_hold_of(engine, "app", "presence-y", "bert", 4, &hold));
    leave(&world->edges[0], &a);
    leave(&world->edges[1], &b);
    leave(&world->edges[1], &c);
    leave(&world->edges[1], &d);
}

/* Looking is not mending: what is broken is left for those whose work it is. */
static void test_looking_changes_nothing(void **state)
{
    struct world *world = *state;
    start_edges(world, 1);
    for (unsigned i = 0; i < 4; i++) {
        redis_server_just(&world->redis, "SET rollcall:{%u}:r:app:presence-junk junk", i);
        redis_server_just(&world->redis, "SET rollcall:{%u}:s:app:presence-junk junk", i);
    }
    struct looked looked = look(world, &world->edges[0], "presence-junk", NULL, 10);
    assert_true(looked.known);
    assert_int_equal(0, looked.user_count + looked.number_count);
    for (unsigned i = 0; i < 4; i++) {
        redisReply *type = redis_server_do(&world->redis, "TYPE rollcall:{%u}:r:app:presence-junk", i);
        assert_string_equal("string", type->str);
        freeReplyObject(type);
    }
}

static void test_what_cannot_be_asked_is_not_known(void **state)
{
    struct world *world = *state;
    start_edges(world, 1);
    redis_server_kill(&world->redis);
    UNTIL(world, 5000, !all_ready(&world->edges[0]));
    assert_false(look(world, &world->edges[0], "presence-x", NULL, 10).known);
    struct shard_link_status status;
    store_redis_shard_link(world->edges[0].store, 0, &status);
    assert_false(status.is_up);
    assert_int_equal(1, noted[NOTE_FROZEN]);
    redis_server_run(&world->redis, NULL);
    UNTIL(world, 10000, all_ready(&world->edges[0]));
    store_redis_shard_link(world->edges[0].store, 0, &status);
    assert_true(status.is_up && status.is_confirmed && !status.is_replicated);
    assert_int_equal(1, noted[NOTE_THAWED]);
}

static void test_healing_is_noted_and_an_ordinary_life_is_not(void **state)
{
    struct world *world = *state;
    struct client client;
    start_edges(world, 1);
    join(&world->edges[0], &client, "presence-x", "anna");
    settle(world, 1);
    run_for(world, H_MS);
    for (size_t i = 0; i < sizeof noted / sizeof noted[0]; i++)
        if (noted[i])
            fail_msg("%u of kind %zu", noted[i], i);
    redis_server_just(&world->redis, "FLUSHALL");
    UNTIL(world, 5000, noted[NOTE_TIMELINE] == 4 && noted[NOTE_ASSERTED] == 4 && noted[NOTE_WAITS] == 4);
    UNTIL(world, 3 * (L_MS + H_MS), noted[NOTE_WAITED] == 4);
    assert_int_equal(0, noted[NOTE_REFUSED] + noted[NOTE_FROZEN]);
    redis_server_just(&world->redis, "CONFIG SET maxmemory 0");
    redis_server_just(&world->redis, "REPLICAOF 127.0.0.1 1");
    UNTIL(world, 5000, noted[NOTE_REFUSED] > 0);
    redis_server_just(&world->redis, "REPLICAOF NO ONE");
    UNTIL(world, 10000, all_ready(&world->edges[0]));
    leave(&world->edges[0], &client);
}

static int set_up_anew(void **state)
{
    memset(noted, 0, sizeof noted);
    return set_up(state);
}

#undef TEST
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_anew, tear_down)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(test_edges_and_their_leases),
        TEST(test_who_holds_whom),
        TEST(test_looking_changes_nothing),
        TEST(test_what_cannot_be_asked_is_not_known),
        TEST(test_healing_is_noted_and_an_ordinary_life_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
