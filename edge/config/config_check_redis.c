/* What contradicts among the shards of a fleet. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include <string.h>

static const struct config_place main_file = {0};
static const struct config_place redis_place = {.parent = &main_file, .key = "redis"};
static const struct config_place shards_place = {.parent = &redis_place, .key = "shards"};

/* Names of hosts have no case; paths have. */
static bool same(const char *a, const char *b)
{
    return a[0] && (config_is_unix(a) ? strcmp(a, b) : strcasecmp(a, b)) == 0;
}

/* Whether both ask one Sentinel for one master. */
static bool same_master(const struct config_shard *a, const struct config_shard *b)
{
    if (!a->sentinel.master[0] || strcmp(a->sentinel.master, b->sentinel.master) != 0)
        return false;
    for (size_t i = 0; i < a->sentinel.address_count; i++)
        for (size_t j = 0; j < b->sentinel.address_count; j++)
            if (same(a->sentinel.addresses[i], b->sentinel.addresses[j]))
                return true;
    return false;
}

static void check_shards_differ(struct config_reading *reading, const struct config *config, size_t index)
{
    const struct config_shard *shard = &config->redis.shards[index];
    struct config_place item = {.parent = &shards_place, .index = index};
    struct config_place name = {.parent = &item, .key = "name"};
    struct config_place address = {.parent = &item, .key = "address"};
    struct config_place sentinel = {.parent = &item, .key = "sentinel"};
    struct config_place master = {.parent = &sentinel, .key = "master"};
    for (size_t i = 0; i < index; i++) {
        const struct config_shard *other = &config->redis.shards[i];
        if (shard->name[0] && strcmp(shard->name, other->name) == 0)
            config_complain(reading, &name, "must be unique, but redis.shards[%zu].name is the same", i);
        if (same(shard->address, other->address))
            config_complain(reading, &address,
                "is the address of redis.shards[%zu], too; each shard has a Redis of its own", i);
        if (same_master(shard, other))
            config_complain(reading, &master,
                "is the master of redis.shards[%zu], too; each shard has one of its own", i);
    }
}

/* A Sentinel that is named twice would be two in a majority. */
static void check_sentinels_differ(struct config_reading *reading, const struct config *config, size_t index)
{
    const struct config_shard *shard = &config->redis.shards[index];
    struct config_place item = {.parent = &shards_place, .index = index};
    struct config_place sentinel = {.parent = &item, .key = "sentinel"};
    struct config_place addresses = {.parent = &sentinel, .key = "addresses"};
    for (size_t i = 0; i < shard->sentinel.address_count; i++) {
        struct config_place address = {.parent = &addresses, .index = i};
        size_t first = 0;
        while (first < i && !same(shard->sentinel.addresses[first], shard->sentinel.addresses[i]))
            first++;
        if (first < i)
            config_complain(reading, &address,
                "is the same as redis.shards[%zu].sentinel.addresses[%zu]; a Sentinel has one vote", index,
                first);
    }
}

static void check_use(struct config_reading *reading, const struct config *config)
{
    const struct config_file *file = &reading->files[0];
    bool in_redis = config->presence.store == PRESENCE_REDIS;
    bool told = config_place_is_there(&shards_place, file->text, file->length);
    if (in_redis && !told)
        config_complain(
            reading, &shards_place, "is missing; with presence.store \"redis\" there is at least one shard");
    /* After other complaints "memory" may stand for what was refused. */
    if (!in_redis && told && reading->problem_count == 0)
        config_complain(reading, &shards_place,
            "is not used while presence.store is \"memory\", and each edge would know its own members only; "
            "say \"redis\" there, or take this out");
}

static void check_one_stays(struct config_reading *reading, const struct config *config)
{
    bool stays = !config->redis.shard_count;
    for (size_t i = 0; i < config->redis.shard_count; i++)
        stays = stays || !config->redis.shards[i].leaving;
    if (!stays)
        config_complain(
            reading, &shards_place, "are all leaving; one at least has to stay, for the partitions");
}

void config_check_redis(struct config_reading *reading, const struct config *config)
{
    check_use(reading, config);
    check_one_stays(reading, config);
    for (size_t i = 0; i < config->redis.shard_count; i++) {
        check_shards_differ(reading, config, i);
        check_sentinels_differ(reading, config, i);
    }
}
