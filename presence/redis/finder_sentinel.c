#include "presence/redis/finder_internal.h"
#include "presence/redis/last_good.h"
#include "presence/tls/client.h"

#include "presence/base/new.h"

#include <stdio.h>
#include <stdlib.h>

static void step(struct finder_sentinel *finder);
static void on_poll(uv_timer_t *timer);

static struct finder_sentinel *behind(struct master_finder *finder)
{
    return (struct finder_sentinel *)finder;
}

/* ---- what the Sentinels say ---- */

static bool names(const struct sentinel *sentinel, const struct redis_address *address)
{
    const struct sentinel_answer *answer = sentinel_peer_answer(sentinel->peer);
    uint64_t age_ms = uv_now(sentinel->finder->loop) - answer->asked_ms;
    return answer->named && age_ms <= sentinel->finder->confirm_ms &&
           redis_address_equal(&answer->master, address);
}

/* Votes and epoch of an address. */
static struct candidate count_votes(const struct finder_sentinel *finder, const struct redis_address *address)
{
    struct candidate candidate = {0};
    for (unsigned i = 0; i < finder->sentinel_count; i++) {
        const struct sentinel *sentinel = &finder->sentinels[i];
        if (!names(sentinel, address))
            continue;
        uint64_t epoch = sentinel_peer_answer(sentinel->peer)->epoch;
        candidate.votes++;
        candidate.epoch = epoch > candidate.epoch ? epoch : candidate.epoch;
    }
    candidate.majority = candidate_majority(candidate.votes, finder->sentinel_count);
    return candidate;
}

bool finder_is_confirmed(const struct finder_sentinel *finder)
{
    return finder->has_current && count_votes(finder, &finder->current).majority;
}

static bool confirmed(struct master_finder *face)
{
    return finder_is_confirmed(behind(face));
}

/* ---- candidates ---- */

static void on_looked(void *context)
{
    struct instance *instance = context;
    step(instance->finder);
}

struct instance *finder_instance(const struct finder_sentinel *finder, const struct redis_address *address)
{
    for (unsigned i = 0; i < finder->instance_count; i++) {
        if (redis_address_equal(&finder->instances[i]->address, address))
            return finder->instances[i];
    }
    return NULL;
}

static struct instance *add_instance(struct finder_sentinel *finder, const struct redis_address *address)
{
    if (finder->instance_count == PROBES_MAX)
        return NULL;
    struct instance *instance = new_zeroed(sizeof *instance);
    struct probe_options options = {
        .username = finder->username,
        .password = finder->password,
        .tls = finder->tls,
        .cluster = finder->cluster,
        .shard = finder->shard,
        .stamp_key = finder->stamp_key,
        .answer_ms = ANSWER_MS,
    };
    instance->finder = finder;
    instance->address = *address;
    instance->probe = probe_new(finder->loop, address, &options, on_looked, instance);
    finder->instances[finder->instance_count++] = instance;
    return instance;
}

/* Looks at it, once a round. */
static void want(struct finder_sentinel *finder, const struct redis_address *address)
{
    struct instance *instance = finder_instance(finder, address);
    if (!instance)
        instance = add_instance(finder, address);
    if (!instance || instance->wanted_round == finder->round)
        return;
    instance->wanted_round = finder->round;
    probe_look(instance->probe);
}

static bool is_rejected(const struct instance *instance)
{
    return uv_now(instance->finder->loop) < instance->rejected_until_ms;
}

static bool is_proven(const struct instance *instance)
{
    const struct probe_result *result = probe_result(instance->probe);
    const struct finder_sentinel *finder = instance->finder;
    uint64_t age_ms = uv_now(finder->loop) - result->asked_ms;
    return result->verdict == PROBE_MASTER && !is_rejected(instance) && result->asked_ms >= finder->lost_ms &&
           age_ms <= finder->poll_ms + ANSWER_MS;
}

static struct candidate candidate_of(const struct instance *instance)
{
    const struct probe_result *result = probe_result(instance->probe);
    struct candidate candidate = count_votes(instance->finder, &instance->address);
    candidate.stamped = result->stamped;
    candidate.timeline = result->timeline;
    return candidate;
}

