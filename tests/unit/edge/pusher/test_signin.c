/* Signing in, users' own channels, watchlists. */
#include "tests/unit/edge/pusher/fake_transport.h"

#include "auth/digest.h"

static void sign_in(const char *user_data)
{
    char hex[SHA256_HEX_CHARS + 1];
    const struct digest_piece pieces[] = {{"1234.1234::user::", 17}, {user_data, strlen(user_data)}};
    struct buffer message = {0};
    digest_hmac_sha256_hex(fake_app()->secret, strlen(fake_app()->secret), pieces, 2, hex);
    buffer_printf(&message,
        "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"%s:%s\",\"user_data\":", fake_app()->key, hex);
    buffer_add_json_text(&message, user_data);
    buffer_add(&message, "}}", 3);
    wire_receive(message.bytes);
    buffer_deinit(&message);
}

/* The node says whether the user of the i-th subscription is online. */
static void answer_user(size_t i, bool online)
{
    fake.asked[i]->online = online;
    fake_answer(i, STORE_OK);
    connection_flush_dirty(&fake.worker);
}

#define SUCCESS(user_data)                                                                                   \
    "{\"event\":\"pusher:signin_success\",\"data\":{\"user_data\":\"" user_data "\"}}\n"
#define COMPLAINT(words) "{\"event\":\"pusher:error\",\"data\":{\"message\":\"" words "\",\"code\":null}}\n"

static void success_waits_for_the_users_own_channel(void **state)
{
    (void)state;
    sign_in("{\"id\":\"12345\"}");
    wire_assert_silent();
    assert_int_equal(fake.asked_count, 1);
    assert_string_equal(fake.asked[0]->name, "#user-12345");
    assert_string_equal(fake.asked[0]->user_id, "12345");
    assert_int_equal(fake.asked[0]->kind, CHANNEL_USER);
    answer_user(0, true);
    wire_assert_said(SUCCESS("{\\\"id\\\":\\\"12345\\\"}"));
    assert_true(wire.connection->authorized);
    assert_int_equal(wire.connection->subscription_count, 0); /* not one of the client's own */
}

static void a_wrong_signature_is_refused_and_the_connection_stays(void **state)
{
    (void)state;
    wire_receive("{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"278d425bdf160c739803:00\","
                 "\"user_data\":\"{\\\"id\\\":\\\"1\\\"}\"}}");
    assert_true(wire_has_said("Invalid signature: Expected HMAC SHA256 hex digest of "
                              "1234.1234::user::{\\\"id\\\":\\\"1\\\"}, but got 278d425bdf160c739803:00"));
    assert_null(wire.connection->user);
    assert_int_equal(wire.closes, 0);
}

