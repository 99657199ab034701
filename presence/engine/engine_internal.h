/* What the files of the engine share. See engine.h for the picture. */
#pragma once

#include "presence/engine/args.h"
#include "presence/engine/engine.h"
#include "presence/engine/wire.h"

#include <sys/queue.h>
#include <uthash.h>

enum {
    TIMELINE_BYTES = 48, /* "<16 digits>-<16 hex>" and room for a longer number */
    BATCH_OPS = 50,      /* 10 µs an operation in batches of 50, 25 alone (presence.md, "Costs") */
    BATCHES_OUT = 4,     /* unanswered at once */
    KEPT_MAX = 2000,     /* messages kept for a channel while a read is out; beyond it, read again */
    SEEN_MAX = 4096,     /* ids of events delivered locally, to know their echo */
    VICTIMS_MAX = 32,    /* owners one edge reaps at once in a partition */
    REAP_CHANNELS = 50,
    WAIT_MS = 200,      /* after LOADING, BUSY, NOREPLICAS and the like */
    REFUSED_MS = 1000,  /* after an answer that only people or time can change */
    RESTATE_MS = 60000, /* "who joined or left here in the last minute" (presence.md, restate) */
    LEFT_COPIES = 4,    /* of a partition, with transitions to be told */
    TILT_MS = 500,      /* a tick so late means that the process stood still */
    ALARM_EVERY_MS = 10000,
    PUBLISHES_OUT = 20000, /* unanswered publishes of a shard; beyond it the shard counts as out of reach */
};

struct partition;
struct channel;
struct batch;

/* A user, or the number of subscriptions, that this edge holds in a channel. */
struct fact {
    UT_hash_handle hh; /* in channel->facts, by id; the number is not in it */
    TAILQ_ENTRY(fact) dirty_link;
    struct channel *channel;
    char *id; /* NULL: the number of subscriptions */
    size_t id_bytes;
    char *info;
    size_t info_bytes;
    enum store_reason reason; /* why the last subscription that ended did */
    uint32_t wanted;          /* subscriptions, answered or not; for the number: the number */
    uint32_t sent;            /* as of the last numbered batch; 0 or 1 for a user */
    uint32_t in_batches;      /* unacknowledged batches that name it */
    uint64_t sent_serial;     /* serial of the command with the last of them */
    uint64_t last_number;     /* number of that batch */
    uint64_t target;          /* version at which a view shows it */
    uint32_t acknowledged;    /* what Redis has, as of the last answer */
    bool accepted;            /* Redis has it, or a client was told so: the cap is not asked again */
    bool unsure;              /* a batch with it was never answered: Redis may have it */
    bool dirty;
};

/* A subscriber who has not been answered. */
struct waiter {
    TAILQ_ENTRY(waiter) of_channel, of_engine;
    struct store_subscription *subscription;
    struct channel *channel;
    struct fact *fact; /* NULL: watches, or a channel without a roster */
    uint64_t deadline_ms;
};
TAILQ_HEAD(waiters, waiter);

/* A message of the bus that waits for the read that is out. */
struct kept {
    STAILQ_ENTRY(kept) link;
    size_t bytes;
    char message[];
};

/* A user who is shown though the roster no longer has him: his removal waits (see partition.waits). */
struct missing {
    UT_hash_handle hh;
    size_t id_bytes;
    char id[];
};

/* What the bus calls a channel. It outlives the channel while answers to SUBSCRIBE are outstanding, so that
 * the answer to an old one is not taken for that to a new one. */
struct topic {
    UT_hash_handle hh;       /* in shard->topics, by name */
    struct channel *channel; /* NULL: nobody wants it any more */
    struct shard *shard;
    unsigned acks;
    char name[];
};

