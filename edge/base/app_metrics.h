/* What one worker counts of one app. Each worker has its own blocks and is the only one that adds to them; the admin
 * listener adds them up. A block is made when the app is first used and lives as long as the worker, so that a counter
 * never goes back, whatever becomes of the configuration. */
#pragma once

#include "edge/base/metrics.h"

/* X(name, prometheus name, type, help). The names, and app_id and port as labels, are soketi's (1.6), so that its
 * dashboards work. */
#define APP_METRICS(X)                                                                                       \
    X(connected, "soketi_connected", "gauge", "Open client connections of the app.")                         \
    X(connections, "soketi_new_connections_total", "counter", "Client connections that the app got.")        \
    X(disconnections, "soketi_new_disconnections_total", "counter",                                          \
        "Client connections of the app that ended.")                                                         \
    X(received_bytes, "soketi_socket_received_bytes", "counter",                                             \
        "Bytes of messages from the app's clients.")                                                         \
    X(sent_bytes, "soketi_socket_transmitted_bytes", "counter", "Bytes written to the app's clients.")       \
    X(messages_received, "soketi_ws_messages_received_total", "counter", "Messages from the app's clients.") \
    X(messages_sent, "soketi_ws_messages_sent_total", "counter", "Messages to the app's clients.")           \
    X(http_received_bytes, "soketi_http_received_bytes", "counter",                                          \
        "Bytes of the bodies of requests that the app signed.")                                              \
    X(http_sent_bytes, "soketi_http_transmitted_bytes", "counter", "Bytes of the bodies of their answers.")  \
    X(http_calls, "soketi_http_calls_received_total", "counter", "Requests that the app signed.")

struct app_metrics {
#define APP_METRIC_FIELD(name, prometheus, type, help) metric name;
    APP_METRICS(APP_METRIC_FIELD)
#undef APP_METRIC_FIELD
    struct app_metrics *next; /* in the table; both set before the block can be seen */
    const char *app_id;
};

/* All zeroes: an empty one. */
struct app_metrics_table {
    void *by_id; /* of tsearch(3); the worker's alone */
    _Atomic(struct app_metrics *) first;
    struct app_metrics nobody; /* for what is no app's, so that nobody has to ask; in no list */
};

/* The block of that app, made if there is none. Never NULL. The owner's thread; a search by the id, so keep it. */
struct app_metrics *app_metrics_of(struct app_metrics_table *table, const char *app_id);

/* The blocks there are, newest first, by ->next. Any thread. */
const struct app_metrics *app_metrics_first(const struct app_metrics_table *table);

/* When nobody reads any more. */
void app_metrics_deinit(struct app_metrics_table *table);
