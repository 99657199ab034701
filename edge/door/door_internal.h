/* What the files of the door share. Thread: the door's. */
#pragma once

#include "edge/door/address.h"
#include "edge/door/door.h"

#include <sys/queue.h>

struct http_connection;
struct tls_server;

TAILQ_HEAD(http_connection_queue, http_connection);
LIST_HEAD(http_connection_list, http_connection);

struct door_listener {
    uv_poll_t poll;
    struct door *door;
    int fd;
    size_t index; /* in edge.listen of the configuration; SIZE_MAX: not one of those */
    bool proxy_protocol;
    bool is_unix;
    struct tls_server *tls; /* referenced; NULL: plain */
    bool kept;              /* door_keep_listener() */
    LIST_ENTRY(door_listener) entry;
};

LIST_HEAD(door_listener_list, door_listener);

/* One read takes so much at most, so this is also what a client can pipeline. */
enum { DOOR_READ_BYTES = 64 * 1024 };

struct door {
    uv_loop_t *loop;
    struct wheel *wheel;
    const struct config *config;
    struct metrics *metrics;
    struct door_handlers handlers;
    void *context;
    struct door_listener_list listeners;
    bool stopped;   /* door_stop_accepting() was called */
    bool closing;   /* door_free() was called */
    size_t handles; /* open with libuv; the door is freed after the last */
    size_t connections;
    struct http_connection_list open;
    struct http_connection_list orphans; /* their client has gone; an answer is still to come */
    /* Connections that go on in the next turn of the loop: pipelined requests after a late answer, or more
     * of them than one turn is given to. */
    struct http_connection_queue ready;
    uint8_t turn; /* counts them, so that what becomes ready in one is left to the next */
    uv_idle_t next_turn;
    struct wheel_timer accept_pause;
    int spare_fd;     /* held so that one connection can be accepted, and closed, when descriptors run out */
    uint64_t said_ms; /* when the log was last told that accepting paused */
    char scratch[DOOR_READ_BYTES]; /* what was just read; nobody's after the event that read it */
};

static inline uint64_t door_now_ms(const struct door *door)
{
    return uv_now(door->loop);
}

/* One handle less; frees the door after the last. */
void door_handle_closed(struct door *door);

/* accept.c */
void door_accept_init(struct door *door);
void door_accept_close(struct door *door);

/* True for a limit per address. *seat as in door_seat_take(); NULL for a trusted proxy, whose connection is for many. */
bool door_seat_refused(struct door *door, const struct address *address, struct door_seat **seat);

/* The same of one client, whoever he is. */
bool door_seat_refused_client(struct door *door, const struct address *address, struct door_seat **seat);
