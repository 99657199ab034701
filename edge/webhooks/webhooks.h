/* Webhooks: telling back ends of the transitions that the store tells (presence/store.h, "transitions").
 *
 *   store ── lane 0, 1, … ──▶ event (its JSON, once) ──┬──▶ queue of endpoint 1 ──▶ a batch ──▶ POST ── 2xx ──┐
 *     ▲                                                └──▶ queue of endpoint 2 ──▶ a batch ──▶ POST ── else ─┤ again,
 *     └──────────── done: up to the oldest event that any endpoint still has ◀──────────────────────────────┘ later
 *
 * One slow endpoint harms no other, although they share lanes: each has a queue of its own with references to the
 * events, a lane is done with only up to the oldest event that some endpoint still has, and the store is asked for the
 * following ones all the same (at most once a tick and lane, so that a store full of transitions does not pour them out
 * into memory while everyone is delivering well). Queues are bounded in bytes, each and all together; whoever is too
 * slow for that loses its own oldest events, and only those.
 *
 * An endpoint has one request under way at a time, so its channels keep their order. A batch is of one app. Events that
 * some SDKs choke on (http-api.md, "Receivers' facts") are never in a batch with others.
 *
 * What an endpoint does not take is tried again with growing pauses. When it has taken nothing for 5 minutes, what has
 * waited for 5 minutes is given up, with a line in the log and a count: a dead letter.
 *
 * Thread: the node's, for all of this header.
 */
#pragma once

#include "edge/base/buffer.h"
#include "edge/base/wheel.h"
#include "edge/config/config.h"
#include "presence/store.h"

#include <uv.h>

struct webhooks;

/* What the webhooks say to the store. Neither is called from within the other; both may come from within
 * webhooks_take(). */
struct webhooks_listener {
    void (*done)(void *context, unsigned lane, const char *last_id); /* store_transitions_done() */
    void (*more)(void *context, unsigned lane);                      /* store_transitions_more() */
    void *context;
};

/* Whether any app has an endpoint that wants anything. */
bool webhooks_wanted(const struct config *config);

/* Goes over to other endpoints, of which none loses what waits for it: one with the URL of one before goes on with its
 * queue; where an item of an app's list has another URL, the new one has the queue, and begins at once. What waits for
 * one that is gone or disabled is dropped, with a line in the log and a count. References to apps are kept. */
void webhooks_reload(struct webhooks *webhooks, const struct config *config);

/* Never NULL. The loop and its wheel outlive it. now_ms: the wheel's clock, monotonic. */
struct webhooks *webhooks_new(uv_loop_t *loop, struct wheel *wheel, uint64_t (*now_ms)(void),
    const struct config *config, const struct webhooks_listener *listener);

/* observer.transitions and observer.lane_lost of the store. What is held already is not taken twice. */
void webhooks_take(
    struct webhooks *webhooks, unsigned lane, const struct store_transition *list, size_t count);
void webhooks_lose_lane(struct webhooks *webhooks, unsigned lane);

/* The payload of a STORE_CLIENT_EVENT: what its sender said. data is a text; what was sent as anything else than a
 * string comes as its JSON. */
void webhooks_add_payload(struct buffer *payload, const char *event, size_t event_bytes, const char *data,
    size_t data_bytes, const char *socket_id);

/* Nothing is under way, and nothing waits but for a pause to pass. */
bool webhooks_idle(const struct webhooks *webhooks);

/* Queues, attempts, failures and dead letters of each app, in Prometheus' text format. */
void webhooks_write_metrics(const struct webhooks *webhooks, struct buffer *out);

/* Gives everything up without a word to the store; then run the loop until its close callbacks have run, then free. */
void webhooks_close(struct webhooks *webhooks);
void webhooks_free(struct webhooks *webhooks);
