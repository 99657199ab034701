/* The engine: an edge's side of presence.md without any input or output of its own.
 *
 * It is a store (presence/store.h). What it wants done it says through `engine_io`; what happens it is told
 * through the functions below. It has no clock, no sockets and no threads, so production (presence/redis/) and
 * the simulator run the same code.
 *
 *        store_subscribe … ─┐                        ┌─▶ io.send, io.bus_subscribe, io.reset …
 *                           ▼                        │
 *        channel.c ──▶ writer.c ──▶ shard.c ─────────┤   keys and scripts: presence/redis/keys_and_scripts.h
 *            ▲             ▲           │ replies     │
 *            │ waiters     │ assert    ▼             │
 *        view.c ◀──────── partition.c (hello, heartbeat, reap), scrub.c
 *            ▲                          lane.c: transitions, for webhooks; usage.c: connections of apps
 *            │                          layout.c: which shard a partition is on, and how it moves
 *        bus.c ◀── engine_bus_message
 *
 * Words: those of presence.md. A `fact` is a user or a number of subscriptions that this edge holds in a
 * channel. `wanted` is what the sockets say, `sent` what the last numbered batch says.
 *
 * The driver loads the scripts before engine_shard_up(), and says engine_bus_down() beside engine_shard_down(). An
 * error NOSCRIPT is a reply like any other: the engine then asks for a reset.
 *
 * Thread: one. Calls of io never call the engine back; the store's callbacks may.
 */
#pragma once

#include "presence/redis/keys_and_scripts.h"
#include "presence/store.h"

/* A reply of Redis. Answers of scripts are flat: where an element is an array, what it has stands in its place. */
struct reply {
    enum reply_type { REPLY_NIL, REPLY_ERROR, REPLY_TEXT, REPLY_INTEGER, REPLY_ARRAY } type;
    int64_t integer;
    const char *text; /* of REPLY_ERROR and REPLY_TEXT; need not end in a NUL */
    size_t bytes;
    const struct reply *elements; /* of REPLY_ARRAY */
    size_t count;
};

/* A command for a shard. script == SCRIPT_COUNT is a plain `INFO replication`, without arguments. */
struct engine_request {
    enum script script;
    unsigned keys; /* the first `keys` of argv are KEYS, the rest ARGV */
    size_t argc;
    const char *const *argv;
    const size_t *argv_bytes;
};

/* What went wrong and was put right, for people who look back (edge/node/healed.h). */
struct engine_note {
    enum engine_note_kind {
        NOTE_FROZEN,   /* the shard is out of reach: rosters stand still. why */
        NOTE_THAWED,   /* a partition of it is back. number: for how many ms it was out of reach */
        NOTE_BUS_LOST, /* events of the shard are not heard. why */
        NOTE_REFUSED,  /* it refused what we wrote: a wrong shard, a replica, other settings. why */
        NOTE_GAP,      /* writes of ours had been lost */
        NOTE_ASSERTED, /* all we hold in the partition was said again. number: facts */
        NOTE_TIMELINE, /* the data are of another past than before: emptied, restored, failed over */
        NOTE_WAITS,    /* so removals wait: nobody is shown as gone who may only be missing */
        NOTE_WAITED,   /* … no longer */
        NOTE_REAPED, /* an owner's lease had run out, and we remove what is left. number: the owner, why: its edge */
        NOTE_READ_AGAIN, /* a change of a roster was missed. channel */
        NOTE_DIVERGED,   /* a scrub found a difference. channel, or NULL */
    } kind;
    unsigned shard;
    int partition; /* -1: the shard as a whole */
    uint64_t number;
    const char *channel; /* as in keys: "<app>:<name>"; or NULL */
    const char *why;     /* or NULL */
};

enum engine_level { ENGINE_DEBUG, ENGINE_INFO, ENGINE_WARN, ENGINE_ALARM };

struct engine_io {
    uint64_t (*now_ms)(void *context); /* monotonic */
    uint64_t (*random)(void *context); /* unpredictable; never twice the same in a fleet's life */
    int64_t (*wall_us)(void *context); /* since 1970; only to warn of clocks far apart. May be NULL */
    /* Sends on the command connection of a shard, in this order, and answers in this order. The request is
     * valid during the call. */
    void (*send)(void *context, unsigned shard, const struct engine_request *request);
    void (*bus_subscribe)(void *context, unsigned shard, const char *topic);
    void (*bus_unsubscribe)(void *context, unsigned shard, const char *topic);
    /* Close both connections of the shard, find its master again, then engine_shard_up(). The engine has
     * forgotten what was in flight; nothing of the old connections may be reported any more. */
    void (*reset)(void *context, unsigned shard, const char *why);
    void (*bus_reset)(void *context, unsigned shard, const char *why); /* the bus only */
    /* As reset, and do not use this address for some seconds: it is not (or no longer) what we look for. */
    void (*quarantine)(void *context, unsigned shard, const char *why);
    /* Whether a majority of Sentinels has named this master within 2 H, or its address is fixed: only then may
     * others be condemned, webhooks delivered and empty datasets stamped. NULL: always. */
    bool (*confirmed)(void *context, unsigned shard);
    void (*log)(void *context, enum engine_level level, const char *event, const char *text);
    /* The note is valid during the call. May be NULL. */
    void (*note)(void *context, const struct engine_note *note);
};

enum { ENGINE_SHARDS_MAX = 64 /* redis.shards has as many at most */ };

