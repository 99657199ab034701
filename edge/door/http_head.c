#include "edge/door/http_head.h"

#include <http_parser.h>
#include <string.h>
#include <strings.h>

static bool refuse(struct http_refusal *refusal, int status, const char *why)
{
    *refusal = (struct http_refusal){.status = status, .why = why};
    return false;
}

/* ---- where the head ends ---- */

enum scan_state {
    IN_FIRST_LINE, /* the request line, whose first byte must not be white space */
    IN_LINE,
    AFTER_CR,
    AT_LINE_START,
    AFTER_LAST_CR,
};

/* Bytes that may stand in a line: visible ones, space and tab, and obs-text (RFC 9110, 5.5), because user
 * agents do send UTF-8 in headers. */
static bool is_line_byte(unsigned char byte)
{
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

static const char *skip_line_bytes(const char *at, const char *end)
{
    while (at < end && is_line_byte((unsigned char)*at))
        at++;
    return at;
}

/* One byte that decides something. Returns false for a refusal. */
static bool scan_byte(struct http_head_scan *scan, char byte, struct http_refusal *refusal)
{
    switch ((enum scan_state)scan->state) {
    case IN_FIRST_LINE:
        if (!http_head_is_token_byte(byte))
            return refuse(refusal, 400, "this is not HTTP: a request begins with its method");
        scan->state = IN_LINE;
        return true;
    case IN_LINE:
        if (byte != '\r')
            return refuse(refusal, 400,
                byte == '\n' ? "lines must end in CR LF, not in a bare LF"
                             : "control characters are not allowed in the head");
        scan->state = AFTER_CR;
        return true;
    case AFTER_CR:
    case AFTER_LAST_CR:
        if (byte != '\n')
            return refuse(refusal, 400, "CR must be followed by LF");
        scan->state = AT_LINE_START;
        return true;
    case AT_LINE_START:
        if (byte == ' ' || byte == '\t')
            return refuse(refusal, 400, "folded headers are not allowed");
        if (byte == '\n')
            return refuse(refusal, 400, "lines must end in CR LF, not in a bare LF");
        if (byte != '\r' && ++scan->lines > HTTP_HEADERS_MAX)
            return refuse(refusal, 431, "more than 64 headers");
        if (byte != '\r' && !is_line_byte((unsigned char)byte))
            return refuse(refusal, 400, "control characters are not allowed in the head");
        scan->state = byte == '\r' ? AFTER_LAST_CR : IN_LINE;
        return true;
    }
    return refuse(refusal, 400, "this is not HTTP");
}

long http_head_scan(struct http_head_scan *scan, const char *bytes, size_t length, size_t limit_bytes,
    struct http_refusal *refusal)
{
    const char *at = bytes + scan->offset, *end = bytes + (length < limit_bytes ? length : limit_bytes);
    while (at < end) {
        if (scan->state == IN_LINE)
            at = skip_line_bytes(at, end);
        if (at == end)
            break;
        bool last = scan->state == AFTER_LAST_CR;
        if (!scan_byte(scan, *at++, refusal))
            return -1;
        if (last)
            return at - bytes;
    }
    scan->offset = (size_t)(at - bytes);
    if (length >= limit_bytes) {
        refuse(refusal, 431, "the head is too large");
        return -1;
    }
    return 0;
}

/* ---- the second opinion ---- */

struct slices {
    struct http_request *request;
    bool confused; /* http_parser cut the head otherwise than line by line */
};

static int on_field(http_parser *parser, const char *at, size_t length)
{
    struct slices *slices = parser->data;
    struct http_request *request = slices->request;
    if (request->header_count == HTTP_HEADERS_MAX)
        return 1;
    request->headers[request->header_count] = (struct http_header){.name = {at, length}};
    request->header_count++;
    return 0;
}

static const char *trim_end(const char *at, const char *end)
{
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return end;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    struct slices *slices = parser->data;
    struct http_request *request = slices->request;
    struct http_header *header = request->header_count ? &request->headers[request->header_count - 1] : NULL;
    if (!header || header->value.bytes) {
        slices->confused = true;
        return 1;
    }
    header->value = (struct http_text){at, (size_t)(trim_end(at, at + length) - at)};
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    (void)parser;
    return 1; /* no body: that is read by our own decoder */
}

static bool slice(
    const char *bytes, size_t length, struct http_request *request, struct http_refusal *refusal)
{
    static const http_parser_settings settings = {
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_headers_complete,
    };
    struct slices slices = {.request = request};
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &slices;
    request->header_count = 0;
    size_t parsed = http_parser_execute(&parser, &settings, bytes, length);
    switch (HTTP_PARSER_ERRNO(&parser)) {
    case HPE_OK:
        if (parsed != length || slices.confused)
            return refuse(refusal, 400, "the head is not HTTP/1.1");
        return true;
    case HPE_HEADER_OVERFLOW:
        return refuse(refusal, 431, "the head is too large");
    case HPE_INVALID_METHOD:
        return refuse(refusal, 501, "this method is not known here");
    case HPE_INVALID_TRANSFER_ENCODING:
        return refuse(refusal, 501, "Transfer-Encoding must be chunked");
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return refuse(refusal, 400, "Content-Length must stand once, and not beside Transfer-Encoding");
    case HPE_INVALID_CONTENT_LENGTH:
        return refuse(refusal, 400, "Content-Length must be a whole number, in digits");
    default:
        return refuse(refusal, 400, "the head is not HTTP/1.1");
    }
}

/* ---- the request line ---- */

bool http_head_is_token_byte(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static const char *find_method(struct http_text method)
{
    static const char *const methods[] = {"GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (http_text_is(method, methods[i]))
            return methods[i];
    return NULL;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool read_version(struct http_text version, struct http_head *head, struct http_refusal *refusal)
{
    const char *v = version.bytes;
    if (version.length != 8 || memcmp(v, "HTTP/", 5) != 0 || !is_digit(v[5]) || v[6] != '.' ||
        !is_digit(v[7]))
        return refuse(refusal, 400, "the request line must be METHOD /target HTTP/1.1");
    if (v[5] != '1' || v[7] > '1')
        return refuse(refusal, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    head->http_1_0 = v[7] == '0';
    return true;
}

/* Origin form, or the asterisk of OPTIONS (RFC 9112, 3.2). The absolute form is for proxies; two names for
 * one host are how requests are smuggled past them. */
static bool check_target(struct http_text target, const char *method, struct http_refusal *refusal)
{
    if (http_text_is(target, "*"))
        return strcmp(method, "OPTIONS") == 0 || refuse(refusal, 400, "the target * is for OPTIONS only");
    if (target.length == 0 || target.bytes[0] != '/')
        return refuse(refusal, 400, "the target must be a path that begins with /");
    for (size_t i = 0; i < target.length; i++)
        if (target.bytes[i] <= ' ' || target.bytes[i] >= 0x7f || target.bytes[i] == '#')
            return refuse(
                refusal, 400, "the target must be printable ASCII without #; percent-encode the rest");
    return true;
}

/* A piece of the line up to a single space, or all of it. */
static struct http_text take_word(struct http_text *line)
{
    const char *space = memchr(line->bytes, ' ', line->length);
    struct http_text word = {line->bytes, space ? (size_t)(space - line->bytes) : line->length};
    size_t used = word.length + (space ? 1 : 0);
    *line = (struct http_text){line->bytes + used, line->length - used};
    return word;
}

static bool read_request_line(
    struct http_text line, struct http_request *request, struct http_head *head, struct http_refusal *refusal)
{
    struct http_text method = take_word(&line);
    head->target = take_word(&line);
    for (size_t i = 0; i < method.length; i++)
        if (!http_head_is_token_byte(method.bytes[i]))
            return refuse(refusal, 400, "the method must be a word");
    if (!read_version(line, head, refusal))
        return false;
    request->method = find_method(method);
    if (!request->method)
        return refuse(refusal, 501, "this method is not known here");
    head->is_head = strcmp(request->method, "HEAD") == 0;
    return check_target(head->target, request->method, refusal);
}

/* ---- headers ---- */

static bool same_word(struct http_text text, const char *word)
{
    return text.length == strlen(word) && strncasecmp(text.bytes, word, text.length) == 0;
}

size_t http_head_count(const struct http_request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += same_word(request->headers[i].name, name);
    return count;
}

static bool list_has(struct http_text list, const char *token)
{
    const char *at = list.bytes, *end = list.bytes + list.length;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *item_end = comma ? comma : end;
        while (at < item_end && (*at == ' ' || *at == '\t'))
            at++;
        struct http_text item = {at, (size_t)(trim_end(at, item_end) - at)};
        if (same_word(item, token))
            return true;
        at = item_end + (comma ? 1 : 0);
    }
    return false;
}

bool http_head_lists(const struct http_request *request, const char *name, const char *token)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (same_word(request->headers[i].name, name) && list_has(request->headers[i].value, token))
            return true;
    return false;
}

static bool check_names(const struct http_request *request, struct http_refusal *refusal)
{
    for (size_t i = 0; i < request->header_count; i++) {
        struct http_text name = request->headers[i].name;
        if (name.length == 0)
            return refuse(refusal, 400, "a header has no name");
        for (size_t j = 0; j < name.length; j++)
            if (!http_head_is_token_byte(name.bytes[j]))
                return refuse(
                    refusal, 400, "the name of a header must be a word, with the colon right after it");
    }
    return true;
}

static bool check_host(
    const struct http_request *request, const struct http_head *head, struct http_refusal *refusal)
{
    size_t count = http_head_count(request, "Host");
    if (count > 1)
        return refuse(refusal, 400, "Host must stand once");
    if (count == 0)
        return head->http_1_0 || refuse(refusal, 400, "Host is missing");
    struct http_text host = *http_header_find(request, "Host");
    for (size_t i = 0; i < host.length; i++)
        if (host.bytes[i] <= ' ' || host.bytes[i] >= 0x7f || strchr("\"#,/<>?@\\^`{|}", host.bytes[i]))
            return refuse(refusal, 400, "Host must be a name or an address, and perhaps a port");
    return true;
}

static bool read_length(struct http_text value, uint64_t *length, struct http_refusal *refusal)
{
    *length = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (!is_digit(value.bytes[i]) || *length > (UINT64_MAX - 9) / 10)
            return refuse(refusal, 400, "Content-Length must be a whole number, in digits");
        *length = *length * 10 + (uint64_t)(value.bytes[i] - '0');
    }
    return value.length > 0 || refuse(refusal, 400, "Content-Length must be a whole number, in digits");
}

/* How long the body is, without a doubt (RFC 9112, 6.3). */
static bool read_framing(
    const struct http_request *request, struct http_head *head, struct http_refusal *refusal)
{
    size_t lengths = http_head_count(request, "Content-Length");
    size_t encodings = http_head_count(request, "Transfer-Encoding");
    if (lengths + encodings > 1)
        return refuse(refusal, 400, "Content-Length must stand once, and not beside Transfer-Encoding");
    if (encodings) {
        if (head->http_1_0)
            return refuse(refusal, 400, "Transfer-Encoding is not for HTTP/1.0");
        head->chunked = same_word(*http_header_find(request, "Transfer-Encoding"), "chunked");
        return head->chunked || refuse(refusal, 501, "Transfer-Encoding must be chunked");
    }
    if (lengths) {
        head->has_length = true;
        return read_length(*http_header_find(request, "Content-Length"), &head->content_length, refusal);
    }
    /* A body of unknown length that is taken for none would be read as the next request. The methods that
     * have bodies are those with a P. */
    if (request->method[0] == 'P')
        return refuse(refusal, 411, "POST, PUT and PATCH need Content-Length or Transfer-Encoding: chunked");
    return true;
}

static bool read_expect(
    const struct http_request *request, struct http_head *head, struct http_refusal *refusal)
{
    const struct http_text *expect = http_header_find(request, "Expect");
    if (!expect || head->http_1_0)
        return true;
    head->expects_continue = same_word(*expect, "100-continue");
    return head->expects_continue || refuse(refusal, 417, "Expect must be 100-continue");
}

bool http_head_parse(const char *bytes, size_t length, struct http_request *request, struct http_head *head,
    struct http_refusal *refusal)
{
    *head = (struct http_head){0};
    const char *line_end = memchr(bytes, '\r', length);
    if (!line_end)
        return refuse(refusal, 400, "this is not HTTP");
    struct http_text line = {bytes, (size_t)(line_end - bytes)};
    if (!read_request_line(line, request, head, refusal) || !slice(bytes, length, request, refusal) ||
        !check_names(request, refusal) || !check_host(request, head, refusal) ||
        !read_framing(request, head, refusal) || !read_expect(request, head, refusal))
        return false;
    head->keep_alive = head->http_1_0 ? http_head_lists(request, "Connection", "keep-alive")
                                      : !http_head_lists(request, "Connection", "close");
    return true;
}
