/* The JSON of events. Each must be read back by a strict reader, whatever clients and users are called. */
#include "edge/webhooks/webhooks_private.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct event *written(const struct store_transition *transition)
{
    struct event *event = calloc(1, sizeof(*event) + 8);
    assert_non_null(event);
    strcpy(event->id, "id-1");
    event_write(event, transition);
    return event;
}

static void expect(const struct store_transition *transition, const char *expected)
{
    struct event *event = written(transition);
    char *json = strndup(event->json, event->json_bytes);
    assert_string_equal(json, expected);
    json_t *read = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(read);
    json_decref(read);
    free(json);
    free(event->json);
    free(event);
}

static void test_every_kind(void **state)
{
    (void)state;
    struct store_transition t = {.kind = STORE_OCCUPIED, .channel = "c"};
    expect(&t, "{\"name\":\"channel_occupied\",\"channel\":\"c\",\"id\":\"id-1\"}");
    t = (struct store_transition){.kind = STORE_VACATED, .channel = "c", .reason = STORE_EDGE_LOST};
    expect(&t, "{\"name\":\"channel_vacated\",\"channel\":\"c\",\"reason\":\"edge_lost\",\"id\":\"id-1\"}");
    t = (struct store_transition){.kind = STORE_MEMBER_ADDED, .channel = "c", .user_id = "a"};
    expect(&t, "{\"name\":\"member_added\",\"channel\":\"c\",\"user_id\":\"a\",\"id\":\"id-1\"}");
    t = (struct store_transition){
        .kind = STORE_MEMBER_REMOVED, .channel = "c", .user_id = "a", .reason = STORE_UNSUBSCRIBED};
    expect(&t, "{\"name\":\"member_removed\",\"channel\":\"c\",\"user_id\":\"a\",\"reason\":\"unsubscribed\","
               "\"id\":\"id-1\"}");
    t = (struct store_transition){.kind = STORE_COUNTED, .channel = "c", .count = UINT64_MAX >> 1};
    expect(&t,
        "{\"name\":\"subscription_count\",\"channel\":\"c\",\"subscription_count\":9223372036854775807,"
        "\"id\":\"id-1\"}");
    t = (struct store_transition){.kind = STORE_CACHE_MISS, .channel = "c"};
    expect(&t, "{\"name\":\"cache_miss\",\"channel\":\"c\",\"id\":\"id-1\"}");
}

static void test_users_called_like_json(void **state)
{
    (void)state;
    struct store_transition t = {
        .kind = STORE_MEMBER_ADDED, .channel = "c", .user_id = "\",\n\\ \x01 \xc3\xa4"};
    expect(&t, "{\"name\":\"member_added\",\"channel\":\"c\",\"user_id\":\"\\\",\\n\\\\ \\u0001 \xc3\xa4\","
               "\"id\":\"id-1\"}");
}

static void expect_data(const char *data, const char *expected)
{
    struct buffer payload = {0};
    webhooks_add_payload(&payload, "client-\"x", 9, data, strlen(data), "1.2");
    struct store_transition t = {.kind = STORE_CLIENT_EVENT,
        .channel = "c",
        .payload = payload.bytes,
        .payload_bytes = payload.length};
    struct event *event = written(&t);
    json_t *read = json_loadb(event->json, event->json_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (!read)
        fail_msg("%.*s is no JSON", (int)event->json_bytes, event->json);
    assert_string_equal(json_string_value(json_object_get(read, "data")), expected);
    assert_string_equal(json_string_value(json_object_get(read, "event")), "client-\"x");
    assert_string_equal(json_string_value(json_object_get(read, "socket_id")), "1.2");
    json_decref(read);
    free(event->json);
    free(event);
    buffer_deinit(&payload);
}

#define LOST "\xef\xbf\xbd" /* U+FFFD */

static void test_data_of_clients(void **state)
{
    (void)state;
    expect_data("\"\"", "");
    expect_data("\"x\"", "x");
    expect_data("\"a\\\"\\\\\\n\\u00e4\xc3\xa4\"", "a\"\\\n\xc3\xa4\xc3\xa4");
    expect_data("{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\"}"); /* their JSON, as text */
    expect_data("[]", "[]");
    expect_data("12", "12");
    expect_data("null", "null");
}

static void test_halves_of_surrogate_pairs(void **state)
{
    (void)state;
    expect_data("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80");
    expect_data("\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80");
    expect_data("\"\\ud83d\"", LOST);
    expect_data("\"\\uDE00\"", LOST);
    expect_data("\"\\ude00\\ud83d\"", LOST LOST);
    expect_data("\"\\ud83d\\ud83d\\ude00\"", LOST "\xf0\x9f\x98\x80");
    expect_data("\"\\ud83dx\"", LOST "x");
    expect_data("\"\\ud83d\\n\"", LOST "\n");
    expect_data("\"\\\\ud83d\"", "\\ud83d"); /* a backslash, and then letters */
    expect_data("\"\\\\\\ud83d\"", "\\" LOST);
    expect_data("\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80"); /* their neighbours are none */
}

static void test_a_payload_that_is_none_breaks_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "{}", "x", "{", "[1]", "\"x\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct store_transition t = {
            .kind = STORE_CLIENT_EVENT, .channel = "c", .payload = bad[i], .payload_bytes = strlen(bad[i])};
        expect(&t, "{\"name\":\"client_event\",\"channel\":\"c\",\"id\":\"id-1\"}");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_users_called_like_json),
        cmocka_unit_test(test_data_of_clients),
        cmocka_unit_test(test_halves_of_surrogate_pairs),
        cmocka_unit_test(test_a_payload_that_is_none_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
