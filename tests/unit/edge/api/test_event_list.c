#include "edge/api/event_list.h"

#include "edge/node/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct config_limits limits = {
    .event_bytes = 20,
    .event_name_chars = 5,
    .channel_name_chars = 20,
    .channels_per_publish = 3,
    .batch_events = 2,
    .user_id_chars = 4,
};

static struct event_refusal refusal;

typedef struct event_list *parse_function(
    const struct config_limits *, const char *body, size_t body_bytes, struct event_refusal *refusal);

/* From memory of exactly that size, which is gone before the list is looked at. */
static struct event_list *parse_with(
    parse_function *parse, const struct config_limits *with, const char *body, size_t bytes)
{
    char *exact = malloc(bytes ? bytes : 1);
    assert_non_null(exact);
    memcpy(exact, body, bytes);
    refusal = (struct event_refusal){0};
    struct event_list *list = parse(with, exact, bytes, &refusal);
    free(exact);
    return list;
}

static struct event_list *take(parse_function *parse, const char *body)
{
    struct event_list *list = parse_with(parse, &limits, body, strlen(body));
    if (!list)
        fail_msg("%s: %s", body, refusal.words);
    return list;
}

static void refuse_with(parse_function *parse, const char *body, int status, const char *words)
{
    assert_null(parse_with(parse, &limits, body, strlen(body)));
    assert_string_equal(refusal.words, words);
    assert_int_equal(refusal.status, status);
}

static void refuse(const char *body, int status, const char *words)
{
    refuse_with(event_list_parse, body, status, words);
}

/* ---- POST /events ---- */

static void test_one_channel(void **state)
{
    (void)state;
    struct event_list *list =
        take(event_list_parse, "{\"name\":\"n\",\"data\":\"a\\u00e4\\\"b\",\"channel\":\"c\"}");
    assert_int_equal(list->count, 1);
    assert_false(list->is_batch);
    assert_string_equal(list->items[0].channel, "c");
    assert_int_equal(list->items[0].name_bytes, 1);
    assert_int_equal(list->items[0].data_bytes, 5);
    assert_string_equal(list->items[0].data, "a\xc3\xa4\"b");
    assert_int_equal(list->items[0].exclude.edge, 0);
    assert_int_equal(list->items[0].exclude.serial, 0);
    assert_int_equal(list->items[0].info, 0);
    event_list_free(list);
}

static void test_several_channels(void **state)
{
    (void)state;
    struct event_list *list = take(event_list_parse,
        "{\"channels\":[\"c\",\"presence-c\",\"#server-to-user-a|\\u00e41\"],\"name\":\"n\",\"data\":\"\","
        "\"socket_id\":\"12.34\",\"info\":\"user_count,subscription_count\",\"tags\":{\"unknown\":[1]}}");
    assert_int_equal(list->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(list->items[i].name, "n");
        assert_int_equal(list->items[i].exclude.edge, 12);
        assert_int_equal(list->items[i].exclude.serial, 34);
    }
    assert_string_equal(list->items[2].channel, "#server-to-user-a|\xc3\xa4"
                                                "1");
    assert_int_equal(list->items[0].info, INFO_ASKED | INFO_SUBSCRIPTION_COUNT);
    assert_int_equal(list->items[1].info, INFO_ASKED | INFO_USER_COUNT | INFO_SUBSCRIPTION_COUNT);
    event_list_free(list);
}

static void test_null_is_absent(void **state)
{
    (void)state;
    struct event_list *list =
        take(event_list_parse, "{\"name\":\"n\",\"data\":\"\",\"channel\":null,\"channels\":[\"c\"],\"socket_"
                               "id\":null,\"info\":null}");
    assert_int_equal(list->count, 1);
    event_list_free(list);
}

static void test_fields(void **state)
{
    (void)state;
    refuse("{\"data\":\"\",\"channel\":\"c\"}", 400, "name: must be the event's name, a string");
    refuse("{\"name\":1,\"data\":\"\",\"channel\":\"c\"}", 400, "name: must be the event's name, a string");
    refuse("{\"name\":\"\",\"data\":\"\",\"channel\":\"c\"}", 400, "name: must not be empty");
    refuse("{\"name\":\"n\",\"channel\":\"c\"}", 400,
        "data: must be a string (JSON has to be encoded into one)");
    refuse("{\"name\":\"n\",\"data\":{},\"channel\":\"c\"}", 400,
        "data: must be a string (JSON has to be encoded into one)");
    refuse("{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\",\"info\":\"cache\"}", 400,
        "info: must be a comma-separated list of user_count, subscription_count");
    refuse("{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\",\"info\":[]}", 400,
        "info: must be a comma-separated list of user_count, subscription_count");
}

