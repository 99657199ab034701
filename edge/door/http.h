/* HTTP/1.1 requests and their answers, as the handlers see them.
 *
 * The front door has read and strictly checked the whole request before a handler sees it; bodies are
 * complete (Content-Length or chunked, decoded). One request of a connection is handled at a time: the next
 * pipelined one is looked at when the answer has been given, so answers keep their order.
 *
 * Thread: that of the door's loop.
 */
#pragma once

#include "edge/base/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct door_seat;
struct tls_session;

enum { HTTP_HEADERS_MAX = 64 };

struct http_text { /* a piece of the request head; not NUL-terminated */
    const char *bytes;
    size_t length;
};

struct http_header {
    struct http_text name, value; /* value without surrounding white space */
};

struct http_exchange; /* a request whose answer is due: how to answer it */

struct http_request {
    struct http_exchange *exchange;
    const char *method;         /* "GET", … NUL-terminated, static */
    struct http_text path;      /* as sent, before the '?', still percent-encoded, path prefix taken off */
    struct http_text full_path; /* the same with the path prefix */
    struct http_text query;     /* after the '?'; empty if there is none */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    const char *body;
    size_t body_bytes;
    char peer[64]; /* the client's address in words, from the socket or from the PROXY header */
    bool secure;   /* the client spoke TLS, as far as is known */
    struct tls_session
        *tls; /* for an upgrade handler: what the socket speaks, its own with it; NULL: no TLS */
    struct door_seat *seat; /* an upgrade handler's own, otherwise lent; NULL while no limit is on */
};

/* The first header of that name (any case), or NULL. */
const struct http_text *http_header_find(const struct http_request *request, const char *name);

bool http_text_is(struct http_text text, const char *string);

struct http_answer {
    int status;
    const char *content_type; /* NULL: application/json */
    const char *headers;      /* further header lines, each ended by CRLF, or NULL */
    const char *body;
    size_t body_bytes;
    bool close; /* end the connection after this answer */
};

/* Gives the answer, now or later, and ends the exchange: the pointer is not valid afterwards. The bytes are
 * copied or sent before it returns. HEAD requests get the head only. */
void http_answer(struct http_exchange *exchange, const struct http_answer *answer);

/* {"error": …} with a status, in words for the one who reads his log. `headers` as in http_answer, or NULL.
 */
void http_answer_error(struct http_exchange *exchange, int status, const char *headers, const char *format,
    ...) __attribute__((format(printf, 4, 5)));

/* What an answer of http_answer() is measured with. */
struct http_meter {
    metric *body_bytes;      /* its body is added, before it is sent */
    struct latency *latency; /* NULL, or: the time from the call below to the answer */
};

/* Once, before the answer. What the meter points at outlives the exchange. */
void http_exchange_measure(struct http_exchange *exchange, const struct http_meter *meter);

/* For an answer that comes later: `gone(context)` is called if the client's connection ends before; the
 * exchange is not valid from then on. Without a watch the exchange stays valid until it is answered, and an
 * answer to nobody is dropped. A client that has only closed its sending half still waits for its answer, and
 * is not gone, unless the answer is a stream that was begun: then closing that half means goodbye. */
void http_exchange_watch(struct http_exchange *exchange, void (*gone)(void *context), void *context);

/* A streamed answer (chunked): begin once, write any number of times, end once. `headers` as above. Returns
 * of write: the bytes that wait in the door because the client reads slowly; the caller bounds them. */
void http_stream_begin(
    struct http_exchange *exchange, int status, const char *content_type, const char *headers);
size_t http_stream_write(struct http_exchange *exchange, const char *bytes, size_t length);
void http_stream_end(struct http_exchange *exchange);

/* For a stream, after http_exchange_watch(): `taken` gets the context of `gone` and what still waits, whenever the
 * client has taken some of it. It may write and end the stream. */
void http_stream_watch(struct http_exchange *exchange, void (*taken)(void *context, size_t waiting_bytes));

/* Ends the exchange, and the client's connection with a RST, without a word to who watches it. */
void http_exchange_reset(struct http_exchange *exchange);
