/* The API with a door and a node of its own: what each request is answered, and what the node is asked. */
#include "edge/api/api.h"

#include "auth/client_auth.h"
#include "auth/digest.h"
#include "edge/base/clock.h"
#include "edge/pusher/events.h"
#include "edge/worker.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a configuration, a door and a node that remember ---- */

static struct app apps[] = {
    {.id = "1",
        .key = "key",
        .secret = "secret",
        .enabled = true,
        .limits = {.event_bytes = 100, .channel_name_chars = 20, .batch_events = 10}},
    {.id = "off", .key = "key-off", .secret = "secret", .enabled = false},
    {.id = "app-id", .key = "app-key", .secret = "app-secret", .enabled = true},
};

static size_t app_count;

const struct app *config_app_by_id(const struct config *config, const char *id, size_t length)
{
    (void)config;
    for (size_t i = 0; i < app_count; i++)
        if (strlen(apps[i].id) == length && memcmp(apps[i].id, id, length) == 0)
            return &apps[i];
    return NULL;
}

struct http_exchange {
    int answers;
    int status;
    char headers[512];
    char type[64];
    char *body;
    size_t body_bytes;
};

static struct http_exchange exchange;

static void keep_answer(int status, const char *type, const char *headers, const char *body, size_t bytes)
{
    exchange.answers++;
    exchange.status = status;
    snprintf(exchange.headers, sizeof(exchange.headers), "%s", headers ? headers : "");
    snprintf(exchange.type, sizeof(exchange.type), "%s", type ? type : "application/json");
    free(exchange.body);
    exchange.body = malloc(bytes + 1);
    assert_non_null(exchange.body);
    memcpy(exchange.body, body, bytes);
    exchange.body[bytes] = '\0';
    exchange.body_bytes = bytes;
}

void http_answer(struct http_exchange *of, const struct http_answer *answer)
{
    assert_ptr_equal(of, &exchange);
    keep_answer(answer->status, answer->content_type, answer->headers, answer->body, answer->body_bytes);
}

