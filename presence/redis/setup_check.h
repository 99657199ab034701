/* What is wrong with the setup of a fleet's Redis, in plain words: for the start of an edge and for `doctor`. Pure.
 *
 * Each finding is one sentence or two that say what can happen and what to write instead. */
#pragma once

#include "presence/redis/store_redis.h"

typedef void setup_tell(void *context, const char *text);

/* What the configuration alone shows: passwords shared by shards, the number of Sentinels. */
void setup_check_shards(
    const struct store_redis_shard *shards, unsigned count, setup_tell *tell, void *context);

/* What an instance says of itself: `info` is the text of INFO, `where` its address. replicated: it is under Sentinel, so
 * that another may take its place. */
void setup_check_instance(
    const char *info, const char *shard, const char *where, bool replicated, setup_tell *tell, void *context);

/* Whether it is too old for our scripts, whose flags are from Redis 7.0. Valkey says 7.2.4 or more. `version`: what it says it
 * is, "" if it does not. */
bool setup_is_too_old(const char *info, char *version, size_t bytes);

/* down-after-milliseconds, as a Sentinel has it for this shard; 0: unknown. */
void setup_check_down_after(const char *shard, const char *sentinel, uint32_t down_after_ms,
    uint32_t heartbeat_ms, setup_tell *tell, void *context);

/* The value of a field of INFO, or false. */
bool setup_info_field(const char *info, const char *name, char *value, size_t bytes);
