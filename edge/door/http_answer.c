/* Answers: whole ones, streamed ones, and our own refusals. */
#include "edge/base/container.h"
#include "edge/door/http_connection.h"

#include "presence/base/new.h"

#include <http_parser.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { PIECES_MAX = 8, HEAD_LINES_BYTES = 192 };

static struct http_connection *connection_of(struct http_exchange *exchange)
{
    return CONTAINER_OF(exchange, struct http_connection, exchange);
}

/* ---- sending ---- */

struct pieces {
    struct iovec iov[PIECES_MAX];
    size_t count;
};

static void add_piece(struct pieces *pieces, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    if (pieces->count == PIECES_MAX)
        abort();
    pieces->iov[pieces->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
}

static void add_string(struct pieces *pieces, const char *string)
{
    if (string)
        add_piece(pieces, string, strlen(string));
}

/* Keeps what comes after the first `sent` bytes of the pieces. */
static void keep_rest(struct http_connection *c, const struct pieces *pieces, size_t sent)
{
    for (size_t i = 0; i < pieces->count; i++) {
        size_t skip = sent < pieces->iov[i].iov_len ? sent : pieces->iov[i].iov_len;
        buffer_add(&c->out, (const char *)pieces->iov[i].iov_base + skip, pieces->iov[i].iov_len - skip);
        sent -= skip;
    }
}

/* Sends the pieces behind what already waits. False if the connection ended by it, which a stream's does
 * later. */
static bool send_pieces(struct http_connection *c, struct pieces *pieces)
{
    size_t waiting = http_connection_waiting_bytes(c);
    ssize_t sent = waiting || pieces->count == 0 ? 0 : http_connection_send(c, pieces->iov, pieces->count);
    if (sent < 0) {
        if (c->state == HTTP_STREAMS) {
            /* Not now: whoever writes a stream should not be told that it is gone from within. */
            http_connection_end_soon(c);
            return true;
        }
        http_connection_end(c);
        return false;
    }
    keep_rest(c, pieces, sent > 0 ? (size_t)sent : 0);
    if (!waiting && http_connection_waiting_bytes(c))
        http_connection_set_deadline(c, c->door->config->edge.outbox_stall_ms);
    return true;
}

bool http_connection_flush(struct http_connection *c)
{
    struct pieces pieces = {.count = 0};
    size_t waiting = http_connection_waiting_bytes(c);
    if (waiting == 0)
        return true;
    if (c->out.length > 0)
        add_piece(&pieces, c->out.bytes + c->out_sent, c->out.length - c->out_sent);
    ssize_t sent = http_connection_send(c, pieces.iov, pieces.count);
    if (sent < 0) {
        http_connection_end(c);
        return false;
    }
    c->out_sent += (size_t)sent;
    if (http_connection_waiting_bytes(c) == 0) {
        buffer_deinit(&c->out);
        c->out_sent = 0;
        wheel_cancel(&c->deadline);
    } else if (sent > 0 || http_connection_waiting_bytes(c) < waiting) {
        http_connection_set_deadline(c, c->door->config->edge.outbox_stall_ms);
    }
    return true;
}

/* Moves what waits to the front when the front is mostly history: a stream would grow for ever otherwise. */
static void compact(struct http_connection *c)
{
    if (c->out_sent > c->out.length / 2) {
        buffer_consume(&c->out, c->out_sent);
        c->out_sent = 0;
    }
}

/* ---- heads ---- */

static const char *connection_line(const struct http_connection *c)
{
    if (!c->keep_alive)
        return "Connection: close\r\n";
    return c->http_1_0 ? "Connection: keep-alive\r\n" : "";
}

static void count_answer(struct http_connection *c, int status)
{
    metric_add(&c->door->metrics->http_requests, 1);
    if (status >= 400)
        metric_add(&c->door->metrics->http_errors, 1);
}

/* The client, or this answer, or the door wants the connection to end. Only a client that asked for it is
 * known to send nothing more. */
static void decide_end(struct http_connection *c, bool close_wanted)
{
    c->closes_silently = !c->keep_alive;
    if (close_wanted || c->door->stopped)
        c->keep_alive = false;
}

/* RFC 9110, 8.6: no length with 1xx and 204; none is needed with 304. */
static bool has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static void add_head(struct pieces *pieces, const struct http_connection *c, int status, char *lines,
    const char *framing, const char *content_type, const char *headers)
{
    int length = snprintf(lines, HEAD_LINES_BYTES, "HTTP/1.1 %d %s\r\n%s%s", status,
        http_status_str((enum http_status)status), framing, connection_line(c));
    add_piece(pieces, lines, (size_t)length);
    add_string(pieces, "Content-Type: ");
    add_string(pieces, content_type ? content_type : "application/json");
    add_string(pieces, "\r\n");
    add_string(pieces, headers);
    add_string(pieces, "\r\n");
}

static void give(struct http_connection *c, const struct http_answer *answer)
{
    char lines[HEAD_LINES_BYTES], framing[48] = "";
    struct pieces pieces = {.count = 0};
    decide_end(c, answer->close);
    count_answer(c, answer->status);
    if (!has_no_body(answer->status))
        snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n", answer->body_bytes);
    add_head(&pieces, c, answer->status, lines, framing, answer->content_type, answer->headers);
    if (!c->is_head && !has_no_body(answer->status))
        add_piece(&pieces, answer->body, answer->body_bytes);
    c->exchange = (struct http_exchange){0};
    /* From here on nobody is to be told if the connection ends. */
    c->state = HTTP_FLUSHES;
    if (send_pieces(c, &pieces))
        http_connection_answered(c);
}

static void measure(const struct http_exchange *exchange, const struct http_answer *answer)
{
    if (exchange->meter.body_bytes)
        metric_add(exchange->meter.body_bytes, answer->body_bytes);
    if (exchange->meter.latency)
        latency_add_since(exchange->meter.latency, exchange->began_us);
}

void http_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
    struct http_connection *c = connection_of(exchange);
    measure(exchange, answer);
    if (c->state == HTTP_GONE)
        http_connection_bury(c);
    else
        give(c, answer);
}

