/* Who says where a shard's master is. The fixed finder knows one address; the one that asks Sentinels has the
 * same face. A finder's answer is a hint: ROLE and hello are the proof (presence.md, "Finding the master").
 *
 * Thread: that of the loop. Operations never call back from within, but for find(). */
#pragma once

#include "presence/redis/address.h"

struct master_finder;

struct master_finder_operations {
    /* Looks for the master and calls `found` once, perhaps at once, perhaps never; again only after the next
     * find(). What was found before counts as lost. */
    void (*find)(struct master_finder *finder,
        void (*found)(void *context, const struct redis_address *address), void *context);
    /* What was found turned out wrong (another shard's, a replica): do not offer it for a while. Returns for
     * how long to wait before the next find(), in ms; 0: as ever. */
    uint64_t (*reject)(struct master_finder *finder, const struct redis_address *address, uint64_t for_ms);
    /* A majority of the Sentinels has named that master within 2 H. True at a fixed address. */
    bool (*confirmed)(struct master_finder *finder);
    void (*free)(struct master_finder *finder);
};

struct master_finder {
    const struct master_finder_operations *operations;
    /* Set by who uses it, before the first find(). */
    void (*moved)(void *context, const char *why);  /* what was found is not the master any more: find() */
    void (*alarm)(void *context, const char *text); /* a sentence for people */
    void *context;
};

/* The finder of one fixed address. Never NULL. */
struct master_finder *master_finder_fixed_new(const struct redis_address *address);
