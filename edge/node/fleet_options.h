/* What the configuration says of a fleet, as the store of a fleet wants it. */
#pragma once

#include "edge/config/config.h"
#include "presence/redis/store_redis.h"

/* Fills *options, whose texts are the configuration's. Returns its shards, for the caller to free() when the options
 * are not needed any more. */
struct store_redis_shard *fleet_options(const struct config *config, struct store_redis_options *options);
