#include "edge/tools/text.h"

#include "presence/base/new.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- texts ---- */

/* The length of the character, or 0 when the bytes are none. The text ends with a NUL, which is never a continuation. */
static size_t decode(const unsigned char *text, uint32_t *character)
{
    unsigned char first = text[0];
    size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
    uint32_t value = length > 1 ? first & (0x7fu >> length) : first;
    for (size_t i = 1; i < length; i++) {
        if (text[i] >> 6 != 2)
            return 0;
        value = value << 6 | (text[i] & 0x3f);
    }
    *character = value;
    return length;
}

/* Controls of both sets, line separators, and the marks that turn the direction of writing. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

void text_add_safe(struct buffer *out, const char *text)
{
    while (text && *text) {
        uint32_t character;
        size_t length = decode((const unsigned char *)text, &character);
        if (length == 0 || is_unsafe(character))
            buffer_add_string(out, "?");
        else
            buffer_add(out, text, length);
        text += length ? length : 1;
    }
}

size_t text_columns(const char *text, size_t bytes)
{
    size_t columns = 0;
    for (size_t i = 0; i < bytes; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

/* ---- tables ---- */

void text_table_cell(struct text_table *table, const char *text)
{
    text_add_safe(&table->cells, text);
    buffer_add(&table->cells, "", 1);
    table->count++;
}

void text_table_printf(struct text_table *table, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = new_vprinted(format, arguments);
    va_end(arguments);
    text_table_cell(table, text);
    free(text);
}

static void add_cell(struct buffer *out, const char *cell, size_t width, bool is_right, bool is_last)
{
    size_t bytes = strlen(cell), columns = text_columns(cell, bytes);
    if (is_right && (columns > 0 || !is_last))
        buffer_printf(out, "%*s", (int)(width - columns), "");
    buffer_add(out, cell, bytes);
    if (!is_right && !is_last)
        buffer_printf(out, "%*s", (int)(width - columns), "");
    buffer_add_string(out, is_last ? "\n" : "  ");
}

void text_table_write(struct text_table *table, struct buffer *out)
{
    size_t *widths = new_array(table->columns, sizeof(*widths));
    const char *cell = table->cells.bytes;
    for (size_t i = 0; i < table->count; i++, cell += strlen(cell) + 1) {
        size_t columns = text_columns(cell, strlen(cell));
        if (widths[i % table->columns] < columns)
            widths[i % table->columns] = columns;
    }
    cell = table->cells.bytes;
    for (size_t i = 0; i < table->count; i++, cell += strlen(cell) + 1) {
        size_t column = i % table->columns;
        add_cell(out, cell, widths[column], table->right & 1u << column, column + 1 == table->columns);
    }
    free(widths);
    buffer_deinit(&table->cells);
    table->cells = (struct buffer){0};
    table->count = 0;
}

/* ---- times ---- */

const char *text_time(int64_t ms, char text[TEXT_TIME_BYTES])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);
    strftime(text, TEXT_TIME_BYTES, "%Y-%m-%d %H:%M:%S", &local);
    return text;
}

const char *text_lasting(int64_t ms, char text[TEXT_TIME_BYTES])
{
    long long s = ms > 0 ? ms / 1000 : 0;
    if (s < 60)
        snprintf(text, TEXT_TIME_BYTES, "%lld s", s);
    else if (s < 3600)
        snprintf(text, TEXT_TIME_BYTES, "%lld min", s / 60);
    else if (s < 2LL * 86400)
        snprintf(text, TEXT_TIME_BYTES, "%lld h %lld min", s / 3600, s / 60 % 60);
    else
        snprintf(text, TEXT_TIME_BYTES, "%lld days", s / 86400);
    return text;
}

/* ---- JSON ---- */

const char *json_text_of(const json_t *object, const char *name, const char *absent)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : absent;
}

int64_t json_number_of(const json_t *object, const char *name, int64_t absent)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : absent;
}
