#include "tests/unit/edge/pusher/fake_transport.h"

#include "auth/client_auth.h"

/* Joins a channel that needs a signature, as user 5 where it is a presence channel. */
static void join(const char *channel, enum store_result result)
{
    static const char channel_data[] = "{\"user_id\":\"5\"}";
    bool presence = strncmp(channel, "presence-", 9) == 0;
    char auth[128], text[1024];
    assert_true(auth_channel_sign(fake_app()->key, fake_app()->secret, "1234.1234", channel,
        presence ? channel_data : NULL, sizeof(channel_data) - 1, auth, sizeof(auth)));
    snprintf(text, sizeof(text),
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":\"%s\"%s}}", channel, auth,
        presence ? ",\"channel_data\":\"{\\\"user_id\\\":\\\"5\\\"}\"" : "");
    wire_receive(text);
    if (result == STORE_OK)
        fake_answer(fake.asked_count - 1, STORE_OK);
    connection_flush_dirty(&fake.worker);
    wire.said.length = 0;
}

static void answer(size_t i, enum node_status status)
{
    fake.published[i]->status = status;
    fake.published[i]->answered(fake.published[i]);
    connection_flush_dirty(&fake.worker);
}

static void assert_published(size_t i, const char *channel, const char *text)
{
    const struct publish *publish = fake.published[i];
    assert_true(i < fake.published_count);
    assert_int_equal(publish->count, 1);
    assert_string_equal(publish->items[0].channel, channel);
    assert_string_equal(publish->items[0].frame->text, text);
    /* Never to the sender, never counted as a back end's. */
    assert_int_equal(publish->exclude.edge, 1234);
    assert_int_equal(publish->exclude.serial, 1234);
    assert_false(publish->counted);
}

static void data_is_passed_on_as_it_came(void **state)
{
    (void)state;
    join("private-a", STORE_OK);
    wire_receive("{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":{ \"a\" : \"\\u00e9\" }}");
    wire_receive("{\"event\":\"client-y\",\"data\":\"{\\\"a\\\":1}\",\"channel\":\"private-a\"}");
    wire_assert_silent();
    assert_published(0, "private-a",
        "{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":{ \"a\" : \"\\u00e9\" }}");
    assert_published(
        1, "private-a", "{\"event\":\"client-y\",\"channel\":\"private-a\",\"data\":\"{\\\"a\\\":1}\"}");
    answer(0, NODE_OK);
    answer(1, NODE_OK);
    wire_assert_silent();
}

static void presence_channels_carry_the_senders_id(void **state)
{
    (void)state;
    join("presence-a", STORE_OK);
    wire_receive("{\"event\":\"client-x\",\"channel\":\"presence-a\"}");
    assert_published(
        0, "presence-a", "{\"event\":\"client-x\",\"channel\":\"presence-a\",\"data\":{},\"user_id\":\"5\"}");
    answer(0, NODE_OK);
}

static void refused(const char *text, const char *why)
{
    size_t before = fake.published_count;
    wire_receive(text);
    if (!wire_has_said(why))
        fail_msg("said %.*s instead of %s", (int)wire.said.length, wire.said.bytes, why);
    assert_int_equal(fake.published_count, before);
    assert_non_null(wire.connection);
    wire.said.length = 0;
}

static void events_go_where_they_may(void **state)
{
    (void)state;
    wire_receive("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news\"}}");
    fake_answer(0, STORE_OK);
    join("private-encrypted-a", STORE_OK);
    join("private-waiting", STORE_UNAVAILABLE); /* not answered yet */
    refused("{\"event\":\"client-x\",\"channel\":\"news\",\"data\":{}}", "news is neither");
    refused("{\"event\":\"client-x\",\"channel\":\"private-encrypted-a\",\"data\":{}}",
        "private-encrypted-a is neither");
    refused("{\"event\":\"client-x\",\"channel\":\"private-waiting\",\"data\":{}}",
        "No current subscription to channel private-waiting");
    refused("{\"event\":\"client-x\",\"channel\":\"private-other\",\"data\":{}}",
        "No current subscription to channel private-other");
    refused("{\"event\":\"client-x\",\"data\":{}}", "must name its channel");
    fake_app()->client_events = false;
    refused("{\"event\":\"client-x\",\"channel\":\"private-waiting\",\"data\":{}}",
        "Client events are not enabled for this app");
}

static void events_are_as_large_as_they_may(void **state)
{
    (void)state;
    join("private-a", STORE_OK);
    fake_app()->limits.event_bytes = 6;
    fake_app()->limits.event_name_chars = 8;
    refused("{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":\"12345\"}", "at most 6 bytes");
    refused("{\"event\":\"client-xy\",\"channel\":\"private-a\",\"data\":\"1\"}", "at most 8 characters");
    wire_receive("{\"event\":\"client-\xc3\xa9\",\"channel\":\"private-a\",\"data\":\"1234\"}");
    wire_assert_silent();
    assert_int_equal(fake.published_count, 1);
    answer(0, NODE_OK);
}

static void events_over_the_rate_are_dropped_with_4301(void **state)
{
    (void)state;
    join("private-a", STORE_OK);
    fake_app()->limits.client_events_per_second = 3;
    for (int i = 0; i < 3; i++)
        wire_receive("{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":1}");
    wire_assert_silent();
    refused("{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":1}", "\"code\":4301");
    for (size_t i = 0; i < 3; i++)
        answer(i, NODE_OK);
}

static void the_sender_is_told_what_the_node_dropped(void **state)
{
    (void)state;
    join("private-a", STORE_OK);
    for (int i = 0; i < 3; i++)
        wire_receive("{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":1}");
    answer(0, NODE_UNAVAILABLE);
    assert_true(wire_has_said("its channel cannot be reached now"));
    wire.said.length = 0;
    answer(1, NODE_BUSY);
    assert_true(wire_has_said("the server is over capacity"));
    answer(2, NODE_OK);
    fake.busy = true;
    refused("{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":1}", "the server is over capacity");
}

static void an_answer_for_a_sender_who_has_gone_finds_nobody(void **state)
{
    (void)state;
    join("private-a", STORE_OK);
    wire_receive("{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":1}");
    wire_receive("{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":1}");
    answer(0, NODE_OK);
    connection_closed(wire.connection);
    wire.connection = NULL;
    answer(1, NODE_BUSY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, wire_begin, wire_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(data_is_passed_on_as_it_came),
        TEST(presence_channels_carry_the_senders_id),
        TEST(events_go_where_they_may),
        TEST(events_are_as_large_as_they_may),
        TEST(events_over_the_rate_are_dropped_with_4301),
        TEST(the_sender_is_told_what_the_node_dropped),
        TEST(an_answer_for_a_sender_who_has_gone_finds_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
