/* Transitions for webhooks, on a real Redis: told once for the fleet, in order, by whichever edge holds the lane. */
#include "edges.h"

enum { HEARD = 64 };

static struct heard {
    struct edge *edge;
    unsigned lane;
    char id[96], user[32], channel[64], payload[64];
    enum store_transition_kind kind;
    enum store_reason reason;
    uint64_t count;
} heard[HEARD];
static size_t heard_count;
static bool hold_back; /* the receiver does not answer */

static void on_transitions(void *context, unsigned lane, const struct store_transition *list, size_t count)
{
    struct edge *edge = context;
    for (size_t i = 0; i < count; i++) {
        assert_true(heard_count < HEARD);
        struct heard *h = &heard[heard_count++];
        *h = (struct heard){
            edge, lane, .kind = list[i].kind, .reason = list[i].reason, .count = list[i].count};
        snprintf(h->id, sizeof h->id, "%s", list[i].id);
        snprintf(h->user, sizeof h->user, "%s", list[i].user_id ? list[i].user_id : "");
        snprintf(h->channel, sizeof h->channel, "%s", list[i].channel);
        snprintf(h->payload, sizeof h->payload, "%s", list[i].payload ? list[i].payload : "");
        assert_string_equal("app", list[i].app_id);
    }
    if (!hold_back)
        store_transitions_done(edge->store, lane, list[count - 1].id);
}

static size_t count_heard(enum store_transition_kind kind, const char *user)
{
    size_t count = 0;
    for (size_t i = 0; i < heard_count; i++)
        count += heard[i].kind == kind && !strcmp(heard[i].user, user);
    return count;
}

static const struct heard *find_heard(enum store_transition_kind kind, const char *user)
{
    for (size_t i = 0; i < heard_count; i++) {
        if (heard[i].kind == kind && !strcmp(heard[i].user, user))
            return &heard[i];
    }
    fail_msg("nothing was told of \"%s\"", user);
    return NULL;
}

static void start_telling(struct world *world, size_t count)
{
    heard_count = 0;
    hold_back = false;
    transitions_to = on_transitions;
    start_edges(world, count);
    transitions_to = NULL;
    settle(world, count);
}

static void test_each_transition_is_told_once(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna, bert, back, plain;
    start_telling(world, 2);
    join(a, &anna, "presence-x", "anna");
    join(b, &bert, "presence-x", "bert");
    subscribe(b, &plain, "public");
    UNTIL(world, 900, anna.answered && bert.answered && plain.answered);
    UNTIL(world, 3000, count_heard(STORE_MEMBER_ADDED, "bert") && count_heard(STORE_COUNTED, ""));
    leave(a, &anna);
    join(b, &back, "presence-x", "anna"); /* a reload: no noise */
    UNTIL(world, 900, back.answered);
    bert.subscription.reason = STORE_TIMED_OUT;
    leave(b, &bert);
    UNTIL(world, 8000, count_heard(STORE_MEMBER_REMOVED, "bert"));
    assert_int_equal(STORE_TIMED_OUT, find_heard(STORE_MEMBER_REMOVED, "bert")->reason);
    assert_int_equal(1, find_heard(STORE_COUNTED, "")->count);
    run_for(world, 1500);
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "anna"));
    assert_int_equal(0, count_heard(STORE_MEMBER_REMOVED, "anna"));
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "bert"));
    assert_int_equal(1, count_heard(STORE_MEMBER_REMOVED, "bert"));
    assert_int_equal(2, count_heard(STORE_OCCUPIED, ""));
    leave(b, &back);
    leave(b, &plain);
}

static void test_events_are_noted(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0];
    struct store_transition event = {.kind = STORE_CLIENT_EVENT,
        .app_id = "app",
        .channel = "presence-x",
        .user_id = "anna",
        .payload = "{\"a b\":1}",
        .payload_bytes = 9};
    struct store_transition miss = {.kind = STORE_CACHE_MISS, .app_id = "app", .channel = "cache-x"};
    start_telling(world, 1);
    store_note(a->store, &event);
    for (int i = 0; i < 5; i++)
        store_note(a->store, &miss);
    UNTIL(world, 3000, count_heard(STORE_CLIENT_EVENT, "anna") && count_heard(STORE_CACHE_MISS, ""));
    run_for(world, 600);
    assert_string_equal("{\"a b\":1}", find_heard(STORE_CLIENT_EVENT, "anna")->payload);
    assert_int_equal(1, count_heard(STORE_CLIENT_EVENT, "anna"));
    assert_int_equal(1, count_heard(STORE_CACHE_MISS, ""));
}