static struct instance *best_of(const struct finder_sentinel *finder, struct candidate *best)
{
    struct candidate candidates[PROBES_MAX];
    struct instance *proven[PROBES_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < finder->instance_count; i++) {
        if (!is_proven(finder->instances[i]))
            continue;
        candidates[count] = candidate_of(finder->instances[i]);
        proven[count++] = finder->instances[i];
    }
    if (!count)
        return NULL;
    size_t at = candidate_best(candidates, count);
    *best = candidates[at];
    return proven[at];
}

static void want_all(struct finder_sentinel *finder)
{
    struct candidate best = {0};
    for (unsigned i = 0; i < finder->sentinel_count; i++) {
        const struct sentinel_answer *answer = sentinel_peer_answer(finder->sentinels[i].peer);
        if (answer->named)
            want(finder, &answer->master);
    }
    if (finder->has_current)
        want(finder, &finder->current);
    if (finder->has_last_good)
        want(finder, &finder->last_good);
    for (unsigned i = 0; i < finder->instance_count; i++) {
        const struct probe_result *result = probe_result(finder->instances[i]->probe);
        if (result->verdict == PROBE_REPLICA)
            want(finder, &result->master);
    }
    if (best_of(finder, &best) && best.majority)
        return;
    /* In need, everyone who may know somebody. */
    for (unsigned i = 0; i < finder->sentinel_count; i++) {
        const struct sentinel_answer *answer = sentinel_peer_answer(finder->sentinels[i].peer);
        for (size_t k = 0; k < answer->replica_count; k++)
            want(finder, &answer->replicas[k]);
    }
}

/* ---- the last good address ---- */

static void free_if_done(struct finder_sentinel *finder)
{
    if (!finder->closing || finder->handles)
        return;
    tls_client_unref(finder->tls);
    char *texts[] = {finder->master, finder->sentinel_username, finder->sentinel_password, finder->cluster,
        finder->shard, finder->stamp_key, finder->username, finder->password, finder->path};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free(finder);
}

static void on_written(void *context, const char *why)
{
    struct finder_sentinel *finder = context;
    finder->handles--;
    finder->writing = false;
    if (why && !finder->closing)
        finder_alarm(finder, "shard %s: edge.state_dir: the address of the master cannot be kept in %s (%s)",
            finder->shard, finder->path, why);
    free_if_done(finder);
}

/* Good is what is in use, and by its stamp ours. */
static void keep(struct finder_sentinel *finder)
{
    const struct instance *instance = finder_instance(finder, &finder->current);
    bool is_good = finder->has_current && !finder->found && instance && is_proven(instance) &&
                   probe_result(instance->probe)->stamped;
    bool is_kept = finder->has_last_good && redis_address_equal(&finder->last_good, &finder->current);
    if (!is_good || is_kept || finder->writing)
        return;
    finder->last_good = finder->current;
    finder->has_last_good = true;
    if (!finder->path)
        return;
    finder->writing = true;
    finder->handles++;
    last_good_write(finder->loop, finder->path, &finder->current, on_written, finder);
}

/* ---- decisions ---- */

static bool is_asking(const struct finder_sentinel *finder)
{
    for (unsigned i = 0; i < finder->sentinel_count; i++) {
        if (sentinel_peer_is_asking(finder->sentinels[i].peer))
            return true;
    }
    for (unsigned i = 0; i < finder->instance_count; i++) {
        if (probe_is_looking(finder->instances[i]->probe))
            return true;
    }
    return false;
}

static void offer(struct finder_sentinel *finder, const struct instance *instance)
{
    void (*found)(void *, const struct redis_address *) = finder->found;
    finder->found = NULL;
    finder->current = instance->address;
    finder->has_current = true;
    finder->found_ms = uv_now(finder->loop);
    found(finder->found_context, &finder->current);
}