static void test_socket_id(void **state)
{
    (void)state;
    static const char *const bad[] = {"\"\"", "\"1\"", "\"1.\"", "\".1\"", "\"1.2.3\"", "\"1.2 \"", "\"a.b\"",
        "\"-1.2\"", "\"99999999999999999999.1\"", "1.2", "false"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char body[128];
        snprintf(
            body, sizeof(body), "{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\",\"socket_id\":%s}", bad[i]);
        refuse(body, 400,
            "socket_id: must be the socket_id of a connection, as in connection_established (\"123.456\")");
    }
}

static void test_which_channels(void **state)
{
    (void)state;
    const char *neither = "must have either channels, a list, or channel";
    refuse("{\"name\":\"n\",\"data\":\"\"}", 400, neither);
    refuse("{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\",\"channels\":[\"c\"]}", 400, neither);
    const char *a_list = "channels: must be a list of at least one channel";
    refuse("{\"name\":\"n\",\"data\":\"\",\"channels\":[]}", 400, a_list);
    refuse("{\"name\":\"n\",\"data\":\"\",\"channels\":\"c\"}", 400, a_list);
    refuse("{\"name\":\"n\",\"data\":\"\",\"channels\":{\"c\":1}}", 400, a_list);
    refuse("{\"name\":\"n\",\"data\":\"\",\"channel\":[\"c\"]}", 400,
        "channel: must be the name of a channel, a string");
    refuse("{\"name\":\"n\",\"data\":\"\",\"channels\":[\"c\",3]}", 400,
        "channels[1]: must be the name of a channel, a string");
    refuse("{\"name\":\"n\",\"data\":\"\",\"channels\":[\"c\",\"d\",\"a b\"]}", 400,
        "channels[2]: must be made of A-Z a-z 0-9 _ - = @ , . ; and not be empty");
    refuse("{\"name\":\"n\",\"data\":\"\",\"channel\":\"\"}", 400,
        "channel: must be made of A-Z a-z 0-9 _ - = @ , . ; and not be empty");
    refuse("{\"name\":\"n\",\"data\":\"\",\"channel\":\"#server-to-all-1\"}", 400,
        "channel: must be made of A-Z a-z 0-9 _ - = @ , . ; and not be empty");
}

static void test_encrypted_alone(void **state)
{
    (void)state;
    event_list_free(
        take(event_list_parse, "{\"name\":\"n\",\"data\":\"\",\"channels\":[\"private-encrypted-a\"]}"));
    event_list_free(
        take(event_list_parse, "{\"name\":\"n\",\"data\":\"\",\"channels\":[\"private-a\",\"private-b\"]}"));
    refuse("{\"name\":\"n\",\"data\":\"\",\"channels\":[\"a\",\"private-encrypted-a\"]}", 400,
        "channels: an encrypted channel must be the only one of its event");
}

static void test_repeated_channels(void **state)
{
    (void)state;
    struct event_list *list =
        take(event_list_parse, "{\"name\":\"n\",\"data\":\"\",\"channels\":[\"b\",\"a\",\"b\"]}");
    assert_int_equal(list->count, 2);
    assert_string_equal(list->items[0].channel, "b");
    assert_string_equal(list->items[1].channel, "a");
    event_list_free(list);
    list = take(event_list_parse,
        "{\"name\":\"n\",\"data\":\"\",\"channels\":[\"private-encrypted-a\",\"private-encrypted-a\"]}");
    assert_int_equal(list->count, 1);
    event_list_free(list);
    /* but not out of the limit */
    refuse("{\"name\":\"n\",\"data\":\"\",\"channels\":[\"a\",\"a\",\"a\",\"a\"]}", 400,
        "channels: must have at most 3 channels, but has 4");
    /* the events of a batch are events of their own */
    list = take(event_list_parse_batch, "{\"batch\":[{\"name\":\"n\",\"data\":\"1\",\"channel\":\"a\"},"
                                        "{\"name\":\"n\",\"data\":\"2\",\"channel\":\"a\"}]}");
    assert_int_equal(list->count, 2);
    event_list_free(list);
}

static void test_many_repeated_channels(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    const struct config_limits none = {0};
    size_t capacity = COUNT * 10 + 64, at;
    char *body = malloc(capacity);
    assert_non_null(body);
    at = (size_t)snprintf(body, capacity, "{\"name\":\"n\",\"data\":\"\",\"channels\":[");
    for (int i = 0; i < COUNT; i++)
        at += (size_t)snprintf(body + at, capacity - at, "%s\"%d\"", i ? "," : "", i % (COUNT / 2));
    at += (size_t)snprintf(body + at, capacity - at, "]}");
    struct event_list *list = parse_with(event_list_parse, &none, body, at);
    assert_non_null(list);
    assert_int_equal(list->count, COUNT / 2);
    assert_string_equal(list->items[COUNT / 2 - 1].channel, "99999");
    event_list_free(list);
    free(body);
}

