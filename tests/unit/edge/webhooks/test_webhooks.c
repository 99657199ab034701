/* The webhooks with a client of paper: requests are answered by hand, and so is the clock driven. What is posted and
 * what the store is told is one line. */
#include "edge/webhooks/client.h"
#include "edge/webhooks/webhooks.h"

#include "auth/digest.h"
#include "edge/base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MINUTES = 60 * 1000 };

static uint64_t now_ms;

static uint64_t test_clock(void)
{
    return now_ms;
}

static struct {
    struct webhooks *webhooks;
    struct config *config;
    struct wheel wheel;
    char history[16384];
    bool reentrant; /* done() tells one more event */
    unsigned asked;
    struct client_request *requests[8]; /* under way */
} fixture;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t used = strlen(fixture.history);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fixture.history + used, sizeof(fixture.history) - used, format, arguments);
    va_end(arguments);
}

static void expect(const char *expected)
{
    assert_string_equal(fixture.history, expected);
    fixture.history[0] = '\0';
}

/* ---- the client, in place of edge/webhooks/client.c ---- */

struct client {
    bool any_address;
};

struct client *client_new(uv_loop_t *loop, bool any_address)
{
    (void)loop;
    struct client *client = malloc(sizeof(*client));
    assert_non_null(client);
    client->any_address = any_address;
    return client;
}

void client_close(struct client *client)
{
    free(client);
}

static const char *header_of(const struct client_request *request, const char *name)
{
    for (const struct curl_slist *header = request->headers; header; header = header->next)
        if (strncmp(header->data, name, strlen(name)) == 0)
            return header->data + strlen(name);
    return "";
}

static void check_signature(const struct client_request *request)
{
    char signature[SHA256_HEX_CHARS + 1];
    const struct digest_piece body = {request->body, request->body_bytes};
    digest_hmac_sha256_hex("s", 1, &body, 1, signature);
    assert_string_equal(header_of(request, "X-Pusher-Signature: "), signature);
    assert_string_equal(header_of(request, "Content-Type: "), "application/json");
}

