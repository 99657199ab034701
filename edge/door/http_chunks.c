#include "edge/door/http_chunks.h"

enum chunk_state {
    AT_SIZE,
    IN_EXTENSION,
    AFTER_SIZE_CR,
    IN_BYTES,
    AFTER_BYTES,
    AFTER_BYTES_CR,
    AT_TRAILER,
    IN_TRAILER_NAME,
    IN_TRAILER_VALUE,
    AFTER_TRAILER_CR,
    AFTER_LAST_CR,
    ENDED,
};

enum { SIZE_DIGITS_MAX = 16 }; /* 64 bits */

static bool refuse(struct http_refusal *refusal, int status, const char *why)
{
    *refusal = (struct http_refusal){.status = status, .why = why};
    return false;
}

static int hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

static bool is_text_byte(char byte)
{
    unsigned char b = (unsigned char)byte;
    return (b >= 0x20 && b != 0x7f) || b == '\t';
}

static bool take_size_byte(struct http_chunks *chunks, char byte, struct http_refusal *refusal)
{
    int value = hex_value(byte);
    if (value >= 0) {
        if (++chunks->digits > SIZE_DIGITS_MAX)
            return refuse(refusal, 400, "the size of a chunk has more than 16 digits");
        chunks->left = chunks->left << 4 | (uint64_t)value;
        return true;
    }
    if (chunks->digits == 0 || (byte != '\r' && byte != ';'))
        return refuse(refusal, 400, "the size of a chunk must be hexadecimal digits, then CR LF");
    chunks->state = byte == ';' ? IN_EXTENSION : AFTER_SIZE_CR;
    return true;
}

static bool take_extension_byte(struct http_chunks *chunks, char byte, struct http_refusal *refusal)
{
    if (byte == '\r') {
        chunks->state = AFTER_SIZE_CR;
        return true;
    }
    if (!is_text_byte(byte))
        return refuse(refusal, 400, "control characters are not allowed in chunk extensions");
    if (++chunks->extension_bytes > HTTP_CHUNK_EXTENSIONS_MAX_BYTES)
        return refuse(refusal, 400, "more than 4096 bytes of chunk extensions");
    return true;
}

static bool take_trailer_byte(struct http_chunks *chunks, char byte, struct http_refusal *refusal)
{
    if (++chunks->trailer_bytes > HTTP_TRAILERS_MAX_BYTES)
        return refuse(refusal, 400, "more than 4096 bytes of trailers");
    if (chunks->state == IN_TRAILER_VALUE && byte == '\r') {
        chunks->state = AFTER_TRAILER_CR;
        return true;
    }
    if (chunks->state == IN_TRAILER_NAME && byte == ':') {
        chunks->state = IN_TRAILER_VALUE;
        return true;
    }
    bool allowed = chunks->state == IN_TRAILER_VALUE ? is_text_byte(byte) : http_head_is_token_byte(byte);
    if (!allowed)
        return refuse(refusal, 400, "a trailer must be a line of the form Name: value");
    if (chunks->state == AT_TRAILER)
        chunks->state = IN_TRAILER_NAME;
    return true;
}

/* The LF that ends a line, or a chunk. */
static bool take_lf(struct http_chunks *chunks, char byte, uint8_t next, struct http_refusal *refusal)
{
    if (byte != '\n')
        return refuse(refusal, 400, "CR must be followed by LF");
    chunks->state = next;
    return true;
}

static bool take_byte(struct http_chunks *chunks, char byte, struct http_refusal *refusal)
{
    switch ((enum chunk_state)chunks->state) {
    case AT_SIZE:
        return take_size_byte(chunks, byte, refusal);
    case IN_EXTENSION:
        return take_extension_byte(chunks, byte, refusal);
    case AFTER_SIZE_CR:
        return take_lf(chunks, byte, chunks->left ? IN_BYTES : AT_TRAILER, refusal);
    case AFTER_BYTES:
        if (byte != '\r')
            return refuse(refusal, 400, "a chunk is longer than its size says");
        chunks->state = AFTER_BYTES_CR;
        return true;
    case AFTER_BYTES_CR:
        chunks->digits = 0;
        return take_lf(chunks, byte, AT_SIZE, refusal);
    case AT_TRAILER:
        if (byte == '\r') {
            chunks->state = AFTER_LAST_CR;
            return true;
        }
        return take_trailer_byte(chunks, byte, refusal);
    case IN_TRAILER_NAME:
    case IN_TRAILER_VALUE:
        return take_trailer_byte(chunks, byte, refusal);
    case AFTER_TRAILER_CR:
        return take_lf(chunks, byte, AT_TRAILER, refusal);
    case AFTER_LAST_CR:
        return take_lf(chunks, byte, ENDED, refusal);
    case IN_BYTES:
    case ENDED:
        break; /* not by bytes */
    }
    return refuse(refusal, 400, "the body is not chunked");
}

static size_t take_bytes(struct http_chunks *chunks, const char *bytes, size_t length, struct buffer *body)
{
    size_t count = length < chunks->left ? length : (size_t)chunks->left;
    buffer_add(body, bytes, count);
    chunks->left -= count;
    if (chunks->left == 0)
        chunks->state = AFTER_BYTES;
    return count;
}

enum http_chunks_result http_chunks_feed(struct http_chunks *chunks, const char *bytes, size_t length,
    size_t limit_bytes, struct buffer *body, size_t *used, struct http_refusal *refusal)
{
    *used = 0;
    while (*used < length && chunks->state != ENDED) {
        if (chunks->state == IN_BYTES) {
            *used += take_bytes(chunks, bytes + *used, length - *used, body);
            continue;
        }
        if (!take_byte(chunks, bytes[(*used)++], refusal))
            return HTTP_CHUNKS_REFUSED;
        /* Said as soon as the size is known, before any of those bytes is kept. */
        if (chunks->state == IN_BYTES && chunks->left > limit_bytes - body->length) {
            refuse(refusal, 413, "the body is too large");
            return HTTP_CHUNKS_REFUSED;
        }
    }
    return chunks->state == ENDED ? HTTP_CHUNKS_DONE : HTTP_CHUNKS_MORE;
}