struct channel {
    struct store_channel shown; /* first: what the observer knows */
    UT_hash_handle hh;          /* in engine->channels, by key */
    TAILQ_ENTRY(channel) of_partition, idle_link;
    bool idle; /* on engine->idle: looked at when the turn ends */
    struct partition *partition;
    struct engine *engine;
    char *key; /* "<app>:<name>" as in keys_and_scripts.h */
    size_t key_bytes;
    char *app_key; /* the app's id as it stands in key */
    uint32_t members_max;
    uint32_t generation; /* counts reopenings: a read of an earlier one is not for this */
    bool open;           /* has a subscription, answered or not; otherwise it waits for its facts to go */
    uint32_t subscriptions, watchers;
    uint32_t users;     /* distinct ones among the subscriptions */
    struct fact *facts; /* uthash head */
    struct fact number;
    uint32_t facts_sent; /* facts whose sent is not 0, the number included */
    struct waiters waiters;

    struct topic *topic;
    bool subscribed; /* the bus has acknowledged */
    bool confirmed;  /* a read that was sent after it has been applied */
    bool read_out, read_again;
    bool rebased;     /* a new timeline: versions may have gone back */
    bool absent;      /* the last read found no roster at all */
    uint32_t reads;   /* read commands that point here */
    uint64_t version; /* of the view; 0: nothing known */
    uint64_t count_version;
    uint64_t total;               /* subscriptions in the fleet, as last told */
    struct recent *recent_number; /* its number has changed lately */
    bool count_changed; /* the observer has not been told: somebody waits for his answer, and is to hear it */
    STAILQ_HEAD(kept_list, kept) kept;
    size_t kept_count;
    struct missing *missing;
    struct frame *cached;
    uint64_t cached_until_ms;
    uint64_t cached_serial; /* of the last command when it came: what an earlier read says of it is older */
    uint64_t scrubbed_ms;
};
TAILQ_HEAD(channels, channel);

struct batch_op {
    struct fact *fact;
    uint32_t value; /* what the operation makes of it */
    bool is_news;   /* it may be what makes him come or go */
};

/* A numbered, frozen set of changes. It is sent again as it is until it is acknowledged or dissolved. */
struct batch {
    TAILQ_ENTRY(batch) link;
    struct partition *partition;
    uint64_t number;
    enum script script;
    bool out;         /* a command with it is unanswered */
    bool unsure;      /* a command with it was never answered: Redis may have it, or get it yet */
    bool refused_oom; /* by its last command */
    bool dissolved;   /* not in the list any more; freed with its reply */
    struct args args; /* what follows the caller's four */
    struct batch_op *ops;
    size_t count;
};
TAILQ_HEAD(batches, batch);

/* A user who joined or left here lately, for restating. */
struct recent {
    TAILQ_ENTRY(recent) link;
    uint64_t until_ms;
    uint64_t serial; /* of the last command when it was noted, or of the assert that told it again */
    bool is_arrival;
    struct channel *number_of; /* which has it as recent_number, or NULL */
    uint64_t by_clock;         /* it had happened by then, on the lease clock; 0: not known yet */
    char *channel, *user;
    size_t channel_bytes, user_bytes;
};

/* The delivery of a partition's transitions, if it is this edge that delivers them. */
struct lane {
    bool ours, given, asked;       /* given: the observer has some, is not done, and has not asked for more */
    struct args ids;               /* of those given: what the observer calls it, what Redis calls it, … */
    size_t ids_done;               /* so many of these are done with */
    char timeline[TIMELINE_BYTES]; /* on which the last of them were told */
    /* Before the partition moved here, transitions were kept elsewhere: first those are told, from the copies that the
     * fleet has left, the oldest first. */
    struct left_copy {
        struct shard *shard;
        uint64_t layout;
    } left[LEFT_COPIES];
    unsigned left_count;
    uint64_t left_until_ms; /* while there is no answer, we wait no longer */
    bool drained;           /* Redis may forget that there were some */
    char done[48];          /* Redis may forget up to this one; "" */
    char said[48];          /* what of that is on its way to Redis */
    uint64_t next_ms;       /* ask again */
};