/* "url(id,id) " */
void client_post(struct client *client, struct client_request *request)
{
    check_signature(request);
    json_t *body = json_loadb(request->body, request->body_bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(body);
    assert_true(json_is_integer(json_object_get(body, "time_ms")));
    const json_t *events = json_object_get(body, "events");
    note("%s%s(", strrchr(request->url, '/') + 1, client->any_address ? "*" : "");
    for (size_t i = 0; i < json_array_size(events); i++)
        note("%s%s", i ? "," : "", json_string_value(json_object_get(json_array_get(events, i), "id")));
    note(") ");
    json_decref(body);
    size_t i = 0;
    while (fixture.requests[i])
        i++;
    fixture.requests[i] = request;
    request->client = client;
}

static void take_out(struct client_request *request)
{
    for (size_t i = 0; i < 8; i++)
        if (fixture.requests[i] == request)
            fixture.requests[i] = NULL;
}

void client_cancel(struct client_request *request)
{
    take_out(request);
}

/* Answers what is under way to that endpoint. */
static void answer(const char *name, enum client_result result)
{
    for (size_t i = 0; i < 8; i++) {
        struct client_request *request = fixture.requests[i];
        if (!request || strcmp(strrchr(request->url, '/') + 1, name) != 0)
            continue;
        take_out(request);
        request->status = result == CLIENT_DELIVERED ? 200 : 500;
        request->done(request, result);
        return;
    }
    fail_msg("nothing is under way to %s", name);
}

/* ---- the store ---- */

static void tell(unsigned lane, const char *id, const char *app, const char *channel)
{
    struct store_transition transition = {
        .id = id, .kind = STORE_MEMBER_ADDED, .app_id = app, .channel = channel, .user_id = "ann"};
    webhooks_take(fixture.webhooks, lane, &transition, 1);
}

static void on_done(void *context, unsigned lane, const char *last_id)
{
    (void)context;
    note("done:%u:%s ", lane, last_id);
    if (fixture.reentrant) {
        fixture.reentrant = false;
        tell(lane, "next", "1", "unwanted-by-all");
    }
}

static void on_more(void *context, unsigned lane)
{
    (void)context, (void)lane;
    fixture.asked++;
}

static void advance(uint64_t ms)
{
    for (uint64_t end = now_ms + ms; now_ms < end; now_ms += WHEEL_TICK_MS)
        wheel_run(&fixture.wheel, now_ms);
    wheel_run(&fixture.wheel, now_ms);
}

#define HOOK(name, more) "{\"url\": \"http://h/" name "\"" more "}"
#define APP(id, hooks)                                                                                       \
    "{\"id\": \"" id "\", \"key\": \"k" id "\", \"secret\": \"s\", \"webhooks\": [" hooks "]}"

static int set_up(void **state)
{
    static const struct webhooks_listener listener = {.done = on_done, .more = on_more};
    static const char text[] = "{\"apps\": [" APP(
        "1", HOOK("a", ", \"prefix\": \"p\"") ", " HOOK("b", ", \"prefix\": \"p\"")) ", " APP("2",
        HOOK("c", ", \"allow_private_addresses\": true")) ", " APP("3", "") "]}";
    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    now_ms = 1000;
    wheel_init(&fixture.wheel, now_ms);
    assert_int_equal(config_parse(text, strlen(text), "x.json", &fixture.config, stderr), 0);
    fixture.webhooks = webhooks_new(uv_default_loop(), &fixture.wheel, test_clock, fixture.config, &listener);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    webhooks_close(fixture.webhooks);
    webhooks_free(fixture.webhooks);
    config_unref(fixture.config);
    return 0;
}

static void expect_metric(const char *line)
{
    struct buffer metrics = {0};
    webhooks_write_metrics(fixture.webhooks, &metrics);
    buffer_add(&metrics, "", 1);
    if (!strstr(metrics.bytes, line))
        fail_msg("no %s in:\n%s", line, metrics.bytes);
    buffer_deinit(&metrics);
}

static void test_a_lane_is_done_when_every_endpoint_is(void **state)
{
    (void)state;
    tell(0, "1", "1", "p");
    expect("a(1) b(1) ");
    assert_false(webhooks_idle(fixture.webhooks));
    answer("a", CLIENT_DELIVERED);
    expect("");
    answer("b", CLIENT_DELIVERED);
    expect("done:0:1 ");
    assert_true(webhooks_idle(fixture.webhooks));
}

static void test_what_nobody_wants_is_done_with_at_once(void **state)
{
    (void)state;
    tell(0, "1", "1", "other");
    tell(0, "2", "3", "p");
    tell(1, "3", "not configured", "p");
    expect("done:0:1 done:0:2 done:1:3 ");
}

static void test_one_endpoint_that_hangs_holds_up_neither_the_other_nor_another_app(void **state)
{
    (void)state;
    tell(0, "1", "1", "p");
    answer("a", CLIENT_DELIVERED);
    expect("a(1) b(1) ");
    tell(0, "2", "2", "x");
    tell(0, "3", "1", "p");
    expect("c*(2) a(3) ");
    answer("c", CLIENT_DELIVERED);
    answer("a", CLIENT_DELIVERED);
    expect(""); /* nothing of it is forgotten by the store before b has the first */
    advance(WHEEL_TICK_MS);
    assert_int_equal(fixture.asked, 1);
    advance(MINUTES);
    assert_int_equal(fixture.asked, 1); /* once for each time that something was told */
    answer("b", CLIENT_DELIVERED);
    expect("b(3) done:0:2 ");
    answer("b", CLIENT_DELIVERED);
    expect("done:0:3 ");
}

static void test_what_is_held_is_not_taken_twice(void **state)
{
    (void)state;
    tell(0, "1", "2", "x");
    tell(0, "1", "2", "x");
    tell(1, "1", "2", "x"); /* another lane's: it has nothing to do with that */
    answer("c", CLIENT_DELIVERED);
    expect("c*(1) c*(1) done:0:1 ");
    answer("c", CLIENT_DELIVERED);
    expect("done:1:1 ");
}

static void test_a_store_that_tells_more_from_within(void **state)
{
    (void)state;
    fixture.reentrant = true;
    tell(0, "1", "1", "other");
    expect("done:0:1 done:0:next ");
}

static void test_failures_are_tried_again_with_growing_pauses_in_order(void **state)
{
    (void)state;
    tell(0, "1", "2", "x");
    tell(0, "2", "2", "x");
    expect("c*(1) ");
    static const uint64_t pauses_ms[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
        answer("c", i % 2 ? CLIENT_STATUS : CLIENT_TIMED_OUT);
        assert_true(webhooks_idle(fixture.webhooks)); /* it waits for a pause only */
        advance(pauses_ms[i] * 3 / 4 - 2 * WHEEL_TICK_MS);
        expect("");
        advance(pauses_ms[i] / 4 + 3 * WHEEL_TICK_MS);
        expect("c*(1) ");
    }
    expect_metric("rollcall_webhook_failures_total{app=\"2\",reason=\"timed_out\"} 4\n");
    expect_metric("rollcall_webhook_failures_total{app=\"2\",reason=\"status\"} 4\n");
    expect_metric("rollcall_webhook_queue_events{app=\"2\"} 2\n");
    answer("c", CLIENT_DELIVERED);
    expect("c*(2) done:0:1 ");
    answer("c", CLIENT_DELIVERED);
    expect("done:0:2 ");
    expect_metric("rollcall_webhook_attempts_total{app=\"2\"} 10\n");
    expect_metric("rollcall_webhook_events_total{app=\"2\"} 2\n");
    expect_metric("rollcall_webhook_queue_age_seconds{app=\"2\"} 0\n");
}

/* Lets c fail for so long. */
static void fail_for(uint64_t ms)
{
    for (uint64_t end = now_ms + ms; now_ms < end;) {
        if (fixture.requests[0])
            answer("c", CLIENT_STATUS);
        advance(WHEEL_TICK_MS);
    }
}

static void test_given_up_after_five_minutes(void **state)
{
    (void)state;
    tell(0, "1", "2", "x");
    fail_for(2 * MINUTES);
    tell(0, "2", "2", "x");
    fail_for(3 * MINUTES - 1000);
    assert_null(strstr(fixture.history, "done"));
    fail_for(2000);
    assert_non_null(strstr(fixture.history, "done:0:1 "));
    expect_metric("rollcall_webhook_dead_letters_total{app=\"2\",reason=\"gave_up\"} 1\n");
    fixture.history[0] = '\0';
    fail_for(MINUTES + 50 * 1000); /* the second one has its own five minutes */
    assert_null(strstr(fixture.history, "done"));
    fail_for(MINUTES);
    assert_non_null(strstr(fixture.history, "done:0:2 "));
    fixture.history[0] = '\0';
    tell(0, "3", "2", "x");
    advance(MINUTES);
    answer("c", CLIENT_DELIVERED);
    assert_non_null(strstr(fixture.history, "done:0:3 "));
    expect_metric("rollcall_webhook_dead_letters_total{app=\"2\",reason=\"gave_up\"} 2\n");
}

static void test_an_endpoint_that_only_hesitated_loses_nothing(void **state)
{
    (void)state;
    tell(0, "1", "2", "x");
    tell(0, "2", "2", "x");
    advance(
        9 * MINUTES); /* an answer that takes so long cannot be, but a queue in which one waits so long can */
    answer("c", CLIENT_STATUS);
    advance(1000);
    answer("c", CLIENT_DELIVERED);
    answer("c", CLIENT_DELIVERED);
    expect("c*(1) c*(1) c*(2) done:0:1 done:0:2 ");
    expect_metric("rollcall_webhook_dead_letters_total{app=\"2\",reason=\"gave_up\"} 0\n");
}

static void tell_kind(const char *id, enum store_transition_kind kind, const char *channel)
{
    static const char payload[] = "{\"event\":\"client-x\",\"data\":\"y\",\"socket_id\":\"1.2\"}";
    bool event = kind == STORE_CLIENT_EVENT;
    struct store_transition transition = {.id = id,
        .kind = kind,
        .app_id = "2",
        .channel = channel,
        .count = 3,
        .payload = event ? payload : NULL,
        .payload_bytes = event ? strlen(payload) : 0};
    webhooks_take(fixture.webhooks, 0, &transition, 1);
}

static void test_batches_are_of_one_form_and_overtake_nobody_in_a_channel(void **state)
{
    (void)state;
    tell_kind("0", STORE_OCCUPIED, "w"); /* under way, so that the others gather */
    tell_kind("1", STORE_OCCUPIED, "x");
    tell_kind("2", STORE_COUNTED, "x");
    tell_kind("3", STORE_CLIENT_EVENT, "y");
    tell_kind("4", STORE_VACATED, "x"); /* behind 2, which is of its channel */
    tell_kind("5", STORE_OCCUPIED, "z");
    tell_kind("6", STORE_OCCUPIED, "private-encrypted-e");
    tell_kind("7", STORE_COUNTED, "private-encrypted-e");
    tell_kind("8", STORE_COUNTED, "z");
    for (int i = 0; i < 7; i++)
        answer("c", CLIENT_DELIVERED);
    expect(
        "c*(0) c*(1,5) done:0:0 c*(2,8) done:0:1 c*(3) done:0:2 c*(4) done:0:3 c*(6) done:0:5 c*(7) done:0:6 "
        "done:0:8 ");
}

static void test_a_batch_has_at_most_a_hundred_events(void **state)
{
    (void)state;
    char id[16];
    tell(0, "first", "2", "x");
    for (int i = 0; i < 150; i++) {
        snprintf(id, sizeof(id), "%d", i);
        tell(0, id, "2", "x");
    }
    fixture.history[0] = '\0';
    answer("c", CLIENT_DELIVERED);
    assert_non_null(strstr(fixture.history, ",99) "));
    assert_null(strstr(fixture.history, "100"));
}

static void test_a_lost_lane_is_told_by_another(void **state)
{
    (void)state;
    tell(0, "1", "2", "x");
    tell(0, "2", "2", "x");
    tell(1, "3", "2", "y");
    webhooks_lose_lane(fixture.webhooks, 0);
    expect("c*(1) ");
    answer("c", CLIENT_DELIVERED); /* it was on its way already */
    expect("c*(3) ");
    answer("c", CLIENT_STATUS);
    tell(0, "2", "2", "x"); /* the lane is ours again */
    webhooks_lose_lane(fixture.webhooks, 1);
    advance(1000);
    expect("c*(2) ");
    answer("c", CLIENT_DELIVERED);
    expect("done:0:2 ");
}

static void test_a_full_queue_loses_its_oldest_and_no_other_does(void **state)
{
    (void)state;
    static char large[1 << 20];
    memset(large, 'x', sizeof(large) - 1);
    memcpy(large, "{\"d\":\"", 6);
    memcpy(large + sizeof(large) - 3, "\"}", 2);
    char id[16];
    tell(0, "mine", "1", "p");
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "%d", i);
        struct store_transition transition = {.id = id,
            .kind = STORE_CLIENT_EVENT,
            .app_id = "2",
            .channel = "x",
            .payload = large,
            .payload_bytes = sizeof(large) - 1};
        webhooks_take(fixture.webhooks, 0, &transition, 1);
    }
    expect_metric("rollcall_webhook_dead_letters_total{app=\"2\",reason=\"queue_full\"} 9\n");
    expect_metric("rollcall_webhook_queue_events{app=\"2\"} 31\n");
    expect_metric("rollcall_webhook_queue_events{app=\"1\"} 2\n");
    answer("c", CLIENT_DELIVERED);
    expect("a(mine) b(mine) c*(0) c*(10) ");
    answer("a", CLIENT_DELIVERED);
    answer("b", CLIENT_DELIVERED);
    expect("done:0:9 ");
}

