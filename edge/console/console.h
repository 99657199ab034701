/* The console: a page for operators on the admin listener, and what it, `rollcall who`, `why` and `top` ask.
 *
 *   GET  /, /console/…                    the page; holds no secret, so it needs no token
 *   GET  /api/edge?samples=N&healed=N     this edge, its shards and apps, the plots' samples and the timeline since N
 *   GET  /api/fleet                       the edges and their leases
 *   GET  /api/channels?app=A&search=T&limit=N
 *   GET  /api/who?app=A&channel=C&user=U  user: only him
 *   GET  /api/events?app=A&after=N&wait=1 events since N; with wait, when there are some, or after a while
 *   POST /api/events?app=A                {"channel":…,"name":…,"data":…} as of the HTTP API; wants allow_changes
 *   GET  /api/peers/N/edge, …             the same of another edge, edge.admin.peers[N]; only looking
 *
 * /api wants the token (edge/admin/admin_token.h). Answers are JSON; what the objects are stands in edge/node/insight.h
 * and overview.h. Ids of apps are told, never keys or secrets.
 *
 * Thread: the node's. */
#pragma once

#include "edge/base/metrics.h"
#include "edge/base/readiness.h"
#include "edge/base/wheel.h"
#include "edge/config/config.h"
#include "edge/door/http.h"
#include "edge/node/node.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console;

/* All that is pointed to outlives the console, but for the configuration, to which a reference is kept; the two arrays are
 * copied. */
struct console_sources {
    const struct config *config;
    struct node *node;
    uv_loop_t *loop;
    struct wheel *wheel;
    const struct readiness *readiness;
    struct metrics *const *workers;
    const atomic_uint_least64_t *const *turned_ms;
    size_t worker_count;
};

/* Never NULL. */
struct console *console_new(const struct console_sources *sources);

/* Goes over to another configuration, keeping a reference. */
void console_reload(struct console *console, const struct config *config);

/* Answers a request, now or later. False: the path is none of the console's. */
bool console_request(void *console, const struct http_request *request);

/* Answers those who wait. Before the door is freed, and before the node is. */
void console_free(struct console *console);
