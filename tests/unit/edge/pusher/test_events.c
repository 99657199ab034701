#include "edge/pusher/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What a user can hide in an id, and in the JSON of his info. */
#define NASTY_ID "q\" b\\ n\n \x01 \xe2\x82\xac"
#define NASTY_INFO "{ \"n\": \"q\\\" b\\\\ \\u0001\",\n\"e\":\"\xe2\x82\xac\" }"

/* Checks the text of a frame, and that it is sealed. */
static void assert_frame(struct frame *frame, const char *expected)
{
    if (frame->text_bytes != strlen(expected) || memcmp(frame->text, expected, frame->text_bytes) != 0)
        fail_msg("%.*s\ninstead of\n%s", (int)frame->text_bytes, frame->text, expected);
    assert_int_equal(frame_wire(frame)[0], 0x81);
    assert_int_equal(frame_wire_bytes(frame), frame->text_bytes + (frame->text_bytes < 126 ? 2 : 4));
    frame_unref(frame);
}

static void connection_established(void **state)
{
    (void)state;
    assert_frame(event_connection_established((struct socket_id){1, 2}, 120),
        "{\"event\":\"pusher:connection_established\","
        "\"data\":\"{\\\"socket_id\\\":\\\"1.2\\\",\\\"activity_timeout\\\":120}\"}");
}

static void errors(void **state)
{
    (void)state;
    assert_frame(event_error(4001, "No \"app\""),
        "{\"event\":\"pusher:error\",\"data\":{\"message\":\"No \\\"app\\\"\",\"code\":4001}}");
    assert_frame(
        event_error(0, "x"), "{\"event\":\"pusher:error\",\"data\":{\"message\":\"x\",\"code\":null}}");
}

static void pings(void **state)
{
    (void)state;
    assert_frame(event_ping(), "{\"event\":\"pusher:ping\",\"data\":{}}");
    assert_frame(event_pong(), "{\"event\":\"pusher:pong\",\"data\":{}}");
}

static void subscription_succeeded_without_a_roster(void **state)
{
    (void)state;
    assert_frame(event_subscription_succeeded("private-a", NULL),
        "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"private-a\",\"data\":\"{}\"}");
}

static void subscription_succeeded_with_a_roster(void **state)
{
    struct roster roster = {0};
    (void)state;
    assert_frame(event_subscription_succeeded("presence-a", &roster),
        "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"presence-a\",\"data\":"
        "\"{\\\"presence\\\":{\\\"count\\\":0,\\\"ids\\\":[],\\\"hash\\\":{}}}\"}");
    roster_add(&roster, "1", 1, "{\"name\":\"A\"}", 12);
    roster_add(&roster, "2", 1, NULL, 0);
    assert_frame(event_subscription_succeeded("presence-a", &roster),
        "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"presence-a\",\"data\":"
        "\"{\\\"presence\\\":{\\\"count\\\":2,\\\"ids\\\":[\\\"1\\\",\\\"2\\\"],"
        "\\\"hash\\\":{\\\"1\\\":{\\\"name\\\":\\\"A\\\"},\\\"2\\\":null}}}\"}");
    roster_clear(&roster);
}

static void subscription_error(void **state)
{
    (void)state;
    assert_frame(event_subscription_error("private-\"a", "no \\"),
        "{\"event\":\"pusher:subscription_error\",\"channel\":\"private-\\\"a\",\"data\":"
        "{\"type\":\"AuthError\",\"error\":\"no \\\\\",\"status\":401}}");
}

static struct member *one_member(struct roster *roster, const char *id, const char *info)
{
    return roster_add(roster, id, strlen(id), info, info ? strlen(info) : 0);
}

