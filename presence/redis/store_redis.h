/* The store of a fleet: presence/store.h over Redis, as presence.md has it. It joins the engine
 * (presence/engine/), which knows what to say, and the links (shard_link.h), which say it.
 *
 * Thread: that of the loop. The process has to ignore SIGPIPE, as whoever writes to sockets.
 */
#pragma once

#include "presence/engine/engine.h"
#include "presence/latency.h"
#include "presence/redis/finder_sentinel.h"
#include "presence/redis/shard_link.h"
#include "presence/store.h"

#include <uv.h>

struct tls_client;

struct store_redis_shard {
    const char *name;
    const char *address;  /* "host:port", "[v6]:port" or "unix:/path"; NULL or "": under Sentinel */
    const char *username; /* NULL: the default user */
    const char *password; /* NULL: no AUTH */
    struct sentinel_options sentinel;
    bool leaving; /* its partitions are to go to the others */
};

struct store_redis_options {
    const char *cluster; /* redis.cluster: every stamp names it */
    const char *prefix;  /* redis.prefix: of all keys; 1 to 100 characters, no braces */
    const char *edge_name;
    const struct store_redis_shard *shards;
    unsigned shard_count;
    struct tls_client *tls; /* to servers and Sentinels; NULL: none */
    unsigned partitions;    /* 64 */
    uint32_t heartbeat_ms;  /* 2500 */
    uint32_t lease_ms;      /* 10000; at least 4 heartbeats */
    uint32_t scrub_ms;      /* 60000 */
    uint32_t data_ttl_ms;   /* 600000 */
    const char
        *state_folder; /* for the last good addresses of masters under Sentinel; NULL or "": not kept */
    bool outbox;       /* keep transitions for webhooks */
    /* Lines for the log. May be NULL. `event` does not change, `text` is a sentence. */
    void (*log)(void *context, enum engine_level level, const char *event, const char *text);
    /* What was healed; see engine.h. May be NULL. */
    void (*note)(void *context, const struct engine_note *note);
    void *log_context; /* of both */
};

/* Makes the store and begins to connect; it is usable at once, in whatever state Redis is. Copies its options.
 * 0, or -EINVAL with a sentence in `problem` (of problem_bytes). Free with store_free(); the loop has to run
 * on until its handles are closed. */
int store_redis_new(uv_loop_t *loop, const struct store_redis_options *options,
    const struct store_observer *observer, void *observer_context, struct store **store, char *problem,
    size_t problem_bytes);

/* Another list of shards, while the store runs: partitions move when the edges that live all want the same
 * (presence/engine/layout.c), and clients see nothing of it. A shard that is not in the list any more is as one that leaves,
 * and its connections are closed when nothing is on it; one whose address or credentials are others is connected to anew.
 * Copies the list. 0, or a negative errno with a sentence in `problem`, and nothing has changed. Thread: the loop's. */
int store_redis_change_shards(struct store *store, const struct store_redis_shard *shards,
    unsigned shard_count, char *problem, size_t problem_bytes);

/* Of a store made by store_redis_new(): for metrics, /readyz, retiring, tests. */
struct engine *store_redis_engine(struct store *store);

/* How it stands with one shard; for metrics. */
struct store_redis_shard_status {
    bool up;         /* its command connection is open to an instance that proved to be a master */
    bool confirmed;  /* a majority of the Sentinels has named that one lately, or its address is fixed */
    uint64_t alarms; /* lines that people had to see to: wrong instances, wrong or missing Sentinels */
    const struct latency *commands; /* from sending a command to its reply */
    const struct latency *bus;      /* from sending a heartbeat to hearing its beat on the bus */
};
void store_redis_shard_status(struct store *store, unsigned shard, struct store_redis_shard_status *status);

/* Where its connections lead, for people who look. */
void store_redis_shard_link(struct store *store, unsigned shard, struct shard_link_status *status);
