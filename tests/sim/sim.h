/* The simulator: several edges (the engine of presence/engine/, unchanged), the scripts of presence/redis/scripts, several
 * fake Redis servers, and a network between them, all in one thread on a virtual clock. One seed decides everything; the
 * same seed plays the same history.
 *
 *      clients ──▶ edges (sim_edges.c) ──▶ links (sim_network.c) ──▶ servers (fake_redis.h)
 *      truth: who has an open socket            faults (sim_faults.c)       watched (sim_watch.c)
 *
 * A history: clients come and go and faults happen for a while; then the faults stop, and after the bound all must agree with
 * the truth (sim_settle.c). A fault that presence.md gives a bound of its own is then played once more, alone, and held to
 * that (sim_probe.c). In the end everybody leaves, and in some histories so much time goes by that only what belongs to the
 * living may be left. What must never happen is checked at each step: at a server after each script
 * (sim_watch.c), at an edge after whatever it was told (sim_edges.c).
 *
 * A connection keeps its order; what is on several of them overtakes each other, by latency that is drawn for each message:
 * so a delta comes before or after the reply to the write that made it. A request comes twice when its reply is lost: the
 * edge sends the batch again over the next connection. The fault `late` holds up what an edge has sent over a connection that
 * it then gives up, so that it arrives behind the hello, and the first writes, of the next one.
 *
 * Words: presence.md's. A `boot` is one life of an edge's process. A `mask` is a set of users, a bit each.
 */
#pragma once

#include "presence/engine/engine.h"
#include "tests/sim/fake_redis.h"

enum {
    EDGES = 3,
    SHARDS = 3,           /* the third only in histories in which the layout changes */
    SERVERS = 2 * SHARDS, /* server s is of shard s / 2: a master and a replica each */
    LAYOUTS = 32,         /* versions of where a partition is */
    PARTITIONS = 4,
    CHANNELS = 6, /* the first ROSTERS have one, the others are plain */
    ROSTERS = 4,
    CAPPED = 3, /* the channel that takes CAP members at most */
    CAP = 6,
    USERS = 8,
    CLIENTS = 48,
    OWNERS = 64, /* remembered per partition of a server */
    BOOTS = 64,
    PUBLISHES = 512,
    HITS = 32,
    DEATHS = 64,
    LOSSES = 64,
};

/* The times of presence.md, scaled down; virtual. */
#define NEVER_US (-1000000000000)

enum {
    HEARTBEAT_MS = 500,
    POLL_MS = 400, /* of the Sentinels: 2 s at a heartbeat of 2.5 s */
    LEASE_MS = 2000,
    SCRUB_MS = 8000,
    DATA_TTL_MS = 60000,
    COMMAND_MS = 400,
    ANSWER_MS = 200,
    TICK_MS = 20,
    TURBULENCE_MS = 15000, /* how long clients and faults go on */
};

struct sim;
struct event;
typedef void (*event_run)(struct sim *sim, struct event *event);

/* Something that happens later. */
struct event {
    int64_t at_us;
    uint64_t serial; /* order of those at the same time */
    event_run run;
    struct edge *edge;
    unsigned boot; /* of the edge; the event is void for another one */
    unsigned shard;
    unsigned generation; /* of the link */
    struct server *server;
    struct message *message; /* owned, may be NULL */
    int64_t number;
};

/* What travels: a request, a reply, a message of the bus. */
struct message {
    enum script script; /* of a request; SCRIPT_COUNT: INFO */
    unsigned keys;
    size_t argc;
    char **argv;
    size_t *argv_bytes;
    struct fake_reply *reply;
};

/* What the watch knows about one owner in one dataset. */
struct owner_seen {
    uint64_t owner;
    unsigned boot;
    int64_t since_us;  /* when it was given out */
    uint64_t sequence; /* the highest number applied */
    int64_t
        beat_clock; /* our own lease clock when it last proved alive, or a new timeline lifted its lease */
    unsigned beat_steps; /* and how often the server's clock had been stepped by then */
    bool retired;
};

/* What the watch knows about a partition of one dataset; copied with snapshots. */
struct partition_seen {
    int64_t clock_us;     /* our own lease clock: by the true time, each step at most 1.1 H */
    int64_t heartbeat_us; /* true time of the last heartbeat */
    unsigned owners;
    struct owner_seen owner[OWNERS];
    char greeted[48];                      /* the timeline that hello told last */
    uint64_t version[ROSTERS];             /* the last one published */
    char timeline[ROSTERS][48];            /* and its timeline */
    int64_t removed_clock[ROSTERS][USERS]; /* our lease clock when the roster last lost him */
};