static void members_come_and_go(void **state)
{
    struct roster roster = {0};
    struct member *plain = one_member(&roster, "7", NULL);
    struct member *nasty = one_member(&roster, NASTY_ID, NASTY_INFO);
    (void)state;
    assert_frame(event_member_added("presence-a", plain),
        "{\"event\":\"pusher_internal:member_added\",\"channel\":\"presence-a\","
        "\"data\":\"{\\\"user_id\\\":\\\"7\\\"}\"}");
    /* Every character of the id is escaped twice, every one of the info, which is JSON already, once. */
    assert_frame(event_member_added("presence-a", nasty),
        "{\"event\":\"pusher_internal:member_added\",\"channel\":\"presence-a\","
        "\"data\":\"{\\\"user_id\\\":\\\"q\\\\\\\" b\\\\\\\\ n\\\\n \\\\u0001 \xe2\x82\xac\\\","
        "\\\"user_info\\\":{ \\\"n\\\": \\\"q\\\\\\\" b\\\\\\\\ \\\\u0001\\\",\\n"
        "\\\"e\\\":\\\"\xe2\x82\xac\\\" }}\"}");
    assert_frame(event_member_removed("presence-a", nasty),
        "{\"event\":\"pusher_internal:member_removed\",\"channel\":\"presence-a\","
        "\"data\":\"{\\\"user_id\\\":\\\"q\\\\\\\" b\\\\\\\\ n\\\\n \\\\u0001 \xe2\x82\xac\\\"}\"}");
    roster_clear(&roster);
}

static void published_events(void **state)
{
    static const char data[] = "{\"some\":\"d\\\"ata\"}";
    (void)state;
    assert_frame(event_published("c", "na\"me", 5, data, sizeof(data) - 1),
        "{\"event\":\"na\\\"me\",\"channel\":\"c\",\"data\":\"{\\\"some\\\":\\\"d\\\\\\\"ata\\\"}\"}");
    assert_frame(event_published("c", "n", 1, "", 0), "{\"event\":\"n\",\"channel\":\"c\",\"data\":\"\"}");
}

static void client_events(void **state)
{
    (void)state;
    assert_frame(event_from_client("private-a", "client-x", 8, "{ \"a\":1}", 8, NULL),
        "{\"event\":\"client-x\",\"channel\":\"private-a\",\"data\":{ \"a\":1}}");
    assert_frame(event_from_client("presence-a", "client-\"", 8, "\"\\u0041\"", 8, "u\"1"),
        "{\"event\":\"client-\\\"\",\"channel\":\"presence-a\",\"data\":\"\\u0041\",\"user_id\":\"u\\\"1\"}");
}

static void socket_ids_are_read_back(void **state)
{
    static const struct socket_id ids[] = {{1, 2}, {0, 1}, {1, 0}, {UINT64_MAX, UINT64_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char text[SOCKET_ID_CHARS];
        struct socket_id id;
        socket_id_print(ids[i], text);
        assert_true(socket_id_parse(text, strlen(text), &id));
        assert_int_equal(id.edge, ids[i].edge);
        assert_int_equal(id.serial, ids[i].serial);
    }
}

static void other_texts_are_no_socket_ids(void **state)
{
    static const char *const bad[] = {"", ".", "1", "1.", ".1", "0.0", "1.2.3", "1.2 ", " 1.2", "+1.2",
        "1.-2", "01.2", "1.02", "18446744073709551616.1", "1.18446744073709551616",
        "99999999999999999999999.1", "a.b"};
    struct socket_id id;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (socket_id_parse(bad[i], strlen(bad[i]), &id))
            fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_established),
        cmocka_unit_test(errors),
        cmocka_unit_test(pings),
        cmocka_unit_test(subscription_succeeded_without_a_roster),
        cmocka_unit_test(subscription_succeeded_with_a_roster),
        cmocka_unit_test(subscription_error),
        cmocka_unit_test(members_come_and_go),
        cmocka_unit_test(published_events),
        cmocka_unit_test(client_events),
        cmocka_unit_test(socket_ids_are_read_back),
        cmocka_unit_test(other_texts_are_no_socket_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
