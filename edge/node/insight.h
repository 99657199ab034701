/* What the node tells people who look: the console and `rollcall who`, `why` and `top`, through the admin listener.
 *
 * What is told at once is written here and now; what has to be asked of Redis or of the workers is a question with a
 * later answer. Everything is bounded, and nothing of it is on the way of a message: a worker is asked once, by mail,
 * and walks one channel's subscribers.
 *
 * Thread: the node's. JSON is complete objects in UTF-8. */
#pragma once

#include "edge/base/buffer.h"
#include "edge/config/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct node;
struct publish;

enum {
    INSIGHT_CHANNELS_MAX = 500, /* listed; all are counted */
    INSIGHT_USERS_MAX = 1000,   /* of a roster */
    INSIGHT_SOCKETS_MAX = 1000, /* of a channel on each worker */
    INSIGHT_QUESTIONS_MAX = 64, /* that have not been answered */
};

/* ---- at once ---- */

/* The shards of a fleet, a list: [{"name":…,"address":…,"up":bool,"bus_up":bool,"confirmed":bool,"replicated":bool,
 * "partitions":…,"ready":…,"refused":…,"removals_wait":…,"unacknowledged":…,"silent_ms":…}…]. up: it has shown that it is
 * a master. ready: partitions in which it is stamped as this shard and has accepted this edge: the proof. confirmed: a
 * majority of the Sentinels names it, or its address is fixed. [] with presence in memory. */
void node_write_shards(struct node *node, struct buffer *json);

/* The timeline (healed.h), and the number of its last change. */
void node_write_healed(struct node *node, uint64_t after, struct buffer *json);
uint64_t node_healed_last(const struct node *node);

/* Watches an app's events from now on (tap.h); false: too many apps are watched. Then what has passed. */
bool node_watch_events(struct node *node, const char *app_id);
void node_write_events(struct node *node, const char *app_id, uint64_t after, struct buffer *json);
uint64_t node_events_last(const struct node *node, const char *app_id);

/* Calls `news` some time after an event was kept, ten times a second at most. NULL: no more. */
void node_on_news(struct node *node, void (*news)(void *context), void *context);

/* ---- later ---- */

enum insight_kind {
    /* The edges of the fleet and their leases, as one partition of each shard knows them:
     * {"edge":…,"lease_ms":…,"shards":[{"shard":…,"partition":…,"known":bool,"owners":[{"owner":…,"edge":…,"lease_ms":…,
     * "here":bool}…]}…]} */
    INSIGHT_FLEET,
    /* The occupied channels of an app with `text` in their names, those with the most subscriptions first:
     * {"app":…,"found":…,"stale_s":…|null,"channels":[{"name":…,"kind":…,"subscriptions":…,"users":…,"here":…}…]} */
    INSIGHT_CHANNELS,
    /* Who is in the channel `channel`, where, and since when; with `user` only him, and how far he has been written.
     * See who.c for the object. */
    INSIGHT_WHO,
};

enum insight_status { INSIGHT_OK, INSIGHT_UNAVAILABLE, INSIGHT_BUSY };

struct insight {
    LIST_ENTRY(insight) entry;
    struct node *node;
    enum insight_kind kind;
    char *app_id, *channel, *user, *text; /* owned; NULL where the kind has none */
    uint32_t limit;                       /* INSIGHT_CHANNELS: listed at most, up to INSIGHT_CHANNELS_MAX */
    void (*answered)(struct insight *insight); /* once, perhaps at once; then insight_free() is the asker's */
    void *context;
    enum insight_status status;
    struct buffer body;
    void *work; /* of the one who answers */
    void (*free_work)(void *work);
};

/* A question; copies its texts. Never NULL. */
struct insight *insight_new(
    enum insight_kind kind, const char *app_id, const char *channel, const char *user, const char *text);

/* Asks it. It is the node's until `answered`; those that have none when the node is freed are freed with it. */
void node_ask(struct node *node, struct insight *insight);
void insight_free(struct insight *insight);

/* Publishes as a worker's node_publish() does, for who lives on the node's thread: `answered` comes there. */
void node_publish_here(struct node *node, struct publish *publish);
