/* Questions about channels: what the node is asked, and what its answers become. */
#include "tests/unit/edge/api/api_world.h"

static void test_channels(void **state)
{
    (void)state;
    get("/apps/1/channels", "");
    assert_int_equal(asked->kind, QUERY_CHANNELS);
    assert_string_equal(asked->name, "");
    assert_int_equal(asked->info, 0);
    answer_query(NODE_OK, "{\"channels\":{}}", STORE_FRESH);
    assert_string_equal(exchange.body, "{\"channels\":{}}");
    assert_string_equal(exchange.headers, "");

    get("/apps/1/channels", "&filter_by_prefix=presence-x&info=user_count,subscription_count");
    assert_string_equal(asked->name, "presence-x");
    assert_int_equal(asked->info, INFO_USER_COUNT | INFO_SUBSCRIPTION_COUNT);
    answer_query(NODE_OK, "{\"channels\":{}}", 0);
    assert_string_equal(exchange.headers, "Rollcall-Stale: 0\r\n");
}

static void test_channels_refused(void **state)
{
    (void)state;
    refuse_get("/apps/1/channels", "&info=user_count", 400);
    refuse_get("/apps/1/channels", "&filter_by_prefix=presence&info=user_count", 400);
    refuse_get("/apps/1/channels", "&info=cache", 400);
    refuse_get("/apps/1/channels", "&info=x", 400);
    refuse_get("/apps/1/channels", "&filter_by_prefix=\xff", 400);
    refuse_get("/apps/1/channels", "&filter_by_prefix=\x01", 400);
}

static void test_channel(void **state)
{
    (void)state;
    get("/apps/1/channels/presence-cache-c", "&info=cache,user_count");
    assert_int_equal(asked->kind, QUERY_CHANNEL);
    assert_string_equal(asked->name, "presence-cache-c");
    assert_int_equal(asked->info, INFO_CACHE | INFO_USER_COUNT);
    answer_query(NODE_OK, "{\"occupied\":false}", STORE_FRESH);
    assert_string_equal(exchange.body, "{\"occupied\":false}");

    get("/apps/1/channels/a%40b%3B", "");
    assert_string_equal(asked->name, "a@b;");
    answer_query(NODE_UNAVAILABLE, NULL, STORE_FRESH);
    assert_int_equal(exchange.status, 503);
}

static void test_channel_refused(void **state)
{
    (void)state;
    refuse_get("/apps/1/channels/c", "&info=user_count", 400);
    refuse_get("/apps/1/channels/presence-c", "&info=cache", 400);
    refuse_get("/apps/1/channels/c%00", "", 400);
    refuse_get("/apps/1/channels/c%zz", "", 400);
    refuse_get("/apps/1/channels/%ff", "", 400);
    refuse_get("/apps/1/channels/a%20b", "", 400);
    refuse_get("/apps/1/channels/a%2Fb", "", 400);
    refuse_get("/apps/1/channels/123456789012345678901", "", 400);
    has_room = false;
    refuse_get("/apps/1/channels/c", "", 503);
}

static void test_users(void **state)
{
    (void)state;
    get("/apps/1/channels/presence-c/users", "");
    assert_int_equal(asked->kind, QUERY_USERS);
    assert_string_equal(asked->name, "presence-c");
    answer_query(NODE_OK, "{\"users\":[]}", STORE_FRESH);
    assert_string_equal(exchange.body, "{\"users\":[]}");
    refuse_get("/apps/1/channels/private-c/users", "", 400);
    refuse_get("/apps/1/channels/presence/users", "", 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_channels),
        API_TEST(test_channels_refused),
        API_TEST(test_channel),
        API_TEST(test_channel_refused),
        API_TEST(test_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
