#include "tests/unit/edge/pusher/fake_transport.h"

#include "auth/client_auth.h"

#define SUCCEEDED(channel)                                                                                   \
    "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"" channel "\",\"data\":\"{}\"}\n"
#define ERROR(message) "{\"event\":\"pusher:error\",\"data\":{\"message\":\"" message "\",\"code\":null}}\n"
#define REFUSED(channel, message)                                                                            \
    ERROR(message)                                                                                           \
    "{\"event\":\"pusher:subscription_error\",\"channel\":\"" channel                                        \
    "\",\"data\":{\"type\":\"AuthError\",\"error\":\"" message "\",\"status\":401}}\n"

#define KEY "278d425bdf160c739803"
/* vectors.json; the socket id is the connection's, 1234.1234 */
#define PRIVATE_SIGNATURE "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
#define PRESENCE_SIGNATURE "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"

static void subscribe(const char *data)
{
    char text[4096];
    snprintf(text, sizeof(text), "{\"event\":\"pusher:subscribe\",\"data\":%s}", data);
    wire_receive(text);
}

/* A presence subscription that is signed right. */
static void subscribe_presence(const char *channel, const char *channel_data)
{
    char auth[128];
    struct buffer data = {0};
    assert_true(auth_channel_sign(KEY, "7ad3773142a6692b25b8", "1234.1234", channel, channel_data,
        strlen(channel_data), auth, sizeof(auth)));
    buffer_printf(&data, "{\"channel\":\"%s\",\"auth\":\"%s\",\"channel_data\":", channel, auth);
    buffer_add_json_text(&data, channel_data);
    buffer_add(&data, "}", 2); /* with the NUL */
    subscribe(data.bytes);
    buffer_deinit(&data);
}

static void a_public_channel_is_subscribed(void **state)
{
    (void)state;
    subscribe("{\"auth\":\"\",\"channel\":\"news\"}");
    wire_assert_silent();
    assert_int_equal(fake.asked_count, 1);
    assert_string_equal(fake.asked[0]->name, "news");
    assert_int_equal(fake.asked[0]->kind, CHANNEL_PUBLIC);
    assert_null(fake.asked[0]->user_id);
    fake_answer(0, STORE_OK);
    connection_flush_dirty(&fake.worker);
    wire_assert_said(SUCCEEDED("news"));
}

static void the_cached_event_follows_the_answer(void **state)
{
    (void)state;
    subscribe("{\"channel\":\"cache-a\"}");
    fake.asked[0]->cached = event_published("cache-a", "e", 1, "d", 1);
    fake_answer(0, STORE_OK);
    connection_flush_dirty(&fake.worker);
    wire_assert_said(SUCCEEDED("cache-a") "{\"event\":\"e\",\"channel\":\"cache-a\",\"data\":\"d\"}\n");
    assert_int_equal(wire.writes, 1);
}

static void a_private_channel_needs_its_signature(void **state)
{
    (void)state;
    subscribe("{\"auth\":\"" KEY ":" PRIVATE_SIGNATURE "\",\"channel\":\"private-foobar\"}");
    wire_assert_silent();
    assert_int_equal(fake.asked_count, 1);
    assert_int_equal(fake.asked[0]->kind, CHANNEL_PRIVATE);
}

/* While an app changes its pairs, pages come with the old key and back ends sign with the new one. */
static void any_pair_of_the_app_may_sign(void **state)
{
    (void)state;
    char auth[128], data[256];
    assert_true(auth_channel_sign(
        "second-key", "second-secret", "1234.1234", "private-foobar", NULL, 0, auth, sizeof(auth)));
    snprintf(data, sizeof(data), "{\"auth\":\"%s\",\"channel\":\"private-foobar\"}", auth);
    subscribe(data);
    wire_assert_silent();
    assert_int_equal(fake.asked_count, 1);
}

static void a_key_with_the_secret_of_another_pair_is_refused(void **state)
{
    (void)state;
    char auth[128], data[256];
    assert_true(auth_channel_sign(
        "second-key", "7ad3773142a6692b25b8", "1234.1234", "private-foobar", NULL, 0, auth, sizeof(auth)));
    snprintf(data, sizeof(data), "{\"auth\":\"%s\",\"channel\":\"private-foobar\"}", auth);
    subscribe(data);
    assert_true(wire_has_said("Invalid signature"));
    assert_int_equal(fake.asked_count, 0);
}