static void move(struct finder_sentinel *finder, const char *why)
{
    finder->has_current = false;
    if (finder->finder.moved)
        finder->finder.moved(finder->finder.context, why);
}

/* A master is in use: is it still the one? What the link sees itself (a lost connection, READONLY) it needs no
 * finder for. */
static void compare_with_current(struct finder_sentinel *finder)
{
    char why[400], text[REDIS_ADDRESS_TEXT], other[REDIS_ADDRESS_TEXT];
    struct instance *current = finder_instance(finder, &finder->current);
    struct candidate best;
    if (!current)
        return;
    const struct probe_result *result = probe_result(current->probe);
    redis_address_print(&finder->current, text);
    if (result->asked_ms >= finder->found_ms &&
        (result->verdict == PROBE_REPLICA || result->verdict == PROBE_FOREIGN)) {
        snprintf(why, sizeof why, "%.80s %.300s", text, result->why);
        move(finder, why);
        return;
    }
    struct instance *better = best_of(finder, &best);
    struct candidate has = candidate_of(current);
    if (!better || better == current || !candidate_beaten(&has, &best))
        return;
    snprintf(why, sizeof why, "%.80s is the master now, named by %u of %u Sentinels; %.80s by %u",
        redis_address_print(&better->address, other), best.votes, finder->sentinel_count, text, has.votes);
    move(finder, why);
}

static void decide(struct finder_sentinel *finder)
{
    struct candidate best = {0};
    if (!finder->found) {
        if (finder->has_current && finder->is_round_over)
            compare_with_current(finder);
        return;
    }
    struct instance *instance = best_of(finder, &best);
    if (instance && (best.majority || finder->is_round_over))
        offer(finder, instance);
}

/* ---- rounds ---- */

static void end_round(struct finder_sentinel *finder)
{
    finder->is_round_over = true;
    uv_timer_stop(&finder->round_end);
    decide(finder);
    finder_judge(finder);
    keep(finder);
    if (finder->found)
        uv_timer_start(&finder->poll, on_poll, SEARCH_MS, finder->poll_ms);
}

/* Something was learnt. */
static void step(struct finder_sentinel *finder)
{
    if (finder->closing || finder->is_round_over)
        return;
    want_all(finder);
    decide(finder);
    if (!is_asking(finder))
        end_round(finder);
}

static void on_round_end(uv_timer_t *timer)
{
    struct finder_sentinel *finder = timer->data;
    if (!finder->is_round_over)
        end_round(finder);
}

/* Those that nobody has named lately. */
static void forget_instances(struct finder_sentinel *finder)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < finder->instance_count; i++) {
        struct instance *instance = finder->instances[i];
        if (instance->wanted_round + KEEP_ROUNDS >= finder->round || is_rejected(instance)) {
            finder->instances[kept++] = instance;
        } else {
            probe_free(instance->probe);
            free(instance);
        }
    }
    finder->instance_count = kept;
}

static void begin_round(struct finder_sentinel *finder)
{
    forget_instances(finder);
    finder->round++;
    finder->is_round_over = false;
    uv_timer_start(&finder->round_end, on_round_end, ANSWER_MS + ANSWER_MS / 10, 0);
    uv_timer_start(&finder->poll, on_poll, finder->poll_ms, finder->poll_ms);
    for (unsigned i = 0; i < finder->sentinel_count; i++)
        sentinel_peer_ask(finder->sentinels[i].peer);
    want_all(finder);
}

static void on_poll(uv_timer_t *timer)
{
    begin_round(timer->data);
}

static void on_answered(void *context)
{
    struct sentinel *sentinel = context;
    step(sentinel->finder);
}

/* From within a peer's callback: the next turn asks. */
static void on_switched(void *context)
{
    struct sentinel *sentinel = context;
    uv_timer_start(&sentinel->finder->poll, on_poll, 0, sentinel->finder->poll_ms);
}

/* ---- the face ---- */

static void find(struct master_finder *face,
    void (*found)(void *context, const struct redis_address *address), void *context)
{
    struct finder_sentinel *finder = behind(face);
    finder->has_current = false;
    finder->found = found;
    finder->found_context = context;
    finder->lost_ms = uv_now(finder->loop);
    begin_round(finder);
}

