/* What people ask of an edge in a fleet: who lives in a partition and until when, who holds what in a channel, and how
 * far what this edge holds has been written. Only looks. Thread: the engine's. */
#pragma once

#include "presence/engine/engine.h"

/* An edge, as one partition knows it. */
struct engine_owner {
    uint64_t owner;
    const char *edge; /* its name, not NUL-terminated */
    size_t edge_bytes;
    int64_t lease_ms;  /* until its lease runs out on the lease clock; below 0: has run out */
    uint64_t sequence; /* the number of the last batch that Redis has seen of it */
    uint64_t channels; /* in which it holds something */
    bool is_me;
};

enum {
    LOOK_OWNERS_MAX = 512, /* told at most; presence.md speaks of fleets of a hundred edges */
    LOOK_HOLDERS_MAX = 64, /* edges of one user */
};

/* Embedded by the caller, and his again with done(). Fields marked (in) are set before. */
struct engine_look {
    /* (in) Called back many times and then `done` once, perhaps at once. */
    void (*each_owner)(struct engine_look *look, const struct engine_owner *owner);
    /* (in) Subscriptions of an owner: all of them, in a channel with a roster those beyond one for each user. */
    void (*each_number)(struct engine_look *look, uint64_t owner, uint64_t number);
    /* (in) A user and the owners that hold him. info: JSON text or NULL. Valid during the call. */
    void (*each_user)(struct engine_look *look, const char *id, size_t id_bytes, const char *info,
        size_t info_bytes, const uint64_t *owners, size_t owner_count);
    /* (in) known: Redis has answered. */
    void (*done)(struct engine_look *look, bool known);
    /* Before the first callback. */
    unsigned partition;
    uint64_t users; /* in the roster, whether they are told or not */
};

/* What people are told of one channel. */
struct engine_look_at {
    const char *app_id;  /* NULL: no channel, only the owners of `partition` */
    const char *channel; /* NUL-terminated */
    const char *user;    /* only him; NULL: all, up to users_max */
    size_t user_bytes;
    uint32_t users_max;
    unsigned partition; /* without a channel */
};

/* Asks Redis. Where it cannot be reached nothing is told but done(look, false). */
void engine_look(struct engine *engine, const struct engine_look_at *at, struct engine_look *look);

/* How this edge's own word about a user (NULL: the number of subscriptions) in a channel stands. */
struct engine_hold {
    unsigned partition;
    uint64_t owner;
    uint64_t write;        /* the number of the last batch that says it; 0: none yet */
    uint64_t fresh_ago_ms; /* since the last heartbeat that Redis accepted */
    bool is_settled;       /* Redis has acknowledged exactly this */
};

/* False: this edge holds nothing of the kind. */
bool engine_hold_of(struct engine *engine, const char *app_id, const char *channel, const char *user,
    size_t user_bytes, struct engine_hold *hold);
