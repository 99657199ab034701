#include "edge/base/buffer.h"

#include "presence/base/new.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

void buffer_reserve(struct buffer *buffer, size_t more_bytes)
{
    size_t wanted = buffer->length + more_bytes;
    if (wanted <= buffer->capacity)
        return;
    buffer->bytes = grown(buffer->bytes, &buffer->capacity, wanted > FIRST_BYTES ? wanted : FIRST_BYTES, 1);
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    buffer_reserve(buffer, length);
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

void buffer_add_string(struct buffer *buffer, const char *string)
{
    buffer_add(buffer, string, strlen(string));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    must(length >= 0);
    /* vsnprintf wants room for its NUL, which is not counted afterwards. */
    buffer_reserve(buffer, (size_t)length + 1);
    vsnprintf(buffer->bytes + buffer->length, (size_t)length + 1, format, again);
    va_end(again);
    buffer->length += (size_t)length;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    memmove(buffer->bytes, buffer->bytes + length, buffer->length - length);
    buffer->length -= length;
}

/* For each byte: 0 when it stands for itself in a JSON string, 'u' when it needs \u00XX, else the letter
 * after the backslash (RFC 8259, 7). DEL is left alone, as the RFC does. */
static const char escapes[256] = {
    [0x00] = 'u',
    [0x01] = 'u',
    [0x02] = 'u',
    [0x03] = 'u',
    [0x04] = 'u',
    [0x05] = 'u',
    [0x06] = 'u',
    [0x07] = 'u',
    ['\b'] = 'b',
    ['\t'] = 't',
    ['\n'] = 'n',
    [0x0b] = 'u',
    ['\f'] = 'f',
    ['\r'] = 'r',
    [0x0e] = 'u',
    [0x0f] = 'u',
    [0x10] = 'u',
    [0x11] = 'u',
    [0x12] = 'u',
    [0x13] = 'u',
    [0x14] = 'u',
    [0x15] = 'u',
    [0x16] = 'u',
    [0x17] = 'u',
    [0x18] = 'u',
    [0x19] = 'u',
    [0x1a] = 'u',
    [0x1b] = 'u',
    [0x1c] = 'u',
    [0x1d] = 'u',
    [0x1e] = 'u',
    [0x1f] = 'u',
    ['"'] = '"',
    ['\\'] = '\\',
};

static void add_escape(struct buffer *buffer, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    char escape = escapes[byte];
    if (escape == 'u')
        buffer_add(buffer, (char[]){'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]}, 6);
    else
        buffer_add(buffer, (char[]){'\\', escape}, 2);
}

void buffer_add_json_escaped(struct buffer *buffer, const char *bytes, size_t length)
{
    size_t start = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (!escapes[byte])
            continue;
        buffer_add(buffer, bytes + start, i - start);
        add_escape(buffer, byte);
        start = i + 1;
    }
    buffer_add(buffer, bytes + start, length - start);
}

void buffer_add_json_string(struct buffer *buffer, const char *bytes, size_t length)
{
    buffer_add(buffer, "\"", 1);
    buffer_add_json_escaped(buffer, bytes, length);
    buffer_add(buffer, "\"", 1);
}

void buffer_add_json_text(struct buffer *buffer, const char *text)
{
    buffer_add_json_string(buffer, text, strlen(text));
}

void buffer_add_label(struct buffer *buffer, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n')
            buffer_add_string(buffer, "\\n");
        else if (*value == '\\' || *value == '"')
            buffer_printf(buffer, "\\%c", *value);
        else
            buffer_add(buffer, value, 1);
    }
}