static uint64_t reject(struct master_finder *face, const struct redis_address *address, uint64_t for_ms)
{
    struct finder_sentinel *finder = behind(face);
    struct instance *instance = finder_instance(finder, address);
    if (instance)
        instance->rejected_until_ms = uv_now(finder->loop) + for_ms;
    if (finder->has_current && redis_address_equal(&finder->current, address))
        finder->has_current = false;
    return 0; /* there may be others */
}

static void on_closed(uv_handle_t *handle)
{
    struct finder_sentinel *finder = handle->data;
    finder->handles--;
    free_if_done(finder);
}

static void free_finder(struct master_finder *face)
{
    struct finder_sentinel *finder = behind(face);
    finder->closing = true;
    for (unsigned i = 0; i < finder->sentinel_count; i++)
        sentinel_peer_free(finder->sentinels[i].peer);
    for (unsigned i = 0; i < finder->instance_count; i++) {
        probe_free(finder->instances[i]->probe);
        free(finder->instances[i]);
    }
    uv_close((uv_handle_t *)&finder->poll, on_closed);
    uv_close((uv_handle_t *)&finder->round_end, on_closed);
}

static struct finder_sentinel *new_finder(uv_loop_t *loop, const struct finder_sentinel_options *options)
{
    static const struct master_finder_operations operations = {find, reject, confirmed, free_finder};
    struct finder_sentinel *finder = new_zeroed(sizeof *finder);
    finder->finder.operations = &operations;
    finder->loop = loop;
    finder->master = new_text(options->sentinel.master);
    finder->sentinel_username = new_text(options->sentinel.username);
    finder->sentinel_password = new_text(options->sentinel.password);
    finder->cluster = new_text(options->cluster);
    finder->shard = new_text(options->shard);
    finder->stamp_key = new_text(options->stamp_key);
    finder->username = new_text(options->username);
    finder->password = new_text(options->password);
    finder->tls = tls_client_ref(options->tls);
    finder->path = last_good_path(options->state_folder, options->cluster, options->shard);
    finder->has_last_good = last_good_read(finder->path, &finder->last_good) == 0;
    finder->confirm_ms = 2 * (uint64_t)options->heartbeat_ms;
    finder->poll_ms = options->heartbeat_ms * 4 / 5 < POLL_MS ? options->heartbeat_ms * 4 / 5 : POLL_MS;
    finder->is_round_over = true;
    return finder;
}

static void add_sentinel(struct finder_sentinel *finder, const struct redis_address *address)
{
    static const struct sentinel_peer_events events = {on_answered, on_switched};
    struct sentinel *sentinel = &finder->sentinels[finder->sentinel_count++];
    struct sentinel_peer_options options = {
        .master = finder->master,
        .username = finder->sentinel_username,
        .password = finder->sentinel_password,
        .tls = finder->tls,
        .answer_ms = ANSWER_MS,
    };
    sentinel->finder = finder;
    sentinel->address = *address;
    sentinel->peer = sentinel_peer_new(finder->loop, address, &options, &events, sentinel);
}

struct master_finder *finder_sentinel_new(uv_loop_t *loop, const struct finder_sentinel_options *options)
{
    struct redis_address addresses[SENTINELS_MAX];
    size_t count = options->sentinel.address_count;
    if (!count || count > SENTINELS_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (redis_address_parse(options->sentinel.addresses[i], &addresses[i]))
            return NULL;
    }
    struct finder_sentinel *finder = new_finder(loop, options);
    uv_timer_init(loop, &finder->poll);
    uv_timer_init(loop, &finder->round_end);
    finder->poll.data = finder->round_end.data = finder;
    finder->handles = 2;
    for (size_t i = 0; i < count; i++)
        add_sentinel(finder, &addresses[i]);
    uv_timer_start(&finder->poll, on_poll, 0, finder->poll_ms);
    return &finder->finder;
}
