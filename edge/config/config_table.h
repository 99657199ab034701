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

#include "edge/base/buffer.h"

enum config_type {
    CONFIG_NUMBER = 1, /* whole; an unsigned field of 2, 4 or 8 bytes */
    CONFIG_BOOL,       /* bool */
    CONFIG_TEXT,       /* char *, never NULL */
    CONFIG_SECRET,     /* char *, never NULL; in the file a text, {"env": NAME} or {"file": path} */
    CONFIG_CHOICE,     /* int or an enum; the position in `choices` */
    CONFIG_OBJECT,     /* nothing of its own */
    CONFIG_LIST,       /* a pointer to an array of items of item_bytes, and a size_t at count_offset */
    CONFIG_IGNORED,    /* nothing: a text for other programs */
};

struct config_key {
    const char *name; /* NULL ends a table */
    enum config_type type;
    size_t offset, bytes; /* of the field in its struct; lists have no bytes of their own */
    const char *sentence; /* what it is for */
    const char *unit;     /* "ms", "bytes", … or NULL */
    uint64_t min, max;    /* of numbers; of the length of texts and secrets in bytes; of a list's items */
    uint64_t number;      /* default of numbers and bools; of a list: so many items made of defaults */
    const char *text;     /* default of texts and choices */
    const char *zero;     /* what 0 means; allowed then, whatever min says */
    bool required;        /* texts, secrets and lists: there is no default */
    bool optional;        /* objects: one that is not there leaves its fields empty, without defaults */
    /* A change needs a restart. Of lists: of how many items there are; what of an item does, its own keys say. */
    bool restart;
    /* Names of keys in the same object. */
    const char *unless;         /* this one is required, unless that one is there */
    const char *needs;          /* given only together with that one */
    const char *excludes;       /* not given together with that one */
    const char *const *choices; /* ends with NULL */
    /* Texts: NULL when the value is good, otherwise "must be …". For what a range cannot say. */
    const char *(*check)(const char *value);
    const struct config_key *keys; /* of objects and of the items of lists */
    const struct config_key
        *item; /* of lists whose items are no objects, in place of keys; its offset is 0 */
    size_t item_bytes, count_offset;
};

extern const struct config_key config_table[];

/* The key of that name in one table, or NULL. */
const struct config_key *config_table_find(const struct config_key *keys, const char *name);

/* Where a value stands: a chain from the value up to the file itself, whose parent is NULL. */
struct config_place {
    const struct config_place *parent;
    const char *key; /* NULL: an item of a list, or the file */
    size_t index;    /* of the item in its list; of the file in those of the reading */
};

/* Appends `edge.listen[0].port` to text; nothing for the file itself. */
void config_place_print(const struct config_place *place, struct buffer *text);

/* The line, from 1, of the place in JSON text that was found valid: where its key stands, or the item begins.
 * For a place that is not there, the line of the innermost thing around it that is. */
unsigned config_place_line(const struct config_place *place, const char *text, size_t length);

/* Whether there is something at the place. */
bool config_place_is_there(const struct config_place *place, const char *text, size_t length);

/* Which file of the reading. */
size_t config_place_file(const struct config_place *place);

/* A file that is read; file 0 is the configuration itself, the others are included. */
struct config_file {
    char *name, *text; /* comments blanked */
    size_t length;
};

/* Where an app was written. */
struct config_app_place {
    size_t file;
    size_t index;    /* in the list */
    bool whole_file; /* it is no item of a list: the file is the app */
    bool short_form; /* its first pair is its own key and secret, the next is keys[0] */
};

/* Problems found; kept until all are known, then printed in the order of the file. */
enum { CONFIG_PROBLEMS_MAX = 100 }; /* more than anyone mends at once; the rest is counted */

struct config_problem {
    size_t file;
    unsigned line;
    size_t order;
    char *words;
};

struct config_reading {
    struct config_file *files;
    size_t file_count;
    struct config_app_place *app_places; /* of each app of the configuration */
    struct buffer warnings;              /* lines, in the order of their finding */
    struct {                             /* what was left to us, and depends on what needs a restart */
        bool connections, balancer_wait;
    } follows;
    size_t problem_count;
    struct config_problem problems[CONFIG_PROBLEMS_MAX];
};

enum { CONFIG_FILE_BYTES_MAX = 16 << 20 }; /* of the configuration, and of all that it includes together */

/* Opens a file for reading, only a regular one: anything else could block, or never end. A descriptor, or a
 * negative errno, -EINVAL for another kind of file. */
int config_file_open(const char *path);

/* An empty one with its first reference. Never NULL. */
struct config;
struct config *config_new(void);

/* Appends what is left to read. 0, a negative errno, or -EFBIG for too much. */
int config_file_read(int fd, struct buffer *text);

/* A path in the folder of a file, unless it is absolute. To be freed. */
char *config_file_resolve(const char *file, const char *path);

