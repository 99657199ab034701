#include "edge/tools/redis.h"

#include "edge/node/fleet_options.h"

#include <signal.h>
#include <stdio.h>

bool tool_redis_options(
    const struct tool_call *call, struct store_redis_options *options, struct store_redis_shard **shards)
{
    if (call->config->presence.store != PRESENCE_REDIS) {
        fprintf(stderr, "rollcall: presence.store is \"memory\": there is no Redis to look at\n");
        return false;
    }
    signal(SIGPIPE, SIG_IGN); /* connections that end are told otherwise */
    *shards = fleet_options(call->config, options);
    return true;
}
