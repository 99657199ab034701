/* A scanner for what clients send: reads JSON where it lies, without building a tree of it.
 *
 * A value is known by its span in the text, so it can be passed on exactly as it came (client events,
 * user_info). The grammar is RFC 8259 to the letter, the bytes must be UTF-8, and nesting is bounded. Pure
 * functions; any thread.
 */
#pragma once

#include "edge/base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* Deeper nesting is refused: no client needs it, and the stack that reads it stays small. */
enum { JSON_DEPTH_MAX = 32 };

enum json_kind {
    JSON_KIND_ABSENT = 0,
    JSON_KIND_NULL,
    JSON_KIND_FALSE,
    JSON_KIND_TRUE,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

struct json_text { /* not NUL-terminated; bytes NULL: there is none */
    const char *bytes;
    size_t length;
};

struct json_value {
    enum json_kind kind;
    bool escaped;         /* a string with a backslash in it */
    struct json_text raw; /* as it stands in the text; a string with its quotes */
};

/* A member that is looked for, and what was found. */
struct json_field {
    const char *name;
    struct json_value value; /* JSON_KIND_ABSENT when there is no such member */
};

/* Checks that the text is one JSON object and nothing else, and finds some of its members; others are checked
 * and passed over. Spans point into text. Returns 0; -EILSEQ when the text is not UTF-8; -EINVAL when it is
 * not JSON, not an object, nested too deeply, or names a wanted member twice (readers of such a text disagree
 * about what it says). *why is then a static clause that goes on from "The message". */
int json_object_read(
    const char *text, size_t length, struct json_field *fields, size_t count, const char **why);

/* Goes through one JSON array of strings, and nothing else, in its order. `each` is called as the strings are
 * found, so also when the text turns out to be wrong further on; with false it ends the reading. Errors as above,
 * and -EINVAL when `each` wanted the end. */
int json_strings_read(const char *text, size_t length,
    bool (*each)(void *context, const struct json_value *string), void *context, const char **why);

/* The characters of a string value. Where it has escapes they are decoded into `scratch`, whose capacity must
 * suffice (the raw length always does), since texts of earlier calls point there; otherwise the text points
 * to where the value lies. Returns 0, or -EINVAL if an escape stands for NUL or for half a surrogate pair:
 * neither can be in a text of ours. */
int json_string_text(const struct json_value *value, struct buffer *scratch, struct json_text *text);

/* How many characters (code points) the text has. It must be UTF-8. */
size_t json_text_characters(struct json_text text);

/* The longest beginning of a text that has at most max_bytes and ends with a whole character. */
size_t json_text_cut(struct json_text text, size_t max_bytes);

bool json_text_is(struct json_text text, const char *string);