struct dataset_seen {
    struct partition_seen partition[PARTITIONS];
    unsigned clock_steps; /* of the server's clock, so far */
};

struct copy {
    struct fake_snapshot *data;
    struct dataset_seen seen;
};

/* A key that somebody else wrote or deleted. */
struct hit {
    char key[96];
    int64_t at_us;
    bool is_delete; /* the key was deleted, as Redis may do with whatever has a TTL */
    bool is_bare;   /* what was written has no TTL */
};

struct server {
    struct sim *sim;
    unsigned number, shard;
    struct fake_redis *redis;
    struct fake_connection *command; /* commands keep no state, so all share one connection */
    bool alive;
    int64_t clock_offset_us;
    int64_t stalled_until_us;
    struct dataset_seen seen;
    struct copy *saved; /* for a rollback, a restart or a failover to come */
    int64_t saved_us;
    int64_t down_us; /* since when, while it is down */
    int64_t lost_us; /* when it last lost what it had acknowledged; far in the past if never */
    struct hit hits[HITS];
    unsigned hit_count;
    /* The highest version it has ever published, whatever it lost since. */
    uint64_t version_high[ROSTERS];
};

/* The two connections of an edge to a shard. */
struct link {
    struct server *server; /* NULL: down */
    unsigned generation;   /* one more each time it is closed */
    unsigned bus_generation;
    unsigned closed_generation; /* up to it, the server does not listen any more */
    unsigned late_generation;   /* what was sent over this one is held up */
    int64_t late_until_us;
    struct fake_connection *bus; /* NULL: down */
    void *bus_end;               /* what the bus' messages are sent by; freed with it */
    bool connecting, bus_connecting;
    bool bus_silent;   /* half-open: nothing arrives, and nobody is told */
    unsigned bus_drop; /* so many messages get lost */
    int64_t to_server_us, to_edge_us, bus_to_server_us, bus_to_edge_us; /* last arrivals: each is in order */
    int64_t cut_until_us;
    int64_t route_until_us; /* until then, connects go to route */
    struct server *route;
};

/* redis.shards of an edge, or what all are to have. */
struct shard_list {
    unsigned count;
    struct {
        unsigned shard;
        bool leaving;
    } of[SHARDS];
};

/* Where a partition lives by a version of the layout, as the watch has seen it decided. */
struct place {
    unsigned shard;
    int64_t left_us; /* when a later one was decided */
    bool abandoned;  /* it was not asked */
    bool emptied;    /* of what it had to tell, or given up: nobody fetches from it again */
};

struct edge {
    struct sim *sim;
    unsigned number;
    unsigned boot; /* index into sim.boots; 0: not running */
    struct engine *engine;
    int64_t paused_until_us;
    bool retiring;
    struct link links[SHARDS]; /* by our numbers of shards; the engine has its own */
    unsigned shard_of[ENGINE_SHARDS_MAX];
    struct shard_list list;
    int64_t list_since_us;
    int64_t avoid_until_us[SERVERS];
    int64_t well_since_us; /* since when nothing was wrong with it or its links that may cost it its lease */
    uint64_t layout_told[PARTITIONS]; /* the highest version that a shard's list has told this boot */
    uint64_t count_told[CHANNELS];
    uint64_t usage_told;             /* connections of the app on the other edges */
    int64_t left_us[ROSTERS][USERS]; /* when it last lost a subscription of his; 0: never */
    bool view_was_read[CHANNELS];    /* since the channel has had clients here */
};

enum client_state { CLIENT_FREE, CLIENT_WAITS, CLIENT_READY };

struct client {
    struct store_subscription subscription;
    struct edge *edge;
    enum client_state state;
    unsigned channel;
    int user;      /* -1: no member */
    uint32_t mask; /* his roster, as he was told */
    int64_t ready_us;
    int64_t known_us;      /* when Redis was first seen to have him; 0: not yet */
    unsigned ready_serial; /* publishes begun when he became ready */
    uint64_t heard[PUBLISHES / 64];
};

struct boot {
    unsigned edge;
    bool ever[ROSTERS][USERS]; /* subscriptions it has had */
};

