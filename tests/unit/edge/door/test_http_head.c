/* Request heads: what is read, what is refused and with which status. Every head is also given one byte at a
 * time, and in two pieces cut at every place: the answer must be the same. */
#include "edge/door/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LIMIT_BYTES = 8192 };

/* Scans a copy of exactly that size, so that a sanitizer sees a byte read past the end. */
static long scan_prefix(
    struct http_head_scan *scan, const char *bytes, size_t length, size_t limit, struct http_refusal *refusal)
{
    char *exact = malloc(length ? length : 1);
    memcpy(exact, bytes, length);
    long result = http_head_scan(scan, exact, length, limit, refusal);
    free(exact);
    return result;
}

static long scan_bytewise(const char *bytes, size_t length, size_t limit, struct http_refusal *refusal)
{
    struct http_head_scan scan = {0};
    long result = 0;
    for (size_t i = 1; i <= length && result == 0; i++)
        result = scan_prefix(&scan, bytes, i, limit, refusal);
    return result;
}

static long scan_split(
    const char *bytes, size_t length, size_t cut, size_t limit, struct http_refusal *refusal)
{
    struct http_head_scan scan = {0};
    long result = scan_prefix(&scan, bytes, cut, limit, refusal);
    return result ? result : scan_prefix(&scan, bytes, length, limit, refusal);
}

static long scan_in_every_way(const char *bytes, size_t length, size_t limit, struct http_refusal *refusal)
{
    struct http_head_scan scan = {0};
    struct http_refusal other;
    long whole = scan_prefix(&scan, bytes, length, limit, refusal);
    assert_int_equal(scan_bytewise(bytes, length, limit, &other), whole);
    if (whole < 0)
        assert_int_equal(other.status, refusal->status);
    for (size_t cut = 0; cut <= length; cut++)
        assert_int_equal(scan_split(bytes, length, cut, limit, &other), whole);
    return whole;
}

/* The status a head is refused with, or 0. */
static int status_of_bytes(
    const char *bytes, size_t length, struct http_request *request, struct http_head *head)
{
    struct http_refusal refusal = {0};
    long scanned = scan_in_every_way(bytes, length, LIMIT_BYTES, &refusal);
    if (scanned < 0)
        return refusal.status;
    assert_int_equal(scanned, length);
    if (http_head_parse(bytes, length, request, head, &refusal))
        return 0;
    assert_non_null(refusal.why);
    return refusal.status;
}

static int status_of(const char *text)
{
    struct http_request request;
    struct http_head head;
    return status_of_bytes(text, strlen(text), &request, &head);
}

static void assert_text(struct http_text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.length);
}

static void test_reads_a_request(void **state)
{
    (void)state;
    static const char text[] = "POST /apps/1/events?auth_key=k&x=%20 HTTP/1.1\r\n"
                               "Host: example.com:8080\r\n"
                               "content-LENGTH: 12\r\n"
                               "X-Empty:\r\n"
                               "User-Agent: \t Zo\xc3\xab \t\r\n"
                               "Connection: foo , Close\r\n"
                               "\r\n";
    struct http_request request;
    struct http_head head;
    assert_int_equal(status_of_bytes(text, strlen(text), &request, &head), 0);
    assert_string_equal(request.method, "POST");
    assert_text(head.target, "/apps/1/events?auth_key=k&x=%20");
    assert_int_equal(request.header_count, 5);
    assert_text(*http_header_find(&request, "HOST"), "example.com:8080");
    assert_text(*http_header_find(&request, "user-agent"), "Zo\xc3\xab");
    assert_text(*http_header_find(&request, "x-empty"), "");
    assert_null(http_header_find(&request, "Hos"));
    assert_null(http_header_find(&request, "Hosts"));
    assert_true(head.has_length);
    assert_int_equal(head.content_length, 12);
    assert_false(head.keep_alive);
    assert_false(head.chunked || head.http_1_0 || head.expects_continue || head.is_head);
}

static void test_ends_at_the_empty_line(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second";
    struct http_refusal refusal;
    assert_int_equal(scan_in_every_way(text, strlen(text), LIMIT_BYTES, &refusal), 27);
    assert_int_equal(scan_in_every_way(text, 26, LIMIT_BYTES, &refusal), 0);
}