/* Where partitions are to be: partition p on the shard p modulo their number, of those that do not leave. Where it is, is
 * the fleet's to decide (layout.c): when all edges that live want the same. */
struct engine_shard {
    const char *name;
    bool leaving; /* what is there stays until all edges want it elsewhere */
};

struct engine_options {
    const char *prefix;  /* of all keys; no braces */
    const char *cluster; /* no line feeds, as the names of shards */
    const char *edge_name;
    const struct engine_shard *shards;
    unsigned shard_count;  /* 1 to ENGINE_SHARDS_MAX */
    unsigned partitions;   /* 64 */
    uint32_t heartbeat_ms; /* H 2500 */
    uint32_t lease_ms;     /* L 10000; at least 4 H */
    uint32_t scrub_ms;     /* S 60000 */
    uint32_t data_ttl_ms;  /* D 600000 */
    uint32_t
        command_ms; /* 2000: unanswered for so long, while Redis answers nothing else, the connection is given up */
    uint32_t answer_ms; /* a subscriber waits no longer for Redis: 1000 */
    bool outbox;        /* keep transitions; implied by an observer of them */
};

/* What happened so far; for metrics and tests. */
struct engine_counters {
    uint64_t commands, batches, asserts, gaps, replays, hellos, new_timelines, heartbeats, clock_stalls,
        clock_steps_back;
    uint64_t reaps, facts_drained, losses, reads, resyncs, scrubs, scrub_divergences, scrub_repairs;
    uint64_t bus_resets, resets, lane_asks, moves;
    uint64_t out_of_memory, timeouts, degraded_answers, published, published_locally, echoes_dropped, deltas,
        full;
};

enum engine_partition_state { PARTITION_DOWN, PARTITION_GREETING, PARTITION_READY, PARTITION_REFUSED };

/* One partition, for metrics, /healthz, verify and the simulator. */
struct engine_partition_status {
    unsigned shard;  /* its index, as in calls of io; of one that lives on a shard we do not know: any */
    uint64_t layout; /* the version by which it is there; 0: not known yet, or the shard is not */
    enum engine_partition_state state;
    uint64_t owner; /* 0: none yet */
    const char *incarnation;
    const char *timeline;
    uint64_t fresh_ago_ms; /* since the last good heartbeat; since the start if there was none */
    bool removals_wait;
    size_t unacknowledged; /* batches */
    size_t dirty;          /* facts that wait to be sent */
};

struct engine;

/* Copies its options. Never NULL. The store's observer is as in presence/store.h. */
struct engine *engine_new(const struct engine_options *options, const struct engine_io *io, void *io_context,
    const struct store_observer *observer, void *observer_context);

/* Frees everything. Unlike store_free() of other stores it may be called with subscriptions left (a test that
 * plays a killed edge does): their callbacks are not called and their structs not touched. */
void engine_free(struct engine *engine);

struct store *engine_store(struct engine *engine);
struct engine *engine_of_store(struct store *store);

/* Timers; call every 10 to 50 ms. */
void engine_tick(struct engine *engine);

/* The command connection of a shard has been opened to an instance that said it is a master; or is lost. */
void engine_shard_up(struct engine *engine, unsigned shard);
void engine_shard_down(struct engine *engine, unsigned shard, const char *why);

/* The reply to the oldest unanswered request of that shard. */
void engine_reply(struct engine *engine, unsigned shard, const struct reply *reply);

/* The bus of a shard: a connection to the same instance. */
void engine_bus_up(struct engine *engine, unsigned shard);
void engine_bus_down(struct engine *engine, unsigned shard, const char *why);
void engine_bus_subscribed(struct engine *engine, unsigned shard, const char *topic);
void engine_bus_message(
    struct engine *engine, unsigned shard, const char *topic, const char *message, size_t bytes);

/* The name of the shard with that index; NULL: there is none. Until it is forgotten. */
const char *engine_shard_name(const struct engine *engine, unsigned index);

/* Another list of shards, while it runs; the names that stay keep their index, new ones get one that is free, as
 * engine_shard_index() then says. Who is not in the list any more is as one that leaves: its connections are needed until
 * engine_shard_is_unused(). 0, or -ENOSPC with nothing changed: more than ENGINE_SHARDS_MAX, those that leave
 * included. */
int engine_change_shards(struct engine *engine, const struct engine_shard *shards, unsigned count);

/* -1: there is none of that name. */
int engine_shard_index(const struct engine *engine, const char *name);

/* It is not in the list, and holds nothing that is ours or that we empty. */
bool engine_shard_is_unused(const struct engine *engine, unsigned shard);

/* It was unused and its connections are closed: the index may be given to another. */
void engine_shard_forget(struct engine *engine, unsigned shard);

/* A planned stop: every owner's facts stay for the grace, then go; nothing is written after it. */
void engine_retire(struct engine *engine, uint32_t grace_ms);

/* Requests without a reply. 0 after engine_retire() means that the process may go. */
size_t engine_in_flight(const struct engine *engine);

const struct engine_counters *engine_counters(const struct engine *engine);
unsigned engine_partition_of(const struct engine *engine, const char *app_id, const char *channel);
void engine_partition_status(
    const struct engine *engine, unsigned partition, struct engine_partition_status *status);

/* True when the view of a channel is subscribed, read, and of the present timeline. For tests. */
bool engine_view_confirmed(struct engine *engine, const char *app_id, const char *channel);

/* The number of this edge in its event ids and of its beat. */
uint64_t engine_edge(const struct engine *engine);