/* ---- another configuration ---- */

static void go_over(const char *apps)
{
    char text[1024];
    struct config *config;
    int length = snprintf(text, sizeof(text), "{\"apps\": [%s]}", apps);
    assert_int_equal(config_parse(text, (size_t)length, "x.json", &config, stderr), 0);
    webhooks_reload(fixture.webhooks, config);
    config_unref(fixture.config);
    config_unref(config); /* the webhooks have references of their own */
    fixture.config = NULL;
}

static void test_an_endpoint_goes_on_where_it_has_moved_to_in_the_list(void **state)
{
    (void)state;
    tell(0, "1", "1", "p");
    tell(0, "2", "1", "p");
    expect("a(1) b(1) ");
    go_over(APP("1", HOOK("x", "") ", " HOOK("b", "") ", " HOOK("a", "")));
    expect("");
    answer("a", CLIENT_DELIVERED);
    answer("b", CLIENT_STATUS);
    expect("a(2) ");
    answer("a", CLIENT_DELIVERED);
    advance(600);
    expect("b(1) ");
    answer("b", CLIENT_DELIVERED);
    answer("b", CLIENT_DELIVERED);
    expect("b(2) done:0:1 done:0:2 ");
    tell(0, "3", "1", "p");
    expect("x(3) b(3) a(3) ");
}

