#include "presence/redis/setup_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(setup_tell *tell, void *context, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(setup_tell *tell, void *context, const char *format, ...)
{
    char text[700];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    tell(context, text);
}

static bool same(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static void check_sentinels(const struct store_redis_shard *shard, setup_tell *tell, void *context)
{
    size_t count = shard->sentinel.address_count;
    if (count == 1)
        say(tell, context,
            "shard %s has one Sentinel: without it nothing is failed over, and nobody can outvote it when it "
            "is "
            "wrong. Use three, on three machines.",
            shard->name);
    else if (count && count % 2 == 0)
        say(tell, context,
            "shard %s has %zu Sentinels: an even number bears no more failures than one less, and can be "
            "split in "
            "halves. Use %zu.",
            shard->name, count, count + 1);
}

void setup_check_shards(
    const struct store_redis_shard *shards, unsigned count, setup_tell *tell, void *context)
{
    for (unsigned i = 0; i < count; i++) {
        check_sentinels(&shards[i], tell, context);
        for (unsigned k = 0; k < i; k++) {
            if (!same(shards[i].username, shards[k].username) ||
                !same(shards[i].password, shards[k].password))
                continue;
            say(tell, context,
                "shards %s and %s have the same user and password: a mistake in a Sentinel can then make the "
                "servers of one copy the data of the other. Give each shard a user and a password of its "
                "own.",
                shards[k].name, shards[i].name);
            break;
        }
    }
}

bool setup_info_field(const char *info, const char *name, char *value, size_t bytes)
{
    size_t length = strlen(name);
    for (const char *line = info; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        size_t end = strcspn(line + length + 1, "\r\n");
        snprintf(value, bytes, "%.*s", (int)end, line + length + 1);
        return true;
    }
    return false;
}

bool setup_is_too_old(const char *info, char *version, size_t bytes)
{
    version[0] = '\0';
    return setup_info_field(info, "redis_version", version, bytes) && strtol(version, NULL, 10) < 7;
}

void setup_check_instance(
    const char *info, const char *shard, const char *where, bool replicated, setup_tell *tell, void *context)
{
    char value[64];
    if (setup_is_too_old(info, value, sizeof value))
        say(tell, context, "shard %s: %s is Redis %s. Rollcall needs 7.0 or newer: no edge uses it.", shard,
            where, value);
    if (setup_info_field(info, "maxmemory_policy", value, sizeof value) && strcmp(value, "noeviction") != 0)
        say(tell, context,
            "shard %s: %s has maxmemory-policy %s: when memory is short, Redis throws presence away. Say "
            "maxmemory-policy noeviction.",
            shard, where, value);
    /* Redis says this line only when both settings are not 0. */
    if (replicated && !setup_info_field(info, "min_slaves_good_slaves", value, sizeof value))
        say(tell, context,
            "shard %s: %s has no min-replicas-to-write: cut off from its replicas it goes on accepting "
            "writes, which "
            "the failover throws away. Say min-replicas-to-write 1 and min-replicas-max-lag 2.",
            shard, where);
}

void setup_check_down_after(const char *shard, const char *sentinel, uint32_t down_after_ms,
    uint32_t heartbeat_ms, setup_tell *tell, void *context)
{
    if (!down_after_ms || down_after_ms >= 3 * heartbeat_ms)
        return;
    say(tell, context,
        "shard %s: Sentinel %s has down-after-milliseconds %" PRIu32
        ": it may name another master before edges that "
        "are cut off with the old one have stopped judging others. Say at least %" PRIu32
        " (three times presence.heartbeat_ms).",
        shard, sentinel, down_after_ms, 3 * heartbeat_ms);
}
