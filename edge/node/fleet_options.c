#include "edge/node/fleet_options.h"

#include "presence/base/new.h"

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

static struct store_redis_shard *shards_of(const struct config *config)
{
    struct store_redis_shard *shards = new_array(config->redis.shard_count, sizeof(*shards));
    for (size_t i = 0; i < config->redis.shard_count; i++) {
        const struct config_shard *shard = &config->redis.shards[i];
        shards[i] = (struct store_redis_shard){
            .name = shard->name,
            .address = shard->address,
            .username = text_or_null(shard->username),
            .password = text_or_null(shard->password),
            .leaving = shard->leaving,
            .sentinel =
                {
                    .master = text_or_null(shard->sentinel.master),
                    .addresses = (const char *const *)shard->sentinel.addresses,
                    .address_count = shard->sentinel.address_count,
                    .username = text_or_null(shard->sentinel.username),
                    .password = text_or_null(shard->sentinel.password),
                },
        };
    }
    return shards;
}

struct store_redis_shard *fleet_options(const struct config *config, struct store_redis_options *options)
{
    struct store_redis_shard *shards = shards_of(config);
    *options = (struct store_redis_options){
        .cluster = config->redis.cluster,
        .prefix = config->redis.prefix,
        .edge_name = config->edge.name,
        .shards = shards,
        .tls = config->redis.tls.client,
        .shard_count = (unsigned)config->redis.shard_count,
        .partitions = config->presence.partitions,
        .heartbeat_ms = config->presence.heartbeat_ms,
        .lease_ms = config->presence.lease_ms,
        .scrub_ms = config->presence.scrub_ms,
        .data_ttl_ms = config->presence.data_ttl_ms,
        .state_folder = config->edge.state_dir,
    };
    return shards;
}
