/* Words and columns for a terminal. */
#pragma once

#include "edge/base/buffer.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* The text as it may go to a terminal: what commands one, and what is no UTF-8, becomes "?". NULL: nothing. */
void text_add_safe(struct buffer *out, const char *text);

/* How many columns the bytes take: one a character, which is right for most scripts. */
size_t text_columns(const char *text, size_t bytes);

/* A table: cells are added one after the other, each row has `columns` of them, the first row is the head. Columns are as wide
 * as their widest cell. A column whose bit is set in `right` is aligned to the right. */
struct text_table {
    size_t columns;
    unsigned right;
    struct buffer cells; /* each ends with a NUL */
    size_t count;
};
void text_table_cell(struct text_table *table, const char *text);
void text_table_printf(struct text_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds its lines to `out` and empties it. */
void text_table_write(struct text_table *table, struct buffer *out);

/* "2026-11-25 13:14:37", local time, of ms since 1970. */
enum { TEXT_TIME_BYTES = 32 };
const char *text_time(int64_t ms, char text[TEXT_TIME_BYTES]);

/* "14 s", "2 h 5 min", "3 days". */
const char *text_lasting(int64_t ms, char text[TEXT_TIME_BYTES]);

/* Members of objects, with what stands for those that are not there. */
const char *json_text_of(const json_t *object, const char *name, const char *absent);
int64_t json_number_of(const json_t *object, const char *name, int64_t absent);
