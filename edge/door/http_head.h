/* The head of an HTTP request: where it ends, what it says, and what we refuse. Pure functions of bytes.
 *
 *   bytes ──http_head_scan──▶ its length (or not yet, or a refusal)
 *         ──http_head_parse──▶ http_request + http_head (or a refusal)
 *
 * Two opinions must agree: our own rules (RFC 9112 without its leniencies) and http_parser. What one of them
 * doubts is refused, so that no proxy in front of us can read a request otherwise than we do.
 *
 * Thread: any.
 */
#pragma once

#include "edge/door/http.h"

/* Why a request is refused: the status, a sentence for the client's log, further header lines or NULL. All
 * static. */
struct http_refusal {
    int status;
    const char *why;
    const char *headers;
};

/* How far the search for the end of the head has come; all zeroes is the beginning. */
struct http_head_scan {
    size_t offset;
    uint16_t lines;
    uint8_t state;
};

/* Looks at the bytes that came since the last call; `bytes` is the head from its first byte. Returns the
 * length of the head including its empty line, 0 if it is not complete, or -1 with *refusal: 400 for anything
 * but printable bytes in lines ended by CRLF, 431 for more than `limit_bytes` or HTTP_HEADERS_MAX. */
long http_head_scan(struct http_head_scan *scan, const char *bytes, size_t length, size_t limit_bytes,
    struct http_refusal *refusal);

/* What a head says besides its headers. */
struct http_head {
    struct http_text target; /* as sent: origin form, or "*" for OPTIONS */
    uint64_t content_length;
    bool has_length;
    bool chunked;
    bool http_1_0;
    bool keep_alive;
    bool expects_continue;
    bool is_head; /* the method is HEAD */
};

/* Reads a head that http_head_scan() found complete. Fills method, headers and header_count of *request; the
 * texts point into `bytes`. False: *refusal. 400, 411, 417, 501 or 505. */
bool http_head_parse(const char *bytes, size_t length, struct http_request *request, struct http_head *head,
    struct http_refusal *refusal);

/* True if the token stands in one of the comma-separated lists in the headers of that name (any case). */
bool http_head_lists(const struct http_request *request, const char *name, const char *token);

/* How many headers have that name. */
size_t http_head_count(const struct http_request *request, const char *name);

/* True if the byte may stand in a token: a method, a header's name (RFC 9110, 5.6.2). */
bool http_head_is_token_byte(char byte);

enum http_upgrade { HTTP_UPGRADE_NONE, HTTP_UPGRADE_WEBSOCKET, HTTP_UPGRADE_REFUSED };

/* Whether the request asks for a WebSocket (RFC 6455, 4.2.1), and *refusal if it does so wrongly: 400, or 426
 * for another version than 13. Other upgrades (h2c) are none of ours, and ignored as RFC 9110, 7.8 allows. */
enum http_upgrade http_upgrade_check(
    const struct http_request *request, const struct http_head *head, struct http_refusal *refusal);
