/* The store: who is subscribed where, in the whole fleet, and the bus that carries a channel's events.
 *
 * One interface, two stores: memory (one process; presence/store_memory.h) and Redis (a fleet;
 * presence/redis/). Rosters and events go through the same store because those of a channel share one order.
 *
 * Words
 *   channel       what clients subscribe to, named by app id and name. A `store_channel` exists while this
 * edge has a subscription to it; its pointer identifies it until the last store_unsubscribe() returns.
 *   subscription  one local client (or one internal watcher) in one channel. Embedded in a struct of the
 * caller. member        in a channel with a roster: the user a subscription stands for. A subscription
 * without a member watches: it sees the roster and the events, and is not seen. observer      the one who
 * uses the store (the node); it is told of members and events of the channels in which this edge has
 * subscriptions.
 *
 * Order: for one channel, `done` of a subscription shows the roster at that moment, and the observer is told
 * exactly the changes after it, in order. Events keep their place among these changes.
 *
 * Thread: everything here is called, and calls back, on the one thread of the store's owner. Callbacks may
 * come from within the call that causes them (the memory store always does so) or later; callers must be
 * ready for both. Callbacks may call the store again.
 *
 * Failure: a store never fails a leave. What it cannot know it says: `stale_s` in answers, STORE_UNAVAILABLE
 * where nothing is known.
 */
#pragma once

#include "presence/frame.h"
#include "presence/roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_result {
    STORE_OK = 0,
    STORE_FULL,        /* the channel has as many members as the app allows */
    STORE_UNAVAILABLE, /* the shard is out of reach and nothing is known, or nothing was published */
};

enum { STORE_FRESH = -1 }; /* stale_s of an answer that is known to be right */

struct store;
struct store_channel;
struct store_subscription;

/* Identity of a socket in the fleet, written "edge.serial"; never reused (edge is the random number of the
 * process). */
struct socket_id {
    uint64_t edge;
    uint64_t serial;
};

/* What a subscription's user brings. Bytes are only read during store_subscribe(). */
struct store_user {
    const char *id;
    size_t id_bytes;
    const char *info; /* JSON text, or NULL */
    size_t info_bytes;
};

/* ---- transitions, for webhooks ----
 *
 * What back ends are told of: each change of the fleet's state once, in order per channel, whichever edge saw it, also
 * when the edge that saw it dies. They come in lanes (a lane is a partition, or the memory store itself); a lane is
 * told to one edge at a time, which says when it is done with what it got. What is not done with is told again, here
 * or on another edge, with the same id. Removals wait for 3 s in the store, and answer themselves meanwhile: a reload of
 * a page makes no transition.
 */
enum store_transition_kind {
    STORE_OCCUPIED, /* the first subscription of the channel in the fleet */
    STORE_VACATED,
    STORE_MEMBER_ADDED,
    STORE_MEMBER_REMOVED,
    STORE_COUNTED,      /* the number of subscriptions has changed; several changes may be told as one */
    STORE_CLIENT_EVENT, /* noted with store_note() */
    STORE_CACHE_MISS,   /* noted with store_note(); one for many in a short time */
};

/* Why somebody has left. */
enum store_reason {
    STORE_UNSUBSCRIBED,
    STORE_CLOSED,     /* his connection ended */
    STORE_TIMED_OUT,  /* it did not answer a ping, or read too slowly */
    STORE_EDGE_LOST,  /* the edge that held it died */
    STORE_TERMINATED, /* by the back end */
};

struct store_transition {
    const char *id; /* unique; the same when it is told again */
    enum store_transition_kind kind;
    const char *app_id, *channel;
    const char *user_id;      /* members; client events on presence channels; else NULL */
    enum store_reason reason; /* STORE_MEMBER_REMOVED, STORE_VACATED */
    uint64_t count;           /* STORE_COUNTED */
    const char *payload;      /* STORE_CLIENT_EVENT: JSON text as it was noted; else NULL */
    size_t payload_bytes;
};

/* Embedded by the caller. Fields marked (in) are set before store_subscribe(), the rest is the store's. */
struct store_subscription {
    /* (in) Told once, unless store_unsubscribe() comes first. On STORE_OK the roster is store_roster(channel)
     * as it stands during the call. On any other result the subscription has ended, as if never made.
     * `cached` is the channel's cached event, or NULL; the callee takes a reference if it keeps it. */
    void (*done)(struct store_subscription *subscription, enum store_result result, struct frame *cached);
    struct store_channel *channel; /* set before done() and before store_subscribe() returns */
    struct member *member;         /* NULL for a watcher, and in channels without a roster */
    enum store_reason reason;      /* (in) set before store_unsubscribe(); for webhooks */
    void *waits;                   /* what the store keeps while the answer is outstanding */
};