/* An app whose connections are counted over the fleet. */
struct usage {
    UT_hash_handle hh;        /* in engine->usages, by app id */
    STAILQ_ENTRY(usage) link; /* in partition->usages, in the order of heartbeats' arguments; it only grows */
    uint32_t connections;     /* here */
    uint64_t elsewhere;       /* as last told */
    char app_id[];
};

struct partition {
    struct engine *engine;
    struct shard *shard;
    unsigned index;
    char base[160];
    /* Where the fleet has it, as far as we know: "layout-version shard", the highest we have seen. 0 and NULL: not known
     * yet. shard is that one when `placed`; otherwise nothing is said to any. */
    uint64_t layout;
    char *lives_on;
    bool placed;
    uint64_t here;      /* the version by which it is on `shard` */
    unsigned abandoned; /* so many lists in a row said that nobody stands by it */
    char from[128];     /* where it lived before, for hello; "" */
    enum engine_partition_state state;
    uint64_t retry_ms; /* PARTITION_REFUSED: say hello again */
    char timeline[TIMELINE_BYTES];
    uint64_t clock, mark; /* lease clock: as last told; at the last new timeline */
    uint64_t owner;
    char incarnation[17];
    uint64_t number; /* the last one given to a batch */
    struct batches batches;
    unsigned batches_out;
    TAILQ_HEAD(dirty_facts, fact) dirty;
    size_t dirty_count;
    bool assert_wanted;
    /* The owner under which all was asserted last (0: none), and whether it was silent for longer than a lease since:
     * then others may have told that our people left. */
    uint64_t asserted_owner;
    bool was_silent;
    uint64_t stalled_ms; /* nothing is sent before */
    uint64_t oom_ms;     /* joins are not sent before */
    uint64_t heartbeat_ms;
    bool heartbeat_out;
    uint64_t fresh_ms;
    /* After a loss no removal of a remote user is shown before the lease clock has reached wait_until, as a
     * heartbeat tells. wait_from_next: the clock at the loss is not known yet; the next answer has it. */
    bool waits, wait_from_next;
    bool wait_noted; /* people were told that it waits */
    uint64_t wait_until;
    uint64_t wait_serial; /* answers to earlier commands do not tell the clock at the loss */
    struct channels channels;
    uint32_t held_sent; /* channels with facts_sent */
    uint64_t victims[VICTIMS_MAX];
    TAILQ_HEAD(recents, recent) recents;
    struct lane lane;
    struct {              /* wake.c */
        struct shard *on; /* its bus follows the topic; NULL: none does */
        bool heard;       /* and Redis has said so */
        uint64_t together_until_ms;
    } wake;
    STAILQ_HEAD(usages, usage) usages;
    bool retired;
};

struct shard {
    struct engine *engine;
    unsigned index;
    const char *name;
    bool up, bus_up;
    bool leaving, dropped; /* no partition is to be here; dropped: it is not in the list any more */
    bool listed,
        usable; /* it has said which partitions are where; it is ours, or empty: a partition may move here */
    bool blank; /* it said that it is empty, and has no stamp */
    uint64_t down_since_ms;
    bool frozen; /* it was up, and is not yet again */
    char replication_id[48];
    TAILQ_HEAD(commands, command) in_flight;
    size_t in_flight_count, publishes_out;
    uint64_t next_info_ms;
    uint64_t last_reply_ms; /* a Redis that answers in order is alive, however much waits for it */
    uint64_t alarm_ms;      /* of the last alarm about its partitions */
    struct topic *topics;   /* uthash head */
    char beat_topic[160];
    uint64_t beat_due_ms; /* when a heartbeat was first answered since our beat was last seen; 0: none */
};