static void user_data_is_checked(void **state)
{
    static const struct {
        const char *user_data, *words;
    } cases[] = {
        {"[]", "user_data must be a JSON object with an id, a string that is not empty"},
        {"{}", "user_data must be a JSON object with an id, a string that is not empty"},
        {"{\"id\":\"\"}", "user_data must be a JSON object with an id, a string that is not empty"},
        {"{\"id\":7}", "user_data must be a JSON object with an id, a string that is not empty"},
        {"{\"id\":\"1\"", "user_data must be JSON, and no key may stand in it twice"},
        {"{\"id\":\"1\",\"id\":\"2\"}", "user_data must be JSON, and no key may stand in it twice"},
        {"{\"id\":\"1\",\"user_info\":3}", "user_data.user_info must be an object"},
        {"{\"id\":\"1\",\"watchlist\":\"a\"}", "user_data.watchlist must be a list of user ids"},
        {"{\"id\":\"1\",\"watchlist\":[\"a\",3]}",
            "user_data.watchlist[1] must be a string that is not empty"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sign_in(cases[i].user_data);
        if (!wire_has_said(cases[i].words))
            fail_msg("%s: %.*s", cases[i].user_data, (int)wire.said.length, wire.said.bytes);
        wire.said.length = 0;
    }
    assert_int_equal(fake.asked_count, 0);
}

static void as_another_user_is_refused_and_as_the_same_is_not(void **state)
{
    (void)state;
    sign_in("{\"id\":\"1\"}");
    answer_user(0, true);
    wire.said.length = 0;
    sign_in("{\"id\":\"2\"}");
    wire_assert_said(COMPLAINT("This connection is signed in as another user already"));
    sign_in("{\"id\":\"1\"}");
    wire_assert_said(SUCCESS("{\\\"id\\\":\\\"1\\\"}"));
    assert_int_equal(fake.asked_count, 1);
}

static void the_watchlist_is_told_whole_and_then_by_changes(void **state)
{
    (void)state;
    sign_in("{\"id\":\"1\",\"watchlist\":[\"a\",\"b\",\"a\",\"c\"]}");
    assert_int_equal(fake.asked_count, 4); /* himself, a, b, c */
    answer_user(0, true);
    wire.said.length = 0;
    answer_user(1, true);
    answer_user(2, false);
    struct frame *frame = event_watchlist_online("b");
    connection_user_changed(fake.asked[2], true, frame); /* before the rest is known */
    connection_flush_dirty(&fake.worker);
    wire_assert_silent();
    answer_user(3, false);
    wire_assert_said(
        "{\"event\":\"pusher_internal:watchlist_events\",\"data\":{\"events\":["
        "{\"name\":\"online\",\"user_ids\":[\"b\",\"a\"]},{\"name\":\"offline\",\"user_ids\":[\"c\"]}]}}\n");
    connection_user_changed(fake.asked[3], true, frame);
    connection_flush_dirty(&fake.worker);
    wire_assert_said("{\"event\":\"pusher_internal:watchlist_events\",\"data\":{\"events\":["
                     "{\"name\":\"online\",\"user_ids\":[\"b\"]}]}}\n");
    frame_unref(frame);
}

static void a_watchlist_that_is_too_long_is_cut_and_said(void **state)
{
    (void)state;
    fake_app()->limits.watchlist_users = 2;
    sign_in("{\"id\":\"1\",\"watchlist\":[\"a\",\"b\",\"c\"]}");
    assert_int_equal(fake.asked_count, 3);
    answer_user(0, true);
    assert_true(wire_has_said("pusher:signin_success"));
    assert_true(wire_has_said("\"code\":4302"));
    assert_int_equal(wire.closes, 0);
}

static void server_to_user_is_for_that_user_only(void **state)
{
    static const char subscribe[] =
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"#server-to-user-a|1\"}}";
    (void)state;
    wire_receive(subscribe);
    assert_true(wire_has_said("is only for a connection that is signed in as that user"));
    assert_int_equal(fake.asked_count, 0);
    sign_in("{\"id\":\"a|1\"}");
    answer_user(0, true);
    wire.said.length = 0;
    wire_receive(subscribe);
    assert_int_equal(fake.asked_count, 2);
    fake_answer(1, STORE_OK);
    connection_flush_dirty(&fake.worker);
    assert_true(wire_has_said("pusher_internal:subscription_succeeded"));
    wire.said.length = 0;
    wire_receive("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"#server-to-user-b\"}}");
    assert_true(wire_has_said("is only for a connection that is signed in as that user"));
}

/* Our own channels of users are out of the clients' reach, whatever they try. */
static void the_users_channel_cannot_be_touched(void **state)
{
    (void)state;
    sign_in("{\"id\":\"1\"}");
    answer_user(0, true);
    wire.said.length = 0;
    wire_receive("{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"#user-1\"}}");
    wire_assert_said(COMPLAINT("No current subscription to channel #user-1"));
    wire_receive("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"#user-2\"}}");
    assert_true(wire_has_said("Invalid channel name"));
    assert_int_equal(fake.given_up, 0);
    assert_int_equal(fake.asked_count, 1);
}

static void a_signed_in_user_may_leave_channel_data_out(void **state)
{
    char hex[SHA256_HEX_CHARS + 1], message[512];
    const struct digest_piece piece = {"1234.1234:presence-x", 20};
    (void)state;
    sign_in("{\"id\":\"1\",\"user_info\":{\"n\":\"x\"}}");
    answer_user(0, true);
    digest_hmac_sha256_hex(fake_app()->secret, strlen(fake_app()->secret), &piece, 1, hex);
    snprintf(message, sizeof(message),
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-x\",\"auth\":\"%s:%s\"}}",
        fake_app()->key, hex);
    wire_receive(message);
    assert_int_equal(fake.asked_count, 2);
    assert_string_equal(fake.asked[1]->user_id, "1");
    assert_string_equal(fake.asked[1]->user_info, "{\"n\":\"x\"}");
}

static void signing_in_can_be_switched_off(void **state)
{
    (void)state;
    fake_app()->user_authentication = false;
    sign_in("{\"id\":\"1\"}");
    wire_assert_said(COMPLAINT("Signing in is not enabled for this app"));
}

static void an_app_may_require_authorization_in_time(void **state)
{
    (void)state;
    fake_app()->require_authorization = true;
    fake_app()->authorization_timeout_ms = 1000;
    wire_open(); /* the first one opened before the app required it */
    struct connection *connection = wire.connection;
    wire.said.length = 0;
    wheel_run(&fake.worker.wheel, connection->opened_ms + 900);
    connection_flush_dirty(&fake.worker);
    wire_assert_silent();
    wheel_run(&fake.worker.wheel, connection->opened_ms + 1200);
    connection_flush_dirty(&fake.worker);
    assert_true(wire_has_said("\"code\":4009"));
    assert_int_equal(wire.close_code, PUSHER_UNAUTHORIZED);
    wire.connection = LIST_FIRST(&fake.worker.connections);
}

static void authorization_in_time_is_enough(void **state)
{
    (void)state;
    fake_app()->require_authorization = true;
    fake_app()->authorization_timeout_ms = 1000;
    wheel_cancel(&wire.connection->deadline);
    connection_opened(wire.connection);
    uint64_t opened_ms = wire.connection->opened_ms;
    sign_in("{\"id\":\"1\"}");
    /* sign_in() signs for socket 1234.1234, the first connection */
    answer_user(0, true);
    wheel_run(&fake.worker.wheel, opened_ms + 5000);
    connection_flush_dirty(&fake.worker);
    assert_int_equal(wire.closes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, wire_begin, wire_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(success_waits_for_the_users_own_channel),
        TEST(a_wrong_signature_is_refused_and_the_connection_stays),
        TEST(user_data_is_checked),
        TEST(as_another_user_is_refused_and_as_the_same_is_not),
        TEST(the_watchlist_is_told_whole_and_then_by_changes),
        TEST(a_watchlist_that_is_too_long_is_cut_and_said),
        TEST(server_to_user_is_for_that_user_only),
        TEST(the_users_channel_cannot_be_touched),
        TEST(a_signed_in_user_may_leave_channel_data_out),
        TEST(signing_in_can_be_switched_off),
        TEST(an_app_may_require_authorization_in_time),
        TEST(authorization_in_time_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
