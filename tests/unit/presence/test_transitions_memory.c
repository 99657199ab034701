/* Transitions of the memory store. The clock is driven by hand; what the observer is told is one line. */
#include "presence/store_memory.h"
#include "presence/transitions_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t now_ms;

static uint64_t test_clock(void)
{
    return now_ms;
}

static struct {
    struct store *store;
    char history[8192];
    char last_id[64], ids[16][64];
    size_t told, calls;
    bool done_at_once;
} fixture;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t used = strlen(fixture.history);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fixture.history + used, sizeof(fixture.history) - used, format, arguments);
    va_end(arguments);
}

static void write_down(const struct store_transition *told)
{
    static const char *const reasons[] = {"unsubscribed", "closed", "timed_out", "edge_lost", "terminated"};
    switch (told->kind) {
    case STORE_OCCUPIED:
        note("%s:occupied ", told->channel);
        break;
    case STORE_VACATED:
        note("%s:vacated(%s) ", told->channel, reasons[told->reason]);
        break;
    case STORE_MEMBER_ADDED:
        note("%s+%s ", told->channel, told->user_id);
        break;
    case STORE_MEMBER_REMOVED:
        note("%s-%s(%s) ", told->channel, told->user_id, reasons[told->reason]);
        break;
    case STORE_COUNTED:
        note("%s=%ju ", told->channel, (uintmax_t)told->count);
        break;
    case STORE_CLIENT_EVENT:
        note("%s!%.*s/%s ", told->channel, (int)told->payload_bytes, told->payload,
            told->user_id ? told->user_id : "-");
        break;
    case STORE_CACHE_MISS:
        note("%s:miss ", told->channel);
        break;
    }
}

static void on_transitions(void *context, unsigned lane, const struct store_transition *list, size_t count)
{
    (void)context;
    assert_int_equal(lane, 0);
    assert_true(count > 0);
    fixture.calls++;
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(list[i].app_id, "app");
        write_down(&list[i]);
        snprintf(fixture.ids[fixture.told++ % 16], sizeof(fixture.ids[0]), "%s", list[i].id);
    }
    snprintf(fixture.last_id, sizeof(fixture.last_id), "%s", list[count - 1].id);
    if (fixture.done_at_once)
        store_transitions_done(fixture.store, lane, fixture.last_id);
}

static void ignore_member(void *context, struct store_channel *channel, const struct member *member)
{
    (void)context, (void)channel, (void)member;
}

static void ignore_event(void *context, struct store_channel *channel, const struct store_event *event)
{
    (void)context, (void)channel, (void)event;
}

static void ignore_count(void *context, struct store_channel *channel, uint64_t count)
{
    (void)context, (void)channel, (void)count;
}

static int set_up(void **state)
{
    const struct store_observer observer = {.member_added = ignore_member,
        .member_removed = ignore_member,
        .event = ignore_event,
        .subscription_count = ignore_count,
        .transitions = *state ? NULL : on_transitions};
    memset(&fixture, 0, sizeof(fixture));
    now_ms = 1000;
    fixture.done_at_once = true;
    fixture.store = store_memory_new(&observer, &fixture, test_clock);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(fixture.store);
    return 0;
}

/* What was told after so many ms. */
static void expect_after(uint64_t ms, const char *expected)
{
    now_ms += ms;
    store_memory_tick(fixture.store);
    assert_string_equal(fixture.history, expected);
    fixture.history[0] = '\0';
}

static void on_done(struct store_subscription *subscription, enum store_result result, struct frame *cached)
{
    (void)subscription, (void)result, (void)cached;
}

static void join(struct store_subscription *client, const char *channel, const char *user)
{
    *client = (struct store_subscription){.done = on_done};
    struct store_user who = {.id = user, .id_bytes = user ? strlen(user) : 0};
    store_subscribe(fixture.store, "app", channel,
        (struct store_channel_options){.roster = user != NULL, .members_max = 2}, user ? &who : NULL, client);
}

static void leave(struct store_subscription *client, enum store_reason reason)
{
    client->reason = reason;
    store_unsubscribe(fixture.store, client);
}

static void test_coming_is_told_at_once_and_leaving_after_three_seconds(void **state)
{
    (void)state;
    struct store_subscription a;
    join(&a, "presence-x", "ann");
    expect_after(0, "presence-x:occupied presence-x+ann ");
    leave(&a, STORE_CLOSED);
    expect_after(2999, "");
    expect_after(1, "presence-x-ann(closed) presence-x:vacated(closed) ");
    expect_after(100000, "");
}

