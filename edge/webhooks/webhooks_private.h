/* The inside of the webhooks, for the files of edge/webhooks only.
 *
 *   webhooks.c   life; what comes from the store, and to which endpoints it goes
 *   apps.c       which endpoints there are; other ones
 *   lane.c       what of a lane is not done with
 *   event.c      the JSON of an event
 *   endpoint.c   an endpoint's queue: batches, pauses, giving up
 *   metrics.c    what is counted
 *   client.c     requests; address.c  to where
 */
#pragma once

#include "edge/webhooks/client.h"
#include "edge/webhooks/webhooks.h"

#include <sys/queue.h>
#include <uthash.h>

struct lane;

/* One transition of a lane, from when it is told until the lane is done with it. Freed when neither the lane nor any
 * queue has it. */
struct event {
    TAILQ_ENTRY(event) of_lane;
    UT_hash_handle hh; /* lane->index, by id */
    struct lane *lane; /* NULL: the lane is lost, or done with it */
    unsigned waiting;  /* endpoints that have it in a queue */
    unsigned form;     /* only events of one form share a batch */
    uint32_t channel_hash;
    char *json; /* NULL when no endpoint wants it */
    size_t json_bytes;
    char id[];
};

TAILQ_HEAD(event_queue, event);

struct lane {
    TAILQ_ENTRY(lane) of_unsettled;
    struct webhooks *webhooks;
    unsigned number;
    struct event_queue events; /* oldest first */
    struct event *index;
    bool is_unsettled; /* on webhooks->unsettled: its first event may be done with */
    bool may_ask;      /* something was told since the store was asked for more */
};

TAILQ_HEAD(lane_queue, lane);

/* An event in the queue, or the batch, of one endpoint. */
struct item {
    TAILQ_ENTRY(item) entry;
    struct event *event;
    uint64_t since_ms;
};

TAILQ_HEAD(item_queue, item);

/* Endpoints add to them. */
struct app_counts {
    uint64_t attempts, delivered, failures[CLIENT_RESULTS];
    /* Dead letters: after 5 minutes; because a queue was full; because the endpoint has gone from the configuration. */
    uint64_t given_up, overflowed, removed;
};

TAILQ_HEAD(endpoint_queue, endpoint);

/* An app that has webhooks, or has had: its counts do not go back. */
struct hooked_app {
    UT_hash_handle hh;     /* webhooks->apps, by id */
    const struct app *app; /* with a reference; NULL: it is in the configuration no more */
    struct app_counts counts;
    struct endpoint_queue endpoints; /* in the order of the app's list */
    char id[];
};

struct endpoint {
    TAILQ_ENTRY(endpoint) of_fed;
    TAILQ_ENTRY(endpoint) of_app;
    TAILQ_ENTRY(endpoint) of_all;
    struct webhooks *webhooks;
    struct hooked_app *hooked;
    const struct config_webhook *config; /* in hooked->app */
    const struct app *posting;           /* of what is under way; with a reference */
    size_t number;                       /* in the app's list */
    struct item_queue queue;
    struct item_queue batch;   /* what is under way, or waits to be tried again; older than the queue */
    size_t length, bytes;      /* of both */
    uint64_t failing_since_ms; /* 0: the last attempt was good, or there was none */
    unsigned failures;         /* in a row */
    bool is_fed;               /* on webhooks->fed: something was added to its queue */
    bool under_way;
    struct wheel_timer pause;
    struct client_request request;
    struct curl_slist *headers;
    struct buffer body;
};

struct webhooks {
    uint64_t (*now_ms)(void);
    struct wheel *wheel;
    struct webhooks_listener listener;
    struct client *guarded, *open; /* the second one also goes to private addresses */
    struct hooked_app *apps;
    struct endpoint_queue endpoints; /* of all apps */
    size_t bytes;                    /* of all queues */
    struct lane **lanes;             /* by number; NULL: never heard of */
    unsigned lane_count;
    struct lane_queue unsettled;
    struct endpoint_queue fed;
    bool settling;
    struct wheel_timer asking; /* for more */
};

/* ---- event.c ---- */

/* Fills in `form`, `channel_hash` and `json`. */
void event_write(struct event *event, const struct store_transition *transition);

/* ---- lane.c ---- */

/* The lane of that number, made when it is new. */
struct lane *lane_of(struct webhooks *webhooks, unsigned number);

/* A new event at the end of the lane; NULL: the lane has it already. */
struct event *lane_add(struct lane *lane, const char *id);

/* One endpoint less has it. */
void event_release(struct event *event);

/* Its first event may be done with. */
void lane_mark(struct lane *lane);

/* Tells the store how far the marked lanes are done with. Call it after a series of releases. */
void lanes_settle(struct webhooks *webhooks);

void lane_lose(struct lane *lane);
void lane_free(struct lane *lane);

/* ---- apps.c ---- */

/* NULL: it never had webhooks. */
struct hooked_app *hooked_app_find(struct webhooks *webhooks, const char *app_id);

/* Everything; call lanes_settle() or lose the lanes. */
void hooked_apps_free(struct webhooks *webhooks);

/* ---- endpoint.c ---- */

/* Of no app yet: endpoint_assign() must follow, and puts it into the app's list. Never NULL. */
struct endpoint *endpoint_new(struct webhooks *webhooks, struct hooked_app *hooked);

/* What it is from now on: that item of the list of hooked->app. At another URL it begins anew, with its queue. What it
 * was before must still be there. */
void endpoint_assign(struct endpoint *endpoint, size_t number);

/* Gives up what it has, in its app's list no more. Then lanes_settle(). */
void endpoint_free(struct endpoint *endpoint);

/* Puts an event at the end of the queue. */
void endpoint_add(struct endpoint *endpoint, struct event *event);

/* Begins a request, if there is something to say and nothing under way. */
void endpoint_go(struct endpoint *endpoint);

/* Drops what is of lost lanes. */
void endpoint_forget_lost(struct endpoint *endpoint);

/* Since when its oldest event waits; 0: there is none. */
uint64_t endpoint_oldest_ms(const struct endpoint *endpoint);