/* ---- errors ---- */

/* Length of the UTF-8 sequence at the beginning, or 0 if it is none (Unicode, table 3-7). */
static size_t utf8_length(const unsigned char *at, size_t left)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] > 0xf4 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool beyond = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return overlong || beyond ? 0 : length;
}

/* Error texts repeat what a client sent, which may be no UTF-8; JSON must be. */
static void make_utf8(struct buffer *text)
{
    size_t i = 0;
    while (i < text->length) {
        size_t length = utf8_length((unsigned char *)text->bytes + i, text->length - i);
        if (length == 0)
            text->bytes[i] = '?';
        i += length ? length : 1;
    }
}

static void add_error(struct buffer *body, const char *text, size_t length)
{
    buffer_add_string(body, "{\"error\":");
    buffer_add_json_string(body, text, length);
    buffer_add_string(body, "}");
}

void http_answer_error(
    struct http_exchange *exchange, int status, const char *headers, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *words = new_vprinted(format, arguments);
    va_end(arguments);
    struct buffer text = {.bytes = words, .length = strlen(words)}, body = {0};
    make_utf8(&text);
    add_error(&body, text.bytes, text.length);
    http_answer(
        exchange, &(struct http_answer){
                      .status = status, .headers = headers, .body = body.bytes, .body_bytes = body.length});
    buffer_deinit(&body);
    free(words);
}

void http_connection_refuse(struct http_connection *c, const struct http_refusal *refusal)
{
    struct buffer body = {0};
    c->keep_alive = true; /* so that the end is seen as ours: the client may be in the middle of a body */
    add_error(&body, refusal->why, strlen(refusal->why));
    give(c, &(struct http_answer){.status = refusal->status,
                .headers = refusal->headers,
                .body = body.bytes,
                .body_bytes = body.length,
                .close = true});
    buffer_deinit(&body);
}

void http_exchange_measure(struct http_exchange *exchange, const struct http_meter *meter)
{
    exchange->meter = *meter;
    if (meter->latency)
        exchange->began_us = latency_now_us();
}

void http_exchange_watch(struct http_exchange *exchange, void (*gone)(void *context), void *context)
{
    exchange->gone = gone;
    exchange->context = context;
}

void http_exchange_reset(struct http_exchange *exchange)
{
    struct http_connection *c = connection_of(exchange);
    if (c->state == HTTP_GONE) {
        http_connection_bury(c);
        return;
    }
    /* As if it had been answered, so that nobody is told and nothing is due any more. */
    c->exchange = (struct http_exchange){0};
    c->state = HTTP_FLUSHES;
    http_connection_reset(c);
}

/* ---- streams ---- */

void http_stream_watch(struct http_exchange *exchange, void (*taken)(void *context, size_t waiting_bytes))
{
    exchange->taken = taken;
}

void http_stream_begin(
    struct http_exchange *exchange, int status, const char *content_type, const char *headers)
{
    struct http_connection *c = connection_of(exchange);
    char lines[HEAD_LINES_BYTES];
    struct pieces pieces = {.count = 0};
    if (c->state == HTTP_GONE)
        return;
    /* HTTP/1.0 knows no chunks: there the end of the connection is the end of the stream. */
    decide_end(c, c->http_1_0);
    count_answer(c, status);
    add_head(&pieces, c, status, lines, c->http_1_0 ? "" : "Transfer-Encoding: chunked\r\n", content_type,
        headers);
    c->state = HTTP_STREAMS;
    send_pieces(c, &pieces);
    http_connection_watch(c);
}

size_t http_stream_write(struct http_exchange *exchange, const char *bytes, size_t length)
{
    struct http_connection *c = connection_of(exchange);
    if (c->state == HTTP_GONE)
        return 0;
    if (length == 0 || c->is_head) /* a chunk of no bytes would end the body */
        return http_connection_waiting_bytes(c);
    char size[20] = "";
    struct pieces pieces = {.count = 0};
    if (!c->http_1_0) {
        snprintf(size, sizeof(size), "%zx\r\n", length);
        add_string(&pieces, size);
    }
    add_piece(&pieces, bytes, length);
    if (!c->http_1_0)
        add_string(&pieces, "\r\n");
    compact(c);
    send_pieces(c, &pieces);
    http_connection_watch(c);
    return http_connection_waiting_bytes(c);
}

void http_stream_end(struct http_exchange *exchange)
{
    struct http_connection *c = connection_of(exchange);
    struct pieces pieces = {.count = 0};
    if (c->state == HTTP_GONE) {
        http_connection_bury(c);
        return;
    }
    if (!c->is_head && !c->http_1_0)
        add_string(&pieces, "0\r\n\r\n");
    c->exchange = (struct http_exchange){0};
    c->state = HTTP_FLUSHES;
    if (send_pieces(c, &pieces))
        http_connection_answered(c);
}
