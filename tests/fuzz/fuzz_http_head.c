/* Request heads. The first byte says where the head is cut; both ways of feeding must agree, and what is taken
 * must keep the promises its readers rely on. */
#include "edge/door/http_head.h"

#include <stdlib.h>
#include <string.h>

static void check(bool promise)
{
    if (!promise)
        abort();
}

static bool is_inside(struct http_text text, const char *bytes, size_t length)
{
    return text.bytes >= bytes && text.length <= length && text.bytes + text.length <= bytes + length;
}

static void check_text(struct http_text text, const char *bytes, size_t length)
{
    check(is_inside(text, bytes, length));
    check(!memchr(text.bytes, '\n', text.length) && !memchr(text.bytes, '\r', text.length));
    check(!memchr(text.bytes, '\0', text.length));
}

static void check_request(
    const struct http_request *request, const struct http_head *head, const char *bytes, size_t length)
{
    check(request->method && request->header_count <= HTTP_HEADERS_MAX);
    check_text(head->target, bytes, length);
    check(head->target.bytes[0] == '/' || http_text_is(head->target, "*"));
    for (size_t i = 0; i < request->header_count; i++) {
        check(request->headers[i].name.length > 0);
        check_text(request->headers[i].name, bytes, length);
        check_text(request->headers[i].value, bytes, length);
    }
    check(!(head->chunked && head->has_length));
    check(http_head_count(request, "Host") == 1 || head->http_1_0);
}

static void read_head(const char *bytes, size_t length)
{
    struct http_request request;
    struct http_head head;
    struct http_refusal refusal = {0};
    if (!http_head_parse(bytes, length, &request, &head, &refusal)) {
        check(refusal.status >= 400 && refusal.why);
        return;
    }
    check_request(&request, &head, bytes, length);
    (void)http_upgrade_check(&request, &head, &refusal);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    enum { LIMIT_BYTES = 4096 };
    if (size == 0)
        return 0;
    const char *bytes = (const char *)input + 1;
    size_t length = size - 1, cut = length ? input[0] % (length + 1) : 0;
    struct http_head_scan whole = {0}, pieces = {0};
    struct http_refusal refusal = {0}, other = {0};
    long at_once = http_head_scan(&whole, bytes, length, LIMIT_BYTES, &refusal);
    long in_two = http_head_scan(&pieces, bytes, cut, LIMIT_BYTES, &other);
    if (in_two == 0)
        in_two = http_head_scan(&pieces, bytes, length, LIMIT_BYTES, &other);
    check(at_once == in_two && refusal.status == other.status);
    if (at_once > 0) {
        check((size_t)at_once <= length && (size_t)at_once <= LIMIT_BYTES);
        char *exact = malloc((size_t)at_once);
        memcpy(exact, bytes, (size_t)at_once);
        read_head(exact, (size_t)at_once);
        free(exact);
    }
    return 0;
}
