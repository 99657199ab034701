/* What presence costs Redis: CPU a join, a leave, a heartbeat, an asserted fact, a snapshot, a scrubbed fact, as Redis
 * counts it (INFO commandstats); bytes a member at 2, 10 and 100 members a channel; upkeep of a fleet at rest. The floor of
 * CPU is a script that does nothing, called with the same arguments as often; that of memory is a plain hash of users and
 * their info for each channel. Starts its own redis-server. Prints, for bench.mjs, a line of JSON for each: the floor, what
 * was measured, and the figure that the design had (presence.md, "Costs to stay near"; 0: none). */
#include "presence/redis/keys_and_scripts.h"
#include "tests/support/redis_server.h"

#include <stdint.h>

#define ID "c\na\n1\ns"
#define INFO_100                                                                                             \
    "{\"name\":\"Somebody With A "                                                                           \
    "Name\",\"avatar\":\"https://example.test/avatars/0123456789.png\",\"n\":12345}"

enum {
    MEMBERS = 20000,
    BATCH = 50,          /* operations of one write, as the engine sends them */
    SCRUB_CHANNELS = 50, /* of one scrub, likewise */
    PER_CHANNEL = 10,
    S_US =
        1000, /* so short a scrub period that every scrub is a whole one, which of all owners' only the first is */
};
static const char bare_script[] = "#!lua\nreturn {'OK'}";
/* Rosters, what is held and the lists of channels are gone; the stamps, the leases and the owners are not. */
static const char forget_script[] = "for _, kind in ipairs({'r', 'h', 'c'}) do "
                                    "for _, key in ipairs(redis.call('KEYS', 'r:{1}:' .. kind .. ':*')) do "
                                    "redis.call('DEL', key) end end";

struct bench {
    struct redis_server redis;
    char sha[SCRIPT_COUNT][41], bare_sha[41];
    bool bare; /* the floor is being measured */
    char timeline[48], owner[24];
    char scrub_us[12];
    uint64_t number;
    const char *argv[8 + 6 * MEMBERS];
    size_t argc;
    char text[MEMBERS][3][40];
};