static void test_at_another_url_it_begins_at_once_with_what_waits(void **state)
{
    (void)state;
    tell(0, "1", "2", "p");
    answer("c", CLIENT_STATUS);
    advance(600);
    answer("c", CLIENT_STATUS);
    tell(0, "2", "2", "p");
    expect("c*(1) c*(1) ");
    go_over(APP("2", HOOK("c", "")));
    expect(""); /* the same URL: its pause goes on */
    go_over(APP("2", HOOK("d", "")));
    expect("d(1) ");
    answer("d", CLIENT_DELIVERED);
    expect("d(2) done:0:1 ");
}

static void test_what_is_under_way_ends_as_it_began(void **state)
{
    (void)state;
    tell(0, "1", "2", "p");
    expect("c*(1) ");
    go_over(APP("2", HOOK("d", "")));
    tell(0, "2", "2", "p");
    expect("");
    answer("c", CLIENT_STATUS);
    expect("");
    advance(600);
    expect("d(1) "); /* again, and there */
    answer("d", CLIENT_DELIVERED);
    answer("d", CLIENT_DELIVERED);
    expect("d(2) done:0:1 done:0:2 ");
    expect_metric("rollcall_webhook_attempts_total{app=\"2\"} 3\n");
}

static void test_what_waits_for_one_that_is_gone_is_dropped_and_counted(void **state)
{
    (void)state;
    tell(0, "1", "1", "p");
    tell(0, "2", "1", "p");
    answer("a", CLIENT_DELIVERED);
    expect("a(1) b(1) a(2) ");
    go_over(APP("1", HOOK("a", "") ", " HOOK("b", ", \"enabled\": false")));
    expect("done:0:1 ");
    answer("a", CLIENT_DELIVERED);
    expect("done:0:2 ");
    expect_metric("rollcall_webhook_dead_letters_total{app=\"1\",reason=\"removed\"} 2\n");
    go_over("");
    tell(0, "3", "1", "p");
    expect("done:0:3 ");
    expect_metric("rollcall_webhook_events_total{app=\"1\"} 2\n"); /* counters do not go back */
    go_over(APP("1", HOOK("a", "")));
    tell(0, "4", "1", "p");
    expect("a(4) ");
}

