/* Which of several instances is the master: presence.md, "Finding the master", as pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An instance that took the shard's credentials and says that it is a master of this shard. */
struct candidate {
    unsigned votes;    /* Sentinels that name it */
    bool majority;     /* of all configured ones */
    bool stamped;      /* hello will know it; the others are stamped only with a majority behind them */
    uint64_t epoch;    /* the highest config epoch at which one names it */
    uint64_t timeline; /* of its stamp */
};

/* More than half of `configured`. */
bool candidate_majority(unsigned votes, unsigned configured);

/* a is to be left for b: only for what Sentinels or stamps say. Newer data alone is no reason to leave a master
 * that one is connected to: it has the newest itself, once it is written to. */
bool candidate_beaten(const struct candidate *a, const struct candidate *b);

/* The index of the best; count when there is none. */
size_t candidate_best(const struct candidate *candidates, size_t count);
