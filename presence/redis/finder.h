/* Who says where a shard's master is. The fixed finder knows one address; one that asks Sentinels has the same
 * face. A finder's answer is a hint: ROLE and hello are the proof (presence.md, "Finding the master"). */
#pragma once

#include "presence/redis/address.h"

struct master_finder;

struct master_finder_operations {
    /* Looks for the master and calls `found` once, perhaps at once; again only after the next find(). */
    void (*find)(struct master_finder *finder,
        void (*found)(void *context, const struct redis_address *address), void *context);
    /* What was found turned out wrong (another shard's, a replica): do not offer it for a while. */
    void (*reject)(struct master_finder *finder, const struct redis_address *address, uint64_t for_ms);
    /* A majority of the Sentinels has named that master within 2 H. True at a fixed address. */
    bool (*confirmed)(struct master_finder *finder);
    void (*free)(struct master_finder *finder);
};

struct master_finder {
    const struct master_finder_operations *operations;
};

/* The finder of one fixed address. Never NULL. */
struct master_finder *master_finder_fixed_new(const struct redis_address *address);
