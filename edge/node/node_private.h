/* The inside of the node, for the files of edge/node only.
 *
 *   node.c       the node's life
 *   fleet.c      the store that the configuration asks for; leaving it
 *   fleet_metrics.c  what is counted of a fleet's store
 *   blind.c      whether the shards of the fleet's store are in reach, for /readyz
 *   subscribe.c  subscriptions
 *   observe.c    what the store tells, on its way to the workers
 *   publish.c    publishes: admission, the store, the answer
 *   transitions.c  between the store and the webhooks
 *   usage.c      connections of apps, over the fleet
 *   query.c      questions of the HTTP API, and the JSON of their answers
 *   requests.c   what workers ask of the node: how it is made and freed; on their threads
 *   port.c       the workers' end: runs on their threads
 *   healed.c, tap.c  what is kept for people who look back, and who watch
 *   insight_private.h says which files answer those who look
 */
#pragma once

#include "edge/base/wheel.h"
#include "edge/node/node.h"
#include "edge/webhooks/webhooks.h"
#include "presence/redis/store_redis.h"

struct node_line { /* the node's end of the line to one worker */
    struct outgoing to_worker;
};

struct node {
    uv_loop_t *loop;
    const struct config *config; /* with a reference */
    struct store *store;
    struct engine *engine; /* the inside of a fleet's store; NULL with the memory store */
    struct mailbox mailbox;
    uv_prepare_t end_of_turn;
    uv_timer_t tick; /* runs the wheel */
    struct wheel wheel;
    struct { /* before the process goes */
        uv_timer_t timer;
        uint64_t until_ms;
        void (*settled)(void *context);
        void *context;
    } settle;
    bool leaving;
    struct mail_queue kept; /* subscriptions of those who are expected back elsewhere */
    struct {
        struct webhooks *room;   /* NULL: no app has any */
        struct wheel_timer tick; /* of the memory store */
        uint64_t dropped;        /* by it, as far as the log has said */
    } webhooks;
    struct wheel_timer usage; /* the store is told how many connections apps have */
    uint64_t incarnation;
    unsigned workers;
    struct node_line *lines; /* one a worker */
    atomic_uint connections; /* of clients, on all workers */
    atomic_bool is_full;     /* of memory */
    struct readiness readiness;
    struct { /* whether shards are out of reach (blind.c) */
        struct wheel_timer timer;
        struct blind_words *words; /* what is said of each shard that was blind */
    } blind;
    struct metrics metrics;
    uint64_t ticked_us;   /* when the tick last ran, in latency_now_us(); 0: never */
    struct node_port own; /* the line of who lives on this thread; has no mailboxes */
    struct {              /* what people are told who look (insight.h) */
        struct healed *healed;
        struct taps *taps;
        void (*news)(void *context);
        void *news_context;
        struct wheel_timer news_due, sweep;
        LIST_HEAD(insight_list, insight) questions; /* not answered yet */
        unsigned question_count;
    } insight;
};

/* A frame on its way to the subscribers that one worker has in one channel. */
struct delivery {
    struct mail mail;
    struct channel *channel; /* with a reference */
    struct frame *frame;     /* with a reference */
    struct socket_id exclude;
    uint64_t told_us; /* DELIVERY_EVENT: when the store told of it, in latency_now_us() */
    enum delivery_kind {
        DELIVERY_EVENT,
        DELIVERY_MEMBER,       /* like an event, but may wait a moment for more of its kind */
        DELIVERY_USER_ONLINE,  /* for the watchers in a CHANNEL_USER */
        DELIVERY_USER_OFFLINE, /* likewise */
        DELIVERY_TERMINATE,    /* ends the connections of the members in a CHANNEL_USER */
    } kind;
};

/* ---- node's thread ---- */

/* Hands mail to a worker at the end of this turn. */
void node_send(struct node *node, unsigned worker, struct mail *mail);

/* The mailboxes of all workers have room. */
bool node_workers_have_room(const struct node *node);

/* Frees the subscriptions that were kept back. (subscribe.c) */
void node_let_go(struct node *node);

/* The name of a shard of the store, which may have more than node->config: those that leave. NULL: there is none of that
 * index, which is below ENGINE_SHARDS_MAX (fleet.c). */
const char *node_shard_name(const struct node *node, unsigned shard);

/* Makes node->store (fleet.c). 0, or a negative errno that is in the log. */
int node_open_store(struct node *node);

/* Makes node->webhooks, if any app has some, and sets their part of the observer (transitions.c). Before the store. */
void node_open_webhooks(struct node *node, struct store_observer *observer);

/* The endpoints of node->config, in place of those before; makes node->webhooks if there were none so far. */
void node_reload_webhooks(struct node *node);

/* Adds to the transitions of a channel what only the node knows; nothing, when no webhook of the app wants it. */
void node_note_cache_miss(struct node *node, const struct app *app, const char *channel);
void node_note_client_event(struct node *node, const struct app *app, const struct publish_item *item);

/* Tells the store from now on how many connections the apps have that have a limit; until node_stop_usage(). What the
 * store tells of the other edges goes into the apps' counters (usage.c). */
void node_start_usage(struct node *node);
void node_stop_usage(struct node *node);
void node_reload_usage(
    struct node *node, const struct config *before); /* apps that are gone have no connections */
void node_on_usage(void *node, const char *app_id, uint64_t elsewhere);

/* From now on node->readiness says whether a shard is out of reach; until node_stop_blind(). Nothing without a fleet. */
void node_start_blind(struct node *node);
void node_stop_blind(struct node *node);

/* What the store tells the node, but for transitions (observe.c). */
extern const struct store_observer node_observer;

/* The frame, with the header of a WebSocket in front. */
struct frame *node_sealed(struct frame *frame);

/* The channel's `subscription_count.timer` is due (observe.c). */
void node_on_count_due(struct wheel_timer *timer, uint64_t now_ms);

void node_on_subscribe(struct mail *mail, void *node);
void node_on_unsubscribe(struct mail *mail, void *node);
void node_on_publish(struct mail *mail, void *node);
void node_on_query(struct mail *mail, void *node);

/* The attributes in `info` as the inside of a JSON object; first: no comma is needed in front. */
void node_write_attributes(
    struct buffer *body, unsigned info, const struct store_channel_state *state, bool first);

/* ---- insight.c ---- */

void node_start_insight(struct node *node);
void node_free_insight(struct node *node);
void node_note_healed(struct node *node, const struct engine_note *note);

/* What passes, for those who watch; next to nothing when nobody does. */
void node_tap_event(struct node *node, const char *app_id, const char *channel, const struct frame *frame);
void node_tap_member(
    struct node *node, const struct store_channel *stored, const struct member *member, bool added);

/* ---- workers' threads (port.c) ---- */

void port_on_answered(struct mail *mail, void *worker);
void port_on_released(struct mail *mail, void *worker);
void port_on_delivery(struct mail *mail, void *worker);
void port_on_published(struct mail *mail, void *worker);
void port_on_query_answered(struct mail *mail, void *worker);
