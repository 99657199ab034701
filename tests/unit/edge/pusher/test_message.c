#include "edge/pusher/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int read_text(struct message *message, const char *text)
{
    const char *why;
    return message_read(message, text, strlen(text), &why);
}

static void assert_text(struct json_text text, const char *expected)
{
    assert_non_null(text.bytes);
    if (!json_text_is(text, expected))
        fail_msg("%.*s instead of %s", (int)text.length, text.bytes, expected);
}

static void a_subscription_is_read(void **state)
{
    /* As pusher-js sends it. */
    static const char text[] =
        "{\"event\":\"pusher:subscribe\",\"data\":{\"auth\":\"key:0a\",\"channel_data\":"
        "\"{\\\"user_id\\\":\\\"j\\u00f6\\\",\\\"user_info\\\":{\\\"name\\\":\\\"a\\\\\\\"b\\\"}}\","
        "\"channel\":\"presence-x\"}}";
    struct message message;
    struct message_subscription subscription;
    struct message_user user;
    const char *why;
    (void)state;
    assert_int_equal(read_text(&message, text), 0);
    assert_text(message.event, "pusher:subscribe");
    assert_null(message.channel.bytes);
    assert_int_equal(message_read_subscription(&message, &subscription, &why), 0);
    assert_text(subscription.channel, "presence-x");
    assert_text(subscription.auth, "key:0a");
    assert_text(subscription.channel_data, "{\"user_id\":\"j\xc3\xb6\",\"user_info\":{\"name\":\"a\\\"b\"}}");
    assert_int_equal(message_read_user(&message, subscription.channel_data, &user, &why), 0);
    assert_text(user.id, "j\xc3\xb6");
    assert_text(user.info, "{\"name\":\"a\\\"b\"}");
    /* What was read before stays where it was. */
    assert_text(subscription.channel, "presence-x");
    message_deinit(&message);
}

static void earlier_texts_stay_when_later_ones_are_decoded(void **state)
{
    static const char text[] = "{\"event\":\"\\u0065v\",\"channel\":\"\\u0063h\",\"data\":{\"channel\":"
                               "\"\\u0064\",\"auth\":\"\\u0065\",\"channel_data\":"
                               "\"{\\\"user_id\\\":\\\"\\\\u0066\\\"}\"}}";
    struct message message;
    struct message_subscription subscription;
    struct message_user user;
    const char *why;
    (void)state;
    assert_int_equal(read_text(&message, text), 0);
    assert_int_equal(message_read_subscription(&message, &subscription, &why), 0);
    assert_int_equal(message_read_user(&message, subscription.channel_data, &user, &why), 0);
    assert_text(message.event, "ev");
    assert_text(message.channel, "ch");
    assert_text(subscription.channel, "d");
    assert_text(subscription.auth, "e");
    assert_text(user.id, "f");
    assert_null(user.info.bytes);
    message_deinit(&message);
}

static void data_of_client_events_is_as_it_came(void **state)
{
    static const char *const values[] = {
        "{ \"a\" : [1, 2.50,\"\\u00e9\"] }", "\"{\\\"a\\\":1}\"", "null", "1e3", "[ ]"};
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct message message;
        snprintf(text, sizeof(text), "{\"event\":\"client-x\", \"data\": %s , \"channel\":\"private-a\"}",
            values[i]);
        assert_int_equal(read_text(&message, text), 0);
        assert_text(message.data.raw, values[i]);
        assert_text(message.channel, "private-a");
        message_deinit(&message);
    }
}

static void pings_of_all_clients_are_read(void **state)
{
    static const char *const pings[] = {
        "{\"event\":\"pusher:ping\"}",
        "{\"event\": \"pusher:ping\", \"data\": \"\"}",
        "{\"event\":\"pusher:ping\",\"data\":{}}",
        "{\"event\":\"pusher:ping\",\"data\":{},\"channel\":null}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pings) / sizeof(pings[0]); i++) {
        struct message message;
        assert_int_equal(read_text(&message, pings[i]), 0);
        assert_text(message.event, "pusher:ping");
        message_deinit(&message);
    }
}