static void test_a_reload_of_a_page_tells_nothing(void **state)
{
    (void)state;
    struct store_subscription a, b;
    join(&a, "presence-x", "ann");
    join(&b, "news", NULL);
    expect_after(0, "presence-x:occupied presence-x+ann news:occupied news=1 ");
    for (int i = 0; i < 3; i++) {
        leave(&a, STORE_CLOSED);
        leave(&b, STORE_CLOSED);
        expect_after(2900, "");
        join(&a, "presence-x", "ann");
        join(&b, "news", NULL);
    }
    expect_after(100000, "");
    leave(&a, STORE_CLOSED);
    leave(&b, STORE_UNSUBSCRIBED);
    expect_after(
        3000, "presence-x-ann(closed) presence-x:vacated(closed) news:vacated(unsubscribed) news=0 ");
}

/* The negative twin: whoever comes back too late makes both events. */
static void test_a_reload_that_takes_too_long_is_told(void **state)
{
    (void)state;
    struct store_subscription a;
    join(&a, "presence-x", "ann");
    leave(&a, STORE_TIMED_OUT);
    expect_after(
        3000, "presence-x:occupied presence-x+ann presence-x-ann(timed_out) presence-x:vacated(timed_out) ");
    join(&a, "presence-x", "ann");
    expect_after(0, "presence-x:occupied presence-x+ann ");
    leave(&a, STORE_CLOSED);
}

static void test_another_user_answers_only_the_vacated(void **state)
{
    (void)state;
    struct store_subscription a, b;
    join(&a, "presence-x", "ann");
    expect_after(0, "presence-x:occupied presence-x+ann ");
    leave(&a, STORE_TERMINATED);
    expect_after(1000, "");
    join(&b, "presence-x", "bob");
    expect_after(0, "presence-x+bob ");
    expect_after(2000, "presence-x-ann(terminated) ");
    leave(&b, STORE_CLOSED);
}

static void test_a_user_with_several_connections_is_told_once(void **state)
{
    (void)state;
    struct store_subscription a, b;
    join(&a, "presence-x", "ann");
    join(&b, "presence-x", "ann");
    leave(&a, STORE_CLOSED);
    expect_after(5000, "presence-x:occupied presence-x+ann ");
    leave(&b, STORE_CLOSED);
    expect_after(3000, "presence-x-ann(closed) presence-x:vacated(closed) ");
}

static void test_who_is_refused_makes_no_transition(void **state)
{
    (void)state;
    struct store_subscription a, b, c;
    join(&a, "presence-x", "ann");
    join(&b, "presence-x", "bob");
    expect_after(0, "presence-x:occupied presence-x+ann presence-x+bob ");
    join(&c, "presence-x", "one too many");
    expect_after(5000, "");
    leave(&a, STORE_CLOSED);
    leave(&b, STORE_CLOSED);
}

static void test_our_own_channels_make_none(void **state)
{
    (void)state;
    struct store_subscription a, b;
    join(&a, "#user-ann", "ann");
    join(&b, "#server-to-user-ann", NULL);
    leave(&a, STORE_CLOSED);
    leave(&b, STORE_CLOSED);
    expect_after(5000, "");
}

static void test_counts_that_fall_wait_and_are_told_as_one(void **state)
{
    (void)state;
    struct store_subscription clients[3];
    for (int i = 0; i < 3; i++)
        join(&clients[i], "news", NULL);
    expect_after(0, "news:occupied news=1 news=2 news=3 ");
    leave(&clients[2], STORE_CLOSED);
    expect_after(1000, "");
    leave(&clients[1], STORE_CLOSED);
    expect_after(1999, "");
    expect_after(1, "news=1 ");
    leave(&clients[0], STORE_CLOSED);
    expect_after(3000, "news:vacated(closed) news=0 ");
}

static void test_counts_above_a_hundred_are_told_as_one(void **state)
{
    (void)state;
    struct store_subscription clients[150];
    for (int i = 0; i < 100; i++)
        join(&clients[i], "news", NULL);
    store_memory_tick(fixture.store);
    fixture.history[0] = '\0';
    for (int i = 100; i < 150; i++)
        join(&clients[i], "news", NULL);
    expect_after(2999, "");
    expect_after(1, "news=150 ");
    for (int i = 0; i < 150; i++)
        leave(&clients[i], STORE_CLOSED);
    expect_after(3000, "news=0 news:vacated(closed) "); /* in the order in which they began to wait */
}

static void tell_of_event(enum store_transition_kind kind, const char *channel, const char *payload)
{
    store_note(fixture.store, &(struct store_transition){.kind = kind,
                                  .app_id = "app",
                                  .channel = channel,
                                  .user_id = payload ? "ann" : NULL,
                                  .payload = payload,
                                  .payload_bytes = payload ? strlen(payload) : 0});
}

