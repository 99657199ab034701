/* The table behind the configuration: what a key may be, and where its value lands. Private to this room.
 *
 * A table is an array of keys that ends with one without a name. Objects and lists have a table of their own,
 * to any depth: the keys of an object land in the struct of their parent (edge.admin.port in struct config),
 * those of a list in one struct per item (edge.listen[].port in struct config_listen). A new key is one more
 * entry; reading, checking, freeing, --explain and the schema need no code for it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type {
    CONFIG_NUMBER = 1, /* whole; an unsigned field of 2, 4 or 8 bytes */
    CONFIG_BOOL,       /* bool */
    CONFIG_TEXT,       /* char *, never NULL */
    CONFIG_SECRET,     /* char *, never NULL; in the file a text, {"env": NAME} or {"file": path} */
    CONFIG_CHOICE,     /* int or an enum; the position in `choices` */
    CONFIG_OBJECT,     /* nothing of its own */
    CONFIG_LIST,       /* a pointer to an array of structs of item_bytes, and a size_t at count_offset */
    CONFIG_IGNORED,    /* nothing: a text for other programs */
};

struct config_key {
    const char *name; /* NULL ends a table */
    enum config_type type;
    size_t offset, bytes; /* of the field in its struct */
    const char *sentence; /* what it is for */
    const char *unit;     /* "ms", "bytes", … or NULL */
    uint64_t min, max;    /* of numbers; of the length of texts and secrets in bytes; of a list's items */
    uint64_t number;      /* default of numbers and bools; of a list: so many items made of defaults */
    const char *text;     /* default of texts and choices */
    const char *zero;     /* what 0 means; allowed then, whatever min says */
    bool required;        /* texts and secrets: there is no default */
    const char *const *choices; /* ends with NULL */
    /* Texts: NULL when the value is good, otherwise "must be …". For what a range cannot say. */
    const char *(*check)(const char *value);
    const struct config_key *keys; /* of objects and of the items of lists */
    size_t item_bytes, count_offset;
};

extern const struct config_key config_table[];

/* Where in the file a value stands: a chain from the value up to the file itself, whose parent is NULL. */
struct config_place {
    const struct config_place *parent;
    const char *key; /* NULL: an item of a list */
    size_t index;
};

/* Appends `edge.listen[0].port` to text; nothing for the file itself. */
struct buffer;
void config_place_print(const struct config_place *place, struct buffer *text);

/* The line, from 1, of the place in JSON text that was found valid: where its key stands, or the item begins.
 * For a place that is not there, the line of the innermost thing around it that is. */
unsigned config_place_line(const struct config_place *place, const char *text, size_t length);

/* Problems found; kept until all are known, then printed in the order of the file. */
enum { CONFIG_PROBLEMS_MAX = 100 }; /* more than anyone mends at once; the rest is counted */

struct config_problem {
    unsigned line;
    size_t order;
    char *words;
};

struct config_reading {
    const char *name; /* of the file */
    const char *text; /* comments blanked */
    size_t length;
    size_t problem_count;
    struct config_problem problems[CONFIG_PROBLEMS_MAX];
};

void config_complain(struct config_reading *reading, const struct config_place *place, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* Prints "file:line: path: words" for each problem, and forgets them. */
void config_problems_print(struct config_reading *reading, FILE *errors);

/* Adds "the text "x"", "a list", …: what a value that was refused is, in at most some 60 bytes of ASCII. */
void config_describe(json_t *value, struct buffer *words);

/* The name in the table that was probably meant, or NULL. */
const char *config_nearest_key(const struct config_key *keys, const char *name);

/* Reads `object` (NULL: absent, all defaults) by a table into the zeroed struct at `base`. Every problem is
 * complained of; fields that had one are zero, or "". */
void config_read(struct config_reading *reading, const struct config_key *keys, json_t *object,
    const struct config_place *place, void *base);

/* Frees what config_read() allocated in the struct at `base`, not the struct. */
void config_release(const struct config_key *keys, void *base);

/* The secret that a value stands for, to be freed; NULL after a complaint. Texts of key->min to key->max
 * bytes. Files are looked for in the folder of the configuration. */
char *config_secret_read(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place);

/* Fills in what follows from other keys or from the machine: edge.name, edge.workers, edge.message_bytes,
 * edge.body_bytes, the counters of apps. */
struct config;
void config_complete(struct config *config);

/* Complains of what is wrong between keys. The index of apps must be there: the first of those with one name.
 */
void config_check(struct config_reading *reading, const struct config *config);

/* The texts that `check` of the table's keys refuses; "must be …" or NULL. */
const char *config_check_address(const char *value);
const char *config_check_listen_address(const char *value);
const char *config_check_path_prefix(const char *value);
const char *config_check_label(const char *value);
const char *config_check_app_id(const char *value);
const char *config_check_app_key(const char *value);
