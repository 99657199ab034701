/* The finder of a shard under Sentinel: presence.md, "Finding the master".
 *
 *   all Sentinels are asked ──▶ whom they name ─┐
 *   the file of the last good address ──────────┼─▶ candidates ─▶ probes: password, ROLE, stamp ─▶ the best
 *   whom replicas follow (ROLE) ────────────────┘        ▲                      │
 *                                                        └──── a replica's master
 *
 * It goes on asking while a master is in use: it says when that has been taken from its office, and knows whether
 * a majority still names it. The connections to Sentinels and candidates are kept; their upkeep is a few small
 * commands every two seconds.
 */
#pragma once

#include "presence/redis/finder.h"

#include <stddef.h>
#include <uv.h>

struct tls_client;

struct sentinel_options {
    const char *master;           /* its name in "sentinel monitor" */
    const char *const *addresses; /* of all Sentinels, each once; 1 to 16 */
    size_t address_count;
    const char *username, *password; /* of the Sentinels; NULL: the default user, no AUTH */
};

struct finder_sentinel_options {
    struct sentinel_options sentinel;
    const char *cluster, *shard;     /* what its stamp says */
    const char *stamp_key;           /* where it is: "<prefix>:shard" */
    const char *username, *password; /* of the shard; NULL: the default user, no AUTH */
    struct tls_client *tls;          /* to Sentinels and servers; stays valid; NULL: none */
    const char *state_folder;        /* keeps the last good address; NULL or "": nowhere */
    uint32_t heartbeat_ms;           /* H */
};

/* Copies its options. NULL: an address cannot be understood, or there are none or too many. */
struct master_finder *finder_sentinel_new(uv_loop_t *loop, const struct finder_sentinel_options *options);
