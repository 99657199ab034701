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
#include "edge/pusher/user.h"

struct app_metrics;
struct tls_bridge;
struct worker;
struct connection;

struct transport {
    /* Writes what the outbox holds, as far as the client takes it; asks to be told when it takes more. Never
     * ends the connection: of a socket that is found dead it says connection_lost(). */
    void (*flush)(struct connection *connection);
    /* Says something that the client's transport layer answers by itself (a WebSocket ping, pusher:ping
     * otherwise). */
    void (*ping)(struct connection *connection);
    /* Flushes as far as possible, closes with this code (4000–4399, a code of RFC 6455, or 0 for a plain
     * close) and calls connection_closed() before it returns. */
    void (*close)(struct connection *connection, int code, const char *reason);
    /* Throws the socket away (RST), after trying a last write of the outbox, and calls connection_closed()
     * before it returns. */
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

enum { CONNECTION_RESET = -1 };

LIST_HEAD(client_publish_list, client_publish);

struct connection {
    const struct transport *transport;
    void *transport_data; /* the transport's own: for WebSocket the struct lws */
    struct worker *worker;
    const struct app *app;      /* with a reference; NULL while refused for want of one */
    struct app_metrics *counts; /* the worker's, of this app or of nobody; never NULL */
    const struct app_key *key;  /* the pair it came with, or the app's first when that is gone */
    struct user *user;          /* NULL until signed in */
    uint64_t opened_ms;
    bool authorized;        /* has signed in, or has been let into a channel with a signature */
    struct door_seat *seat; /* its place under connections_per_address; left when it ends */
    struct socket_id id;
    LIST_ENTRY(connection) of_worker;
    LIST_ENTRY(connection) dirty; /* on worker->dirty while something waits for the end of this turn */
    LIST_ENTRY(connection) lazy;  /* on worker->lazy while member events are held back */
    int fd;                       /* the client's socket, or -1 */
    int read_fd;                  /* where the transport reads; with TLS, not the socket */
    struct tls_bridge *bridge;    /* NULL: no TLS. There as long as the connection */
    bool is_dirty, is_lazy;
    bool blocked; /* the kernel took no more; the transport flushes when it does */
    uint8_t protocol;
    uint16_t leaves_with; /* its app is gone or disabled: the code it will be closed with; 0: it stays */
    uint64_t leaves_ms;   /* and when, which is the worker's to set */
    enum connection_state { CONNECTION_OPEN, CONNECTION_CLOSING } state;
    enum { CONNECTION_QUIET, CONNECTION_PINGED } liveness;
    enum store_reason reason; /* why it ends, for webhooks */
    int end_code;             /* while CLOSING: what the transport is to close with, or CONNECTION_RESET */
    char *end_why;            /* owned; NULL: no words */
    uint32_t partial_bytes;   /* of a frame, in the transport's own buffer */
    uint32_t counted_bytes;   /* what of this connection is in worker->outbox_bytes */
    struct outbox outbox;
    uint64_t progress_ms; /* when the outbox last became shorter or was empty */
    uint64_t taken_bytes; /* what the client's kernel had acknowledged when that was last looked at */
    uint64_t heard_ms;    /* when the client last said anything */
    uint64_t pinged_ms;   /* while PINGED: since when the answer is due */
    uint64_t lazy_ms;     /* when it last got a member event */
    struct wheel_timer deadline;
    struct rate messages, client_events;
    struct subscription_list subscriptions;
    struct client_publish_list publishes; /* client events that the node has not answered */
    uint32_t subscription_count;
};

/* ---- for transports ---- */

/* Who is let in, and as what. All zero but `why` when nobody is. */
struct admission {
    const struct app *app; /* with a reference, which is the connection's from connection_new() on */
    const struct app_key *key;
    uint8_t protocol;
    const char *why; /* static */
};

/* What path, query and origin of the request say, before the transport is set up: 0, or the code to refuse with
 * and admission->why. With 0 a place among the connections of the app and of the process is taken; connection_new()
 * takes it over, and must follow. */
int connection_admit(struct worker *worker, const struct http_request *request, struct admission *admission);

/* A new connection, still silent; one that was not admitted will be refused. `seat` is the
 * connection's from now on; NULL is allowed. Never NULL. */
struct connection *connection_new(struct worker *worker, const struct transport *transport, int fd,
    const struct admission *admission, struct door_seat *seat);

/* The transport can carry frames: says pusher:connection_established. */
void connection_opened(struct connection *connection);

/* The transport can carry frames: says pusher:error and closes, for one that was not admitted. */
void connection_refuse(struct connection *connection, int code, const char *why);

/* One whole message (text, not NUL-terminated; that it is UTF-8 is checked here). May end the connection, but
 * never frees it: that happens at the end of the turn. */
void connection_receive(struct connection *connection, const char *text, size_t length);

/* A piece of a message that is not complete yet came: it counts against the rate of messages, so that pieces
 * without end are no way around it. May end the connection. */
void connection_receive_piece(struct connection *connection);

/* The client showed life without a message (a pong). */
void connection_heard(struct connection *connection);

/* So many bytes went to the kernel or into the transport's own buffer; `blocked` when the client takes no
 * more. To be said after each write. */
void connection_wrote(struct connection *connection, size_t bytes, bool blocked);

/* The socket is dead; the transport is told to reset it at the end of this turn. */
void connection_lost(struct connection *connection);

/* The transport has ended, whatever the cause: gives everything up and frees the connection. */
void connection_closed(struct connection *connection);

/* ---- for the rest of the worker ---- */

/* Before and after a worker's connections: their lists and the timer that lets held back frames go. The timer
 * is a handle of the worker's loop. */
void connection_lists_init(struct worker *worker);
void connection_lists_close(struct worker *worker);

/* Puts a frame into the outbox; it leaves at the end of this turn of the loop. Applies the limits on slow
 * readers, and so may end the connection (never free it before the end of the turn). Ignored once it is
 * CLOSING. */
void connection_send(struct connection *connection, struct frame *frame);

/* The same for member_added and member_removed: the first one goes at once; those that follow within a moment
 * wait together for CONNECTION_LAZY_MS at most, or until anything else is sent, so that order stays. A crowd
 * that joins one channel then costs few writes. */
void connection_send_lazy(struct connection *connection, struct frame *frame);

enum { CONNECTION_LAZY_MS = 5 };

/* pusher:error with this code (null for one below 4000, a WebSocket close code), then close. */
void connection_end(struct connection *connection, int code, const char *why);

/* The back end ends it: 4009. */
void connection_terminate(struct connection *connection, const char *why);

/* Writes every outbox that has something new, and carries out the closes of this turn. At the end of each
 * turn, outside of all callbacks of libwebsockets. */
void connection_flush_dirty(struct worker *worker);

/* Goes over to another configuration: to the app of the same id there. Where there is none, or a disabled one, the
 * connection stays as it is, and leaves_with says with what it is to be ended. */
void connection_reload(struct connection *connection, const struct config *config);

/* A user on the connection's watchlist has come online or gone offline; the frame says so. */
void connection_user_changed(struct subscription *subscription, bool online, struct frame *frame);

/* The node's answer to a subscription that still has its connection. A refused one is unlinked from it. */
void connection_subscribed(struct subscription *subscription);