static void a_wrong_signature_is_quoted_and_the_connection_stays(void **state)
{
    (void)state;
    subscribe("{\"auth\":\"" KEY ":68df\",\"channel\":\"private-foobar\"}");
    wire_assert_said(REFUSED("private-foobar",
        "Invalid signature: Expected HMAC SHA256 hex digest of 1234.1234:private-foobar, but got " KEY
        ":68df"));
    subscribe("{\"channel\":\"private-foobar\"}");
    assert_true(wire_has_said("Expected HMAC SHA256 hex digest of 1234.1234:private-foobar, but got "));
    assert_int_equal(fake.asked_count, 0);
    assert_non_null(wire.connection);
}

static void a_quoted_signature_ends_with_a_whole_character(void **state)
{
    struct buffer data = {0};
    (void)state;
    /* The quote's limit falls into every possible place of a character. */
    for (int shift = 0; shift < 4; shift++) {
        data.length = 0;
        buffer_add_string(&data, "{\"channel\":\"private-a\",\"auth\":\"");
        buffer_add(&data, "xxx", (size_t)shift);
        for (int i = 0; i < 200; i++)
            buffer_add_string(&data, "\xf0\x9f\x98\x80");
        buffer_add(&data, "\"}", 3);
        subscribe(data.bytes);
    }
    assert_true(wire_has_said("but got xxx\xf0\x9f\x98\x80"));
    assert_false(wire_has_said("\xf0\""));
    assert_false(wire_has_said("\x9f\""));
    assert_false(wire_has_said("\x98\""));
    buffer_deinit(&data);
}

static void a_presence_channel_is_subscribed_with_its_user(void **state)
{
    (void)state;
    subscribe(
        "{\"auth\":\"" KEY ":" PRESENCE_SIGNATURE "\",\"channel\":\"presence-foobar\","
        "\"channel_data\":\"{\\\"user_id\\\":10,\\\"user_info\\\":{\\\"name\\\":\\\"Mr. Channels\\\"}}\"}");
    wire_assert_silent();
    assert_int_equal(fake.asked_count, 1);
    assert_string_equal(fake.asked[0]->user_id, "10");
    assert_string_equal(fake.asked[0]->user_info, "{\"name\":\"Mr. Channels\"}");
    assert_int_equal(fake.asked[0]->kind, CHANNEL_PRESENCE);
}

static void tampered_channel_data_is_refused(void **state)
{
    (void)state;
    subscribe(
        "{\"auth\":\"" KEY ":" PRESENCE_SIGNATURE "\",\"channel\":\"presence-foobar\","
        "\"channel_data\":\"{\\\"user_id\\\":11,\\\"user_info\\\":{\\\"name\\\":\\\"Mr. Channels\\\"}}\"}");
    assert_true(wire_has_said("\"status\":401"));
    wire.said.length = 0;
    subscribe("{\"auth\":\"" KEY ":" PRESENCE_SIGNATURE "\",\"channel\":\"presence-foobar\"}");
    assert_true(wire_has_said("a presence channel needs channel_data"));
    assert_int_equal(fake.asked_count, 0);
}

static void users_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *channel_data, *why;
    } cases[] = {
        {"[]", "channel_data is not a JSON object"},
        {"{}", "channel_data has no user_id; it must be a string that is not empty, or a number"},
        {"{\"user_id\":\"\"}", "channel_data has no user_id"},
        {"{\"user_id\":\"12345\"}", "user_id is too long: it may have at most 4 characters"},
        {"{\"user_id\":\"1\",\"user_info\":\"1234567\"}",
            "user_info is too large: it may have at most 8 bytes of JSON"},
    };
    (void)state;
    fake_app()->limits.user_id_chars = 4;
    fake_app()->limits.user_info_bytes = 8;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        subscribe_presence("presence-a", cases[i].channel_data);
        if (!wire_has_said(cases[i].why) || !wire_has_said("\"status\":401"))
            fail_msg("%.*s", (int)wire.said.length, wire.said.bytes);
        wire.said.length = 0;
    }
    assert_int_equal(fake.asked_count, 0);
    /* Their twins at the very limit; characters count, not bytes. */
    subscribe_presence("presence-a", "{\"user_id\":\"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\"}");
    subscribe_presence("presence-b", "{\"user_id\":\"1\",\"user_info\":\"123456\"}");
    wire_assert_silent();
    assert_int_equal(fake.asked_count, 2);
}

static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    subscribe("{\"channel\":\"a b\"}");
    assert_true(wire_has_said("Invalid channel name a b"));
    assert_true(wire_has_said("pusher:subscription_error"));
    subscribe("{\"channel\":\"\"}");
    subscribe("{\"channel\":\"#server-to-user-1\"}");
    fake_app()->limits.channel_name_chars = 3;
    subscribe("{\"channel\":\"abcd\"}");
    assert_int_equal(fake.asked_count, 0);
    subscribe("{\"channel\":\"abc\"}");
    assert_int_equal(fake.asked_count, 1);
}

