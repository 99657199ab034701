/* What the files of the Sentinel finder share. */
#pragma once

#include "presence/redis/candidate.h"
#include "presence/redis/finder_sentinel.h"
#include "presence/redis/probe.h"
#include "presence/redis/sentinel_peer.h"

enum {
    SEARCH_MS = 250, /* between two rounds, while no master is known */
    POLL_MS =
        2000, /* presence.md; less where the heartbeat is short, or no majority would last from one to the
                         next */
    ANSWER_MS = 1000, /* a Sentinel or an instance that says nothing for so long is passed over */
    SENTINELS_MAX = 16,
    PROBES_MAX = 24, /* what a lying Sentinel can make us look at */
    KEEP_ROUNDS = 3, /* a candidate that nobody names any more is looked at for so long */
    ALARM_EVERY_MS = 10000,
};

struct tls_client;

struct sentinel {
    struct finder_sentinel *finder;
    struct redis_address address;
    struct sentinel_peer *peer;
    unsigned wrong_rounds; /* in a row, in which it named what is no master */
    uint64_t alarmed_ms;
    char alarmed[512]; /* what was said last: that is not repeated at once, but anything else is */
};

struct instance {
    struct finder_sentinel *finder;
    struct redis_address address;
    struct probe *probe;
    uint64_t wanted_round;
    uint64_t rejected_until_ms;
};

struct finder_sentinel {
    struct master_finder finder; /* first */
    uv_loop_t *loop;
    uv_timer_t poll, round_end;
    unsigned handles; /* and files being written */
    bool closing;
    char *master, *sentinel_username, *sentinel_password;
    char *cluster, *shard, *stamp_key, *username, *password, *path;
    struct tls_client *tls; /* with a reference */
    uint64_t poll_ms, confirm_ms;
    struct sentinel sentinels[SENTINELS_MAX];
    unsigned sentinel_count;
    struct instance *instances[PROBES_MAX];
    unsigned instance_count;
    uint64_t round;
    bool is_round_over;
    void (*found)(void *context, const struct redis_address *address); /* NULL: nobody waits */
    void *found_context;
    struct redis_address current; /* what was found last */
    bool has_current;
    uint64_t lost_ms; /* when find() was called: what was learnt before may be what has just broken */
    uint64_t found_ms, unconfirmed_alarm_ms, nobody_alarm_ms;
    struct redis_address last_good; /* as in the file */
    bool has_last_good, writing;
};

/* ---- finder_sentinel.c ---- */
struct instance *finder_instance(const struct finder_sentinel *finder, const struct redis_address *address);
bool finder_is_confirmed(const struct finder_sentinel *finder);

/* ---- finder_judge.c ---- */
void finder_alarm(struct finder_sentinel *finder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* At the end of a round: alarms for what is wrong, each not more often than every ten seconds. */
void finder_judge(struct finder_sentinel *finder);
