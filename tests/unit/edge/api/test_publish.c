/* Publishing: what the node is given, and what its answers become. */
#include "tests/unit/edge/api/api_world.h"

#define EVENT "{\"name\":\"n\",\"data\":\"d\",\"channels\":[\"c\",\"presence-d\"],\"socket_id\":\"3.4\"}"

static void test_publish(void **state)
{
    (void)state;
    post("/apps/1/events", EVENT);
    assert_int_equal(exchange.answers, 0);
    assert_non_null(published);
    assert_ptr_equal(published->app, &apps[0]);
    assert_true(published->counted);
    assert_false(published->as_batch);
    assert_int_equal(published->count, 2);
    assert_string_equal(published->items[0].channel, "c");
    assert_string_equal(published->items[1].channel, "presence-d");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(published->items[i].exclude.edge, 3);
        assert_int_equal(published->items[i].exclude.serial, 4);
        assert_non_null(strstr(published->items[i].frame->text, published->items[i].channel));
        assert_true(published->items[i].frame->header_bytes > 0);
    }
    answer_publish(NODE_OK, "{}", STORE_FRESH);
    assert_int_equal(exchange.answers, 1);
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, "{}");
    assert_string_equal(exchange.headers, "");
    assert_string_equal(exchange.type, "application/json");
}

static void test_publish_batch(void **state)
{
    (void)state;
    post("/apps/1/batch_events",
        "{\"batch\":[{\"name\":\"n\",\"data\":\"d\",\"channel\":\"c\",\"info\":\"subscription_count\"},"
        "{\"name\":\"m\",\"data\":\"e\",\"channel\":\"c\",\"socket_id\":\"3.4\"}]}");
    assert_non_null(published);
    assert_true(published->as_batch);
    assert_int_equal(published->count, 2);
    assert_int_equal(published->items[0].info, INFO_ASKED | INFO_SUBSCRIPTION_COUNT);
    assert_int_equal(published->items[1].info, 0);
    assert_int_equal(published->items[0].exclude.serial, 0);
    assert_int_equal(published->items[1].exclude.serial, 4);
    answer_publish(NODE_OK, "{\"batch\":[{\"subscription_count\":1},{}]}", 12);
    assert_string_equal(exchange.body, "{\"batch\":[{\"subscription_count\":1},{}]}");
    assert_string_equal(exchange.headers, "Rollcall-Stale: 12\r\n");
}

static void test_publish_refused_by_the_node(void **state)
{
    (void)state;
    static const struct {
        enum node_status status;
        int http;
        const char *headers;
    } cases[] = {
        {NODE_RATE_LIMITED, 429, "Retry-After: 7\r\n"},
        {NODE_BUSY, 503, "Retry-After: 7\r\n"},
        {NODE_UNAVAILABLE, 503, "Retry-After: 7\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        post("/apps/1/events", EVENT);
        answer_publish(cases[i].status, NULL, STORE_FRESH);
        assert_int_equal(exchange.status, cases[i].http);
        assert_string_equal(exchange.headers, cases[i].headers);
    }
    has_room = false;
    post("/apps/1/events", EVENT);
    assert_int_equal(exchange.status, 503);
    assert_string_equal(exchange.headers, "Retry-After: 1\r\n");
    assert_int_equal(worker.metrics.publishes_refused, 2);
}

static void test_publish_refused_for_its_body(void **state)
{
    (void)state;
    post("/apps/1/events", "{\"name\":\"n\",\"data\":\"d\"}");
    assert_int_equal(exchange.status, 400);
    post("/apps/1/events", "");
    assert_int_equal(exchange.status, 400);
    char body[256];
    snprintf(body, sizeof(body), "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"%0101d\"}", 0);
    post("/apps/1/events", body);
    assert_int_equal(exchange.status, 413);
    post("/apps/1/batch_events", EVENT);
    assert_int_equal(exchange.status, 400);
    /* one bad entry, and nothing is sent */
    post("/apps/1/batch_events",
        "{\"batch\":[{\"name\":\"n\",\"data\":\"d\",\"channel\":\"c\"},{\"name\":\"n\",\"channel\":\"c\"}]}");
    assert_int_equal(exchange.status, 400);
    assert_null(published);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_publish),
        API_TEST(test_publish_batch),
        API_TEST(test_publish_refused_by_the_node),
        API_TEST(test_publish_refused_for_its_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
