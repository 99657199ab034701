/* What people should know of the Sentinels and of the master in use. */
#include "presence/redis/finder_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void finder_alarm(struct finder_sentinel *finder, const char *format, ...)
{
    char text[800];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (finder->finder.alarm)
        finder->finder.alarm(finder->finder.context, text);
}

static bool is_time(struct finder_sentinel *finder, uint64_t *last_ms)
{
    uint64_t now = uv_now(finder->loop);
    if (*last_ms && now - *last_ms < ALARM_EVERY_MS)
        return false;
    *last_ms = now;
    return true;
}

static void complain(struct sentinel *sentinel, const char *text)
{
    struct finder_sentinel *finder = sentinel->finder;
    char who[REDIS_ADDRESS_TEXT];
    if (strncmp(text, sentinel->alarmed, sizeof sentinel->alarmed - 1) != 0)
        sentinel->alarmed_ms = 0;
    if (!is_time(finder, &sentinel->alarmed_ms))
        return;
    snprintf(sentinel->alarmed, sizeof sentinel->alarmed, "%s", text);
    finder_alarm(finder, "shard %s: Sentinel %.80s %s", finder->shard,
        redis_address_print(&sentinel->address, who), text);
}

static void judge_sentinel(struct finder_sentinel *finder, struct sentinel *sentinel)
{
    const struct sentinel_answer *answer = sentinel_peer_answer(sentinel->peer);
    struct instance *instance = answer->named ? finder_instance(finder, &answer->master) : NULL;
    const struct probe_result *result = instance ? probe_result(instance->probe) : NULL;
    bool is_wrong = result && result->verdict != PROBE_MASTER && result->verdict != PROBE_UNKNOWN;
    char text[512], whom[REDIS_ADDRESS_TEXT];
    if (!is_wrong && !answer->problem[0]) {
        sentinel->wrong_rounds = 0;
        return;
    }
    sentinel->wrong_rounds++;
    if (answer->problem[0])
        snprintf(text, sizeof text, "%s", answer->problem);
    else
        snprintf(text, sizeof text, "names %.80s as its master, but that %.300s",
            redis_address_print(&answer->master, whom), result->why);
    /* In the middle of a failover an instance may be a replica, or gone, and a Sentinel restarting. */
    bool is_sure =
        !answer->problem[0] && (result->verdict == PROBE_REFUSES || result->verdict == PROBE_FOREIGN);
    if (is_sure || sentinel->wrong_rounds >= 2)
        complain(sentinel, text);
}

void finder_judge(struct finder_sentinel *finder)
{
    char text[REDIS_ADDRESS_TEXT];
    for (unsigned i = 0; i < finder->sentinel_count; i++)
        judge_sentinel(finder, &finder->sentinels[i]);
    if (finder->found && is_time(finder, &finder->nobody_alarm_ms))
        finder_alarm(finder, "shard %s: no instance proves to be its master", finder->shard);
    bool is_new = uv_now(finder->loop) - finder->found_ms <= finder->confirm_ms;
    if (finder->has_current && !finder->found && !is_new && !finder_is_confirmed(finder) &&
        is_time(finder, &finder->unconfirmed_alarm_ms))
        finder_alarm(finder,
            "shard %s: %.80s is used, but no majority of its Sentinels names it: members of dead edges stay, "
            "and "
            "webhooks wait",
            finder->shard, redis_address_print(&finder->current, text));
}