/* The edge that delivers dies before it is done: another tells the same again, under the same id. */
static void test_a_lane_is_taken_over(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna;
    start_telling(world, 2);
    hold_back = true;
    join(a, &anna, "presence-x", "anna");
    UNTIL(world, 3000, count_heard(STORE_MEMBER_ADDED, "anna"));
    struct heard first = *find_heard(STORE_MEMBER_ADDED, "anna");
    run_for(world, L_MS + 2 * H_MS); /* it holds the lane as long as it lives */
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "anna"));
    struct edge *other = first.edge == a ? b : a;
    edge_kill(first.edge);
    hold_back = false;
    UNTIL(world, L_MS + 4 * H_MS, count_heard(STORE_MEMBER_ADDED, "anna") == 2);
    for (size_t i = 0; i < heard_count; i++) {
        if (heard[i].kind == STORE_MEMBER_ADDED && heard[i].edge == other)
            assert_string_equal(first.id, heard[i].id);
    }
    if (other == b) { /* anna's edge is gone, and that is told too */
        UNTIL(world, L_MS + 4 * H_MS + 5000, count_heard(STORE_MEMBER_REMOVED, "anna"));
        assert_int_equal(STORE_EDGE_LOST, find_heard(STORE_MEMBER_REMOVED, "anna")->reason);
    } else {
        leave(a, &anna);
    }
}

/* One receiver that hangs must not hold up what is for others: they ask for more. */
static void test_more_is_told_before_one_is_done(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0];
    struct client anna, bert, carl;
    start_telling(world, 1);
    hold_back = true;
    join(a, &anna, "presence-x", "anna");
    UNTIL(world, 3000, count_heard(STORE_MEMBER_ADDED, "anna"));
    struct heard first = *find_heard(STORE_MEMBER_ADDED, "anna");
    join(a, &bert, "presence-x", "bert");
    run_for(world, 1500);
    assert_int_equal(0, count_heard(STORE_MEMBER_ADDED, "bert"));
    store_transitions_more(a->store, first.lane);
    UNTIL(world, 3000, count_heard(STORE_MEMBER_ADDED, "bert"));
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "anna")); /* only what follows */
    store_transitions_done(a->store, first.lane, first.id);       /* and not bert's */
    join(a, &carl, "presence-x", "carl");
    UNTIL(world, 3000, count_heard(STORE_MEMBER_ADDED, "carl"));
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "bert"));
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "anna"));
    hold_back = false;
    store_transitions_done(a->store, first.lane, find_heard(STORE_MEMBER_ADDED, "carl")->id);
    leave(a, &anna);
    UNTIL(world, 8000, count_heard(STORE_MEMBER_REMOVED, "anna"));
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "carl"));
    leave(a, &bert);
    leave(a, &carl);
}

/* What one is done with while Redis is still being told of earlier ones was told again. */
static void test_done_twice_in_one_breath(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0];
    struct client anna;
    start_telling(world, 1);
    hold_back = true;
    join(a, &anna, "presence-x", "anna");
    UNTIL(world, 3000, count_heard(STORE_OCCUPIED, "") && count_heard(STORE_MEMBER_ADDED, "anna"));
    const struct heard *first = find_heard(STORE_OCCUPIED, ""),
                       *second = find_heard(STORE_MEMBER_ADDED, "anna");
    store_transitions_done(a->store, first->lane, first->id);
    store_transitions_done(a->store, second->lane, second->id);
    run_for(world, 1500);
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "anna"));
    leave(a, &anna);
}

