/* What the tools that read Redis have in common. */
#pragma once

#include "edge/tools/tools.h"
#include "presence/redis/store_redis.h"

/* Fills *options from the call's configuration; false, after a word on standard error, when there is no Redis in it. The
 * shards are for the caller to free(). */
bool tool_redis_options(
    const struct tool_call *call, struct store_redis_options *options, struct store_redis_shard **shards);
