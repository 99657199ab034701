/* Between the files of the fake Redis: the instance, one command's call, and what commands share. */
#pragma once

#include "tests/sim/fake_redis.h"

enum command_flags {
    COMMAND_WRITES = 1,     /* refused by a replica */
    COMMAND_GROWS = 2,      /* refused above maxmemory ("denyoom") */
    COMMAND_NO_SCRIPT = 4,  /* not from within a script */
    COMMAND_IS_SCRIPT = 16, /* EVAL and its family: the script's first line says what it is */
    COMMAND_REPLICATES = 8, /* PUBLISH: not a write, but no script without writes may use it */
};

enum script_flags {
    SCRIPT_NO_WRITES = 1,
    SCRIPT_ALLOW_OOM = 2,
    SCRIPT_ALLOW_STALE = 4,
    SCRIPT_NO_CLUSTER = 8,
    SCRIPT_ALLOW_CROSS_SLOT = 16,
    SCRIPT_COMPATIBLE = 32, /* without a shebang */
};

struct loaded_script {
    UT_hash_handle hh; /* by sha */
    char sha[41];
    unsigned flags; /* enum script_flags */
};

struct fake_redis {
    struct fake_data data;
    int64_t now_us;
    uint64_t random;
    uint64_t changes;
    uint64_t ids_given;
    char replication_id[FAKE_REPLICATION_ID_BYTES + 1];
    char old_replication_id[FAKE_REPLICATION_ID_BYTES + 1];
    bool replica;
    bool out_of_memory;
    bool no_replicas;
    struct loaded_script *scripts;
    struct fake_connection *connections;
    fake_on_publish on_publish;
    void *publish_context;
};

struct subscription {
    UT_hash_handle hh; /* by name */
    char *name;
};

struct fake_connection {
    struct fake_redis *redis;
    fake_on_push on_push;
    void *context;
    struct subscription *subscriptions;
    struct fake_connection *next;
    struct fake_connection *previous;
};

struct call {
    struct fake_redis *redis;
    struct fake_connection *connection; /* NULL within a script */
    size_t argc;
    const struct slice *argv;
};

typedef struct fake_reply *(*command_run)(struct call *call);

struct command {
    const char *name; /* in upper case */
    int arity;        /* with the name; negative: at least */
    unsigned flags;
    command_run run;
};

/* The command of that name, or NULL. */
const struct command *command_find(struct slice name);
bool command_arity_fits(const struct command *command, size_t argc);

/* Random bits of the instance; deterministic. */
uint64_t redis_random(struct fake_redis *redis);
/* Whether memory or replicas are missing; a replica does not care. */
bool redis_is_starved(const struct fake_redis *redis);
bool redis_is_lonely(const struct fake_redis *redis);
/* Deletes the key when it is empty and not a stream. */
void key_changed(struct fake_redis *redis, struct key *key);

/* The live key at argv[index], or NULL. */
struct key *call_key(struct call *call, size_t index);
/* The same, but only of that type; returns NULL, or the WRONGTYPE error. */
struct fake_reply *call_typed(struct call *call, size_t index, enum fake_type type, struct key **key);
/* The same, and makes a missing key. */
struct fake_reply *call_make(struct call *call, size_t index, enum fake_type type, struct key **key);
bool call_is(const struct call *call, size_t index, const char *word); /* ASCII case is ignored */
bool slice_is(struct slice slice, const char *word);
bool slice_integer(struct slice slice, int64_t *value); /* strict, as string2ll */
bool slice_double(struct slice slice, double *value);
struct fake_reply *syntax_error(void);
struct fake_reply *not_an_integer(void);

/* The entries of a key in shuffled order; the caller frees the array. */
struct entry **shuffled_entries(struct fake_redis *redis, const struct key *key);

struct scan_name {
    uint64_t hash;
    const void *what;
};

/* One step of a cursor over `count` names: which are returned, and the next cursor. */
struct scan {
    uint64_t cursor; /* in, out: 0 is the end */
    int64_t limit;
    struct slice pattern; /* .data NULL: all */
    struct slice type;    /* .data NULL: all */
};
struct fake_reply *scan_arguments(struct call *call, size_t cursor_index, struct scan *scan);
/* `names` is reordered; returns how many at its front are in this step (before the pattern). */
size_t scan_step(struct scan *scan, struct scan_name *names, size_t count);
uint64_t scan_hash(const char *name, size_t bytes);
bool glob_matches(struct slice pattern, struct slice text);

/* Tables of commands, one per file; each ends with a NULL name. */
extern const struct command commands_keys[], commands_hashes[], commands_sets[], commands_sorted[],
    commands_streams[], commands_server[];

/* fake_lua.c: EVAL and its family. */
unsigned script_command_flags(struct call *call); /* the command_flags that a script's own flags stand for */
struct fake_reply *script_evaluate(struct call *call, bool by_sha, bool read_only);
struct fake_reply *script_load(struct fake_redis *redis, struct slice body);