static void a_channel_is_subscribed_once(void **state)
{
    (void)state;
    subscribe("{\"channel\":\"news\"}");
    subscribe("{\"channel\":\"news\"}");
    wire_assert_said(ERROR("Existing subscription to channel news"));
    fake_answer(0, STORE_OK);
    connection_flush_dirty(&fake.worker);
    wire_assert_said(SUCCEEDED("news"));
    subscribe("{\"channel\":\"news\"}");
    wire_assert_said(ERROR("Existing subscription to channel news"));
    assert_int_equal(fake.asked_count, 1);
}

static void unsubscribing_ends_a_subscription_answered_or_not(void **state)
{
    (void)state;
    subscribe("{\"channel\":\"a\"}");
    subscribe("{\"channel\":\"b\"}");
    fake_answer(1, STORE_OK);
    wire_receive("{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"a\"}}");
    wire_receive("{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"b\"}}");
    wire_assert_said(SUCCEEDED("b"));
    assert_int_equal(fake.given_up, 2);
    assert_int_equal(wire.connection->subscription_count, 0);
    wire_receive("{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"a\"}}");
    wire_assert_said(ERROR("No current subscription to channel a"));
    /* And again. */
    subscribe("{\"channel\":\"a\"}");
    assert_int_equal(fake.asked_count, 3);
}

static void a_connection_has_so_many_channels(void **state)
{
    (void)state;
    fake_app()->limits.channels_per_connection = 2;
    subscribe("{\"channel\":\"a\"}");
    subscribe("{\"channel\":\"b\"}");
    subscribe("{\"channel\":\"c\"}");
    assert_true(wire_has_said("This connection has 2 subscriptions, as many as it may"));
    wire_receive("{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"a\"}}");
    subscribe("{\"channel\":\"c\"}");
    assert_int_equal(fake.asked_count, 3);
}

static void the_nodes_refusals_are_passed_on(void **state)
{
    (void)state;
    fake_app()->limits.presence_members = 1;
    subscribe_presence("presence-a", "{\"user_id\":\"1\"}");
    fake_answer(0, STORE_FULL);
    connection_flush_dirty(&fake.worker);
    wire_assert_said(REFUSED("presence-a", "Channel presence-a has 1 members, as many as it may"));
    subscribe_presence("presence-a", "{\"user_id\":\"1\"}");
    fake_answer(1, STORE_UNAVAILABLE);
    connection_flush_dirty(&fake.worker);
    assert_true(wire_has_said("\"status\":401"));
    assert_int_equal(wire.connection->subscription_count, 0);
    assert_int_equal(fake.given_up, 0);
}

static void a_node_that_is_behind_sheds_load(void **state)
{
    (void)state;
    fake.busy = true;
    subscribe("{\"channel\":\"a\"}");
    assert_int_equal(wire.close_code, PUSHER_OVER_CAPACITY);
    assert_true(wire_has_said("\"code\":4100"));
    assert_int_equal(fake.asked_count, 0);
}

static void a_closed_connection_gives_everything_up(void **state)
{
    (void)state;
    subscribe("{\"channel\":\"a\"}");
    subscribe("{\"channel\":\"b\"}");
    fake_answer(0, STORE_OK);
    connection_closed(wire.connection);
    wire.connection = NULL;
    assert_int_equal(fake.given_up, 2);
}

static void data_that_is_none_is_refused(void **state)
{
    (void)state;
    subscribe("\"news\"");
    wire_assert_said(ERROR("The message has no data; it must be an object with a channel"));
    subscribe("{}");
    wire_assert_said(ERROR("The message has no data.channel; it must be a string"));
    wire_receive("{\"event\":\"pusher:unsubscribe\"}");
    wire_assert_said(ERROR("The message has no data; it must be an object with a channel"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, wire_begin, wire_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_public_channel_is_subscribed),
        TEST(the_cached_event_follows_the_answer),
        TEST(a_private_channel_needs_its_signature),
        TEST(any_pair_of_the_app_may_sign),
        TEST(a_key_with_the_secret_of_another_pair_is_refused),
        TEST(a_wrong_signature_is_quoted_and_the_connection_stays),
        TEST(a_quoted_signature_ends_with_a_whole_character),
        TEST(a_presence_channel_is_subscribed_with_its_user),
        TEST(tampered_channel_data_is_refused),
        TEST(users_that_are_none_are_refused),
        TEST(names_that_are_none_are_refused),
        TEST(a_channel_is_subscribed_once),
        TEST(unsubscribing_ends_a_subscription_answered_or_not),
        TEST(a_connection_has_so_many_channels),
        TEST(the_nodes_refusals_are_passed_on),
        TEST(a_node_that_is_behind_sheds_load),
        TEST(a_closed_connection_gives_everything_up),
        TEST(data_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
