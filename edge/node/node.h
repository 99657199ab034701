/* The node: one thread with everything there is one of per process: the store (presence, the bus), and the
 * answers to questions about all channels.
 *
 * Workers speak to it through a `node_port`, one a worker, used on that worker's thread only:
 *
 *   worker                       node                         store
 *   node_subscribe ──mail──▶ on_subscribe ──▶ store_subscribe
 *                                                │ done (roster)
 *   connection_subscribed ◀──mail── answer ◀─────┘
 *   connection_deliver    ◀──mail── delivery ◀── member_added, event, …
 *
 * Node → worker is first in, first out, so a client gets its roster and then exactly the changes after it.
 */
#pragma once

#include "edge/base/buffer.h"
#include "edge/base/mailbox.h"
#include "edge/base/metrics.h"
#include "edge/base/readiness.h"
#include "edge/config/config.h"
#include "edge/node/channel.h"
#include "presence/store.h"

struct node;
struct worker;
struct connection;

/* One subscription of one connection. Allocated by the worker, handed to the node with node_subscribe(), and
 * the worker's again with the last mail, which frees it. Each half is touched by its own thread only. */
struct subscription {
    /* Set by the worker before node_subscribe(), not changed afterwards */
    const struct app *app; /* with a reference, until the node has answered; then NULL */
    unsigned worker;
    enum channel_kind kind;
    uint32_t name_hash;
    char *user_id; /* presence, and a user's own connections in his CHANNEL_USER: NUL-terminated, in the same
                        allocation. NULL: no member */
    char *user_info; /* JSON text or NULL; its own allocation; the node frees it when the store has it */

    /* The worker's half */
    struct connection *connection; /* NULL when the client has gone or unsubscribed */
    LIST_ENTRY(subscription) of_connection;
    struct channel *channel; /* once attached; with a reference */
    uint32_t index;          /* in channel->local[worker].subscribers */
    uint64_t asked_us;       /* when the node was asked, in latency_now_us() */
    uint64_t since_ms;       /* when it was answered; in the time of the worker's loop */
    enum subscription_state {
        SUBSCRIPTION_PENDING, /* the node has not answered yet */
        SUBSCRIPTION_ACTIVE,
        SUBSCRIPTION_ENDED, /* unsubscribed; waits for the node to let go */
    } state;

    /* The node's half */
    struct node *node;
    struct store_subscription stored;
    struct channel *node_channel;
    enum node_subscription_state { NODE_ASKED, NODE_ANSWERED, NODE_REFUSED } node_state;
    bool
        kept; /* its connection has ended, but the store is not told: it stays the node's (node_begin_leaving) */

    /* What travels; four envelopes, since each may be on its way while another is */
    struct mail subscribe, unsubscribe, answered, released;
    struct frame *answer; /* subscription_succeeded; NULL for CHANNEL_USER */
    struct frame *cached; /* cache channels: the cached event or cache_miss, to follow the answer; or NULL */
    bool online;          /* watchers of a CHANNEL_USER: whether he is, as it is known */
    enum store_result result;
    enum store_reason reason; /* set by the worker before node_unsubscribe() */

    char name[];
};

LIST_HEAD(subscription_list, subscription);

enum node_status {
    NODE_OK,
    NODE_RATE_LIMITED, /* over the app's publishes_per_second; retry_after_s is set */
    NODE_BUSY,         /* mailboxes are full */
    NODE_UNAVAILABLE,  /* the store cannot be reached; nothing was published, or nothing is known */
};

/* What an HTTP caller wants to be told of each channel. INFO_ASKED: he asked for something, so that the channel
 * has its place in the answer, also if it has nothing of what was asked for. */
enum { INFO_USER_COUNT = 1, INFO_SUBSCRIPTION_COUNT = 2, INFO_CACHE = 4, INFO_ASKED = 8 };

struct publish_item {
    char *channel;            /* owned */
    struct frame *frame;      /* owned; sealed */
    unsigned info;            /* INFO_… wanted in the answer */
    struct socket_id exclude; /* in place of the publish's own, when it is not {0, 0}: each event of a batch
                                 may leave out another socket */
    struct buffer note;       /* client events: what webhooks say of it (webhooks_add_payload()); or empty */
    char *note_user_id;       /* owned; on presence channels, else NULL */
    /* the node's */
    struct publish *publish;
    struct store_publish stored;
    struct store_query question;
    struct store_channel_state state;
};

/* One publish of one or several events, all or nothing as far as admission goes. Made by the worker with
 * publish_new(), returned by `answered`, freed by publish_free(). */
struct publish {
    struct mail mail;
    struct node_port *port;   /* set by node_publish() */
    const struct app *app;    /* with a reference */
    struct socket_id exclude; /* {0, 0}: nobody */
    enum store_event_kind kind;
    bool counted;  /* from a back end: counts against publishes_per_second, is kept in cache channels */
    bool as_batch; /* the answer's form: {"batch":[…]} instead of {"channels":{…}} */
    void (*answered)(struct publish *publish); /* on the worker's thread */
    void *context;
    /* the answer */
    enum node_status status;
    uint32_t retry_after_s;
    struct buffer body; /* JSON, complete, when status is NODE_OK */
    int32_t stale_s;
    size_t outstanding; /* the node's: items not yet published, or not yet asked about */
    size_t count;
    struct publish_item items[];
};