struct row {
    const char *text;
    int status;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = status_of(rows[i].text);
        if (status != rows[i].status)
            fail_msg("row %zu: %d instead of %d for\n%s", i, status, rows[i].status, rows[i].text);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static void test_request_lines(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0}, {"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", 0}, {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400}, {"GET / HTTP/1.0\r\n\r\n", 0},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505}, {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\n", 505}, {"GET / HTTP/0.9\r\n\r\n", 505},
        {"GET / HTTP/11\r\nHost: a\r\n\r\n", 400}, {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400}, {"GET\r\n\r\n", 400}, {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400}, {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
        {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400}, {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400}, {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501}, {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 501}, {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400}, {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400}, {"GET /\xc3\xab HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /%C3%AB HTTP/1.1\r\nHost: a\r\n\r\n", 0}, {"GET //evil HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"\x16\x03\x01", 400}, /* TLS on a plain port */
    };
    CHECK_ROWS(rows);
}

static void test_lines_and_characters(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {GET "A: b\tc\r\n\r\n", 0},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
        {GET "A: b\rc\r\n\r\n", 400},
        {GET "\rA: b\r\n\r\n", 400},
        {GET "A: b\r\n c\r\n\r\n", 400},
        {GET "A: b\r\n\tc\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
        {GET "A: \x01\r\n\r\n", 400},
        {GET "A: \x7f\r\n\r\n", 400},
        {GET "\x01: b\r\n\r\n", 400},
        {GET "A : b\r\n\r\n", 400},
        {GET ": b\r\n\r\n", 400},
        {GET "A\r\n\r\n", 400},
        {GET "A(: b\r\n\r\n", 400},
        {GET "\xc3\xab: b\r\n\r\n", 400},
    };
    CHECK_ROWS(rows);
}

static void test_nul_bytes(void **state)
{
    (void)state;
    static const char *const places[] = {"GET /@ HTTP/1.1\r\nHost: a\r\n\r\n",
        "@GET / HTTP/1.1\r\nHost: a\r\n\r\n", GET "A@: b\r\n\r\n", GET "A: @\r\n\r\n", GET "@: b\r\n\r\n",
        GET "A: b\r@\n\r\n"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct http_request request;
        struct http_head head;
        char text[128];
        size_t length = strlen(places[i]);
        memcpy(text, places[i], length);
        *strchr(strcpy(text, places[i]), '@') = '\0';
        assert_int_equal(status_of_bytes(text, length, &request, &head), 400);
    }
}

static void test_hosts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
        {"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400},
    };
    CHECK_ROWS(rows);
}