static void test_an_app_that_had_none_gets_some(void **state)
{
    (void)state;
    go_over(APP("3", HOOK("y", "")) ", " APP("2", HOOK("c", "")));
    tell(0, "1", "3", "p");
    tell(0, "2", "2", "p");
    expect("y(1) c(2) ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_lane_is_done_when_every_endpoint_is),
        TEST(test_what_nobody_wants_is_done_with_at_once),
        TEST(test_one_endpoint_that_hangs_holds_up_neither_the_other_nor_another_app),
        TEST(test_what_is_held_is_not_taken_twice),
        TEST(test_a_store_that_tells_more_from_within),
        TEST(test_failures_are_tried_again_with_growing_pauses_in_order),
        TEST(test_given_up_after_five_minutes),
        TEST(test_an_endpoint_that_only_hesitated_loses_nothing),
        TEST(test_batches_are_of_one_form_and_overtake_nobody_in_a_channel),
        TEST(test_a_batch_has_at_most_a_hundred_events),
        TEST(test_a_lost_lane_is_told_by_another),
        TEST(test_a_full_queue_loses_its_oldest_and_no_other_does),
        TEST(test_an_endpoint_goes_on_where_it_has_moved_to_in_the_list),
        TEST(test_at_another_url_it_begins_at_once_with_what_waits),
        TEST(test_what_is_under_way_ends_as_it_began),
        TEST(test_what_waits_for_one_that_is_gone_is_dropped_and_counted),
        TEST(test_an_app_that_had_none_gets_some),
    };
    log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
