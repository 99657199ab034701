/* A worker: a thread with its own loop, its own listeners, its own lws_context, and the connections they
 * bring.
 *
 * One turn of its loop: mail and sockets put frames into outboxes and the connections on the dirty list; at
 * the end of the turn (before the loop waits) every dirty outbox is written once, and the mail to the node is
 * handed over as one pile.
 */
#pragma once

#include "edge/base/app_metrics.h"
#include "edge/base/mailbox.h"
#include "edge/base/metrics.h"
#include "edge/base/wheel.h"
#include "edge/config/config.h"
#include "edge/door/door.h"
#include "edge/node/node.h"
#include "edge/pusher/connection.h"

struct fallback_host;
struct websocket_host;

LIST_HEAD(connection_list, connection);

struct worker {
    unsigned number;
    unsigned worker_count;
    struct worker *workers;      /* all of the process, in the order of their numbers */
    const struct config *config; /* with a reference */
    uv_loop_t loop;
    uv_thread_t thread;
    uv_prepare_t end_of_turn;
    uv_timer_t tick; /* runs the wheel */
    struct wheel wheel;
    struct mailbox mailbox;
    struct node_port node;
    struct door *door;
    struct websocket_host *websockets;
    struct fallback_host *fallbacks;
    struct metrics metrics;
    struct app_metrics_table apps;
    struct latency_pile deliveries; /* events of this turn, by when the node had them */
    uint64_t ticked_us;             /* when the tick last ran, in latency_now_us(); 0: never */
    struct connection_list connections;
    struct connection_list dirty;
    struct connection_list lazy; /* connections with frames that are held back for a moment */
    uv_timer_t lazy_timer;       /* runs while there are such */
    size_t connection_count;
    uint64_t edge_number; /* the first half of its socket ids: the process' random number */
    uint64_t next_serial; /* the second half; workers count in disjoint residues, serial_step apart */
    uint64_t serial_step;
    uint64_t outbox_bytes;           /* of all connections */
    atomic_uint_least64_t turned_ms; /* when its loop last ticked: its heartbeat, for any thread */
    struct {                         /* how far publishers' clocks are off (edge/api/clock_skew.c) */
        struct wheel_timer window;
        uint64_t recent_s, before_s; /* the largest of this window, and of the one before */
        bool warned, refused;        /* said in the log in this window */
    } clocks;
    struct { /* another configuration */
        struct mail request;
        const struct config *config;
        struct mail *taken;
    } reload;
    uv_timer_t leavers; /* runs while connections of apps that are gone or disabled are being closed */
    struct {            /* leaving */
        struct mail request;
        struct mail *finished; /* posted to the node when all is given back */
        uv_timer_t timer;
        bool active;
        atomic_bool begun;   /* the same, for other workers: gives no sockets away any more */
        atomic_bool hurried; /* by worker_hurry() */
        bool others_listen;
        uint64_t started_ms;
        uint32_t over_ms;
        size_t connections; /* when it began */
    } drain;
};

/* Prepares a worker, the number-th of an array of all, with its lws_context, before any thread runs (contexts are made one after the other;
 * measured in architecture.md). Main thread. 0 or a negative errno. */
int worker_init(
    struct worker *worker, unsigned number, unsigned workers, const struct config *config, struct node *node);

/* Takes connections from a listener; fd is the worker's from now on; kept: as in door_keep_listener(). Main thread, before
 * worker_start(). */
int worker_listen(struct worker *worker, int fd, const struct config_listen *listen_at, bool kept);

int worker_start(struct worker *worker);

/* Asks a running worker to stop accepting (others_listen: as in door_stop_accepting()), close its connections with 4200
 * spread over `over_ms`, and end. When everything is given back, `finished` is posted to the node's mailbox. Once; any
 * thread. */
void worker_drain(struct worker *worker, uint32_t over_ms, bool others_listen, struct mail *finished);

/* A worker that drains does so at once. Ignored by one that does not, or has ended; until worker_join(). Any thread. */
void worker_hurry(struct worker *worker);
/* Asks a running worker to go over to another configuration, between two turns of its loop; it keeps a reference. When
 * it has let go of the one before, `taken` is posted to the node's mailbox. One at a time, and not after
 * worker_drain(). What was said with the one before stays; what comes next is judged by the new one. Connections whose
 * app is gone or disabled are closed with 4001 or 4003, spread over edge.drain_ms. Any thread. */
void worker_reload(struct worker *worker, const struct config *config, struct mail *taken);

/* Before the thread runs, and for the end of it (worker_reload.c). */
void worker_reload_init(struct worker *worker);
void worker_reload_close(struct worker *worker);

/* After the last close, how long a client may take to answer its Close frame before it is reset. */
enum { WORKER_DRAIN_GRACE_MS = 2000 };

/* Waits for the thread, then frees everything. Main thread. */
void worker_join(struct worker *worker);

/* The loop's clock, in ms; monotonic. Worker's thread. */
static inline uint64_t worker_now_ms(const struct worker *worker)
{
    return uv_now(&worker->loop);
}
