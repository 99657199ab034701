/* The front door: accepts sockets, reads what a stranger says first, answers HTTP, hands upgrades on.
 *
 * One door per thread, on that thread's loop. It owns a socket from accept() until the connection ends or an
 * upgrade is handed over. Everything a stranger can make large or slow is bounded here: head and body sizes,
 * the time they take, connections and accepts per address, descriptors (one is kept spare; when they run out
 * accepting pauses).
 */
#pragma once

#include "edge/base/metrics.h"
#include "edge/base/wheel.h"
#include "edge/config/config.h"
#include "edge/door/http.h"

#include <uv.h>

struct door;
struct door_socket;

struct door_handlers {
    /* A complete request; must be answered through its exchange, now or later. The request is valid only
     * during the call. */
    void (*request)(void *context, const struct http_request *request);
    /* A valid WebSocket upgrade (GET, HTTP/1.1, Host, Upgrade: websocket, Connection: upgrade, version 13, a
     * key of 16 bytes in base64, nothing sent after it). The socket and request->seat are the callee's from now on; the
     * request is valid only during the call, and its exchange is NULL. NULL: the door refuses upgrades. */
    void (*upgrade)(void *context, int fd, const struct http_request *request);
    /* For doors that share their work: asked of every complete request that is no upgrade. NULL: it is this door's,
     * and `request` gets it. Otherwise the socket goes to `move`, with that request and all that was read behind it,
     * for another door's door_adopt(). Both are NULL when there is only one door. */
    void *(*home)(void *context, const struct http_request *request);
    void (*move)(void *context, void *home, struct door_socket *socket);
    /* edge.path_prefix does not apply here (the admin listener). */
    bool no_path_prefix;
};

/* The place a connection takes under edge.connections_per_address. It goes along with an upgrade, and is left when that
 * connection ends. NULL: no limit is on. Any thread. */
void door_seat_leave(struct door_seat *seat);

/* Takes one more place at the same address, for a session beside the connection of its request, to be left likewise. False
 * when the limit leaves none. True for NULL. Any thread. */
bool door_seat_share(struct door_seat *seat, const struct config *config);

/* Who else may listen at an address. A unix socket is always alone: it is bound once and shared. */
enum door_company {
    DOOR_ALONE,
    DOOR_FIRST, /* of several with SO_REUSEPORT; fails where anybody listens already, were it a second process of ours */
    DOOR_NEXT, /* beside the first */
};

/* A listening socket. Returns the descriptor or a negative errno; the port that was bound goes to *port. */
int door_listen(const struct config_listen *listen_at, enum door_company company, uint16_t *port);

/* Gives a listening socket that another program has opened the options of ours, as far as that is possible. */
void door_prepare_listener(int fd);

/* The port that a listening socket is bound to; 0 for a unix socket. */
uint16_t door_listener_port(int fd);

/* A door on `loop` without listeners; `wheel` is the thread's own and outlives the door. Never NULL. */
struct door *door_new(uv_loop_t *loop, struct wheel *wheel, const struct config *config,
    struct metrics *metrics, const struct door_handlers *handlers, void *context);

/* Limits, deadlines and certificates of what comes next are those of another configuration. As with door_new(), the
 * reference to it is the caller's to hold. */
void door_reload(struct door *door, const struct config *config);

/* Takes sockets from a listener; the door owns fd from now on. Returns 0 or a negative errno. */
int door_add_listener(struct door *door, int fd, const struct config_listen *listen_at);

/* The listener of that descriptor was passed on by someone who keeps it open: when the door stops, whoever waits in its
 * queue is left to him. */
void door_keep_listener(struct door *door, int fd);

/* Takes over a socket that another door's `move` has given away, as if it had been accepted here, and handles its
 * request. `socket` is the door's from now on. Not from within a handler. */
void door_adopt(struct door *door, struct door_socket *socket);

/* Closes the listeners. Whoever waits in their queues is accepted first, since closing a listener resets them;
 * others_listen: another process has these listeners too, and accepts who waits. Connections go on, also those that wait
 * for a next request, since one may be on its way; their answers say `Connection: close`. */
void door_stop_accepting(struct door *door, bool others_listen);

/* Closes the connections that wait for a request of which nothing has come, but for those that were accepted within the
 * last second: their first one is on its way. */
void door_close_idle(struct door *door);

/* Resets every connection the door still owns; the exchanges in flight are gone. */
void door_close_connections(struct door *door);

/* Connections the door still owns. */
size_t door_connections(const struct door *door);

/* Closes everything; who watches an exchange is told that its client has gone. Exchanges nobody watches are
 * not valid any more. Not from within a handler. The door is freed when the loop has run its close callbacks;
 * call before the loop ends. */
void door_free(struct door *door);