void http_answer_error(struct http_exchange *of, int status, const char *headers, const char *format, ...)
{
    char words[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    assert_ptr_equal(of, &exchange);
    assert_in_range(length, 1, sizeof(words) - 1);
    assert_null(strchr(words, '\n')); /* one line */
    keep_answer(status, NULL, headers, words, (size_t)length);
}

static bool has_room;
static struct publish *published; /* by the request under test; NULL: nothing */
static struct query *asked;

bool node_port_has_room(const struct node_port *port)
{
    (void)port;
    return has_room;
}

void node_publish(struct node_port *port, struct publish *publish)
{
    (void)port;
    assert_null(published);
    published = publish;
}

void node_query(struct node_port *port, struct query *query)
{
    (void)port;
    assert_null(asked);
    asked = query;
}

struct publish *publish_new(size_t count)
{
    struct publish *publish = calloc(1, sizeof(*publish) + count * sizeof(publish->items[0]));
    assert_non_null(publish);
    publish->count = count;
    return publish;
}

void publish_free(struct publish *publish)
{
    for (size_t i = 0; i < publish->count; i++) {
        free(publish->items[i].channel);
        frame_unref(publish->items[i].frame);
    }
    buffer_deinit(&publish->body);
    free(publish);
}

struct query *query_new(const struct app *app, enum query_kind kind, const char *name, unsigned info)
{
    struct query *query = calloc(1, sizeof(*query));
    assert_non_null(query);
    *query = (struct query){.app = app, .kind = kind, .name = strdup(name), .info = info};
    assert_non_null(query->name);
    return query;
}

void query_free(struct query *query)
{
    free(query->name);
    buffer_deinit(&query->body);
    free(query);
}

static void answer_publish(enum node_status status, const char *body, int32_t stale_s)
{
    struct publish *publish = published;
    assert_non_null(publish);
    published = NULL;
    publish->status = status;
    publish->retry_after_s = 7;
    publish->stale_s = stale_s;
    if (body)
        buffer_add_string(&publish->body, body);
    publish->answered(publish);
}

static void answer_query(enum node_status status, const char *body, int32_t stale_s)
{
    struct query *query = asked;
    assert_non_null(query);
    asked = NULL;
    query->status = status;
    query->stale_s = stale_s;
    if (body)
        buffer_add_string(&query->body, body);
    query->answered(query);
}

/* ---- asking ---- */

static struct config config;
static struct worker worker;

static int start(void **state)
{
    (void)state;
    has_room = true;
    app_count = 3;
    worker = (struct worker){.config = &config};
    return 0;
}

static int stop(void **state)
{
    (void)state;
    assert_null(published);
    assert_null(asked);
    free(exchange.body);
    exchange = (struct http_exchange){0};
    return 0;
}

static void send_request(const char *method, const char *target, const char *body)
{
    const char *question = strchr(target, '?');
    size_t path_length = question ? (size_t)(question - target) : strlen(target);
    static struct http_request request;
    request = (struct http_request){
        .exchange = &exchange,
        .method = method,
        .path = {target, path_length},
        .full_path = {target, path_length},
        .query = question ? (struct http_text){question + 1, strlen(question + 1)} : (struct http_text){0},
        .body = body,
        .body_bytes = body ? strlen(body) : 0,
    };
    exchange.answers = 0;
    api_request(&worker, &request);
}

/* The answer must have come at once. */
static void expect(const char *method, const char *target, const char *body, int status)
{
    send_request(method, target, body);
    assert_int_equal(exchange.answers, 1);
    if (exchange.status != status)
        fail_msg("%s %s: %d, %s", method, target, exchange.status, exchange.body);
}

/* `parameters`: "" or more of them, each with a '&' in front, sorting behind auth_ and body_md5. */
static const char *signed_target(
    const struct app *app, const char *method, const char *path, const char *parameters, const char *body)
{
    static char target[2048];
    char query[1024], text[2048], md5[MD5_HEX_CHARS + 1], hex[SHA256_HEX_CHARS + 1];
    int length = snprintf(query, sizeof(query), "auth_key=%s&auth_timestamp=%lld&auth_version=1.0", app->key,
        (long long)(clock_wall_ms() / 1000));
    if (body) {
        digest_md5_hex(body, strlen(body), md5);
        length += snprintf(query + length, sizeof(query) - (size_t)length, "&body_md5=%s", md5);
    }
    snprintf(query + length, sizeof(query) - (size_t)length, "%s", parameters);
    snprintf(text, sizeof(text), "%s\n%s\n%s", method, path, query);
    struct digest_piece piece = {text, strlen(text)};
    digest_hmac_sha256_hex(app->secret, strlen(app->secret), &piece, 1, hex);
    snprintf(target, sizeof(target), "%s?%s&auth_signature=%s", path, query, hex);
    return target;
}

static void get(const char *path, const char *parameters)
{
    send_request("GET", signed_target(&apps[0], "GET", path, parameters, NULL), NULL);
}

static void refuse_get(const char *path, const char *parameters, int status)
{
    get(path, parameters);
    assert_null(asked);
    assert_int_equal(exchange.answers, 1);
    assert_int_equal(exchange.status, status);
}

static void post(const char *path, const char *body)
{
    send_request("POST", signed_target(&apps[0], "POST", path, "", body), body);
}

/* ---- paths and methods ---- */

static void test_paths(void **state)
{
    (void)state;
    static const char *const nowhere[] = {"", "//", "/x", "/apps", "/apps/", "/apps/1", "/apps/1/",
        "/apps/1/event", "/apps/1/events/", "/apps/1/eventss", "/apps//events", "/apps/1/channels/",
        "/apps/1/channels//users", "/apps/1/channels/c/", "/apps/1/channels/c/users/", "/apps/1/channels/c/x",
        "/apps/1/channels/c/users/x", "/healthz/", "*"};
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
        expect("GET", nowhere[i], NULL, 404);
    expect("POST", "/apps/1/nothing", "{}", 404);
    expect("GET", "/apps/1/channels/c", NULL, 401);
}

static void test_methods(void **state)
{
    (void)state;
    expect("GET", "/apps/1/events", NULL, 405);
    assert_string_equal(exchange.headers, "Allow: POST, OPTIONS\r\n");
    expect("PUT", "/apps/1/channels", NULL, 405);
    assert_string_equal(exchange.headers, "Allow: GET, HEAD, OPTIONS\r\n");
    expect("DELETE", "/demo/auth", NULL, 405);
    assert_string_equal(exchange.headers, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    expect("POST", "/healthz", "", 405);
    expect("OPTIONS", "/apps/1/batch_events", NULL, 200);
    assert_string_equal(exchange.headers, "Allow: POST, OPTIONS\r\n");
    expect("HEAD", "/healthz", NULL, 200);
    send_request("HEAD", signed_target(&apps[0], "HEAD", "/apps/1/channels", "", NULL), NULL);
    answer_query(NODE_OK, "{\"channels\":{}}", STORE_FRESH);
    assert_int_equal(exchange.status, 200);
}

/* ---- whose request ---- */

static void test_signatures(void **state)
{
    (void)state;
    expect("GET", "/apps/1/channels", NULL, 401);
    assert_string_equal(exchange.body, "auth_key is missing: it must be the app's key");
    expect("GET", signed_target(&apps[2], "GET", "/apps/1/channels", "", NULL), NULL, 401);
    expect("GET", signed_target(&apps[0], "POST", "/apps/1/channels", "", NULL), NULL, 401);
    assert_null(strstr(exchange.body, "expected"));
    expect("GET", "/apps/1/channels?auth_key=key&auth_timestamp=1&auth_version=1.0&auth_signature=00", NULL,
        401);
    assert_non_null(strstr(exchange.body, " seconds behind)"));
    expect("GET", signed_target(&apps[0], "GET", "/apps/2/channels", "", NULL), NULL, 404);
    const char *target = signed_target(&apps[0], "POST", "/apps/1/events", "", "{\"name\":1}");
    expect("POST", target, "{\"name\":2}", 401);
    assert_null(asked);
}

static void test_disabled_app(void **state)
{
    (void)state;
    expect("GET", "/apps/off/channels", NULL, 401);
    expect("GET", signed_target(&apps[1], "GET", "/apps/off/channels", "", NULL), NULL, 403);
}

static void test_escaped_app_id(void **state)
{
    (void)state;
    get("/apps/%31/channels", "");
    answer_query(NODE_OK, "{}", STORE_FRESH);
    assert_int_equal(exchange.status, 200);
    refuse_get("/apps/%3/channels", "", 404);
}

/* ---- publishing ---- */

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
    assert_int_equal(published->items[0].info, INFO_SUBSCRIPTION_COUNT);
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

/* ---- reading ---- */

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

/* ---- health ---- */

static void test_health(void **state)
{
    (void)state;
    expect("GET", "/healthz", NULL, 200);
    expect("GET", "/readyz", NULL, 200);
    has_room = false;
    expect("GET", "/healthz", NULL, 200);
    expect("GET", "/readyz", NULL, 503);
    has_room = true;
    worker.drain.active = true;
    expect("GET", "/healthz", NULL, 200);
    expect("GET", "/readyz", NULL, 503);
}

/* ---- the demo ---- */

static void test_demo_exists_only_for_its_app(void **state)
{
    (void)state;
    expect("GET", "/", NULL, 200);
    assert_string_equal(exchange.type, "text/html; charset=utf-8");
    assert_non_null(strstr(exchange.body, "<!doctype html>"));
    assert_non_null(strstr(exchange.body, "</html>"));
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=private-x", 200);
    apps[2].secret = "another";
    expect("GET", "/", NULL, 404);
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=private-x", 404);
    expect("PUT", "/demo/auth", NULL, 404);
    apps[2].secret = "app-secret";
    app_count = 2;
    expect("GET", "/", NULL, 404);
}

static json_t *answered_json(void)
{
    json_t *json = json_loads(exchange.body, 0, NULL);
    assert_non_null(json);
    return json;
}

/* The answer's channel_data, checked to be what auth signs; "" where there is none. */
static void expect_signed(const char *channel, const char *channel_data)
{
    json_t *json = answered_json();
    const char *data = json_string_value(json_object_get(json, "channel_data"));
    const char *auth = json_string_value(json_object_get(json, "auth"));
    assert_non_null(auth);
    assert_string_equal(data ? data : "", channel_data);
    struct auth_input input = {"app-key", "app-secret", "1.2", auth, strlen(auth)};
    assert_int_equal(auth_channel(&input, channel, data, data ? strlen(data) : 0, NULL, 0), AUTH_GRANTED);
    json_decref(json);
}

static void test_demo_auth(void **state)
{
    (void)state;
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=private-x", 200);
    expect_signed("private-x", "");
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=presence-x", 200);
    expect_signed("presence-x", "{\"user_id\":\"1.2\"}");
    expect("POST", "/demo/auth", "socket_id=1.2&channel_name=presence-x&user_id=a%7C1&user_name=J+%C3%A4+%2B",
        200);
    expect_signed("presence-x", "{\"user_id\":\"a|1\",\"user_info\":{\"name\":\"J \u00e4 +\"}}");
    expect("POST", "/demo/auth",
        "{\"socket_id\":\"1.2\",\"channel_name\":\"presence-x\",\"user_id\":\"\\\"\",\"user_name\":null}",
        200);
    expect_signed("presence-x", "{\"user_id\":\"\\\"\"}");
    expect("GET", "/demo/auth?socket_id=1.2&channel_name=private-x", NULL, 200);
    expect_signed("private-x", "");
}

static void test_demo_auth_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "socket_id=1.2", "channel_name=private-x",
        "socket_id=1&channel_name=private-x", "socket_id=1.2&channel_name=public",
        "socket_id=1.2&channel_name=private-%20", "socket_id=1.2&channel_name=private-x%00",
        "socket_id=1.2%0&channel_name=private-x", "socket_id=1.2&channel_name=presence-x&user_id=%ff",
        "socket_id=111111111111111111111111111111111111111111111111.2&channel_name=private-x", "{}", "{",
        "{\"socket_id\":1.2,\"channel_name\":\"private-x\"}",
        "{\"socket_id\":\"1.2\",\"channel_name\":\"private-x\\u0000\"}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        expect("POST", "/demo/auth", bodies[i], 400);
    expect("GET", "/demo/auth", NULL, 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_paths),
        TEST(test_methods),
        TEST(test_signatures),
        TEST(test_disabled_app),
        TEST(test_escaped_app_id),
        TEST(test_publish),
        TEST(test_publish_batch),
        TEST(test_publish_refused_by_the_node),
        TEST(test_publish_refused_for_its_body),
        TEST(test_channels),
        TEST(test_channels_refused),
        TEST(test_channel),
        TEST(test_channel_refused),
        TEST(test_users),
        TEST(test_health),
        TEST(test_demo_exists_only_for_its_app),
        TEST(test_demo_auth),
        TEST(test_demo_auth_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
