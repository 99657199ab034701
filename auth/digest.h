/* Digests in lower-case hexadecimal, and comparing them in constant time. Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SHA256_HEX_CHARS = 64, MD5_HEX_CHARS = 32 };

struct digest_piece {
    const void *bytes;
    size_t length;
};

/* HMAC-SHA256 (RFC 2104) over the pieces one after the other. hex is NUL-terminated. */
void digest_hmac_sha256_hex(const void *secret, size_t secret_length, const struct digest_piece *pieces,
    size_t count, char hex[SHA256_HEX_CHARS + 1]);

/* MD5 (RFC 1321), which the HTTP API uses as a checksum of the body. */
void digest_md5_hex(const void *bytes, size_t length, char hex[MD5_HEX_CHARS + 1]);

/* Whether they are the same, in a time that depends on the lengths only. */
bool digest_equal(const char *a, size_t a_length, const char *b, size_t b_length);
