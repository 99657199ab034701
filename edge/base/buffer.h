/* A growing buffer of bytes, and the writing of JSON into it.
 *
 * Not thread-safe. Running out of memory ends the process. A buffer that is all zeroes is an empty one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *bytes; /* not NUL-terminated; NULL when nothing was ever added */
    size_t length;
    size_t capacity;
};

void buffer_deinit(struct buffer *buffer);
void buffer_reserve(struct buffer *buffer, size_t more_bytes);
void buffer_add(struct buffer *buffer, const void *bytes, size_t length);
void buffer_add_string(struct buffer *buffer, const char *string);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull(2)));

/* Takes the first `length` bytes away. */
void buffer_consume(struct buffer *buffer, size_t length);

/* The bytes escaped for the inside of a JSON string, without the quotes (RFC 8259, 7). The bytes must be
 * UTF-8. */
void buffer_add_json_escaped(struct buffer *buffer, const char *bytes, size_t length);

/* The same with the quotes around: a JSON string. */
void buffer_add_json_string(struct buffer *buffer, const char *bytes, size_t length);

/* The same of a text that ends with a NUL. */
void buffer_add_json_text(struct buffer *buffer, const char *text);

/* The value of a label in Prometheus' text format: backslash, quote and newline escaped, without the quotes around. */
void buffer_add_label(struct buffer *buffer, const char *value);
