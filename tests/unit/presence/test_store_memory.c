/* The memory store against the promises of presence/store.h. What the observer is told is written down as one
 * line, so each test compares a short history. */
#include "presence/store_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t now_ms;

static uint64_t test_clock(void)
{
    return now_ms;
}

struct fixture {
    struct store *store;
    char history[4096];
};

struct client {
    struct store_subscription subscription; /* first */
    struct fixture *fixture;
    const char *name;
};

static struct fixture fixture;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t used = strlen(fixture.history);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fixture.history + used, sizeof(fixture.history) - used, format, arguments);
    va_end(arguments);
}

static void expect_history(const char *expected)
{
    assert_string_equal(fixture.history, expected);
    fixture.history[0] = '\0';
}

static void on_added(void *context, struct store_channel *channel, const struct member *member)
{
    (void)context;
    note("+%s@%s(%s) ", member->id, channel->name, member->info ? member->info : "none");
}

static void on_removed(void *context, struct store_channel *channel, const struct member *member)
{
    (void)context;
    note("-%s@%s ", member->id, channel->name);
}

static void on_event(void *context, struct store_channel *channel, const struct store_event *event)
{
    (void)context;
    note("%s!%s/%ju ", channel->name, event->frame->text, (uintmax_t)event->exclude.serial);
}

static void on_count(void *context, struct store_channel *channel, uint64_t count)
{
    (void)context;
    note("%s=%ju ", channel->name, (uintmax_t)count);
}

static const struct store_observer observer = {.member_added = on_added,
    .member_removed = on_removed,
    .event = on_event,
    .subscription_count = on_count};

static int set_up(void **state)
{
    (void)state;
    now_ms = 1000;
    fixture.history[0] = '\0';
    fixture.store = store_memory_new(&observer, &fixture, test_clock);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(fixture.store);
    return 0;
}

static void on_done(struct store_subscription *subscription, enum store_result result, struct frame *cached)
{
    struct client *client = (struct client *)subscription;
    static const char *const results[] = {"ok", "full", "unavailable"};
    note("%s:%s[", client->name, results[result]);
    if (result == STORE_OK)
        for (struct member *m = roster_first(&subscription->channel->roster); m; m = roster_next(m))
            note("%s", m->id);
    note("]%s ", cached ? cached->text : "");
}

static void join(struct client *client, const char *name, const char *channel, const char *user,
    const char *info, uint32_t members_max)
{
    *client = (struct client){.subscription.done = on_done, .name = name};
    struct store_user who = {user, strlen(user), info, info ? strlen(info) : 0};
    store_subscribe(fixture.store, "app", channel,
        (struct store_channel_options){.roster = true, .members_max = members_max}, &who,
        &client->subscription);
}

static void watch(struct client *client, const char *name, const char *channel, bool roster)
{
    *client = (struct client){.subscription.done = on_done, .name = name};
    store_subscribe(fixture.store, "app", channel, (struct store_channel_options){.roster = roster}, NULL,
        &client->subscription);
}

static void leave(struct client *client)
{
    store_unsubscribe(fixture.store, &client->subscription);
}

static void on_publish_done(struct store_publish *publish, enum store_result result)
{
    (void)publish;
    assert_int_equal(result, STORE_OK);
}

static void publish(const char *app, const char *channel, const char *text, uint64_t exclude, uint32_t ttl_ms)
{
    struct frame *frame = frame_copy(text, strlen(text));
    struct store_publish stored = {
        .app_id = app,
        .channel = channel,
        .event = {.frame = frame, .exclude = {exclude, exclude}},
        .cache_ttl_ms = ttl_ms,
        .done = on_publish_done,
    };
    store_publish(fixture.store, &stored);
    frame_unref(frame);
}

static void test_a_user_with_several_connections_is_one_member(void **state)
{
    (void)state;
    struct client a1, a2, b;
    join(&a1, "a1", "presence-x", "a", "{\"n\":1}", 0);
    expect_history("+a@presence-x({\"n\":1}) a1:ok[a] ");
    join(&b, "b", "presence-x", "b", NULL, 0);
    expect_history("+b@presence-x(none) b:ok[ab] ");
    join(&a2, "a2", "presence-x", "a", "{\"n\":2}", 0);
    expect_history("a2:ok[ab] ");
    assert_string_equal(a2.subscription.member->info, "{\"n\":1}"); /* the first one's info stays */
    leave(&a1);
    expect_history("");
    leave(&a2);
    expect_history("-a@presence-x ");
    leave(&b);
    expect_history("-b@presence-x ");
    assert_null(store_find(fixture.store, "app", "presence-x"));
}

