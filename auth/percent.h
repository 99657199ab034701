/* Percent-encoding (RFC 3986, 2.1). Pure functions; any thread. */
#pragma once

#include <stddef.h>

/* The next byte of a text, decoded once, from 0 to 255; '+' stays '+'. Moves *at behind it; *at must be
 * before `end`. -1 if a '%' is not followed by two hexadecimal digits. */
int percent_next(const char **at, const char *end);

/* Decodes a whole text. `decoded` has room for `length` bytes (the result is never longer) and may be `text`
 * itself; no NUL is added. Returns the decoded length, or -1 if the text is malformed. */
ptrdiff_t percent_decode(const char *text, size_t length, char *decoded);
