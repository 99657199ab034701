#include "presence/redis/doctor/verify.h"

#include "edge/tools/ask.h"
#include "edge/tools/redis.h"

#include <stdlib.h>

int tool_verify(const struct tool_call *call)
{
    struct store_redis_options options;
    struct store_redis_shard *shards;
    struct tool_edges edges;
    if (!tool_redis_options(call, &options, &shards))
        return TOOL_CONFIG;
    tool_edges_init(&edges, call);
    const struct edges_asked asked = {edges.where, edges.count, call->config->edge.admin.token};
    unsigned wrong = verify_compare(&options, &asked, stdout);
    tool_edges_deinit(&edges);
    free(shards);
    return wrong ? TOOL_WRONG : TOOL_OK;
}