/* Takes a file into the reading, copying both texts and blanking comments. Returns its index. */
size_t config_file_add(struct config_reading *reading, const char *name, const char *text, size_t length);

/* The file as JSON, or NULL after a complaint. */
json_t *config_file_parse(struct config_reading *reading, size_t file);

/* Frees the reading with its files, whose texts may hold secrets and are overwritten. */
void config_reading_free(struct config_reading *reading);

/* Adds the apps that stand in the files of the folder config->include, and notes where each app stands. */
struct config;
void config_include(struct config_reading *reading, struct config *config);

void config_complain(struct config_reading *reading, const struct config_place *place, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* The same about what is accepted all the same. */
void config_warn(struct config_reading *reading, const struct config_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same as config_complain() about a line of a file, for what stands nowhere else. */
void config_complain_at(struct config_reading *reading, size_t file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Prints "file:line: path: words" for each problem, and forgets them. */
void config_problems_print(struct config_reading *reading, FILE *errors);

/* Adds "the text "x"", "a list", …: what a value that was refused is, in at most some 60 bytes of ASCII. */
void config_describe(json_t *value, struct buffer *words);

/* What the references of all keys are made of: the path of a key in the table of the object at `prefix`, such as
 * edge.listen[].port, and in words what it may be. */
enum { CONFIG_PATH_BYTES = 256 };
void config_explain_path(const struct config_key *key, const char *prefix, char *path, size_t bytes);
void config_explain_kind(FILE *out, const struct config_key *key);

/* The name in the table that was probably meant, or NULL. */
const char *config_nearest_key(const struct config_key *keys, const char *name);

/* Reads `object` (NULL: absent, all defaults) by a table into the zeroed struct at `base`. Every problem is
 * complained of; fields that had one are zero, or "". */
void config_read(struct config_reading *reading, const struct config_key *keys, json_t *object,
    const struct config_place *place, void *base);

/* The same for one value, which must be an object (NULL: absent), by the table key->keys. */
void config_read_object(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base);

/* Frees what config_read() allocated in the struct at `base`, not the struct; or of one key of it. */
void config_release(const struct config_key *keys, void *base);
void config_release_key(const struct config_key *key, void *base);

/* Gives what needs a restart the values of the configuration that runs, and notes in changes->waiting what that is. An
 * item of a list of which anything waits stays whole as it is. */
struct config;
struct config_changes;
void config_keep(struct config *config, const struct config *running, struct config_changes *changes);

/* Notes in changes->taken all that is not the same. */
void config_compare(
    const struct config *config, const struct config *running, struct config_changes *changes);

/* The secret that a value stands for, to be freed; NULL after a complaint. Texts of key->min to key->max
 * bytes. Files are looked for in the folder of the file in which the value stands. */
char *config_secret_read(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place);

/* Fills in what follows from other keys or from the machine: edge.name, edge.workers, edge.connections,
 * edge.message_bytes, edge.body_bytes; the pairs and the counters of apps. */
void config_complete(struct config_reading *reading, struct config *config);

/* Once more, for what follows from keys that have been kept. */
void config_complete_kept(const struct config_reading *reading, struct config *config);

/* Apps by key and by id; the first of those with one name. */
struct config_index *config_index_new(const struct config *config);
void config_index_free(struct config_index *index);

/* Complains of what is wrong between keys. The index must be there. */
void config_check(struct config_reading *reading, const struct config *config);

/* Reads the certificates of the listeners, makes their servers (in place of those that were there), and complains and
 * warns of what is wrong with them. */
void config_check_tls(struct config_reading *reading, struct config *config);
void config_release_tls(struct config *config); /* before the list of listeners changes or goes */
void config_check_redis(struct config_reading *reading, const struct config *config); /* a part of it */

bool config_is_unix(const char *address);

/* The texts that `check` of the table's keys refuses; "must be …" or NULL. */
const char *config_check_address(const char *value);
const char *config_check_network(const char *value);
const char *config_check_listen_address(const char *value);
const char *config_check_socket_path(const char *value);
const char *config_check_path_prefix(const char *value);
const char *config_check_label(const char *value);
const char *config_check_host(const char *value);
const char *config_check_app_id(const char *value);
const char *config_check_app_key(const char *value);
const char *config_check_origin(const char *value);
const char *config_check_endpoint(const char *value);
const char *config_check_master(const char *value);
const char *config_check_username(const char *value);
const char *config_check_token(const char *value);
const char *config_check_host_and_port(const char *value);
const char *config_check_absolute_path(const char *value);
const char *config_check_webhook_url(const char *value);
const char *config_check_webhook_event(const char *value);
const char *config_check_header_name(const char *value);
const char *config_check_header_value(const char *value);

/* Fills in the `wants` of an app's webhooks. */
struct app;
void config_complete_webhooks(struct app *app);

/* Reads the networks. False: it is none. */
struct config_network;
bool config_network_read(const char *text, struct config_network *network);
void config_complete_networks(struct config *config);
