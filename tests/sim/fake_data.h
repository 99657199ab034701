/* The data of one fake Redis: keys and what they hold. No commands here.
 *
 * Iteration over uthash is in order of insertion; where Redis leaves the order open, the commands shuffle.
 */
#pragma once

#include "tests/sim/fake_reply.h"

#include <uthash.h>

enum { FAKE_NO_EXPIRY = -1 };

enum fake_type { FAKE_STRING, FAKE_HASH, FAKE_SET, FAKE_ZSET, FAKE_STREAM };

/* A hash field, a set's member, a sorted set's member. */
struct entry {
    UT_hash_handle hh; /* by name */
    char *name;
    size_t name_bytes;
    char *value; /* hashes only */
    size_t value_bytes;
    double score; /* sorted sets only */
};

struct stream_id {
    uint64_t ms;
    uint64_t sequence;
};

struct stream_entry {
    struct stream_id id;
    struct fake_reply *fields; /* an array of bulks */
};

struct key {
    UT_hash_handle hh; /* by name */
    char *name;
    size_t name_bytes;
    enum fake_type type;
    int64_t expires_ms; /* by the server's clock, or FAKE_NO_EXPIRY */
    char *string;       /* FAKE_STRING */
    size_t string_bytes;
    struct entry *entries;       /* FAKE_HASH, FAKE_SET, FAKE_ZSET */
    struct stream_entry *stream; /* FAKE_STREAM, oldest first */
    size_t stream_count;
    size_t stream_room;
    struct stream_id last_id;
};

struct fake_data {
    struct key *keys; /* uthash head */
};

/* The key, or NULL; whether it has expired is the caller's business. */
struct key *data_find(const struct fake_data *data, struct slice name);

/* A new empty key; the name must be free. */
struct key *data_add(struct fake_data *data, struct slice name, enum fake_type type);

void data_delete(struct fake_data *data, struct key *key);
void data_clear(struct fake_data *data);

/* A deep copy. `to` must be empty. */
void data_copy(struct fake_data *to, const struct fake_data *from);

void key_set_string(struct key *key, struct slice value);

struct entry *entry_find(const struct key *key, struct slice name);
/* The entry of that name, made when it is missing; *added says which, and may be NULL. */
struct entry *entry_add(struct key *key, struct slice name, bool *added);
void entry_set_value(struct entry *entry, struct slice value);
void entry_delete(struct key *key, struct entry *entry);
size_t entry_count(const struct key *key);

/* Appends; the id must be above last_id. Takes the fields. */
void stream_append(struct key *key, struct stream_id id, struct fake_reply *fields);
void stream_delete(struct key *key, size_t index);
int stream_id_compare(struct stream_id a, struct stream_id b);

/* True when nothing is in it: Redis then deletes the key (streams excepted). */
bool key_is_empty(const struct key *key);

/* All keys, as lines of text sorted by bytes, for comparison; the caller frees it. Expiries are left out
 * unless with_expiries, which prints the absolute time. */
char *data_dump(const struct fake_data *data, bool with_expiries);
