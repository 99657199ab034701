/* What the script read answers: a channel as it stands in Redis (presence/redis/keys_and_scripts.h). Pure. */
#pragma once

#include "presence/engine/engine.h"
#include "presence/engine/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pointers go into the reply. */
struct snapshot {
    uint64_t version, birth; /* of the roster; 0: there is none */
    uint64_t last_version;   /* of the partition: orders a roster that is not there */
    uint64_t clock;
    uint64_t subscriptions;
    const struct reply *cached; /* a message, or empty */
    uint64_t cached_ttl_ms;
    const struct reply *fields; /* of the roster: name, value, and so on */
    size_t count;               /* of both */
};

/* False when it is no such answer. */
bool snapshot_parse(const struct reply *reply, struct snapshot *snapshot);

struct snapshot_user {
    const char *id;
    size_t id_bytes;
    bool is_junk; /* then the rest is not known */
    struct wire_user is;
};

/* The next user from *at on, which begins with 0 and moves behind him. False: there is none. */
bool snapshot_next(const struct snapshot *snapshot, size_t *at, struct snapshot_user *user);
