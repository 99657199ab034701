/* Chunked bodies: whole, one byte at a time, and cut at every place. */
#include "edge/door/http_chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LIMIT_BYTES = 64 };

struct outcome {
    enum http_chunks_result result;
    int status;
    size_t used;
    struct buffer body;
};

/* Feeds pieces of `first` bytes, then of `others` bytes each. */
static struct outcome feed(const char *bytes, size_t length, size_t first, size_t others)
{
    struct http_chunks chunks = {0};
    struct outcome outcome = {.result = HTTP_CHUNKS_MORE};
    size_t at = 0, piece = first;
    while (at < length && outcome.result == HTTP_CHUNKS_MORE) {
        struct http_refusal refusal = {0};
        size_t count = piece < length - at ? piece : length - at, used;
        char *exact = malloc(count ? count : 1);
        memcpy(exact, bytes + at, count);
        outcome.result = http_chunks_feed(&chunks, exact, count, LIMIT_BYTES, &outcome.body, &used, &refusal);
        free(exact);
        outcome.status = refusal.status;
        outcome.used += used;
        at += count;
        piece = others;
    }
    return outcome;
}

static void assert_same(struct outcome a, struct outcome b)
{
    assert_int_equal(a.result, b.result);
    assert_int_equal(a.status, b.status);
    assert_int_equal(a.body.length, b.body.length);
    if (a.result == HTTP_CHUNKS_DONE) {
        assert_int_equal(a.used, b.used);
        if (a.body.length)
            assert_memory_equal(a.body.bytes, b.body.bytes, a.body.length);
    }
    buffer_deinit(&b.body);
}

static struct outcome feed_in_every_way(const char *text)
{
    size_t length = strlen(text);
    struct outcome whole = feed(text, length, length, length);
    assert_same(whole, feed(text, length, 1, 1));
    for (size_t cut = 0; cut <= length; cut++)
        assert_same(whole, feed(text, length, cut, length));
    return whole;
}

static void assert_body(const char *text, const char *body, size_t left_over)
{
    struct outcome outcome = feed_in_every_way(text);
    assert_int_equal(outcome.result, HTTP_CHUNKS_DONE);
    assert_int_equal(outcome.used, strlen(text) - left_over);
    assert_int_equal(outcome.body.length, strlen(body));
    if (outcome.body.length)
        assert_memory_equal(outcome.body.bytes, body, outcome.body.length);
    buffer_deinit(&outcome.body);
}

static void assert_refused(const char *text, int status)
{
    struct outcome outcome = feed_in_every_way(text);
    if (outcome.result != HTTP_CHUNKS_REFUSED || outcome.status != status)
        fail_msg("result %d, status %d instead of %d for\n%s", outcome.result, outcome.status, status, text);
    assert_true(outcome.body.length <= LIMIT_BYTES);
    buffer_deinit(&outcome.body);
}

static void test_bodies(void **state)
{
    (void)state;
    assert_body("0\r\n\r\n", "", 0);
    assert_body("5\r\nhello\r\n0\r\n\r\n", "hello", 0);
    assert_body("005\r\nhello\r\n6\r\n world\r\n000\r\n\r\nGET /", "hello world", 5);
    assert_body("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0);
    assert_body("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0);
    assert_body("1;name=value;x=\"y z\"\r\na\r\n0;last\r\n\r\n", "a", 0);
    assert_body("1\r\na\r\n0\r\nDigest: x:y\r\nB:\r\n\r\n", "a", 0);
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {"\r\n", "g\r\n", "-1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1\n",
        "1\ra", "1\r\nab", "1\r\na\n", "1\r\na\r\r", "00000000000000001\r\n", "1;a\nb\r\n", "1;\x01\r\n",
        "0\r\nnoname\r\n", "0\r\n: x\r\n", "0\r\n folded\r\n", "0\r\nA: b\n", "0\r\nA: b\r\r",
        "0\r\nA : b\r\n", "0\r\n\n", "0\r\n\r\r", ";x\r\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_refused(texts[i], 400);
}

static void test_incomplete(void **state)
{
    (void)state;
    struct outcome outcome = feed_in_every_way("5\r\nhel");
    assert_int_equal(outcome.result, HTTP_CHUNKS_MORE);
    assert_int_equal(outcome.body.length, 3);
    buffer_deinit(&outcome.body);
}

static void test_limit(void **state)
{
    (void)state;
    char text[256], bytes[65];
    memset(bytes, 'x', 64);
    bytes[64] = '\0';
    snprintf(text, sizeof(text), "40\r\n%s\r\n0\r\n\r\n", bytes);
    assert_body(text, bytes, 0);
    snprintf(text, sizeof(text), "40\r\n%s\r\n1\r\n", bytes);
    assert_refused(text, 413);
    assert_refused("41\r\n", 413);
    /* the largest sizes there are do not wrap around */
    assert_refused("ffffffffffffffff\r\n", 413);
    assert_refused("1\r\na\r\nffffffffffffffff\r\n", 413);
}

static void assert_padding(const char *format, size_t allowed)
{
    char *padding = malloc(allowed + 2), *text = malloc(allowed + 64);
    memset(padding, 'x', allowed + 1);
    padding[allowed + 1] = '\0';
    sprintf(text, format, padding);
    struct outcome over = feed(text, strlen(text), strlen(text), 1);
    assert_int_equal(over.result, HTTP_CHUNKS_REFUSED);
    assert_int_equal(over.status, 400);
    padding[allowed] = '\0';
    sprintf(text, format, padding);
    struct outcome within = feed(text, strlen(text), strlen(text), 1);
    assert_int_equal(within.result, HTTP_CHUNKS_DONE);
    buffer_deinit(&over.body);
    buffer_deinit(&within.body);
    free(padding);
    free(text);
}

static void test_padding_is_bounded(void **state)
{
    (void)state;
    assert_padding("0;%s\r\n\r\n", HTTP_CHUNK_EXTENSIONS_MAX_BYTES);
    assert_padding("1;x\r\na\r\n0;%s\r\n\r\n", HTTP_CHUNK_EXTENSIONS_MAX_BYTES - 1);
    assert_padding("0\r\nA:%s\r\n\r\n", HTTP_TRAILERS_MAX_BYTES - 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_padding_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