/* One event on its way to the subscribers of a channel. */
struct store_event {
    struct frame *frame;      /* borrowed; take a reference to keep it */
    struct socket_id exclude; /* the one socket that does not get it; {0, 0}: none */
    enum store_event_kind {
        STORE_EVENT_MESSAGE,   /* for the clients */
        STORE_EVENT_TERMINATE, /* for the edges: close the connections of this channel's user */
    } kind;
};

struct store_observer {
    /* A user came, or the last one of his subscriptions in the fleet has left. The member is valid during the
     * call. */
    void (*member_added)(void *context, struct store_channel *channel, const struct member *member);
    void (*member_removed)(void *context, struct store_channel *channel, const struct member *member);
    /* An event for a channel in which this edge has a subscription. */
    void (*event)(void *context, struct store_channel *channel, const struct store_event *event);
    /* The number of subscriptions in the fleet has changed; told only for channels without a roster. */
    void (*subscription_count)(void *context, struct store_channel *channel, uint64_t count);
    /* The next transitions of a lane, oldest first, valid during the call; the lane's following ones come after
     * store_transitions_done() or store_transitions_more(). NULL: nobody wants them, and the store keeps none. */
    void (*transitions)(void *context, unsigned lane, const struct store_transition *list, size_t count);
    /* How many connections an app has on the other edges has changed (store_set_usage()). While the shard is out of
     * reach the last number stands. NULL: nobody wants it. */
    void (*usage)(void *context, const char *app_id, uint64_t elsewhere);
    /* Another edge has the lane now: what is not done with is no longer ours. May be NULL. */
    void (*lane_lost)(void *context, unsigned lane);
};

/* A publish. Fields marked (in) are the caller's, and stay untouched until done(). */
struct store_publish {
    const char *app_id;       /* (in) */
    const char *channel;      /* (in) */
    struct store_event event; /* (in) the store holds a reference to the frame until done() */
    uint32_t cache_ttl_ms;    /* (in) keep as the channel's cached event for so long; 0: do not keep */
    /* (in) When the fleet cannot be reached: true delivers on this edge and is STORE_OK (what clients send
     * each other), false delivers to nobody and is STORE_UNAVAILABLE (a back end is told and tries again). */
    bool local_suffices;
    /* (in) STORE_OK: accepted; every subscriber of the fleet that can be reached gets it. Otherwise nobody
     * does. */
    void (*done)(struct store_publish *publish, enum store_result result);
};

/* Questions of the HTTP API about the whole fleet. Embedded by the caller; fields marked (in) stay until
 * done(). */
struct store_channel_state {
    bool occupied;
    uint64_t subscription_count;
    uint64_t user_count;    /* 0 in channels without a roster */
    struct frame *cached;   /* NULL when there is none; borrowed */
    uint32_t cached_ttl_ms; /* what is left of its time */
};

struct store_query {
    const char *app_id;  /* (in) */
    const char *channel; /* (in) a name; for store_query_channels() a prefix, "" for all */
    int32_t stale_s;     /* STORE_FRESH, or for how many seconds the answer has not been known to be right */
    /* (in) Exactly one of them is called back, many times (`each`) and then once (`done`). `each` may be
     * NULL. */
    void (*each_channel)(struct store_query *, const char *name, const struct store_channel_state *);
    void (*each_member)(struct store_query *, const struct member *);
    void (*done)(struct store_query *, enum store_result result);
};

/* Static description of the channel, told by the caller with each first use of a name. */
struct store_channel_options {
    bool roster;          /* presence channels and users: members are kept */
    uint32_t members_max; /* 0: without limit */
};

