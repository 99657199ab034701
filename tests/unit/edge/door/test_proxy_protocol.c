/* PROXY headers, versions 1 and 2: every prefix is incomplete, and the same bytes with one changed are not
 * taken. */
#include "edge/door/address.h"
#include "edge/door/proxy_protocol.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) text, sizeof(text) - 1

static long parse_exact(const char *bytes, size_t length, struct proxy_protocol *header)
{
    char *exact = malloc(length ? length : 1);
    memcpy(exact, bytes, length);
    long result = proxy_protocol_parse(exact, length, header);
    free(exact);
    return result;
}

/* A good header, with something behind it: taken whole, and not before. */
static void assert_header(const char *bytes, size_t length, const char *client, bool secure)
{
    struct proxy_protocol header;
    for (size_t i = 0; i < length; i++)
        assert_int_equal(parse_exact(bytes, i, &header), 0);
    char *longer = malloc(length + 4);
    memcpy(longer, bytes, length);
    memcpy(longer + length, "GET ", 4);
    assert_int_equal(parse_exact(longer, length + 4, &header), length);
    free(longer);
    assert_int_equal(parse_exact(bytes, length, &header), length);
    assert_int_equal(header.has_client, client != NULL);
    assert_int_equal(header.secure, secure);
    if (client) {
        char text[ADDRESS_TEXT_BYTES];
        struct address address = address_from((struct sockaddr *)&header.client);
        address_print(&address, text);
        assert_string_equal(text, client);
    }
}

static void assert_refused(const char *bytes, size_t length)
{
    struct proxy_protocol header;
    assert_int_equal(parse_exact(bytes, length, &header), -EBADMSG);
    /* also when it comes slowly, and never is it taken before */
    long result = 0;
    for (size_t i = 0; i <= length && result == 0; i++)
        result = parse_exact(bytes, i, &header);
    assert_int_equal(result, -EBADMSG);
}

static void test_v1(void **state)
{
    (void)state;
    assert_header(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"), "192.0.2.7", false);
    assert_header(
        BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255", false);
    assert_header(BYTES("PROXY TCP6 2001:db8::7 2001:db8::1 0 1\r\n"), "2001:db8::7", false);
    assert_header(BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 1\r\n"), "192.0.2.7", false);
    assert_header(BYTES("PROXY UNKNOWN\r\n"), NULL, false);
    assert_header(BYTES("PROXY UNKNOWN ff:f:f 1 anything\r\n"), NULL, false);
}

static void test_v1_refused(void **state)
{
    (void)state;
    assert_refused(BYTES("GET / HTTP/1.1\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7  198.51.100.1 56324 443\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.256 198.51.100.1 56324 443\r\n"));
    assert_refused(BYTES("PROXY TCP4 2001:db8::7 198.51.100.1 56324 443\r\n"));
    assert_refused(BYTES("PROXY TCP6 192.0.2.7 198.51.100.1 56324 443\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 056 443\r\n"));
    assert_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n"));
    assert_refused(BYTES("PROXY TCP5 192.0.2.7 198.51.100.1 1 443\r\n"));
    assert_refused(BYTES("PROXY \r\n"));
    assert_refused(BYTES("proxy UNKNOWN\r\n"));
    char endless[200];
    memset(endless, 'x', sizeof(endless));
    memcpy(endless, "PROXY UNKNOWN ", 14);
    assert_refused(endless, sizeof(endless));
}

static void test_v1_longest_line(void **state)
{
    (void)state;
    char line[108];
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    assert_header(line, 107, NULL, false);
    memcpy(line + 105, "x\r\n", 3);
    assert_refused(line, 108);
}

#define IPV4 "\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"
#define IPV6                                                                                                 \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xdc\x04\x01\xbb"

static void test_v2(void **state)
{
    (void)state;
    assert_header(BYTES(SIGNATURE "\x21\x11\x00\x0c" IPV4), "192.0.2.7", false);
    assert_header(BYTES(SIGNATURE "\x21\x21\x00\x24" IPV6), "2001:db8::7", false);
    assert_header(BYTES(SIGNATURE "\x20\x00\x00\x00"), NULL, false);
    assert_header(BYTES(SIGNATURE "\x20\x11\x00\x0c" IPV4), NULL, false);
    assert_header(BYTES(SIGNATURE "\x21\x00\x00\x03xyz"), NULL, false);
}

static void test_v2_unix(void **state)
{
    (void)state;
    char bytes[16 + 216] = SIGNATURE "\x21\x31\x00\xd8/run/a";
    assert_header(bytes, sizeof(bytes), "unix", false);
}

static void test_v2_tlvs(void **state)
{
    (void)state;
    /* PP2_TYPE_AUTHORITY, then PP2_TYPE_SSL with and without PP2_CLIENT_SSL, with a sub-TLV */
    assert_header(BYTES(SIGNATURE "\x21\x11\x00\x10" IPV4 "\x02\x00\x01"
                                  "a"),
        "192.0.2.7", false);
    assert_header(BYTES(SIGNATURE "\x21\x11\x00\x1a" IPV4 "\x20\x00\x0b\x01\0\0\0\0\x21\x00\x03"
                                  "1.3"),
        "192.0.2.7", true);
    assert_header(BYTES(SIGNATURE "\x21\x11\x00\x14" IPV4 "\x20\x00\x05\x00\0\0\0\0"), "192.0.2.7", false);
    assert_header(BYTES(SIGNATURE "\x21\x11\x00\x0f" IPV4 "\x04\x00\x00"), "192.0.2.7", false);
}

static void test_v2_refused(void **state)
{
    (void)state;
    assert_refused(BYTES("\r\n\r\n\0\r\nQUIX\n\x21\x11\x00\x0c" IPV4));
    assert_refused(BYTES(SIGNATURE "\x11\x11\x00\x0c" IPV4)); /* version 1 in the binary form */
    assert_refused(BYTES(SIGNATURE "\x22\x11\x00\x0c" IPV4)); /* no such command */
    assert_refused(BYTES(SIGNATURE "\x21\x12\x00\x0c" IPV4)); /* datagrams */
    assert_refused(BYTES(SIGNATURE "\x21\x41\x00\x0c" IPV4)); /* no such family */
    assert_refused(BYTES(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x01"));
    assert_refused(BYTES(SIGNATURE "\x21\x21\x00\x0c" IPV4));
    assert_refused(BYTES(SIGNATURE "\x21\x11\x00\x0e" IPV4 "\x04\x00"));     /* a TLV cut short */
    assert_refused(BYTES(SIGNATURE "\x21\x11\x00\x0f" IPV4 "\x04\x00\x01")); /* one longer than the header */
    assert_refused(BYTES(SIGNATURE "\x21\x11\x00\x13" IPV4 "\x20\x00\x04\x01\0\0\0"));
    assert_refused(BYTES(SIGNATURE "\x21\x11\xff\xff")); /* larger than we take */
}

static void test_v2_largest(void **state)
{
    (void)state;
    static char bytes[PROXY_PROTOCOL_MAX_BYTES] = SIGNATURE "\x21\x11\x0f\xf0" IPV4 "\x04\x0f\xe1";
    assert_header(bytes, sizeof(bytes), "192.0.2.7", false);
    bytes[15] = (char)0xf1;
    assert_refused(bytes, sizeof(bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1),
        cmocka_unit_test(test_v1_refused),
        cmocka_unit_test(test_v1_longest_line),
        cmocka_unit_test(test_v2),
        cmocka_unit_test(test_v2_unix),
        cmocka_unit_test(test_v2_tlvs),
        cmocka_unit_test(test_v2_refused),
        cmocka_unit_test(test_v2_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