static void messages_without_an_event_are_refused(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"event\":\"\"}",
        "{\"event\":null}",
        "{\"event\":7}",
        "{\"event\":\"a\\u0000b\"}",
        "{\"event\":\"\\ud800\"}",
        "{\"event\":\"a\",\"event\":\"a\"}",
        "{\"event\":\"a\",\"channel\":7}",
        "{\"event\":\"a\",\"channel\":\"\\u0000\"}",
        "{\"event\":\"a\",\"data\":1,\"data\":2}",
        "[{\"event\":\"a\"}]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct message message;
        if (read_text(&message, bad[i]) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
        message_deinit(&message);
    }
}

static void data_that_is_no_subscription_is_refused(void **state)
{
    static const char *const bad[] = {
        "{\"event\":\"a\"}",
        "{\"event\":\"a\",\"data\":null}",
        "{\"event\":\"a\",\"data\":\"{\\\"channel\\\":\\\"x\\\"}\"}",
        "{\"event\":\"a\",\"data\":[]}",
        "{\"event\":\"a\",\"data\":{}}",
        "{\"event\":\"a\",\"data\":{\"channel\":null}}",
        "{\"event\":\"a\",\"data\":{\"channel\":{}}}",
        "{\"event\":\"a\",\"data\":{\"channel\":\"\\u0000\"}}",
        "{\"event\":\"a\",\"data\":{\"channel\":\"x\",\"channel\":\"y\"}}",
        "{\"event\":\"a\",\"data\":{\"channel\":\"x\",\"auth\":1}}",
        "{\"event\":\"a\",\"data\":{\"channel\":\"x\",\"channel_data\":{}}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct message message;
        struct message_subscription subscription;
        const char *why = NULL;
        assert_int_equal(read_text(&message, bad[i]), 0);
        if (message_read_subscription(&message, &subscription, &why) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
        assert_non_null(why);
        message_deinit(&message);
    }
}

static void users_are_read(void **state)
{
    static const struct {
        const char *channel_data, *id, *info; /* id NULL: refused */
    } cases[] = {
        {"{\"user_id\":\"1\"}", "1", NULL},
        {"{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Channels\"}}", "10", "{\"name\":\"Mr. Channels\"}"},
        {"{\"user_id\":-5,\"user_info\":null}", "-5", NULL},
        {"{\"user_id\":12345678901234567890,\"user_info\":\"x\"}", "12345678901234567890", "\"x\""},
        {"{\"user_info\":{}}", NULL, NULL},
        {"{\"user_id\":\"\"}", NULL, NULL},
        {"{\"user_id\":null}", NULL, NULL},
        {"{\"user_id\":{}}", NULL, NULL},
        {"{\"user_id\":true}", NULL, NULL},
        {"{\"user_id\":\"a\\u0000\"}", NULL, NULL},
        {"{\"user_id\":\"\\ud800\"}", NULL, NULL},
        {"{\"user_id\":1,\"user_id\":2}", NULL, NULL},
        {"\"user_id\"", NULL, NULL},
        {"", NULL, NULL},
        {"{\"user_id\":1", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message message;
        struct message_user user;
        const char *why;
        struct json_text channel_data = {cases[i].channel_data, strlen(cases[i].channel_data)};
        assert_int_equal(read_text(&message, "{\"event\":\"some event, long enough for the rest\"}"), 0);
        int error = message_read_user(&message, channel_data, &user, &why);
        assert_int_equal(error, cases[i].id ? 0 : -EINVAL);
        if (cases[i].id)
            assert_text(user.id, cases[i].id);
        if (cases[i].info)
            assert_text(user.info, cases[i].info);
        message_deinit(&message);
    }
}

static void what_is_not_utf8_is_told_apart(void **state)
{
    struct message message;
    (void)state;
    assert_int_equal(read_text(&message, "{\"event\":\"\xff\"}"), -EILSEQ);
    message_deinit(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscription_is_read),
        cmocka_unit_test(earlier_texts_stay_when_later_ones_are_decoded),
        cmocka_unit_test(data_of_client_events_is_as_it_came),
        cmocka_unit_test(pings_of_all_clients_are_read),
        cmocka_unit_test(messages_without_an_event_are_refused),
        cmocka_unit_test(data_that_is_no_subscription_is_refused),
        cmocka_unit_test(users_are_read),
        cmocka_unit_test(what_is_not_utf8_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
