/* A configuration, a door and a node for tests of the API: they remember what they are told, and answer when
 * the test says so. Included once a test program; its functions stand in for those of edge/door, edge/node and
 * edge/config. */
#pragma once

#include "edge/api/api.h"

#include "auth/digest.h"
#include "edge/base/clock.h"
#include "edge/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct app_key keys[] = {
    {"key", "secret"},
    {"key-new", "secret-new"},
    {"key-off", "secret"},
    {"app-key", "app-secret"},
};

static struct app apps[] = {
    {.id = "1",
        .keys = &keys[0],
        .key_count = 2,
        .enabled = true,
        .limits = {.event_bytes = 100, .channel_name_chars = 20, .batch_events = 10, .user_id_chars = 8}},
    {.id = "off", .keys = &keys[2], .key_count = 1, .enabled = false},
    {.id = "app-id", .keys = &keys[3], .key_count = 1, .enabled = true},
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

const struct app_key *config_key_find(
    const struct config *config, const char *key, size_t length, const struct app **app)
{
    (void)config;
    for (size_t i = 0; i < app_count; i++)
        for (size_t j = 0; j < apps[i].key_count; j++)
            if (strlen(apps[i].keys[j].key) == length && memcmp(apps[i].keys[j].key, key, length) == 0) {
                *app = &apps[i];
                return &apps[i].keys[j];
            }
    *app = NULL;
    return NULL;
}

static int app_references; /* held by what is under way */

const struct app *app_ref(const struct app *app)
{
    app_references++;
    return app;
}

void app_unref(const struct app *app)
{
    app_references -= app != NULL;
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

static inline void keep_answer(
    int status, const char *type, const char *headers, const char *body, size_t bytes)
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

static struct http_meter meter;

void http_exchange_measure(struct http_exchange *of, const struct http_meter *with)
{
    assert_ptr_equal(of, &exchange);
    meter = *with;
}

static bool has_room;
static struct publish *published; /* by the request under test; NULL: nothing */
static struct query *asked;

bool node_port_has_room(const struct node_port *port)
{
    (void)port;
    return has_room;
}

static struct readiness readiness;

struct readiness *node_readiness(struct node *node)
{
    (void)node;
    return &readiness;
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

static inline void answer_publish(enum node_status status, const char *body, int32_t stale_s)
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

static inline void answer_query(enum node_status status, const char *body, int32_t stale_s)
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

static inline int start(void **state)
{
    (void)state;
    has_room = true;
    app_count = 3;
    worker = (struct worker){.config = &config};
    wheel_init(&worker.wheel, 0);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    assert_null(published);
    assert_null(asked);
    assert_int_equal(app_references, 0);
    free(exchange.body);
    exchange = (struct http_exchange){0};
    meter = (struct http_meter){0};
    app_metrics_deinit(&worker.apps);
    return 0;
}

static inline void send_request(const char *method, const char *target, const char *body)
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
static inline void expect(const char *method, const char *target, const char *body, int status)
{
    send_request(method, target, body);
    assert_int_equal(exchange.answers, 1);
    if (exchange.status != status)
        fail_msg("%s %s: %d, %s", method, target, exchange.status, exchange.body);
}

static int64_t clock_offset_s; /* of the publisher's clock */

/* `parameters`: "" or more of them, each with a '&' in front, sorting behind auth_ and body_md5. */
static inline const char *target_signed_with(const struct app_key *pair, const char *method, const char *path,
    const char *parameters, const char *body)
{
    static char target[2048];
    char query[1024], text[2048], md5[MD5_HEX_CHARS + 1], hex[SHA256_HEX_CHARS + 1];
    int length = snprintf(query, sizeof(query), "auth_key=%s&auth_timestamp=%lld&auth_version=1.0", pair->key,
        (long long)(clock_wall_ms() / 1000 + clock_offset_s));
    if (body) {
        digest_md5_hex(body, strlen(body), md5);
        length += snprintf(query + length, sizeof(query) - (size_t)length, "&body_md5=%s", md5);
    }
    snprintf(query + length, sizeof(query) - (size_t)length, "%s", parameters);
    snprintf(text, sizeof(text), "%s\n%s\n%s", method, path, query);
    struct digest_piece piece = {text, strlen(text)};
    digest_hmac_sha256_hex(pair->secret, strlen(pair->secret), &piece, 1, hex);
    snprintf(target, sizeof(target), "%s?%s&auth_signature=%s", path, query, hex);
    return target;
}

static inline const char *signed_target(
    const struct app *app, const char *method, const char *path, const char *parameters, const char *body)
{
    return target_signed_with(&app->keys[0], method, path, parameters, body);
}

static inline void get(const char *path, const char *parameters)
{
    send_request("GET", signed_target(&apps[0], "GET", path, parameters, NULL), NULL);
}

static inline void refuse_get(const char *path, const char *parameters, int status)
{
    get(path, parameters);
    assert_null(asked);
    assert_int_equal(exchange.answers, 1);
    assert_int_equal(exchange.status, status);
}

static inline void post(const char *path, const char *body)
{
    send_request("POST", signed_target(&apps[0], "POST", path, "", body), body);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