static void test_framing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {POST "Content-Length: 0\r\n\r\n", 0},
        {POST "Content-Length: 18446744073709551609\r\n\r\n", 0}, /* too large for a body, but a number */
        {POST "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {POST "Content-Length: -1\r\n\r\n", 400},
        {POST "Content-Length: +1\r\n\r\n", 400},
        {POST "Content-Length: 0x1\r\n\r\n", 400},
        {POST "Content-Length: 1 1\r\n\r\n", 400},
        {POST "Content-Length: 1, 1\r\n\r\n", 400},
        {POST "Content-Length:\r\n\r\n", 400},
        {POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n", 0},
        {POST "Transfer-Encoding: Chunked\r\n\r\n", 0},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: gzip\r\n\r\n", 501},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {POST "Transfer-Encoding: identity\r\n\r\n", 501},
        {POST "Transfer-Encoding: xchunked\r\n\r\n", 501},
        {POST "Transfer-Encoding:\r\n\r\n", 501},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {POST "\r\n", 411},
        {"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", 411},
        {GET "Content-Length: 3\r\n\r\n", 0},
        {GET "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
        {POST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n", 0},
        {POST "Content-Length: 3\r\nExpect: something\r\n\r\n", 417},
    };
    CHECK_ROWS(rows);
}

static bool keeps_alive(const char *text)
{
    struct http_request request;
    struct http_head head;
    assert_int_equal(status_of_bytes(text, strlen(text), &request, &head), 0);
    return head.keep_alive;
}

static void test_keep_alive(void **state)
{
    (void)state;
    assert_true(keeps_alive(GET "\r\n"));
    assert_false(keeps_alive(GET "Connection: close\r\n\r\n"));
    assert_false(keeps_alive(GET "Connection: keep-alive\r\nConnection: x,CLOSE\r\n\r\n"));
    assert_true(keeps_alive(GET "Connection: closed, xclose\r\n\r\n"));
    assert_false(keeps_alive("GET / HTTP/1.0\r\n\r\n"));
    assert_true(keeps_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

static size_t add_headers(char *text, size_t count)
{
    size_t length = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 1; i < count; i++)
        length += (size_t)sprintf(text + length, "H%zu: v\r\n", i);
    return length + (size_t)sprintf(text + length, "\r\n");
}

static void test_bounds(void **state)
{
    (void)state;
    char text[2048];
    struct http_request request;
    struct http_head head;
    struct http_refusal refusal;
    assert_int_equal(status_of_bytes(text, add_headers(text, HTTP_HEADERS_MAX), &request, &head), 0);
    assert_int_equal(request.header_count, HTTP_HEADERS_MAX);
    assert_int_equal(status_of_bytes(text, add_headers(text, HTTP_HEADERS_MAX + 1), &request, &head), 431);

    size_t length = add_headers(text, 10);
    assert_int_equal(scan_in_every_way(text, length, length, &refusal), length);
    assert_int_equal(scan_in_every_way(text, length, length - 1, &refusal), -1);
    assert_int_equal(refusal.status, 431);
}

/* ---- upgrades ---- */

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

static void assert_upgrade(const char *text, enum http_upgrade expected, int status)
{
    struct http_request request;
    struct http_head head;
    struct http_refusal refusal = {0};
    assert_int_equal(status_of_bytes(text, strlen(text), &request, &head), 0);
    assert_int_equal(http_upgrade_check(&request, &head, &refusal), expected);
    assert_int_equal(refusal.status, status);
    if (status == 426)
        assert_non_null(strstr(refusal.headers, "Sec-WebSocket-Version: 13\r\n"));
}

static void test_good_upgrades(void **state)
{
    (void)state;
    assert_upgrade(GET UPGRADE KEY VERSION "\r\n", HTTP_UPGRADE_WEBSOCKET, 0);
    assert_upgrade(GET "upgrade: h2c, WebSocket\r\nCONNECTION: keep-alive, UPGRADE\r\n" KEY VERSION "\r\n",
        HTTP_UPGRADE_WEBSOCKET, 0);
    assert_upgrade(GET UPGRADE KEY VERSION "Content-Length: 0\r\n\r\n", HTTP_UPGRADE_WEBSOCKET, 0);
}

static void test_no_upgrades(void **state)
{
    (void)state;
    assert_upgrade(GET "\r\n", HTTP_UPGRADE_NONE, 0);
    assert_upgrade(GET "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", HTTP_UPGRADE_NONE, 0);
    assert_upgrade(GET "Connection: Upgrade\r\n" KEY VERSION "\r\n", HTTP_UPGRADE_NONE, 0);
}

static void test_bad_upgrades(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {POST UPGRADE KEY VERSION "Content-Length: 0\r\n\r\n", 400},
        {"GET / HTTP/1.0\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n", 400},
        {GET "Upgrade: websocket\r\n" KEY VERSION "\r\n", 400},
        {GET UPGRADE KEY VERSION "Content-Length: 1\r\n\r\n", 400},
        {GET UPGRADE KEY VERSION "Transfer-Encoding: chunked\r\n\r\n", 400},
        {GET UPGRADE KEY "\r\n", 426},
        {GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", 426},
        {GET UPGRADE KEY "Sec-WebSocket-Version: 013\r\n\r\n", 426},
        {GET UPGRADE KEY VERSION VERSION "\r\n", 400},
        {GET UPGRADE VERSION "\r\n", 400},
        {GET UPGRADE KEY KEY VERSION "\r\n", 400},
        {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n\r\n", 400},
        {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=a\r\n\r\n", 400},
        {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j_Q==\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_upgrade(rows[i].text, HTTP_UPGRADE_REFUSED, rows[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_request),
        cmocka_unit_test(test_ends_at_the_empty_line),
        cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_lines_and_characters),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_good_upgrades),
        cmocka_unit_test(test_no_upgrades),
        cmocka_unit_test(test_bad_upgrades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