struct publish *publish_new(const struct app *app, size_t count);
void publish_free(struct publish *publish);

/* A question of the HTTP API. The asker allocates it, and frees it with query_free() after `answered`. */
struct query {
    struct mail mail;
    struct node_port *port;
    const struct app *app; /* with a reference */
    enum query_kind { QUERY_CHANNELS, QUERY_CHANNEL, QUERY_USERS } kind;
    char *name;                            /* owned: channel, or prefix */
    unsigned info;                         /* INFO_… */
    void (*answered)(struct query *query); /* on the worker's thread */
    void *context;
    /* the answer */
    enum node_status status;
    int32_t stale_s; /* STORE_FRESH or seconds */
    struct buffer body;
    struct store_query stored; /* the node's */
    size_t seen;               /* the node's */
};

struct query *query_new(const struct app *app, enum query_kind kind, const char *name, unsigned info);
void query_free(struct query *query);

/* A worker's end of the line to the node. */
struct node_port {
    struct node *node;
    unsigned worker;
    struct mailbox *worker_mailbox;
    struct outgoing to_node; /* the worker flushes it at the end of each turn */
    size_t outstanding;      /* subscriptions, publishes and queries that the node has not given back yet */
};

/* A node on `loop`; the store is made from the configuration. Returns 0 or a negative errno. Main thread. */
int node_new(uv_loop_t *loop, const struct config *config, unsigned workers, struct node **node);

/* The node's mailbox, for mail that is not about channels. Any thread. */
struct mailbox *node_mailbox(struct node *node);

/* Connects a worker; call for each before any thread runs. */
void node_connect(struct node *node, struct node_port *port, unsigned worker, struct mailbox *worker_mailbox);

/* The wheel of the node's thread. */
struct wheel *node_wheel(struct node *node);

/* The node's own counters. */
struct metrics *node_metrics(struct node *node);

/* Whether new clients are welcome on this process. The node itself says when it is blind. Any thread. */
struct readiness *node_readiness(struct node *node);

/* How many client connections the process has; connection_admit() counts them. Any thread. */
atomic_uint *node_connections(struct node *node);

/* Whether the process has no room for more clients, whatever their number: connection_admit() asks. Any thread. */
atomic_bool *node_is_full(struct node *node);

/* The random number of this process, the first half of its socket ids. */
uint64_t node_incarnation(const struct node *node);

/* Has the store go over to the shards of another configuration, before node_reload(). 0, or a negative errno with a sentence in `problem`, and
 * nothing has changed. */
int node_reload_shards(struct node *node, const struct config *config, char *problem, size_t problem_bytes);

/* Goes over to another configuration, keeping a reference. Before any worker does, so that the node never knows less of
 * an app than who asks it. */
void node_reload(struct node *node, const struct config *config);

/* The process sends its clients away: whose connection ends from now on stays where he is, for everybody, since he is
 * expected back elsewhere. Whoever unsubscribes leaves as ever, and everything else goes on: publishes, questions, also
 * newcomers. Once. */
void node_begin_leaving(struct node *node);

/* The process will stop: what it holds in a fleet's store, with those that node_begin_leaving() kept, stays for the grace
 * and then goes, so that users who come back elsewhere meanwhile make no event. Once, when no worker runs any more. */
void node_retire(struct node *node, uint32_t grace_ms);

/* Calls `settled` when the store has been answered everything and no webhook is under way, or after max_ms. Once no
 * worker runs any more. */
void node_settle(struct node *node, uint32_t max_ms, void (*settled)(void *context), void *context);

/* The state of a fleet's store, and of webhooks, in Prometheus' text format; nothing where there is neither. */
void node_write_metrics(struct node *node, struct buffer *out);

/* Stops the node's handles; call when no worker runs any more, then run the loop until it is empty, then
 * free. */
void node_close(struct node *node);
void node_free(struct node *node);

/* ---- on a worker's thread ---- */

/* False when the node is behind: refuse what begins something. */
bool node_port_has_room(const struct node_port *port);

/* A zeroed subscription with its name and user id (NULL outside of presence) copied. Never NULL. Whoever
 * fails before node_subscribe() frees it with subscription_free(). */
struct subscription *subscription_new(
    const char *name, size_t name_bytes, const char *user_id, size_t user_id_bytes);
void subscription_free(struct subscription *subscription);

/* Asks for a subscription. The answer is connection_subscribed(); if it is a refusal, the subscription is
 * freed when connection_subscribed() returns. */
void node_subscribe(struct node_port *port, struct subscription *subscription);

/* Gives a subscription up, answered or not; the caller has detached it from its connection. It is freed
 * later. */
void node_unsubscribe(struct node_port *port, struct subscription *subscription);

void node_publish(struct node_port *port, struct publish *publish);
void node_query(struct node_port *port, struct query *query);
