/* What presence costs Redis: CPU a join, a leave, a heartbeat, an asserted fact, a snapshot, as Redis counts it
 * (INFO commandstats); bytes a member at 2, 10 and 100 members a channel; upkeep of a fleet at rest. Prints
 * beside each the figure of presence.md, "Costs to stay near". Starts its own redis-server. */
#include "presence/redis/keys_and_scripts.h"
#include "tests/support/redis_server.h"

#include <stdint.h>

#define ID "c\na\n1\ns"
#define INFO_100                                                                                             \
    "{\"name\":\"Somebody With A "                                                                           \
    "Name\",\"avatar\":\"https://example.test/avatars/0123456789.png\",\"n\":12345}"

enum { MEMBERS = 20000, BATCH = 50 };

struct bench {
    struct redis_server redis;
    char sha[SCRIPT_COUNT][41];
    char timeline[48], owner[24];
    uint64_t number;
    const char *argv[8 + 6 * MEMBERS];
    size_t argc;
    char text[MEMBERS][3][40];
};

static redisReply *run(struct bench *bench, enum script script)
{
    bench->argv[0] = "EVALSHA", bench->argv[1] = bench->sha[script];
    redisReply *reply = redisCommandArgv(bench->redis.control, (int)bench->argc, bench->argv, NULL);
    if (!reply || reply->type != REDIS_REPLY_ARRAY) {
        fprintf(stderr, "%s\n", reply ? reply->str : "no reply");
        exit(1);
    }
    return reply;
}

static void begin(struct bench *bench)
{
    static const char *const head[] = {"", "", "2", "r:{1}", "r:shard", ID};
    memcpy(bench->argv, head, sizeof head);
    bench->argv[6] = bench->timeline, bench->argv[7] = bench->owner, bench->argv[8] = "00000000000000aa";
    bench->argc = 9;
}

static void add(struct bench *bench, const char *text)
{
    bench->argv[bench->argc++] = text;
}

static double cpu_us(struct bench *bench)
{
    redisReply *info = redis_server_do(&bench->redis, "INFO commandstats");
    const char *line = strstr(info->str, "cmdstat_evalsha:");
    double us = line ? strtod(strstr(line, "usec=") + 5, NULL) : 0;
    freeReplyObject(info);
    return us;
}

static double memory(struct bench *bench)
{
    redisReply *info = redis_server_do(&bench->redis, "INFO memory");
    double bytes = strtod(strstr(info->str, "used_memory:") + 12, NULL);
    freeReplyObject(info);
    return bytes;
}

static void greet(struct bench *bench)
{
    static const char *const words[] = {"", "", "2", "r:{1}", "r:shard", "c", "a", "1", "s", "1", "1",
        "0123456789abcdef", "0", "", "00000000000000aa", "bench", "2500000", "10000000", "600000000",
        "60000000"};
    redis_server_just(&bench->redis, "FLUSHALL");
    memcpy(bench->argv, words, sizeof words);
    bench->argc = sizeof words / sizeof *words;
    redisReply *reply = run(bench, SCRIPT_HELLO);
    snprintf(bench->timeline, sizeof bench->timeline, "%s", reply->element[1]->str);
    snprintf(bench->owner, sizeof bench->owner, "%s", reply->element[4]->str);
    bench->number = 0;
    freeReplyObject(reply);
}

static void names(struct bench *bench, int per_channel)
{
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(bench->text[i][0], 40, "app:presence-room-%06d", i / per_channel);
        snprintf(bench->text[i][1], 40, "user-%08d", i);
    }
}

/* All members, so many a batch; returns microseconds of Redis for one. */
static double change(struct bench *bench, const char *kind, int batch)
{
    char number[24];
    double before = cpu_us(bench);
    for (int at = 0; at < MEMBERS; at += batch) {
        begin(bench);
        snprintf(number, sizeof number, "%llu", (unsigned long long)++bench->number);
        add(bench, number);
        add(bench, "0");
        for (int i = at; i < at + batch; i++) {
            add(bench, kind);
            add(bench, bench->text[i][0]);
            add(bench, bench->text[i][1]);
            add(bench, *kind == 'j' ? INFO_100 : "-");
            add(bench, *kind == 'j' ? "100" : "-");
            add(bench, "0");
        }
        freeReplyObject(run(bench, *kind == 'j' ? SCRIPT_WRITE : SCRIPT_LEAVE));
    }
    return (cpu_us(bench) - before) / MEMBERS;
}

static double assert_all(struct bench *bench)
{
    char number[24];
    enum { FACTS = 1000 };
    double before = cpu_us(bench);
    begin(bench);
    snprintf(number, sizeof number, "%llu", (unsigned long long)(bench->number += 10));
    add(bench, number);
    add(bench, "0");
    add(bench, "1000");
    for (int i = 0; i < FACTS; i++) {
        add(bench, "j");
        add(bench, bench->text[i][0]);
        add(bench, bench->text[i][1]);
        add(bench, INFO_100);
        add(bench, "0");
    }
    freeReplyObject(run(bench, SCRIPT_ASSERT));
    return (cpu_us(bench) - before) / FACTS;
}

static double repeat(struct bench *bench, enum script script, const char *argument)
{
    enum { TIMES = 5000 };
    double before = cpu_us(bench);
    for (int i = 0; i < TIMES; i++) {
        begin(bench);
        add(bench, argument);
        freeReplyObject(run(bench, script));
    }
    return (cpu_us(bench) - before) / TIMES;
}

static void bytes_a_member(struct bench *bench, int per_channel, int theirs)
{
    greet(bench);
    names(bench, per_channel);
    double before = memory(bench);
    change(bench, "j", BATCH);
    printf("bytes a member at %3d a channel     %6.0f  (%d)\n", per_channel,
        (memory(bench) - before) / MEMBERS, theirs);
}

int main(void)
{
    struct bench *bench = calloc(1, sizeof *bench);
    redis_server_start(&bench->redis);
    redis_server_just(&bench->redis, "CONFIG SET hash-max-listpack-value 1024");
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        redisReply *sha = redis_server_do(&bench->redis, "SCRIPT LOAD %s", script_texts[i].text);
        snprintf(bench->sha[i], sizeof bench->sha[i], "%s", sha->str);
        freeReplyObject(sha);
    }
    printf("                              measured  (presence.md)\n");
    greet(bench);
    names(bench, 10);
    printf("join, alone, us                     %6.1f  (25)\n", change(bench, "j", 1));
    printf(
        "snapshot of 10 members, us          %6.1f  (2.3)\n", repeat(bench, SCRIPT_READ, bench->text[0][0]));
    double beat = repeat(bench, SCRIPT_HEARTBEAT, "r:b:1");
    printf("heartbeat, us                       %6.1f  (10)\n", beat);
    printf("leave, alone, us                    %6.1f  (19)\n", change(bench, "l", 1));
    printf("join, 50 a batch, us                %6.1f  (10)\n", change(bench, "j", BATCH));
    greet(bench);
    printf("asserted fact after a loss, us      %6.1f  (7)\n", assert_all(bench));
    printf("100 edges at rest, share of a core  %6.3f  (under 0.1)\n", beat * 1e-6 * 100 * 64 / 2.5);
    bytes_a_member(bench, 2, 235);
    bytes_a_member(bench, 10, 173);
    bytes_a_member(bench, 100, 136);
    redis_server_stop(&bench->redis);
    free(bench);
    return 0;
}