struct publish {
    struct store_publish publish;
    struct sim *sim;
    struct frame *frame;
    char text[16];
    bool accepted;
    bool cached;
    int64_t accepted_us;
};

/* What the webhooks' receiver was told last of a user in a channel. */
enum told { TOLD_NOTHING, TOLD_ADDED, TOLD_REMOVED };

struct excuses {
    int64_t rollback_us, lost_message_us; /* when it was last the case; far in the past if never */
};

/* An edge that died, or stopped: whom it held, or had held so lately that his departure was not told. */
struct death {
    int64_t at_us;
    uint32_t held[ROSTERS];
};

/* What a shard had acknowledged between these two, it has lost at the second. */
struct loss {
    int64_t from_us, to_us;
    unsigned shard;
};

enum fault_kind {
    FAULT_PAUSE,
    FAULT_CRASH,
    FAULT_RETIRE,
    FAULT_CUT,
    FAULT_CUT_ALL,
    FAULT_CLOSE,
    FAULT_CLOSE_BUS,
    FAULT_SILENT_BUS,
    FAULT_DROP,
    FAULT_FLUSH,
    FAULT_RESTART_EMPTY,
    FAULT_RESTART_OLD,
    FAULT_ROLLBACK,
    FAULT_FAILOVER,
    FAULT_SPLIT,
    FAULT_REROUTE,
    FAULT_CLOCK,
    FAULT_JUNK,
    FAULT_OUT_OF_MEMORY,
    FAULT_SCRIPT_FLUSH,
    FAULT_STALL,
    FAULT_NO_REPLICAS,
    FAULT_OUTAGE,
    FAULT_LATENCY,
    FAULT_LAYOUT,
    FAULT_DELETE,
    FAULT_LATE,
    FAULT_KINDS,
};
extern const char *const fault_names[FAULT_KINDS];

struct sim_options {
    bool trace;
    bool digest;     /* of what a trace would say */
    uint32_t faults; /* allowed kinds, a bit each */
    const char *mutation;
};

struct sim {
    uint64_t seed, random;
    struct sim_options options;
    int64_t now_us;
    struct event **heap;
    size_t events, room;
    uint64_t serial;
    uint64_t digest; /* of the trace */
    struct server servers[SERVERS];
    struct server *masters[SHARDS];
    unsigned shards_used;
    struct shard_list list; /* that all edges are to have */
    unsigned changing;      /* edges that do not have it yet */
    struct place places[PARTITIONS][LAYOUTS];
    uint64_t layout[PARTITIONS];  /* the version in force */
    int64_t crash_us;             /* when an edge was last killed */
    bool died_moving[PARTITIONS]; /* and this one moved at about that time */
    struct edge edges[EDGES];
    struct client clients[CLIENTS];
    struct boot boots[BOOTS]; /* 0 is nobody */
    unsigned boot_count;
    struct publish publishes[PUBLISHES];
    unsigned publish_count;
    enum told told[ROSTERS][USERS];
    struct excuses excuses;
    struct death deaths[DEATHS];
    unsigned death_count;
    struct loss losses[LOSSES];
    unsigned loss_count;
    uint32_t fault_kinds;   /* of this seed */
    unsigned faults_active; /* faults with an end to come */
    int64_t latency_until_us;
    bool calm;      /* the faults have stopped */
    bool quiet_all; /* and clients as well */
    uint64_t steps, scripts_run;
    char failure[1024]; /* empty: none so far */
};

/* sim_queue.c: time and chance. */
uint64_t sim_draw(struct sim *sim, uint64_t below);
bool sim_chance(struct sim *sim, unsigned percent);
int64_t sim_between(struct sim *sim, int64_t low, int64_t high);
struct event *sim_later(struct sim *sim, int64_t at_us, event_run run);
/* Runs what is due until that time, or the first failure. */
void sim_run_until(struct sim *sim, int64_t until_us);
void sim_drop_events(struct sim *sim);
void message_free(struct message *message);
/* The first failure counts. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sim_network.c: the links. */
extern const struct engine_io sim_io;
void link_close(
    struct edge *edge, unsigned shard, bool tell); /* both connections, as the server or the net does */
/* What was sent over the present connection, and not arrived yet, does so only then. */
void link_hold_up(struct edge *edge, unsigned shard, int64_t until_us);
/* At that time the edge asks the Sentinels again, and leaves an instance that they do not name: one that is empty it cannot tell
 * from a master that lost everything. */