/* A command in flight. */
struct command {
    TAILQ_ENTRY(command) link;
    struct engine *engine;
    struct shard *shard;
    struct partition *partition;
    enum script script;
    uint64_t serial;
    uint64_t deadline_ms;
    struct args args;
    unsigned keys;
    /* reply NULL: there will be none */
    void (*on_reply)(struct command *command, const struct reply *reply);
    void *context;
    uint64_t number;     /* what the caller needs to know of the moment of sending */
    uint32_t generation; /* of the channel */
    uint32_t usages;     /* in a heartbeat */
    bool flag;
};

/* The id of an event that was delivered here before Redis had it. */
struct seen {
    UT_hash_handle hh;
    STAILQ_ENTRY(seen) link;
    uint64_t serial;
};

struct engine {
    struct store store; /* first */
    struct engine_options options;
    struct engine_io io;
    void *io_context;
    struct engine_counters counters;
    uint64_t edge;
    uint64_t event_serial, command_serial;
    uint64_t started_ms;
    uint64_t ticked_ms;
    uint64_t tilted_until_ms; /* we did not run for a while: what seems overdue may only be unread */
    struct shard *shards;     /* ENGINE_SHARDS_MAX of them; without a name: a free place */
    unsigned shards_used;     /* those behind are free */
    struct shard *staying[ENGINE_SHARDS_MAX]; /* in the order of the list */
    unsigned staying_count;
    bool layout_is_news; /* to the shards */
    struct partition *partitions;
    char settings[96];
    struct channel *channels;      /* uthash head */
    struct usage *usages;          /* uthash head */
    struct waiters waiters;        /* in order of their deadlines */
    struct waiter *accepting;      /* while the observer is told of its member */
    struct publishing *publishing; /* events whose reply is outstanding; publish.c */
    struct seen *seen;
    STAILQ_HEAD(seen_list, seen) seen_order;
    unsigned seen_count;
    TAILQ_HEAD(idle_channels, channel) idle;
    unsigned depth;             /* calls into the engine that are running */
    uint64_t other_settings_ms; /* a shard has last said that the fleet has others; 0: none */
    bool retiring, freeing;
};

/* ---- engine.c ---- */

/* Around everything that comes from outside: what was changed is sent, and what is empty freed, when the
 * outermost call ends. */