static void test_reserved_names(void **state)
{
    (void)state;
    static const char words[] = "name: must not begin with pusher: or pusher_internal:";
    const struct config_limits none = {0};
    static const char *const reserved[] = {"pusher:", "pusher:error", "pusher_internal:member_added"};
    static const char *const free_names[] = {"pusher", "pusher-notification", "Pusher:x", "x-pusher:y"};
    char body[128];
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        int length =
            snprintf(body, sizeof(body), "{\"name\":\"%s\",\"data\":\"\",\"channel\":\"c\"}", reserved[i]);
        assert_null(parse_with(event_list_parse, &none, body, (size_t)length));
        assert_string_equal(refusal.words, words);
        assert_int_equal(refusal.status, 400);
    }
    for (size_t i = 0; i < sizeof(free_names) / sizeof(free_names[0]); i++) {
        int length =
            snprintf(body, sizeof(body), "{\"name\":\"%s\",\"data\":\"\",\"channel\":\"c\"}", free_names[i]);
        struct event_list *list = parse_with(event_list_parse, &none, body, (size_t)length);
        assert_non_null(list);
        event_list_free(list);
    }
}

/* Each limit: as much as is allowed, and one more. Characters are counted as characters. */
static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *good, *bad, *words;
        int status;
    } cases[] = {
        {"{\"name\":\"\u00e4\u00e4\u00e4\u00e4\U0001F600\",\"data\":\"\",\"channel\":\"c\"}",
            "{\"name\":\"sixsix\",\"data\":\"\",\"channel\":\"c\"}",
            "name: must have at most 5 characters, but has 6", 400},
        {"{\"name\":\"n\",\"data\":\"12345678901234567890\",\"channel\":\"c\"}",
            "{\"name\":\"n\",\"data\":\"1234567890123456789\u00e4\",\"channel\":\"c\"}",
            "data: must have at most 20 bytes, but has 21", 413},
        {"{\"name\":\"n\",\"data\":\"\",\"channel\":\"12345678901234567890\"}",
            "{\"name\":\"n\",\"data\":\"\",\"channel\":\"123456789012345678901\"}",
            "channel: must have at most 20 characters, but has 21", 400},
        {"{\"name\":\"n\",\"data\":\"\",\"channel\":\"#server-to-user-1\u00e434\"}",
            "{\"name\":\"n\",\"data\":\"\",\"channel\":\"#server-to-user-12345\"}",
            "channel: must have a user's id of at most 4 characters, but has 5", 400},
        {"{\"name\":\"n\",\"data\":\"\",\"channel\":\"#server-to-user-1\"}",
            "{\"name\":\"n\",\"data\":\"\",\"channel\":\"#server-to-user-\"}",
            "channel: must have a user's id after #server-to-user-", 400},
        {"{\"name\":\"n\",\"data\":\"\",\"channels\":[\"1\",\"2\",\"3\"]}",
            "{\"name\":\"n\",\"data\":\"\",\"channels\":[\"1\",\"2\",\"3\",\"4\"]}",
            "channels: must have at most 3 channels, but has 4", 400},
    };
    static const struct config_limits none = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        event_list_free(take(event_list_parse, cases[i].good));
        refuse(cases[i].bad, cases[i].status, cases[i].words);
        struct event_list *unlimited =
            parse_with(event_list_parse, &none, cases[i].bad, strlen(cases[i].bad));
        assert_int_equal(unlimited == NULL, i == 4); /* an empty id is no matter of limits */
        if (unlimited)
            event_list_free(unlimited);
    }
}

/* ---- not JSON ---- */

static void refuse_json(const char *body, const char *ending)
{
    assert_null(parse_with(event_list_parse, &limits, body, strlen(body)));
    assert_int_equal(refusal.status, 400);
    size_t length = strlen(refusal.words), tail = strlen(ending);
    if (length < tail || strcmp(refusal.words + length - tail, ending) != 0)
        fail_msg("'%s' does not end in '%s'", refusal.words, ending);
}

