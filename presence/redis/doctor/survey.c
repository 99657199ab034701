#include "presence/redis/doctor/survey.h"

#include "presence/base/new.h"
#include "presence/redis/last_good.h"
#include "presence/redis/questioner.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ANSWER_MS = 2000,
    CHASES = 3, /* replicas of replicas */
    INFO = 0,
    TIME = 1,
};

static void on_answered(void *context)
{
    (void)context; /* the loop is run until nobody is asked any more */
}

/* ---- Sentinels ---- */

static void ask_sentinels(struct survey_shard *shard)
{
    static const struct sentinel_peer_events events = {on_answered, on_answered};
    const struct sentinel_options *of = &shard->of->sentinel;
    struct sentinel_peer_options options = {.master = of->master,
        .username = of->username,
        .password = of->password,
        .tls = shard->survey->options->tls,
        .answer_ms = ANSWER_MS};
    for (size_t i = 0; i < of->address_count && i < SURVEY_SENTINELS_MAX; i++) {
        struct survey_sentinel *sentinel = &shard->sentinels[shard->sentinel_count++];
        struct redis_address address;
        redis_address_parse(of->addresses[i], &address);
        redis_address_print(&address, sentinel->where);
        sentinel->peer = sentinel_peer_new(&shard->survey->loop, &address, &options, &events, shard);
        sentinel_peer_ask(sentinel->peer);
    }
}

/* ---- instances ---- */

static bool is_known(const struct survey_shard *shard, const struct redis_address *address)
{
    for (unsigned i = 0; i < shard->instance_count; i++) {
        if (redis_address_equal(&shard->instances[i].address, address))
            return true;
    }
    return false;
}

static void look_at(struct survey_shard *shard, const struct redis_address *address)
{
    if (is_known(shard, address) || shard->instance_count == SURVEY_INSTANCES_MAX)
        return;
    struct survey_instance *instance = &shard->instances[shard->instance_count++];
    struct probe_options options = {
        .username = shard->of->username,
        .password = shard->of->password,
        .tls = shard->survey->options->tls,
        .cluster = shard->survey->options->cluster,
        .shard = shard->of->name,
        .stamp_key = shard->survey->stamp_key,
        .answer_ms = ANSWER_MS,
    };
    instance->address = *address;
    redis_address_print(address, instance->where);
    instance->probe = probe_new(&shard->survey->loop, address, &options, on_answered, shard);
    probe_look(instance->probe);
}

static void look_at_the_named(struct survey_shard *shard)
{
    struct redis_address address;
    if (!shard->sentinel_count && !redis_address_parse(shard->of->address, &address))
        look_at(shard, &address);
    for (unsigned i = 0; i < shard->sentinel_count; i++) {
        const struct sentinel_answer *answer = sentinel_peer_answer(shard->sentinels[i].peer);
        if (answer->named)
            look_at(shard, &answer->master);
        for (size_t k = 0; k < answer->replica_count; k++)
            look_at(shard, &answer->replicas[k]);
    }
    const struct store_redis_options *options = shard->survey->options;
    char *path = last_good_path(options->state_folder, options->cluster, shard->of->name);
    if (shard->sentinel_count && !last_good_read(path, &address))
        look_at(shard, &address);
    free(path);
}

static void look_at_their_masters(struct survey_shard *shard)
{
    for (unsigned i = 0; i < shard->instance_count; i++) {
        const struct probe_result *result = probe_result(shard->instances[i].probe);
        if (result->verdict == PROBE_REPLICA)
            look_at(shard, &result->master);
    }
}

/* ---- INFO and TIME ---- */