static redisReply *run(struct bench *bench, enum script script)
{
    bench->argv[0] = "EVALSHA", bench->argv[1] = bench->bare ? bench->bare_sha : bench->sha[script];
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
    const char *const words[] = {"", "", "2", "r:{1}", "r:shard", "c", "a", "1", "s", "1", "1",
        "0123456789abcdef", "0", "", "00000000000000aa", "bench", "2500000", "10000000", "600000000",
        bench->scrub_us};
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

/* All facts of an owner, a thousand, a few times; returns microseconds of Redis for one, of the fastest: Redis counts by the
 * clock, and so long a command is easily interrupted. */
static double assert_all(struct bench *bench)
{
    char number[24];
    enum { FACTS = 1000, TIMES = 10 };
    double fastest = 1e9;
    for (int time = 0; time < TIMES; time++) {
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
        if (!bench->bare) /* lost, but for the owner */
            redis_server_just(&bench->redis, "EVAL %s 0", forget_script);
        double before = cpu_us(bench);
        freeReplyObject(run(bench, SCRIPT_ASSERT));
        double took = cpu_us(bench) - before;
        fastest = took < fastest ? took : fastest;
    }
    return fastest / FACTS;
}

static double repeat(struct bench *bench, enum script script, const char *argument)
{
    enum { TIMES = 5000 };
    double before = cpu_us(bench);
    for (int i = 0; i < TIMES; i++) {
        begin(bench);
        add(bench, argument);
        if (script == SCRIPT_HEARTBEAT)
            add(bench, "a"); /* where the partition is, and is wanted */
        freeReplyObject(run(bench, script));
    }
    return (cpu_us(bench) - before) / TIMES;
}

/* All members, a slice of channels at a time; returns microseconds of Redis for one. */
static double scrub_all(struct bench *bench)
{
    static char users[12];
    snprintf(users, sizeof users, "%d", PER_CHANNEL);
    double before = cpu_us(bench);
    for (int at = 0; at < MEMBERS; at += SCRUB_CHANNELS * PER_CHANNEL) {
        begin(bench);
        add(bench, "0");
        for (int first = at; first < at + SCRUB_CHANNELS * PER_CHANNEL; first += PER_CHANNEL) {
            add(bench, bench->text[first][0]);
            add(bench, "r");
            add(bench, "0");
            add(bench, "0");
            add(bench, users);
            for (int i = first; i < first + PER_CHANNEL; i++)
                add(bench, bench->text[i][1]);
        }
        freeReplyObject(run(bench, SCRIPT_SCRUB));
    }
    return (cpu_us(bench) - before) / MEMBERS;
}

/* ---- what is printed ---- */

static void print(const char *name, const char *unit, double floor, double measured, double design)
{
    printf("{\"name\":\"%s\",\"unit\":\"%s\",\"floor\":%.4f,\"measured\":%.4f,\"design\":%.3g}\n", name, unit,
        floor, measured, design);
}

static void fresh(struct bench *bench, int per_channel)
{
    greet(bench);
    names(bench, per_channel);
}

static void bytes_a_member(struct bench *bench, int per_channel, double design)
{
    char name[64];
    fresh(bench, per_channel);
    double before = memory(bench);
    for (int i = 0; i < MEMBERS; i++)
        redis_server_just(
            &bench->redis, "HSET plain:%s %s %s", bench->text[i][0], bench->text[i][1], INFO_100);
    double floor = (memory(bench) - before) / MEMBERS;
    fresh(bench, per_channel);
    before = memory(bench);
    change(bench, "j", BATCH);
    snprintf(name, sizeof name, "bytes a member at %d a channel", per_channel);
    print(name, "bytes", floor, (memory(bench) - before) / MEMBERS, design);
}

/* Microseconds of Redis, of the floor and of the script. Whoever changes something begins with nothing (or, for leaves,
 * with everyone there). */
struct cost {
    double floor, script;
};

static struct cost cost_of_change(struct bench *bench, const char *kind, int batch)
{
    struct cost cost;
    fresh(bench, PER_CHANNEL);
    if (*kind == 'l')
        change(bench, "j", BATCH);
    uint64_t number = bench->number;
    bench->bare = true;
    cost.floor = change(bench, kind, batch);
    bench->bare = false;
    bench->number = number;
    cost.script = change(bench, kind, batch);
    return cost;
}

static struct cost cost_of(struct bench *bench, double (*measure)(struct bench *, enum script, const char *),
    enum script script, const char *argument)
{
    struct cost cost;
    bench->bare = true;
    cost.floor = measure(bench, script, argument);
    bench->bare = false;
    cost.script = measure(bench, script, argument);
    return cost;
}

static double assert_with(struct bench *bench, enum script script, const char *argument)
{
    (void)script, (void)argument;
    return assert_all(bench);
}

static double scrub_with(struct bench *bench, enum script script, const char *argument)
{
    (void)script, (void)argument;
    return scrub_all(bench);
}

static void print_cpu(struct bench *bench)
{
    struct cost cost = cost_of_change(bench, "j", 1);
    print("Redis CPU of a join, alone", "us", cost.floor, cost.script, 25);
    cost = cost_of_change(bench, "j", BATCH);
    print("Redis CPU of a join, 50 at once", "us", cost.floor, cost.script, 10);
    cost = cost_of(bench, repeat, SCRIPT_READ, bench->text[0][0]);
    print("Redis CPU of a roster of 10 read", "us", cost.floor, cost.script, 2.3);
    struct cost beat = cost_of(bench, repeat, SCRIPT_HEARTBEAT, "r:b:1");
    print("Redis CPU of a heartbeat", "us", beat.floor, beat.script, 10);
    struct cost scrub = cost_of(bench, scrub_with, SCRIPT_SCRUB, NULL);
    print("Redis CPU of a fact scrubbed", "us", scrub.floor, scrub.script, 0);
    cost = cost_of_change(bench, "l", 1);
    print("Redis CPU of a leave, alone", "us", cost.floor, cost.script, 19);
    fresh(bench, PER_CHANNEL);
    cost = cost_of(bench, assert_with, SCRIPT_ASSERT, NULL);
    print("Redis CPU of a fact asserted again", "us", cost.floor, cost.script, 7);
    /* 64 partitions, a heartbeat every 2.5 s, each fact scrubbed once in 60 s: the defaults. */
    enum { PARTITIONS = 64, EDGES = 10, FACTS = 100000 };
    const double beats = EDGES * PARTITIONS / 2.5, scrubs = FACTS / 60.0;
    print("100,000 memberships at rest on 10 edges, of a core of Redis", "percent",
        (beats * beat.floor + scrubs * scrub.floor) / 1e4,
        (beats * beat.script + scrubs * scrub.script) / 1e4, 0);
}

static void load_scripts(struct bench *bench)
{
    for (int i = 0; i <= SCRIPT_COUNT; i++) {
        const char *text = i < SCRIPT_COUNT ? script_texts[i].text : bare_script;
        char *to = i < SCRIPT_COUNT ? bench->sha[i] : bench->bare_sha;
        redisReply *sha = redis_server_do(&bench->redis, "SCRIPT LOAD %s", text);
        snprintf(to, sizeof bench->bare_sha, "%s", sha->str);
        freeReplyObject(sha);
    }
}

int main(void)
{
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench)
        abort();
    snprintf(bench->scrub_us, sizeof bench->scrub_us, "%d", S_US);
    redis_server_start(&bench->redis);
    redis_server_just(&bench->redis, "CONFIG SET hash-max-listpack-value 1024");
    load_scripts(bench);
    print_cpu(bench);
    bytes_a_member(bench, 2, 235);
    bytes_a_member(bench, 10, 173);
    bytes_a_member(bench, 100, 136);
    redis_server_stop(&bench->redis);
    free(bench);
    return 0;
}
