/* The admin listener: is the process alive, is it ready, what does it count. For balancers, supervisors and
 * Prometheus; nothing here is for clients.
 *
 *   GET /healthz   200, or 503 when a loop does not turn any more: restart me. Never depends on a store.
 *   GET /readyz    200 or 503, and why (edge/base/readiness.h): send me nobody new.
 *   GET /metrics   Prometheus' text format 0.0.4
 *   GET /facts     whom this edge holds in a fleet's Redis, for `rollcall verify`; 404 without a fleet. Wants the token
 *                  (admin_token.h) where the configuration has one
 *   GET /reload    which configuration runs, since when, and what was wrong with the last one; wants the token likewise
 *   POST /reload   reads it again: 200 and what has changed, or 422 and what is wrong, a line each; 503 while stopping.
 *                  Wants the token likewise
 *
 * And the console (edge/console/console.h).
 *
 * It lives on the node's thread, so an answer also shows that this thread turns. Thread: that one, for all of
 * this header, unless said.
 */
#pragma once

#include "edge/base/app_metrics.h"
#include "edge/base/buffer.h"
#include "edge/base/metrics.h"
#include "edge/base/readiness.h"
#include "edge/base/wheel.h"
#include "edge/config/config.h"
#include "edge/door/http.h"
#include "edge/reload.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct admin;

/* What the answers are made of. All that is pointed to outlives the admin; the arrays are copied. */
struct admin_sources {
    struct metrics *const *workers; /* worker_count of them; labelled worker="0", … */
    size_t worker_count;
    struct metrics *node; /* labelled worker="node"; the requests of the admin listener count there */
    /* What each worker counts of apps; worker_count of them. NULL: is not said. */
    const struct app_metrics_table *const *apps;
    uint16_t port; /* of the first client listener, the label `port` of soketi's metrics */
    /* When each worker's loop last turned, in the time of clock_monotonic_ms(). NULL: is not said. */
    const atomic_uint_least64_t *const *turned_ms;
    /* False when the process had better be restarted. */
    bool (*alive)(void *context);
    const struct readiness *readiness;
    /* Further metrics, in the same format. NULL: none. */
    void (*write_metrics)(void *context, struct buffer *out);
    /* The body of /facts; false where there are none. NULL: none. */
    bool (*write_facts)(void *context, struct buffer *out);
    /* Reloading (edge/reload.h), and its state. NULL: there is no such thing. */
    void (*reload)(void *context, struct reload_asker *asker);
    void (*write_reload)(void *context, struct buffer *out);
    /* What else is served here (the console): answers, and returns true, for a path of its own. NULL: nothing. */
    bool (*request)(void *context, const struct http_request *request);
    void *request_context;
    void *context;
    /* A listening socket that was passed on, in place of one that is opened where the configuration says; the admin's from
     * then on. 0, which is standard input: there is none. */
    int listener;
};

/* Listens where the configuration says, whose edge.admin.enabled the caller has looked at. 0, or a negative
 * errno of the listening socket, which is in the log. The wheel outlives the admin. */
int admin_new(uv_loop_t *loop, struct wheel *wheel, const struct config *config,
    const struct admin_sources *sources, struct admin **admin);

/* Goes over to another configuration, keeping a reference; the listener stays where it is. */
void admin_reload(struct admin *admin, const struct config *config);

/* Closes the listener; answers under way are given. */
void admin_stop_accepting(struct admin *admin);

/* The listening socket; stays the admin's. */
int admin_listener(const struct admin *admin);

/* The port that was bound. */
uint16_t admin_port(const struct admin *admin);

/* Closes the listener and its connections; handles are closed when the loop has run its close callbacks. */
void admin_free(struct admin *admin);
