/* Replies of the fake Redis: trees of RESP2 values.
 *
 * A reply owns everything below it. Whoever gets one frees it with fake_reply_free(). No function returns
 * NULL; running out of memory ends the process. Nothing here is thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to someone else; not NUL-terminated. */
struct slice {
    const char *data;
    size_t size;
};

enum fake_reply_type {
    FAKE_NIL, /* "$-1" */
    FAKE_INTEGER,
    FAKE_BULK,
    FAKE_STATUS,
    FAKE_ERROR, /* text begins with the code, without the dash */
    FAKE_ARRAY,
};

struct fake_reply {
    enum fake_reply_type type;
    int64_t integer;
    char *text; /* NUL-terminated; the NUL is not counted */
    size_t bytes;
    struct fake_reply **items;
    size_t count;
    size_t room;
};

struct fake_reply *fake_nil(void);
struct fake_reply *fake_integer(int64_t value);
struct fake_reply *fake_bulk(const char *data, size_t size);
struct fake_reply *fake_text(const char *text);   /* a bulk of a C string */
struct fake_reply *fake_double(double value);     /* a bulk, as Redis 7.0 prints scores */
struct fake_reply *fake_status(const char *text); /* "+OK" */
struct fake_reply *fake_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct fake_reply *fake_array(void);

/* Appends item, which array now owns. */
void fake_push(struct fake_reply *array, struct fake_reply *item);

void fake_reply_free(struct fake_reply *reply);

/* True when it is an error whose code (its first word) is `code`. */
bool fake_reply_is_error(const struct fake_reply *reply, const char *code);

/* Prints it on one line for people, into a string the caller frees. Binary bytes as \xHH. */
char *fake_reply_print(const struct fake_reply *reply);

/* Structural equality; of two errors, only the codes are compared when codes_only. */
bool fake_reply_equal(const struct fake_reply *a, const struct fake_reply *b, bool codes_only);

/* malloc, realloc and copies that cannot fail. */
void *fake_alloc(size_t size);
void *fake_realloc(void *old, size_t size);
char *fake_copy(const char *data, size_t size);
