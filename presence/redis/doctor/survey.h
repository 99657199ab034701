/* Everything that Sentinels and instances say of the shards of a fleet, asked once, without changing anything: what
 * `doctor` and `verify` begin with. */
#pragma once

#include "presence/redis/candidate.h"
#include "presence/redis/probe.h"
#include "presence/redis/sentinel_peer.h"
#include "presence/redis/store_redis.h"

enum { SURVEY_SENTINELS_MAX = 16, SURVEY_INSTANCES_MAX = 24 };

struct survey_sentinel {
    char where[REDIS_ADDRESS_TEXT];
    struct sentinel_peer *peer;
};

struct survey_instance {
    struct redis_address address;
    char where[REDIS_ADDRESS_TEXT];
    struct probe *probe;
    struct questioner *questioner;
    struct candidate candidate; /* votes and epoch; the rest only when it is proven */
    char *info;                 /* the text of INFO; NULL: it did not say */
    int64_t clock_us;           /* how far its clock is ahead of ours; 0 when it did not say */
};

struct survey_shard {
    const struct store_redis_shard *of;
    struct survey *survey;
    struct survey_sentinel sentinels[SURVEY_SENTINELS_MAX]; /* none: at a fixed address */
    unsigned sentinel_count;
    struct survey_instance instances[SURVEY_INSTANCES_MAX];
    unsigned instance_count;
    const struct survey_instance *master; /* whom an edge would take; NULL: none proves itself */
};

struct survey {
    uv_loop_t loop;
    const struct store_redis_options *options;
    char stamp_key[128];
    struct survey_shard *shards;
};

/* Asks everyone, for a few seconds at most. options stay valid as long as the survey. Never NULL. */
struct survey *survey_make(const struct store_redis_options *options);

bool survey_is_proven(const struct survey_instance *instance);
void survey_free(struct survey *survey);
