/* Sessions of the HTTP fallback without a door: the requests are the test's own; what a door would do with their
 * answers is only noted. Included once a test program. */
#pragma once

#include "tests/unit/edge/pusher/fake_worker.h"

#include "edge/pusher/fallback_private.h"

/* ---- a door that notes ---- */

enum { EXCHANGES_MAX = 16 };

struct http_exchange {
    int status; /* 0: not answered yet */
    char answer[512], headers[512];
    bool streams, ended, was_reset;
    struct buffer said;
    size_t takes; /* so many bytes of a write; the rest waits */
    void (*gone)(void *context);
    void (*taken)(void *context, size_t waiting_bytes);
    void *context;
};

static struct http_exchange exchanges[EXCHANGES_MAX];
static size_t exchange_count;
static struct fallback_host *host;
static bool address_is_full;

void http_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
    assert_int_equal(exchange->status, 0);
    exchange->status = answer->status;
    snprintf(exchange->headers, sizeof(exchange->headers), "%s", answer->headers ? answer->headers : "");
}

void http_answer_error(
    struct http_exchange *exchange, int status, const char *headers, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(exchange->answer, sizeof(exchange->answer), format, arguments);
    va_end(arguments);
    http_answer(exchange, &(struct http_answer){.status = status, .headers = headers});
}

void http_exchange_watch(struct http_exchange *exchange, void (*gone)(void *context), void *context)
{
    exchange->gone = gone;
    exchange->context = context;
}

void http_stream_watch(struct http_exchange *exchange, void (*taken)(void *context, size_t waiting_bytes))
{
    exchange->taken = taken;
}

void http_exchange_reset(struct http_exchange *exchange)
{
    assert_false(exchange->ended || exchange->was_reset);
    exchange->was_reset = true;
}

void http_stream_begin(
    struct http_exchange *exchange, int status, const char *content_type, const char *headers)
{
    assert_string_equal(content_type, "application/javascript; charset=UTF-8");
    assert_int_equal(exchange->status, 0);
    exchange->status = status;
    exchange->streams = true;
    snprintf(exchange->headers, sizeof(exchange->headers), "%s", headers);
}

size_t http_stream_write(struct http_exchange *exchange, const char *bytes, size_t length)
{
    assert_true(exchange->streams && !exchange->ended && !exchange->was_reset);
    buffer_add(&exchange->said, bytes, length);
    return length > exchange->takes ? length - exchange->takes : 0;
}

void http_stream_end(struct http_exchange *exchange)
{
    assert_true(exchange->streams && !exchange->ended && !exchange->was_reset);
    exchange->ended = true;
}

bool door_seat_share(struct door_seat *seat, const struct config *config)
{
    (void)seat;
    (void)config;
    return !address_is_full;
}

void door_seat_leave(struct door_seat *seat)
{
    (void)seat;
}

/* ---- requests ---- */

#define BASE "/pusher/app/278d425bdf160c739803/12/abcdefgh/"
#define QUERY "protocol=7&client=js&version=8.6.0"

static inline struct http_exchange *ask_with(
    const char *method, const char *path, const char *body, size_t takes)
{
    assert_true(exchange_count < EXCHANGES_MAX);
    struct http_exchange *exchange = &exchanges[exchange_count++];
    exchange->takes = takes;
    struct http_request request = {.exchange = exchange,
        .method = method,
        .path = {path, strlen(path)},
        .query = {QUERY, strlen(QUERY)},
        .body = body,
        .body_bytes = strlen(body)};
    fallback_request(host, &request);
    return exchange;
}

static inline struct http_exchange *ask(const char *path, const char *body)
{
    struct http_exchange *exchange = ask_with("POST", path, body, SIZE_MAX);
    connection_flush_dirty(&fake.worker);
    return exchange;
}

static inline struct connection *the_connection(void)
{
    return LIST_FIRST(&fake.worker.connections);
}

static inline void send_text(const char *text)
{
    struct frame *frame = frame_copy(text, strlen(text));
    connection_send(the_connection(), frame);
    frame_unref(frame);
}

static inline void send_and_turn(const char *text)
{
    send_text(text);
    connection_flush_dirty(&fake.worker);
}

/* The request was told exactly this since the last time. */
static inline void assert_said(struct http_exchange *exchange, const char *expected)
{
    struct buffer *said = &exchange->said;
    if (said->length != strlen(expected) ||
        (said->length && memcmp(said->bytes, expected, said->length) != 0))
        fail_msg("said:\n%.*s\ninstead of:\n%s", (int)said->length, said->bytes, expected);
    said->length = 0;
}

static inline bool has_said(struct http_exchange *exchange, const char *part)
{
    return exchange->said.length && memmem(exchange->said.bytes, exchange->said.length, part, strlen(part));
}

static inline void forget(struct http_exchange *exchange)
{
    exchange->said.length = 0;
}

/* The wheel alone moves on; the loop's clock stands. */
static inline void wait_ms(uint64_t ms)
{
    wheel_run(&fake.worker.wheel, worker_now_ms(&fake.worker) + ms);
    connection_flush_dirty(&fake.worker);
}

static inline int begin(void **state)
{
    memset(exchanges, 0, sizeof(exchanges));
    exchange_count = 0;
    address_is_full = false;
    if (fake_begin(state) != 0)
        return -1;
    fake.worker.worker_count = 1;
    host = fallback_host_new(&fake.worker);
    fake.worker.fallbacks = host;
    return 0;
}

static inline int end(void **state)
{
    for (size_t i = 0; i < exchange_count; i++)
        buffer_deinit(&exchanges[i].said);
    fallback_host_free(host);
    assert_int_equal(fake.worker.connection_count, 0);
    assert_int_equal(fake.worker.outbox_bytes, 0);
    return fake_end(state);
}

#define SESSION_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
