/* Counters of one thread. Each worker and the node has its own block and is the only one that adds to it; the
 * admin listener reads all of them. Relaxed atomics: a scrape may be a moment old, never torn. */
#pragma once

#include "presence/latency.h"

#include <stdatomic.h>
#include <stdint.h>

typedef atomic_uint_least64_t metric;

/* X(name, prometheus name, type, help) — one row a metric; gauges are counted up and down by their owner. */
#define METRICS(X)                                                                                           \
    X(connections, "rollcall_connections", "gauge", "Open client connections.")                              \
    X(connections_opened, "rollcall_connections_opened_total", "counter", "Client connections accepted.")    \
    X(connections_closed, "rollcall_connections_closed_total", "counter", "Client connections ended.")       \
    X(connections_refused, "rollcall_connections_refused_total", "counter",                                  \
        "Connections refused before or with their first message.")                                           \
    X(sockets_accepted, "rollcall_sockets_accepted_total", "counter", "Sockets taken from the listeners.")   \
    X(accept_paused, "rollcall_accept_paused_total", "counter",                                              \
        "Times accepting stopped for want of descriptors or memory.")                                        \
    X(accepts_paced, "rollcall_accepts_paced_total", "counter",                                              \
        "Times accepting waited because of edge.accepts_per_second.")                                        \
    X(messages_received, "rollcall_messages_received_total", "counter", "Messages received from clients.")   \
    X(messages_refused, "rollcall_messages_refused_total", "counter",                                        \
        "Client messages answered with an error.")                                                           \
    X(frames_sent, "rollcall_frames_sent_total", "counter", "Messages delivered to client sockets.")         \
    X(bytes_sent, "rollcall_bytes_sent_total", "counter", "Bytes written to client sockets.")                \
    X(bytes_received, "rollcall_bytes_received_total", "counter",                                            \
        "Bytes of messages received from clients.")                                                          \
    X(socket_writes, "rollcall_socket_writes_total", "counter", "Write calls on client sockets.")            \
    X(outbox_bytes, "rollcall_outbox_bytes", "gauge", "Bytes that wait for slow readers.")                   \
    X(slow_readers, "rollcall_slow_readers_total", "counter",                                                \
        "Connections reset because they read too slowly.")                                                   \
    X(pong_timeouts, "rollcall_pong_timeouts_total", "counter", "Connections closed because no pong came.")  \
    X(http_requests, "rollcall_http_requests_total", "counter", "HTTP requests answered.")                   \
    X(http_errors, "rollcall_http_errors_total", "counter", "HTTP requests answered with 4xx or 5xx.")       \
    X(tls_handshakes, "rollcall_tls_handshakes_total", "counter", "TLS handshakes done.")                    \
    X(http_malformed, "rollcall_http_malformed_total", "counter", "Heads and bodies that were not HTTP.")    \
    X(publisher_clock_skew_seconds, "rollcall_publisher_clock_skew_seconds", "gauge",                        \
        "Largest difference between a publisher's clock and ours in the last minutes; over 600 is refused.") \
    X(publisher_clocks_off, "rollcall_publisher_clocks_off_total", "counter",                                \
        "Signed requests whose time was more than 60 s from ours.")                                          \
    X(publishes, "rollcall_publishes_total", "counter", "Events accepted from back ends and clients.")       \
    X(publishes_refused, "rollcall_publishes_refused_total", "counter",                                      \
        "Events refused for rate or overload.")                                                              \
    X(channels, "rollcall_channels", "gauge", "Channels with a subscription on this edge.")                  \
    X(subscriptions, "rollcall_subscriptions", "gauge", "Subscriptions on this edge.")

/* X(name, prometheus name, help) — histograms of durations, in seconds. */
#define LATENCIES(X)                                                                                         \
    X(publish_latency, "rollcall_publish_seconds", "From a request to publish, complete, to its answer.")    \
    X(delivery_latency, "rollcall_delivery_seconds",                                                         \
        "From an event's arrival at the node to its being written to all of the worker's subscribers.")      \
    X(join_latency, "rollcall_join_seconds", "From a client's subscription to its answer.")                  \
    X(loop_lag, "rollcall_loop_lag_seconds", "How late the thread's timer runs.")

/* Why TLS handshakes failed: one for each of TLS_FAILURES in edge/tls/session.h. */
enum { METRICS_TLS_FAILURES = 7 };

struct metrics {
#define METRIC_FIELD(name, prometheus, type, help) metric name;
    METRICS(METRIC_FIELD)
#define LATENCY_FIELD(name, prometheus, help) struct latency name;
    LATENCIES(LATENCY_FIELD)
#undef LATENCY_FIELD
#undef METRIC_FIELD
    metric tls_failures[METRICS_TLS_FAILURES];
};

static inline void metric_add(metric *m, uint64_t n)
{
    /* one writer, so no read-modify-write is needed */
    atomic_store_explicit(m, atomic_load_explicit(m, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void metric_set(metric *m, uint64_t value)
{
    atomic_store_explicit(m, value, memory_order_relaxed);
}

static inline void metric_subtract(metric *m, uint64_t n)
{
    atomic_store_explicit(m, atomic_load_explicit(m, memory_order_relaxed) - n, memory_order_relaxed);
}

/* A timer of every_ms has run; *last_us is when it last did (0: never). What it was late by goes into the histogram. */
static inline void metrics_note_tick(struct metrics *metrics, uint64_t *last_us, uint32_t every_ms)
{
    uint64_t now_us = latency_now_us(), due_us = *last_us + (uint64_t)every_ms * 1000;
    if (*last_us)
        latency_add(&metrics->loop_lag, now_us > due_us ? now_us - due_us : 0);
    *last_us = now_us;
}
