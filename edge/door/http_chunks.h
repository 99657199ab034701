/* Decoding of chunked bodies (RFC 9112, 7.1), strict and bounded. Pure; any thread.
 *
 *   size[;extension] CRLF  bytes CRLF  …  0[;extension] CRLF  [trailer CRLF …]  CRLF
 */
#pragma once

#include "edge/base/buffer.h"
#include "edge/door/http_head.h"

/* All extensions of a body together, and all trailers: nobody we know sends any, and both are thrown away. */
enum { HTTP_CHUNK_EXTENSIONS_MAX_BYTES = 4096, HTTP_TRAILERS_MAX_BYTES = 4096 };

struct http_chunks { /* all zeroes is the beginning */
    uint64_t left;   /* of the present chunk */
    uint16_t extension_bytes;
    uint16_t trailer_bytes;
    uint8_t digits;
    uint8_t state;
};

enum http_chunks_result { HTTP_CHUNKS_MORE, HTTP_CHUNKS_DONE, HTTP_CHUNKS_REFUSED };

/* Appends what the bytes hold of the body to *body, which grows to `limit_bytes` at most. *used: how many
 * bytes were taken; all of them unless the body is done. Refused: 400, or 413 for a body over the limit. */
enum http_chunks_result http_chunks_feed(struct http_chunks *chunks, const char *bytes, size_t length,
    size_t limit_bytes, struct buffer *body, size_t *used, struct http_refusal *refusal);