/* Redis loses everything, is stamped anew, and has all of this edge's facts again. */
static void lose_all(struct world *world, struct edge *edge)
{
    uint64_t asserts = engine_counters(store_redis_engine(edge->store))->asserts;
    redis_server_just(&world->redis, "FLUSHALL");
    UNTIL(world, 5 * H_MS, engine_counters(store_redis_engine(edge->store))->asserts > asserts);
    run_for(world, 4 * H_MS);
}

/* What was told and is done with is not told again when it is lost, however lately it happened; what was lost before it was
 * told is. */
static void test_only_what_may_not_have_been_told_is_restated(void **state)
{
    struct world *world = *state;
    struct edge *a = &world->edges[0];
    struct client anna, bert, carl, plain;
    start_telling(world, 1);
    join(a, &anna, "presence-x", "anna");
    join(a, &bert, "presence-x", "bert");
    subscribe(a, &plain, "public");
    UNTIL(world, 3000, anna.answered && bert.answered && plain.answered);
    leave(a, &bert);
    UNTIL(world, 8000, count_heard(STORE_MEMBER_REMOVED, "bert") && count_heard(STORE_COUNTED, ""));
    run_for(world, 3000 + 4 * H_MS);
    for (int i = 0; i < 2; i++)
        lose_all(world, a);
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "anna"));
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "bert"));
    assert_int_equal(1, count_heard(STORE_MEMBER_REMOVED, "bert"));
    assert_int_equal(2, count_heard(STORE_OCCUPIED, ""));
    run_for(world, L_MS + 3 * H_MS);
    assert_int_equal(1, count_heard(STORE_COUNTED, ""));
    hold_back = true;
    join(a, &carl, "presence-x", "carl");
    UNTIL(world, 3000, count_heard(STORE_MEMBER_ADDED, "carl"));
    lose_all(world, a);
    hold_back = false;
    store_transitions_done(
        a->store, find_heard(STORE_MEMBER_ADDED, "carl")->lane, find_heard(STORE_MEMBER_ADDED, "carl")->id);
    UNTIL(world, 3000, count_heard(STORE_MEMBER_ADDED, "carl") == 2);
    assert_int_equal(1, count_heard(STORE_MEMBER_ADDED, "anna"));
    leave(a, &anna);
    leave(a, &carl);
    leave(a, &plain);
}

static uint64_t asks_of(const struct edge *edge)
{
    return engine_counters(store_redis_engine(edge->store))->lane_asks;
}

/* A lane with nothing to tell is asked once a heartbeat by each edge, and what comes is told at once all the same. */
static void test_a_quiet_lane_is_woken(void **state)
{
    enum { SLOW_H_MS = 1500, LANES = 4, BEATS = 3 };
    struct world *world = *state;
    struct edge *a = &world->edges[0], *b = &world->edges[1];
    struct client anna;
    heartbeat_ms = SLOW_H_MS;
    heard_count = 0;
    hold_back = false;
    transitions_to = on_transitions;
    start_edges(world, 2);
    transitions_to = NULL;
    run_for(world, SLOW_H_MS + 500); /* the lanes are held, and their wakes followed */
    uint64_t before = asks_of(a) + asks_of(b);
    run_for(world, BEATS * SLOW_H_MS);
    assert_in_range(asks_of(a) + asks_of(b) - before, 1, 2 * LANES * (BEATS + 1));
    join(a, &anna, "presence-x", "anna");
    UNTIL(world, SLOW_H_MS / 2, count_heard(STORE_MEMBER_ADDED, "anna"));
    leave(a, &anna);
    UNTIL(world, 3000 + 2 * SLOW_H_MS, count_heard(STORE_VACATED, ""));
    assert_true(find_heard(STORE_VACATED, "") > find_heard(STORE_MEMBER_REMOVED, "anna"));
    heartbeat_ms = H_MS;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_transition_is_told_once),
        TEST(test_events_are_noted),
        TEST(test_a_lane_is_taken_over),
        TEST(test_more_is_told_before_one_is_done),
        TEST(test_done_twice_in_one_breath),
        TEST(test_only_what_may_not_have_been_told_is_restated),
        TEST(test_a_quiet_lane_is_woken),
    };
    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
