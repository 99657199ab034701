#include "presence/redis/doctor/doctor.h"

#include "edge/tools/redis.h"

#include <stdlib.h>

int tool_doctor(const struct tool_call *call)
{
    struct store_redis_options options;
    struct store_redis_shard *shards;
    if (!tool_redis_options(call, &options, &shards))
        return TOOL_CONFIG;
    unsigned wrong = doctor_examine(&options, stdout);
    free(shards);
    return wrong ? TOOL_WRONG : TOOL_OK;
}