static void on_replied(void *context, unsigned question, const redisReply *reply)
{
    struct survey_instance *instance = context;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (question == INFO && reply->type == REDIS_REPLY_STRING && !instance->info) {
        instance->info = new_text(reply->str);
    } else if (question == TIME && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
               reply->element[0]->str && reply->element[1]->str) {
        int64_t its_us =
            strtoll(reply->element[0]->str, NULL, 10) * 1000000 + strtoll(reply->element[1]->str, NULL, 10);
        instance->clock_us = its_us - ((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    }
}

static void on_finished(void *context, enum asked asked, const char *why)
{
    (void)context;
    (void)asked; /* then it is not said */
    (void)why;
}

static void ask_for_details(struct survey_shard *shard)
{
    static const struct questioner_events events = {on_replied, on_finished};
    struct questioner_options options = {
        .username = shard->of->username,
        .password = shard->of->password,
        .tls = shard->survey->options->tls,
        .answer_ms = ANSWER_MS,
        .questions = {{{"INFO"}}, {{"TIME"}}},
        .count = 2,
    };
    for (unsigned i = 0; i < shard->instance_count; i++) {
        struct survey_instance *instance = &shard->instances[i];
        enum probe_verdict verdict = probe_result(instance->probe)->verdict;
        if (verdict != PROBE_MASTER && verdict != PROBE_REPLICA)
            continue;
        instance->questioner =
            questioner_new(&shard->survey->loop, &instance->address, &options, &events, instance);
        questioner_ask(instance->questioner);
    }
}

/* ---- the whole ---- */

bool survey_is_proven(const struct survey_instance *instance)
{
    return probe_result(instance->probe)->verdict == PROBE_MASTER;
}

static bool is_asking(const struct survey_shard *shard)
{
    for (unsigned i = 0; i < shard->sentinel_count; i++) {
        if (sentinel_peer_is_asking(shard->sentinels[i].peer))
            return true;
    }
    for (unsigned i = 0; i < shard->instance_count; i++) {
        const struct survey_instance *instance = &shard->instances[i];
        if (probe_is_looking(instance->probe) ||
            (instance->questioner && questioner_is_asking(instance->questioner)))
            return true;
    }
    return false;
}

static void each(struct survey *survey, void (*act)(struct survey_shard *shard))
{
    for (unsigned i = 0; i < survey->options->shard_count; i++)
        act(&survey->shards[i]);
}

static void wait_for_all(struct survey *survey)
{
    for (unsigned i = 0; i < survey->options->shard_count; i++) {
        while (is_asking(&survey->shards[i]))
            uv_run(&survey->loop, UV_RUN_ONCE);
    }
}

static void count_votes(struct survey_shard *shard)
{
    size_t proven[SURVEY_INSTANCES_MAX], count = 0;
    struct candidate candidates[SURVEY_INSTANCES_MAX] = {0};
    for (unsigned i = 0; i < shard->instance_count; i++) {
        struct survey_instance *instance = &shard->instances[i];
        struct candidate *candidate = &instance->candidate;
        for (unsigned k = 0; k < shard->sentinel_count; k++) {
            const struct sentinel_answer *answer = sentinel_peer_answer(shard->sentinels[k].peer);
            if (!answer->named || !redis_address_equal(&answer->master, &instance->address))
                continue;
            candidate->votes++;
            candidate->epoch = answer->epoch > candidate->epoch ? answer->epoch : candidate->epoch;
        }
        candidate->majority = candidate_majority(candidate->votes, shard->sentinel_count);
        candidate->stamped = probe_result(instance->probe)->stamped;
        candidate->timeline = probe_result(instance->probe)->timeline;
        candidates[count] = *candidate;
        proven[count] = i;
        count += survey_is_proven(instance);
    }
    size_t best = candidate_best(candidates, count);
    shard->master = best < count ? &shard->instances[proven[best]] : NULL;
}

struct survey *survey_make(const struct store_redis_options *options)
{
    struct survey *survey = new_zeroed(sizeof *survey);
    must(uv_loop_init(&survey->loop) == 0);
    survey->options = options;
    snprintf(survey->stamp_key, sizeof survey->stamp_key, "%s:shard", options->prefix);
    survey->shards = new_array(options->shard_count, sizeof *survey->shards);
    for (unsigned i = 0; i < options->shard_count; i++) {
        survey->shards[i].of = &options->shards[i];
        survey->shards[i].survey = survey;
    }
    each(survey, ask_sentinels);
    wait_for_all(survey);
    each(survey, look_at_the_named);
    wait_for_all(survey);
    for (int i = 0; i < CHASES; i++) {
        each(survey, look_at_their_masters);
        wait_for_all(survey);
    }
    each(survey, ask_for_details);
    wait_for_all(survey);
    each(survey, count_votes);
    return survey;
}

static void free_shard(struct survey_shard *shard)
{
    for (unsigned i = 0; i < shard->sentinel_count; i++)
        sentinel_peer_free(shard->sentinels[i].peer);
    for (unsigned i = 0; i < shard->instance_count; i++) {
        probe_free(shard->instances[i].probe);
        questioner_free(shard->instances[i].questioner);
        free(shard->instances[i].info);
    }
}

void survey_free(struct survey *survey)
{
    each(survey, free_shard);
    uv_run(&survey->loop, UV_RUN_DEFAULT);
    uv_loop_close(&survey->loop);
    free(survey->shards);
    free(survey);
}