/* The table of operations of one store; use the functions below. */
struct store_operations {
    void (*subscribe)(struct store *, const char *app_id, const char *channel, struct store_channel_options,
        const struct store_user *, struct store_subscription *);
    void (*unsubscribe)(struct store *, struct store_subscription *);
    void (*publish)(struct store *, struct store_publish *);
    void (*query_channels)(struct store *, struct store_query *);
    void (*query_channel)(struct store *, struct store_query *);
    void (*query_members)(struct store *, struct store_query *);
    /* For webhooks. A store without transitions_more tells no more before it is done with. */
    void (*keep_transitions)(struct store *);
    void (*note)(struct store *, const struct store_transition *);
    void (*transitions_done)(struct store *, unsigned lane, const char *last_id);
    void (*transitions_more)(struct store *, unsigned lane);
    /* Without it there are no other edges. */
    void (*set_usage)(struct store *, const char *app_id, uint32_t connections);
    struct store_channel *(*find)(struct store *, const char *app_id, const char *channel);
    void (*free)(struct store *);
};

/* Every store begins with this, and every store's channel with a store_channel. */
struct store {
    const struct store_operations *operations;
    struct store_observer observer;
    void *observer_context;
};

struct store_channel {
    void *context; /* the observer's own; NULL when the channel is new. Only the observer touches it. */
    struct roster roster; /* the view: users known to be here; empty in channels without a roster */
    bool has_roster;
    const char *app_id;
    const char *name;
};

/* Adds a subscription. user is NULL for a watcher and in channels without a roster. */
static inline void store_subscribe(struct store *store, const char *app_id, const char *channel,
    struct store_channel_options options, const struct store_user *user,
    struct store_subscription *subscription)
{
    store->operations->subscribe(store, app_id, channel, options, user, subscription);
}

/* Ends a subscription, answered or not. Never fails; afterwards the struct is the caller's again. */
static inline void store_unsubscribe(struct store *store, struct store_subscription *subscription)
{
    store->operations->unsubscribe(store, subscription);
}

/* Publishes; done() may come before this returns. */
static inline void store_publish(struct store *store, struct store_publish *publish)
{
    store->operations->publish(store, publish);
}

/* Asks for all occupied channels of an app whose names begin with `channel`. */
static inline void store_query_channels(struct store *store, struct store_query *query)
{
    store->operations->query_channels(store, query);
}

/* Asks for the state of one channel: each_channel() once, also when nobody is there. */
static inline void store_query_channel(struct store *store, struct store_query *query)
{
    store->operations->query_channel(store, query);
}

/* Asks for the members of one channel. */
static inline void store_query_members(struct store *store, struct store_query *query)
{
    store->operations->query_members(store, query);
}

/* From now on transitions are kept, and told, as if the observer had come with these two: those of what happens from here
 * on. Once, and not where they are told already. */
static inline void store_keep_transitions(struct store *store,
    void (*transitions)(void *context, unsigned lane, const struct store_transition *list, size_t count),
    void (*lane_lost)(void *context, unsigned lane))
{
    store->observer.transitions = transitions;
    store->observer.lane_lost = lane_lost;
    store->operations->keep_transitions(store);
}

/* Adds a client event or a cache miss to the transitions of its channel; id is the store's to give. What is noted while
 * the shard is out of reach is lost: it is an event, not a state that could be told later. */
static inline void store_note(struct store *store, const struct store_transition *transition)
{
    store->operations->note(store, transition);
}

/* All transitions of a lane up to this one are done with: delivered, or given up. */
static inline void store_transitions_done(struct store *store, unsigned lane, const char *last_id)
{
    store->operations->transitions_done(store, lane, last_id);
}

/* Asks for the lane's transitions after the last ones that were told, although not all of those are done with: one
 * slow receiver must not hold up the others. They are told at once, or when there are some. */
static inline void store_transitions_more(struct store *store, unsigned lane)
{
    if (store->operations->transitions_more)
        store->operations->transitions_more(store, lane);
}

/* How many connections the app has on this edge now: from here on they are summed over the fleet, exact within a
 * heartbeat or two, and observer.usage() tells what the others have. The memory store has no others, and never tells.
 * For apps with a limit; each costs a little of every heartbeat. */
static inline void store_set_usage(struct store *store, const char *app_id, uint32_t connections)
{
    if (store->operations->set_usage)
        store->operations->set_usage(store, app_id, connections);
}

/* The channel, if this edge has a subscription to it, else NULL. */
static inline struct store_channel *store_find(struct store *store, const char *app_id, const char *channel)
{
    return store->operations->find(store, app_id, channel);
}

/* Frees the store; there must be no subscription and no request left. */
static inline void store_free(struct store *store)
{
    store->operations->free(store);
}