static void test_the_cap_counts_users_not_connections(void **state)
{
    (void)state;
    struct client a, a2, b, c;
    join(&a, "a", "presence-x", "a", NULL, 2);
    join(&b, "b", "presence-x", "b", NULL, 2);
    fixture.history[0] = '\0';
    join(&c, "c", "presence-x", "c", NULL, 2);
    expect_history("c:full[] ");
    join(&a2, "a2", "presence-x", "a", NULL, 2);
    expect_history("a2:ok[ab] ");
    leave(&b);
    join(&c, "c", "presence-x", "c", NULL, 2);
    expect_history("-b@presence-x +c@presence-x(none) c:ok[ac] ");
    leave(&a);
    leave(&a2);
    leave(&c);
}

static void test_a_watcher_sees_and_is_not_seen(void **state)
{
    (void)state;
    struct client watcher, a;
    watch(&watcher, "w", "presence-x", true);
    expect_history("w:ok[] ");
    join(&a, "a", "presence-x", "a", NULL, 1);
    expect_history("+a@presence-x(none) a:ok[a] ");
    leave(&a);
    leave(&watcher);
    expect_history("-a@presence-x ");
}

static void test_events_reach_open_channels_of_their_app_only(void **state)
{
    (void)state;
    struct client a;
    watch(&a, "a", "x", false);
    expect_history("a:ok[] x=1 ");
    publish("app", "x", "hello", 7, 0);
    expect_history("x!hello/7 ");
    publish("other", "x", "hello", 0, 0);
    publish("app", "y", "hello", 0, 0);
    expect_history("");
    leave(&a);
    expect_history("x=0 ");
}

static void test_a_cached_event_waits_for_subscribers_until_its_time_is_over(void **state)
{
    (void)state;
    struct client a;
    publish("app", "cache-x", "one", 0, 500);
    publish("app", "cache-x", "two", 0, 500);
    publish("app", "cache-x", "not kept", 0, 0);
    expect_history("");
    assert_null(store_find(fixture.store, "app", "cache-x")); /* kept, but nobody is there */
    now_ms += 499;
    watch(&a, "a", "cache-x", false);
    expect_history("a:ok[]two cache-x=1 ");
    leave(&a);
    now_ms += 1;
    fixture.history[0] = '\0';
    watch(&a, "a", "cache-x", false);
    expect_history("a:ok[] cache-x=1 ");
    leave(&a);
}

static void test_expired_events_go_without_being_asked_for(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "cache-%d", i);
        publish("app", name, "x", 0, 500);
        now_ms += 10;
    }
    /* 50 of them are over by now, and the last publish has found them. */
    assert_int_equal(store_memory_channels(fixture.store), 50);
}

/* ---- questions ---- */

static void on_channel(struct store_query *query, const char *name, const struct store_channel_state *s)
{
    (void)query;
    note("%s:%d,%ju,%ju,%s,%u ", name, s->occupied, (uintmax_t)s->subscription_count,
        (uintmax_t)s->user_count, s->cached ? s->cached->text : "-", s->cached_ttl_ms);
}

static void on_member(struct store_query *query, const struct member *member)
{
    (void)query;
    note("%s ", member->id);
}

static void on_query_done(struct store_query *query, enum store_result result)
{
    assert_int_equal(result, STORE_OK);
    assert_int_equal(query->stale_s, STORE_FRESH);
    note(".");
}

static void ask(void (*question)(struct store *, struct store_query *), const char *name)
{
    struct store_query query = {.app_id = "app",
        .channel = name,
        .each_channel = on_channel,
        .each_member = on_member,
        .done = on_query_done};
    question(fixture.store, &query);
}

static void test_answers_questions(void **state)
{
    (void)state;
    struct client a, a2, b, c;
    join(&a, "a", "presence-x", "a", NULL, 0);
    join(&a2, "a2", "presence-x", "a", NULL, 0);
    join(&b, "b", "presence-x", "b", NULL, 0);
    watch(&c, "c", "cache-y", false);
    publish("app", "cache-y", "kept", 0, 500);
    publish("app", "cache-z", "kept", 0, 500);
    now_ms += 100;
    fixture.history[0] = '\0';
    ask(store_query_channels, "presence-");
    expect_history("presence-x:1,3,2,-,0 .");
    ask(store_query_channels, "");
    expect_history("presence-x:1,3,2,-,0 cache-y:1,1,0,kept,400 .");
    ask(store_query_channel, "cache-z");
    expect_history("cache-z:0,0,0,kept,400 .");
    ask(store_query_channel, "nobody");
    expect_history("nobody:0,0,0,-,0 .");
    ask(store_query_members, "presence-x");
    expect_history("a b .");
    ask(store_query_members, "nobody");
    expect_history(".");
    leave(&a);
    leave(&a2);
    leave(&b);
    leave(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_user_with_several_connections_is_one_member),
        TEST(test_the_cap_counts_users_not_connections),
        TEST(test_a_watcher_sees_and_is_not_seen),
        TEST(test_events_reach_open_channels_of_their_app_only),
        TEST(test_a_cached_event_waits_for_subscribers_until_its_time_is_over),
        TEST(test_expired_events_go_without_being_asked_for),
        TEST(test_answers_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
