/* `rollcall verify`: whether what lies in Redis belongs to edges that live. */
#pragma once

#include "presence/redis/doctor/edge_facts.h"
#include "presence/redis/store_redis.h"

#include <stdio.h>

/* Reads every key of the fleet and what the named edges say that they hold (the admin listeners of edges, as "host:port"),
 * and prints each fact that no live edge stands behind, each that one holds and Redis has not, each key that is out of place or
 * would stay for ever, and for each when it will be gone. Changes nothing; SCAN, a few hundred keys at a time. Returns
 * how many differences there are; shards that cannot be read count as one. */
unsigned verify_compare(
    const struct store_redis_options *options, const struct edges_asked *edges, FILE *out);
