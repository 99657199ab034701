/* One client: its state, its limits and deadlines, its subscriptions, what it says and what it is told.
 *
 * A connection does not know how its bytes travel: a transport (WebSocket through libwebsockets, or the HTTP
 * fallback) creates it, feeds it messages and is told through `struct transport` when to write or close. A
 * connection belongs to one worker and is touched by that worker's thread only.
 *
 * Life:  OPEN ──(error, drain, slow reader)──▶ CLOSING ──(transport says closed)──▶ freed
 */
#pragma once

#include "edge/base/rate.h"
#include "edge/base/wheel.h"
#include "edge/config/config.h"
#include "edge/door/http.h"
#include "edge/node/node.h"
#include "edge/pusher/outbox.h"

struct worker;
struct connection;

struct transport {
    /* Writes what the outbox holds, as far as the client takes it; asks to be told when it takes more. */
    void (*flush)(struct connection *connection);
    /* Says something that the client's transport layer answers by itself (a WebSocket ping, pusher:ping
     * otherwise). */
    void (*ping)(struct connection *connection);
    /* Flushes as far as possible, closes with this code (4000–4399, or 0 for a plain close) and calls
     * connection_closed(), possibly before it returns. */
    void (*close)(struct connection *connection, int code, const char *reason);
    /* Throws the socket away (RST), after trying a last write of the outbox. Then connection_closed(). */
    void (*reset)(struct connection *connection);
};

/* Close codes (protocol.md, "Codes"). */
enum pusher_code {
    PUSHER_TLS_ONLY = 4000,
    PUSHER_NO_SUCH_APP = 4001,
    PUSHER_APP_DISABLED = 4003,
    PUSHER_OVER_QUOTA = 4004,
    PUSHER_PATH_NOT_FOUND = 4005,
    PUSHER_INVALID_VERSION = 4006,
    PUSHER_UNSUPPORTED_PROTOCOL = 4007,
    PUSHER_NO_PROTOCOL = 4008,
    PUSHER_UNAUTHORIZED = 4009,
    PUSHER_OVER_CAPACITY = 4100,
    PUSHER_RECONNECT = 4200,
    PUSHER_NO_PONG = 4201,
    PUSHER_INACTIVE = 4202,
    PUSHER_CLIENT_EVENT_RATE = 4301,
    PUSHER_WATCHLIST_LIMIT = 4302,
};

struct connection {
    const struct transport *transport;
    void *transport_data; /* the transport's own: for WebSocket the struct lws */
    int fd;               /* the socket, or -1 */
    struct worker *worker;
    const struct app *app; /* NULL while refused for want of one */
    struct socket_id id;
    LIST_ENTRY(connection) of_worker;
    LIST_ENTRY(connection) dirty; /* on worker->dirty while something waits for the end of this turn */
    bool is_dirty;
    bool blocked; /* the kernel took no more; the transport flushes when it does */
    uint8_t protocol;
    enum connection_state { CONNECTION_OPEN, CONNECTION_CLOSING } state;
    enum { CONNECTION_QUIET, CONNECTION_PINGED } liveness;
    uint32_t partial_bytes; /* of a frame, in the transport's own buffer */
    struct outbox outbox;
    uint64_t progress_ms; /* when the outbox last became shorter or was empty */
    uint64_t heard_ms;    /* when the client last said anything */
    struct wheel_timer deadline;
    struct rate messages, client_events;
    struct subscription_list subscriptions;
    uint32_t subscription_count;
};

/* ---- for transports ---- */

/* What the path and query of the request say (app key, protocol), before the transport is set up: 0 and *app,
 * or the code to refuse with, and *why in words. */
int connection_admit(struct worker *worker, const struct http_request *request, const struct app **app,
    uint8_t *protocol, const char **why);

/* A new connection, still silent. app is NULL for one that will be refused. Never NULL. */
struct connection *connection_new(struct worker *worker, const struct transport *transport, int fd,
    const struct app *app, uint8_t protocol);

/* The transport can carry frames: says pusher:connection_established. */
void connection_opened(struct connection *connection);

/* The transport can carry frames: says pusher:error and closes, for one that was not admitted. */
void connection_refuse(struct connection *connection, int code, const char *why);

/* One whole message (text, not NUL-terminated; UTF-8 was checked). May close and free the connection. */
void connection_receive(struct connection *connection, const char *text, size_t length);

/* The client showed life without a message (a pong). */
void connection_heard(struct connection *connection);

/* The transport has ended, whatever the cause: gives everything up and frees the connection. */
void connection_closed(struct connection *connection);

/* ---- for the rest of the worker ---- */

/* Puts a frame into the outbox; it leaves at the end of this turn of the loop. Applies the limits on slow
 * readers, and so may close the connection (never free it before the end of the turn). */
void connection_send(struct connection *connection, struct frame *frame);

/* pusher:error with this code, then close. */
void connection_end(struct connection *connection, int code, const char *why);

/* The node's answer to a subscription that still has its connection. */
void connection_subscribed(struct subscription *subscription);