void link_poll_at(struct edge *edge, unsigned shard, int64_t at_us);
void link_connect_later(struct edge *edge, unsigned shard);
void server_close_links(struct sim *sim, struct server *server, bool tell);
bool sim_confirmed(const struct edge *edge, unsigned shard);
void server_set_clock(struct sim *sim, struct server *server);

/* For sim_bus.c. */
int64_t link_latency(struct sim *sim);
/* When what is sent now arrives, keeping the order of `last`, and not before a cut of the link ends. */
int64_t link_arrival(struct sim *sim, const struct link *link, int64_t *last);
struct event *link_event(
    struct edge *edge, unsigned shard, unsigned generation, int64_t at_us, event_run run);
/* A paused edge, a stalled server or a cut link take an event later; true when it was put off. Events put off to one
 * moment keep their order. */
bool link_put_off(struct sim *sim, struct event *event, int64_t until_us);
/* Whether the boot of the edge for which it was still runs; to one that is paused it comes later. */
bool link_reaches_edge(struct sim *sim, struct event *event);
/* The engine's index of the shard. What is on its way when the engine forgets it is for nobody: false. */
bool link_find_index(const struct edge *edge, unsigned shard, unsigned *index);
bool link_reaches_engine(struct sim *sim, struct event *event, unsigned *index); /* both */

/* sim_bus.c: the connections that subscribe. */
void link_close_bus(struct edge *edge, unsigned shard, bool tell);
void link_forget_bus(struct link *link);
void link_connect_bus(struct edge *edge, unsigned shard, int64_t delay_us);
void link_bus_subscribe(void *context, unsigned index, const char *topic); /* of engine_io, as the next two */
void link_bus_unsubscribe(void *context, unsigned index, const char *topic);
void link_bus_reset(void *context, unsigned index, const char *why);

/* sim_scripts.c: the texts, with mutations. */
/* Applies it to the texts that all servers get; false when there is none of that name or its mark is missing. */
bool scripts_prepare(const char *mutation);
const char *mutation_names(unsigned index); /* NULL behind the last */
struct slice script_text(enum script script);
const char *script_sha(enum script script);
void scripts_load(struct server *server);

/* sim_edges.c: edges and clients. */
extern const char *const channel_names[CHANNELS];
void edge_start(struct edge *edge);
void edge_crash(struct edge *edge);
/* A planned stop: its clients go, and so does it, once its commands are answered. */
void edge_retire(struct edge *edge);
bool edge_is_running(const struct edge *edge);
void clients_start(struct sim *sim);
/* Something changes in every channel, so that whoever missed a message finds out: someone comes to each, or leaves again.
 * Not possible while one of them is full. */
bool clients_can_touch(const struct sim *sim);
void clients_touch(struct sim *sim, bool come);
void clients_close_all(struct sim *sim);
void clients_check(const struct edge *edge); /* what they were told = what the engine holds */
void clients_look(struct sim *sim);          /* notes what Redis and the edges have learnt meanwhile */
uint32_t sim_truth(const struct sim *sim, unsigned channel); /* users with an open socket */
uint64_t sim_truth_count(const struct sim *sim, unsigned channel);
uint32_t sim_connections(const struct edge *edge); /* its clients: each is a connection of its own */
uint32_t view_mask(const struct store_channel *channel);
int user_of(const char *id, size_t bytes); /* -1: none of ours */
int channel_of(const char *name);

/* sim_watch.c: what must hold at the servers. */
struct watch {
    uint64_t changes;
    unsigned junk; /* keys of the partition that hold it */
    bool record_was_there;
    bool victim_was_there, timeline_fits;
};
void watch_before(struct server *server, const struct message *request, struct watch *watch);
void watch_after(struct sim *sim, struct server *server, const struct event *event, const struct watch *watch,
    const struct fake_reply *reply);
void watch_publish(void *server, struct slice topic, struct slice message);
/* Whether the roster at the shard's master names an owner of that boot for the user. */
bool watch_is_held(const struct sim *sim, unsigned partition, unsigned channel, int user, unsigned boot);
/* Every key that begins so has a TTL or is of the fixed set, and what rosters say was true. */
void watch_keys(struct sim *sim, struct server *server, const char *prefix);
bool watch_is_fixed(const char *key); /* of the fixed set, by its name */
/* The server has lost everything, or what it was told since the copy was taken. */
void watch_loss(struct sim *sim, struct server *server, int64_t since_us);
unsigned partition_of_key(const char *key); /* PARTITIONS: none */
uint64_t layout_of_key(const char *key);    /* of a partition's */

