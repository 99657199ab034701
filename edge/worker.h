/* A worker: a thread with its own loop, its own listeners, its own lws_context, and the connections they
 * bring.
 *
 * One turn of its loop: mail and sockets put frames into outboxes and the connections on the dirty list; at
 * the end of the turn (before the loop waits) every dirty outbox is written once, and the mail to the node is
 * handed over as one pile.
 */
#pragma once

#include "edge/base/mailbox.h"
#include "edge/base/metrics.h"
#include "edge/base/wheel.h"
#include "edge/config/config.h"
#include "edge/door/door.h"
#include "edge/node/node.h"
#include "edge/pusher/connection.h"

struct websocket_host;

LIST_HEAD(connection_list, connection);

struct worker {
    unsigned number;
    const struct config *config;
    uv_loop_t loop;
    uv_thread_t thread;
    uv_prepare_t end_of_turn;
    uv_timer_t tick; /* runs the wheel */
    struct wheel wheel;
    struct mailbox mailbox;
    struct node_port node;
    struct door *door;
    struct websocket_host *websockets;
    struct metrics metrics;
    struct connection_list connections;
    struct connection_list dirty;
    size_t connection_count;
    uint64_t next_serial;
    uint64_t outbox_bytes; /* of all connections */
};

/* Prepares a worker, with its lws_context, before any thread runs (contexts are made one after the other;
 * measured in architecture.md). Main thread. 0 or a negative errno. */
int worker_init(struct worker *worker, unsigned number, const struct config *config, struct node *node);

/* Listens. Main thread, before worker_start(). *port: what was bound. */
int worker_listen(struct worker *worker, int fd, const struct config_listen *listen_at);

int worker_start(struct worker *worker);

/* Asks a running worker to stop accepting, close its connections with 4200 spread over `over_ms`, and end.
 * Any thread. */
void worker_drain(struct worker *worker, uint32_t over_ms);

/* Waits for the thread; then worker_deinit() frees what is left. Main thread. */
void worker_join(struct worker *worker);
void worker_deinit(struct worker *worker);

/* The loop's clock, in ms; monotonic. Worker's thread. */
static inline uint64_t worker_now_ms(struct worker *worker)
{
    return uv_now(&worker->loop);
}