void engine_enter(struct engine *engine);
void engine_leave(struct engine *engine);
uint64_t engine_now(const struct engine *engine);
void engine_log(struct engine *engine, enum engine_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Partition NULL: the shard as a whole. channel and why may be NULL. */
void engine_note(const struct shard *shard, const struct partition *partition, enum engine_note_kind kind,
    uint64_t number, const char *channel, const char *why);

/* ---- shard.c: commands and their answers ---- */

/* A command of this partition with the caller's four arguments (not those of hello) in it. */
struct command *command_new(struct partition *partition, enum script script,
    void (*on_reply)(struct command *, const struct reply *));
/* The same for the copy of it on another shard, by an earlier layout. */
struct command *command_new_at(struct partition *partition, struct shard *shard, uint64_t layout,
    enum script script, void (*on_reply)(struct command *, const struct reply *));
/* Of a shard, without arguments yet. */
struct command *command_new_of(
    struct shard *shard, enum script script, void (*on_reply)(struct command *, const struct reply *));
void command_send(struct command *command);
/* Of the partition's commands in flight none will be answered; they keep their places in the order. */
void commands_give_up(struct partition *partition);
void shard_info(struct shard *shard);
void shard_lost(struct shard *shard, const char *why);
void shard_reset(struct shard *shard, const char *why);
void shard_quarantine(struct shard *shard, const char *why);
bool shard_confirmed(const struct shard *shard);
/* An alarm about it, or one of its partitions (or NULL), but not one for each of them. */
void shard_alarm(struct shard *shard, struct partition *partition, const char *why);
void shard_tick(struct shard *shard);

/* What a reply means. What the whole partition or shard has to do about it has been done: hello, a reset, a
 * quarantine, a pause. */
enum answer {
    ANSWER_NONE, /* no reply; the connection is gone */
    ANSWER_OK,
    ANSWER_DUP,
    ANSWER_GAP,
    ANSWER_GREET,   /* the stamp, timeline or owner is another: hello has been said */
    ANSWER_REFUSED, /* wrong shard, other settings: dealt with */
    ANSWER_WAIT,    /* Redis cannot just now; try again after partition->stalled_ms */
    ANSWER_OOM,
    ANSWER_FAILED, /* an error that repeating will not cure */
};
enum answer command_answer(struct command *command, const struct reply *reply);

uint64_t reply_number(const struct reply *reply, size_t at);
bool reply_is(const struct reply *reply, size_t at, const char *text);

/* ---- partition.c ---- */
void partition_init(struct partition *partition, struct engine *engine, unsigned index);
void partition_hello(struct partition *partition);
void partition_lost(struct partition *partition);
void partition_refuse(struct partition *partition, const char *why);
/* Its shard is empty, and we may not stamp it, or might not when we asked. */
void partition_unsure(struct partition *partition);
void partition_tick(struct partition *partition);
void partition_retire(struct partition *partition, uint32_t grace_ms);

/* Something was lost: removals wait. clock: the lease clock at the loss, or 0 when the next answer tells. */
void partition_note_loss(struct partition *partition, uint64_t clock);
void partition_note_clock(struct partition *partition, const struct command *command, uint64_t clock);

/* ---- layout.c ---- */
void layout_init(struct engine *engine);
void layout_deinit(struct engine *engine);
/* Tells the shard where partitions live, and asks it. */
void layout_ask(struct shard *shard);
/* All of them, if there is news. */
void layout_tell(struct engine *engine);
/* The partition lives there from now on, by a version of the layout that is higher than ours; else nothing happens. */
void layout_adopt(struct partition *partition, uint64_t version, const char *name, size_t name_bytes);
/* The same from "version shard" as scripts say it. */
void layout_adopt_entry(struct partition *partition, const char *entry, size_t bytes);
/* Returns the version of an entry, and where in it the shard's name begins; 0 when it is none. */
uint64_t layout_parse_entry(const char *entry, size_t bytes, size_t *name_at);
struct shard *layout_find_shard(struct engine *engine, const char *name);
/* "1m <partition> <version> <shard>", on the topic of our beat. */
void layout_message(struct engine *engine, const char *message, size_t bytes);
/* On which shard we want it: the one where it is, while the other cannot be told to be good. */
const char *layout_wish(const struct partition *partition);
/* Of a partition that has no place yet, or lives on a shard we do not know. */
void layout_tick(struct partition *partition);
/* "<prefix>:{17}", and behind it ".2" by layout version 2. */
void layout_print_base(char *base, size_t room, const struct partition *partition, uint64_t layout);

/* ---- writer.c ---- */
/* `wanted` has changed: it waits to be sent, or no longer, or is freed. */
void fact_update(struct fact *fact);
void fact_free_if_idle(struct fact *fact);
void writer_flush(struct partition *partition);
void writer_assert(struct partition *partition);
void writer_lost(struct partition *partition);
/* After hello: Redis has seen `sequence`. Sends again what follows it, or asserts. */
void writer_resume(struct partition *partition, uint64_t sequence, bool all_is_new);
void writer_deinit(struct partition *partition);

/* ---- recent.c ---- */
/* Something changed that webhooks have to be told: it is acknowledged, or may have been applied. is_arrival: somebody came,
 * and that is acknowledged. */
void recent_note(struct fact *fact, bool is_arrival);
void recent_channel_gone(struct channel *channel);
void recents_forget(struct partition *partition, uint64_t now); /* the old ones; UINT64_MAX: all */
void recents_add(struct partition *partition, struct args *args);
/* The assert that tells them again has just been sent. */
void recents_asserted(struct partition *partition);
/* That asking for the outbox was answered at `clock`; everything up to `settled` was told and is done with (0: not). Both on
 * the lease clock. */
void recents_settled(
    struct partition *partition, const struct command *asked, uint64_t clock, uint64_t settled);

/* ---- view.c ---- */
void view_read(struct channel *channel);
void view_message(struct channel *channel, const char *message, size_t bytes);
void view_bus_lost(struct channel *channel);
void view_close(struct channel *channel);
/* The observer is told of a changed number of subscriptions as soon as nobody waits to be subscribed. */
void view_tell_count(struct channel *channel);
/* The user is on this edge and a client is about to be told: he is in the view from now on. */
struct member *view_show_own(struct channel *channel, struct fact *fact);
/* A user whose last subscription here has ended and of whom Redis will not tell. */
void view_hide_own(struct channel *channel, const struct fact *fact);
bool view_current(const struct channel *channel);

/* ---- channel.c ---- */
void channel_subscribe(struct store *store, const char *app_id, const char *name,
    struct store_channel_options options, const struct store_user *user,
    struct store_subscription *subscription);
void channel_unsubscribe(struct store *store, struct store_subscription *subscription);
struct store_channel *channel_find(struct store *store, const char *app_id, const char *name);
struct channel *channel_lookup(struct engine *engine, const char *app_id, const char *name);
void channel_answer_waiters(struct channel *channel);
void channel_fact_full(struct fact *fact);
void channel_show_departures(struct channel *channel);
struct fact *channel_fact(struct channel *channel, const char *id, size_t id_bytes);
/* Something the channel was kept for has gone: it is freed at the end of the turn if that was the last. */
void channel_maybe_idle(struct channel *channel);
void channels_sweep(struct engine *engine);
void channel_free(struct channel *channel);
void channels_tick(struct engine *engine);

/* ---- scrub.c ---- */
void scrub_some(struct partition *partition);

/* ---- bus.c ---- */
void bus_want(struct channel *channel);
void bus_unwant(struct channel *channel);
/* The partition is elsewhere now: its channels are heard there. */
void bus_move(struct partition *partition);
void bus_tick(struct shard *shard);

/* ---- publish.c ---- */
void publish_event(struct store *store, struct store_publish *publish);
/* An event that came over the bus. */
void publish_deliver(struct channel *channel, const struct wire_event *event);
void publish_deinit(struct engine *engine);

/* ---- lane.c ---- */
void lane_tick(struct partition *partition);
void lane_lost(struct partition *partition);
/* The partition has moved from that shard, and what is left to tell there comes first. */
void lane_drain(struct partition *partition, struct shard *from, uint64_t layout);
/* "layout-version shard", as hello says it to everyone, who need not have seen it. */
void lane_drain_entry(struct partition *partition, const char *entry, size_t bytes);
bool lane_needs(const struct partition *partition, const struct shard *shard);
void lane_deinit(struct partition *partition);
void lane_note(struct store *store, const struct store_transition *transition);
void lane_done(struct store *store, unsigned lane, const char *last_id);
void lane_more(struct store *store, unsigned lane);

/* ---- wake.c ---- */
/* Follows the wakes of a partition whose lane is ours, and lets go of those of others. */
void wake_tick(struct partition *partition);
/* The partition is about to be elsewhere. */
void wake_leave(struct partition *partition);
void wake_bus_lost(struct shard *shard);
/* Whether it was about a wake. */
bool wake_subscribed(struct shard *shard, const char *topic);
bool wake_message(struct shard *shard, const char *topic);

/* ---- usage.c ---- */
void usage_set(struct store *store, const char *app_id, uint32_t connections);
/* Adds those of the partition to its heartbeat; takes what the answer, from `at` on, says of them. */
void usage_add(struct partition *partition, struct command *heartbeat);
void usage_take(
    struct partition *partition, const struct command *heartbeat, const struct reply *reply, size_t at);
void usage_deinit(struct engine *engine);

/* ---- query.c ---- */
void query_channels(struct store *store, struct store_query *query);
void query_channel(struct store *store, struct store_query *query);
void query_members(struct store *store, struct store_query *query);