static void test_not_json(void **state)
{
    (void)state;
    assert_null(parse_with(event_list_parse, &limits, "", 0));
    assert_int_equal(refusal.status, 400);
    assert_null(event_list_parse(&limits, NULL, 0, &refusal));
    refuse("[]", 400, "the body must be a JSON object");
    refuse_json("{\"name\":\"n\",", "line 1, column 12: string or '}' expected");
    refuse_json("{\n\"name\":\"\xff\"}", "line 2, column 8: unable to decode byte 0xff");
    refuse_json(
        "{\"name\":\"n\\u0000\",\"data\":\"\",\"channel\":\"c\"}", ": a string must not hold \\u0000");
    refuse_json("{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\"} {}", "end of file expected");
    const char zero[] = "{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\"}\0";
    assert_null(parse_with(event_list_parse, &limits, zero, sizeof(zero)));
    struct event_list *list = parse_with(event_list_parse, &limits, zero, sizeof(zero) - 2);
    assert_non_null(list);
    event_list_free(list);
}

static void test_nesting(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    char *body = malloc(DEEP + 64);
    assert_non_null(body);
    int length = snprintf(body, 64, "{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\",\"x\":");
    memset(body + length, '[', DEEP);
    assert_null(parse_with(event_list_parse, &limits, body, (size_t)length + DEEP));
    assert_int_equal(refusal.status, 400);
    assert_non_null(strstr(refusal.words, "maximum parsing depth reached"));
    free(body);
}

/* Every prefix of a good body is refused with words, and nothing is read behind it. */
static void cut_everywhere(parse_function *parse, const char *body)
{
    event_list_free(take(parse, body));
    for (size_t bytes = 0; bytes < strlen(body); bytes++) {
        assert_null(parse_with(parse, &limits, body, bytes));
        assert_int_equal(refusal.status, 400);
        assert_true(strlen(refusal.words) > 0);
    }
}

static void test_every_prefix(void **state)
{
    (void)state;
    cut_everywhere(event_list_parse,
        "{\"name\":\"\u00e4\",\"data\":\"{\\\"a\\\":1}\",\"channels\":[\"c\",\"d\"],\"socket_id\":\"1.2\"}");
    cut_everywhere(event_list_parse_batch, "{\"batch\":[{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\"}]}");
}

/* ---- POST /batch_events ---- */

#define EVENT "{\"name\":\"n\",\"data\":\"\",\"channel\":\"c\"}"

static void test_batch(void **state)
{
    (void)state;
    struct event_list *list = take(event_list_parse_batch,
        "{\"batch\":[{\"name\":\"a\",\"data\":\"1\",\"channel\":\"c\",\"socket_id\":\"1.2\"},"
        "{\"name\":\"b\",\"data\":\"2\",\"channel\":\"presence-c\",\"info\":\"user_count\"}]}");
    assert_true(list->is_batch);
    assert_int_equal(list->count, 2);
    assert_string_equal(list->items[0].name, "a");
    assert_string_equal(list->items[1].name, "b");
    assert_string_equal(list->items[1].channel, "presence-c");
    assert_int_equal(list->items[0].exclude.serial, 2);
    assert_int_equal(list->items[1].exclude.serial, 0);
    assert_int_equal(list->items[0].info, 0);
    assert_int_equal(list->items[1].info, INFO_ASKED | INFO_USER_COUNT);
    event_list_free(list);
}

static void refuse_batch(const char *body, int status, const char *words)
{
    refuse_with(event_list_parse_batch, body, status, words);
}

static void test_batch_refusals(void **state)
{
    (void)state;
    const char *a_list = "batch: must be a list of at least one event";
    refuse_batch("{}", 400, a_list);
    refuse_batch("{\"batch\":[]}", 400, a_list);
    refuse_batch("{\"batch\":{}}", 400, a_list);
    refuse_batch(
        "{\"batch\":[" EVENT "," EVENT "," EVENT "]}", 400, "batch: must have at most 2 events, but has 3");
    refuse_batch("{\"batch\":[" EVENT ",1]}", 400, "batch[1]: must be an object with name, data and channel");
    refuse_batch("{\"batch\":[" EVENT
                 ",{\"name\":\"n\",\"data\":\"123456789012345678901\",\"channel\":\"c\"}]}",
        413, "batch[1].data: must have at most 20 bytes, but has 21");
    refuse_batch("{\"batch\":[" EVENT ",{\"name\":\"n\",\"data\":\"\",\"channel\":\"a b\"}]}", 400,
        "batch[1].channel: must be made of A-Z a-z 0-9 _ - = @ , . ; and not be empty");
    refuse_batch("{\"batch\":[{\"name\":\"n\",\"data\":\"\",\"channels\":[\"c\"]}]}", 400,
        "batch[0].channel: must be the name of a channel, a string");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_channel),
        cmocka_unit_test(test_several_channels),
        cmocka_unit_test(test_null_is_absent),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_socket_id),
        cmocka_unit_test(test_which_channels),
        cmocka_unit_test(test_encrypted_alone),
        cmocka_unit_test(test_repeated_channels),
        cmocka_unit_test(test_many_repeated_channels),
        cmocka_unit_test(test_reserved_names),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