static void test_notes_keep_their_place_and_a_miss_is_told_once_in_three_seconds(void **state)
{
    (void)state;
    struct store_subscription a;
    join(&a, "presence-cache-x", "ann");
    tell_of_event(STORE_CACHE_MISS, "presence-cache-x", NULL);
    tell_of_event(STORE_CLIENT_EVENT, "presence-cache-x", "{1}");
    tell_of_event(STORE_CACHE_MISS, "presence-cache-x", NULL);
    tell_of_event(STORE_CACHE_MISS, "cache-y", NULL);
    tell_of_event(STORE_CLIENT_EVENT, "presence-cache-x", "{2}");
    leave(&a, STORE_CLOSED);
    expect_after(0, "presence-cache-x:occupied presence-cache-x+ann presence-cache-x:miss "
                    "presence-cache-x!{1}/ann cache-y:miss presence-cache-x!{2}/ann ");
    tell_of_event(STORE_CACHE_MISS, "presence-cache-x", NULL);
    expect_after(3000, "presence-cache-x-ann(closed) presence-cache-x:vacated(closed) ");
    tell_of_event(STORE_CACHE_MISS, "presence-cache-x", NULL);
    expect_after(0, "presence-cache-x:miss ");
}

static void test_more_is_told_when_one_is_done_or_asks_for_it(void **state)
{
    (void)state;
    struct store_subscription a;
    fixture.done_at_once = false;
    join(&a, "one", NULL);
    expect_after(0, "one:occupied one=1 ");
    tell_of_event(STORE_CLIENT_EVENT, "one", "{}");
    expect_after(100, ""); /* not done with those before */
    store_transitions_done(fixture.store, 0, fixture.ids[0]);
    expect_after(100, ""); /* nor with all of them */
    store_transitions_done(fixture.store, 0, fixture.ids[1]);
    expect_after(0, "one!{}/ann ");
    tell_of_event(STORE_CLIENT_EVENT, "one", "{2}");
    expect_after(100, "");
    store_transitions_more(fixture.store, 0);
    expect_after(0, "one!{2}/ann ");
    assert_string_not_equal(fixture.ids[0], fixture.ids[1]);
    leave(&a, STORE_CLOSED);
}

static void test_bound_drops_the_oldest_and_counts(void **state)
{
    (void)state;
    fixture.done_at_once = false;
    tell_of_event(STORE_CLIENT_EVENT, "x", "{}");
    store_memory_tick(fixture.store);
    fixture.history[0] = '\0';
    for (int i = 0; i < TRANSITIONS_MAX + 5; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%d", i);
        tell_of_event(STORE_CLIENT_EVENT, "x", number);
    }
    assert_int_equal(store_memory_transitions_dropped(fixture.store), 5);
    store_transitions_done(fixture.store, 0, fixture.last_id);
    assert_memory_equal(fixture.history, "x!5/ann x!6/ann ", 16);
}

static void test_removals_that_wait_are_bounded_too(void **state)
{
    (void)state;
    struct store_subscription a;
    for (int i = 0; i < TRANSITIONS_MAX / 2 + 1; i++) {
        char name[32];
        snprintf(name, sizeof(name), "presence-%d", i);
        join(&a, name, "ann");
        leave(&a, STORE_CLOSED);
        store_memory_tick(fixture.store); /* what does not wait goes */
        assert_non_null(strstr(fixture.history, "+ann "));
        fixture.history[0] = '\0';
    }
    /* Each round adds two that go and two that stay; in the last two rounds these had to make room. */
    assert_int_equal(store_memory_transitions_dropped(fixture.store), 2 + 2);
}

static void test_without_a_listener_nothing_is_kept(void **state)
{
    (void)state;
    struct store_subscription a;
    join(&a, "presence-x", "ann");
    tell_of_event(STORE_CLIENT_EVENT, "presence-x", "{}");
    leave(&a, STORE_CLOSED);
    expect_after(5000, "");
    assert_int_equal(store_memory_transitions_dropped(fixture.store), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static char unheard[] = "without an observer of transitions";
    const struct CMUnitTest tests[] = {
        TEST(test_coming_is_told_at_once_and_leaving_after_three_seconds),
        TEST(test_a_reload_of_a_page_tells_nothing),
        TEST(test_a_reload_that_takes_too_long_is_told),
        TEST(test_another_user_answers_only_the_vacated),
        TEST(test_a_user_with_several_connections_is_told_once),
        TEST(test_who_is_refused_makes_no_transition),
        TEST(test_our_own_channels_make_none),
        TEST(test_counts_that_fall_wait_and_are_told_as_one),
        TEST(test_counts_above_a_hundred_are_told_as_one),
        TEST(test_notes_keep_their_place_and_a_miss_is_told_once_in_three_seconds),
        TEST(test_more_is_told_when_one_is_done_or_asks_for_it),
        TEST(test_bound_drops_the_oldest_and_counts),
        TEST(test_removals_that_wait_are_bounded_too),
        cmocka_unit_test_prestate_setup_teardown(
            test_without_a_listener_nothing_is_kept, set_up, tear_down, unheard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