/* sim_junk.c: what others do to keys. */
void junk_write(struct sim
        *sim); /* a random key is replaced by another type, deleted, or gets a field that means nothing */
void junk_delete(struct sim *sim); /* one that has a TTL goes, as by an eviction policy */
/* Whether a key that begins so was hit after that time. */
bool junk_has_hit(const struct server *server, const char *prefix, int64_t after_us);
bool junk_has_hit_roster(
    const struct sim *sim, unsigned channel, int64_t after_us);            /* written, not deleted */
bool junk_has_hit_partition(const struct sim *sim, unsigned partition);    /* on any server */
bool junk_has_hit_stamps(const struct server *server, unsigned partition); /* its or the shard's */
bool junk_has_hit_owners(
    const struct sim *sim, unsigned partition); /* or what else decides who lives in it */
bool junk_is_any(const struct sim *sim);
/* Keys of a partition that were replaced by another type, and still are. */
unsigned junk_left(const struct server *server, unsigned partition);
bool junk_is_bare(const struct server *server, const char *key); /* it was written so that it has no TTL */

/* sim_layout.c: where partitions live, and the fault of changing it. */
void layout_start(struct sim *sim);
void layout_change(struct sim *sim);
void layout_note_crash(const struct edge *edge);
/* The server that has the partition by the layout in force, and the base of its keys. */
/* Another list of shards for an edge that runs, or for the next one there. */
void edge_set_list(struct edge *edge, const struct shard_list *list);
/* The list of an edge that starts, for the engine; its length. */
unsigned edge_print_list(struct edge *edge, struct engine_shard shards[SHARDS]);
void edge_connect_all(struct edge *edge);
void edge_forget_unused(struct edge *edge);
/* The engine's index of a shard; -1: it does not know it. */
int edge_index_of(const struct edge *edge, unsigned shard);
extern const char *const shard_names[SHARDS];
bool layout_is_in_use(const struct sim *sim, unsigned shard);
struct server *layout_server(const struct sim *sim, unsigned partition);
void layout_base(char base[48], unsigned partition, uint64_t layout);
/* The watch's part: a request was answered. */
void layout_see(struct sim *sim, struct server *server, const struct event *event, bool changed,
    const struct fake_reply *reply);
void layout_look(struct sim *sim); /* who has a partition on a shard he does not know is not well */
void layout_settle_check(struct sim *sim);

/* sim_faults.c */
void faults_draw(struct sim *sim); /* the kinds of this seed */
void faults_start(struct sim *sim);
void faults_stop(struct sim *sim);
void fault_play(struct sim *sim, enum fault_kind kind); /* one of them, now, or from now on */
struct event *fault_end_later(struct sim *sim, int64_t length_us, event_run run);
void edge_mark_unwell(struct edge *edge, int64_t until_us);
struct copy *copy_take(const struct server *server);
void copy_free(struct copy *copy);

/* sim_settle.c: what must hold in the end; each fails the simulation when it does not. */
void settle_check(struct sim *sim);
/* At any moment: the rosters and numbers in Redis are the truth; whoever is there is known to all, or also nobody else. */
void settle_check_facts(struct sim *sim);
void settle_check_views(struct sim *sim, bool nobody_else);
/* D after the last who was there has left: what is not of the fixed set belongs to the living. */
void settle_check_garbage(struct sim *sim);
void settle_check_events(struct sim *sim); /* of histories in which nothing went wrong: each event, once */

/* sim_probe.c: one fault more, alone, and what is to be so when its own bound is over. */
void probe(struct sim *sim);

/* sim_query.c: the questions of the HTTP API. */
void query_check(
    struct sim *sim); /* asks every edge everything, and compares with the truth; takes some time */

/* sim_outbox.c: the receiver of webhooks. */
void outbox_fetch(struct sim *sim); /* fetches what there is, from the servers that the majority names */
void outbox_check(struct sim *sim);
void outbox_note_death(struct edge *edge); /* it is about to die, or to stop */

/* Plays one seed. Returns false when it failed; the reason is in failure. */
struct sim_result {
    uint64_t steps, scripts, digest;
    uint32_t faults;
    char failure[1024];
};
bool sim_play(uint64_t seed, const struct sim_options *options, struct sim_result *result);
