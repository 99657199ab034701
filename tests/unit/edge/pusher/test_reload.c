/* A connection that goes over from one configuration to another. */
#include "tests/unit/edge/pusher/fake_transport.h"

#define KEY "278d425bdf160c739803"
#define APP(more) "{\"id\":\"1\",\"key\":\"" KEY "\",\"secret\":\"7ad3773142a6692b25b8\"" more "}"

/* The worker has it from now on, and the fixture will let go of it. */
static void go_over(const char *edge, const char *apps)
{
    char text[1024];
    struct config *config;
    int length = snprintf(text, sizeof(text), "{\"edge\":{%s},\"apps\":[%s]}", edge, apps);
    assert_int_equal(config_parse(text, (size_t)length, "test", &config, stderr), 0);
    fake.worker.config = config;
    connection_reload(wire.connection, config);
    config_unref(fake.config);
    fake.config = config;
}

static void the_app_is_the_new_one_and_counts_there(void **state)
{
    (void)state;
    go_over("", APP(",\"limits\":{\"event_bytes\":7}"));
    assert_ptr_equal(wire.connection->app, fake_app());
    assert_int_equal(wire.connection->app->limits.event_bytes, 7);
    assert_int_equal(fake_app()->counters->connections, 1);
    assert_int_equal(wire.connection->leaves_with, 0);
    assert_string_equal(wire.connection->key->key, KEY);
}

static void who_came_with_a_pair_that_is_gone_has_the_first_one(void **state)
{
    (void)state;
    struct json_text of_old = {KEY ":00", sizeof(KEY ":00") - 1};
    go_over("", "{\"id\":\"1\",\"key\":\"a\",\"secret\":\"b\",\"keys\":[{\"key\":\"c\",\"secret\":\"d\"}]}");
    assert_string_equal(wire.connection->key->key, "a");
    assert_ptr_equal(connection_pair_of(wire.connection, of_old), wire.connection->key);
    struct json_text of_second = {"c:00", 4};
    assert_string_equal(connection_pair_of(wire.connection, of_second)->secret, "d");
}

static void who_came_with_a_pair_that_has_another_secret_has_that(void **state)
{
    (void)state;
    go_over("",
        "{\"id\":\"1\",\"key\":\"a\",\"secret\":\"b\",\"keys\":[{\"key\":\"" KEY "\",\"secret\":\"new\"}]}");
    assert_string_equal(wire.connection->key->secret, "new");
}

static void of_an_app_that_is_gone_it_keeps_the_old_one_until_it_is_closed(void **state)
{
    (void)state;
    unsigned configurations = config_count();
    go_over("", "");
    assert_int_equal(wire.connection->leaves_with, 4001);
    assert_int_equal(config_count(), configurations + 1);
    assert_string_equal(wire.connection->app->id, "1");
    assert_int_equal(wire.connection->app->counters->connections, 1);
    connection_closed(wire.connection);
    wire.connection = NULL;
    assert_int_equal(config_count(), configurations);
}

static void an_app_that_comes_back_has_its_connections_again(void **state)
{
    (void)state;
    go_over("", "");
    wire.connection->leaves_ms = 5;
    go_over("", APP(",\"enabled\":false"));
    assert_int_equal(wire.connection->leaves_with, 4003);
    assert_int_equal(wire.connection->leaves_ms, 5);
    go_over("", APP(""));
    assert_int_equal(wire.connection->leaves_with, 0);
    assert_int_equal(wire.connection->leaves_ms, 0);
    assert_int_equal(fake_app()->counters->connections, 1);
}

static void shorter_times_are_watched_at_once_and_longer_ones_later(void **state)
{
    (void)state;
    uint64_t due_ms = wire.connection->heard_ms + 30000;
    assert_int_equal(wire.connection->deadline.due_ms, due_ms);
    go_over("\"ping_after_ms\":1000", APP(""));
    assert_int_equal(wire.connection->deadline.due_ms, due_ms - 29000);
    go_over("\"ping_after_ms\":50000", APP(""));
    assert_int_equal(wire.connection->deadline.due_ms, due_ms - 29000);
    wheel_run(&fake.worker.wheel, due_ms - 28900);
    assert_int_equal(wire.pings, 0);
    assert_int_equal(wire.connection->deadline.due_ms, due_ms + 20000);
}

static void the_time_to_show_oneself_begins_with_the_reload(void **state)
{
    (void)state;
    wire.connection->opened_ms -= 100000;
    go_over("", APP(",\"require_authorization\":true,\"authorization_timeout_ms\":5000"));
    uint64_t now_ms = worker_now_ms(&fake.worker);
    assert_int_equal(wire.connection->deadline.due_ms, now_ms + 5000);
    wire.connection->opened_ms -= 1000;
    go_over("", APP(",\"require_authorization\":true,\"authorization_timeout_ms\":4000"));
    assert_int_equal(wire.connection->deadline.due_ms, now_ms + 3000); /* once */
}

static void what_is_on_its_way_keeps_what_it_needs(void **state)
{
    (void)state;
    unsigned configurations = config_count();
    struct publish *publish = publish_new(wire.connection->app, 0);
    struct query *query = query_new(wire.connection->app, QUERY_CHANNEL, "x", 0);
    go_over("", APP(""));
    assert_int_equal(config_count(), configurations + 1);
    assert_string_equal(publish->app->id, query->app->id);
    publish_free(publish);
    query_free(query);
    assert_int_equal(config_count(), configurations);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, wire_begin, wire_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_app_is_the_new_one_and_counts_there),
        TEST(who_came_with_a_pair_that_is_gone_has_the_first_one),
        TEST(who_came_with_a_pair_that_has_another_secret_has_that),
        TEST(of_an_app_that_is_gone_it_keeps_the_old_one_until_it_is_closed),
        TEST(an_app_that_comes_back_has_its_connections_again),
        TEST(shorter_times_are_watched_at_once_and_longer_ones_later),
        TEST(the_time_to_show_oneself_begins_with_the_reload),
        TEST(what_is_on_its_way_keeps_what_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
