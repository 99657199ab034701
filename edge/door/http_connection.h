/* One connection at the door, from accept() to its end or its upgrade.
 *
 *   PROXY ─▶ TLS ─▶ HEAD ─▶ BODY ─▶ DUE ─▶ (STREAM) ─▶ (FLUSH) ─▶ HEAD …        one round per request
 *                     │                                   │
 *                     └─ upgrade: the socket leaves       └─▶ (LINGER) ─▶ GONE
 *
 * Bytes are read into the door's scratch buffer and looked at there; the connection keeps a copy only of what
 * is incomplete, so one that is idle costs its struct and nothing else. While an answer is due nothing is
 * read, so what a client can make us keep is one read (DOOR_READ_BYTES) beside its request.
 *
 * http_connection.c owns the socket and its events, http_socket.c reads and writes it, http_read.c makes requests of
 * what comes, http_answer.c writes. Thread: the door's.
 */
#pragma once

#include "edge/door/door_internal.h"
#include "edge/door/http_chunks.h"
#include "edge/tls/session.h"

enum http_connection_state {
    HTTP_ARRIVES,      /* from another door, with a complete request in head and body */
    HTTP_READS_PROXY,  /* the PROXY header is expected */
    HTTP_SHAKES_HANDS, /* the TLS handshake is under way */
    HTTP_READS_HEAD,   /* a request head, or the silence before it */
    HTTP_READS_BODY,
    HTTP_ANSWER_DUE, /* a handler has the exchange */
    HTTP_STREAMS,    /* the same, and has begun a stream */
    HTTP_FLUSHES,    /* the answer is given; some of it waits for the client to read */
    HTTP_LINGERS,    /* all is said; what still comes is thrown away, until the client closes */
    HTTP_GONE,       /* the socket is closed or handed over */
};

struct http_input { /* what is still to be looked at */
    const char *bytes;
    size_t length;
};

struct http_exchange {
    void (*gone)(void *context);
    void (*taken)(void *context, size_t waiting_bytes);
    void *context;
    struct http_meter meter;
    uint64_t began_us; /* with meter.latency: in latency_now_us() */
};

/* A connection on its way from one door to another. */
struct door_socket {
    int fd;
    struct tls_session *tls; /* NULL: none */
    struct address peer;
    struct door_seat *seat;
    struct buffer head, body; /* of the request: as it came, and decoded */
    struct buffer rest;       /* read behind it */
};

struct http_connection {
    struct door *door;
    int fd;                  /* -1 when GONE */
    struct tls_session *tls; /* NULL: none */
    int watched;             /* the events the poll handle is started for */
    bool poll_is_open;
    bool running;         /* its bytes are being worked on further up the stack: do not free it */
    bool is_orphan;       /* GONE, but its exchange, which nobody watches, is still to be answered */
    bool is_ready;        /* stands in door->ready */
    bool is_broken;       /* ends in the next turn */
    bool closes_silently; /* the client asked for the end, so it will send no more */
    bool head_begun;      /* the deadline of the head runs */
    bool blank_skipped;
    bool more_waits;  /* the client sends while an answer is due; it waits in the kernel */
    bool half_closed; /* the client sends no more */
    bool has_asked;   /* a first request has come */
    /* of the present request */
    bool is_head;
    bool http_1_0;
    bool keep_alive;
    bool chunked;
    uint8_t state;    /* enum http_connection_state */
    uint8_t ready_in; /* the turn it became ready in */
    struct address peer;
    uint64_t content_length;
    uint64_t lingered_bytes;
    uint64_t opened_ms;
    struct http_exchange exchange;
    struct http_head_scan scan;
    struct http_chunks chunks;
    struct buffer in;   /* read and not used yet */
    struct buffer head; /* of a request whose body is still coming */
    struct buffer body;
    struct buffer out; /* waits for the client to read */
    size_t out_sent;   /* of out, already sent */
    struct door_seat *seat;
    struct wheel_timer deadline;
    LIST_ENTRY(http_connection) entry; /* in door->open or door->orphans */
    TAILQ_ENTRY(http_connection) ready;
    uv_poll_t poll;
};

/* Takes a socket that was just accepted, non-blocking; fd and seat are the connection's from now on. What it speaks is
 * said by its listener. */
void http_connection_open(
    struct door_listener *listener, int fd, const struct address *peer, struct door_seat *seat);

/* What door_adopt() does. */
void http_connection_adopt(struct door *door, struct door_socket *socket);

/* Ends the connections of which nothing is to be expected: no answer is due, no request has begun. */
void http_connections_end_idle(struct door *door);

/* Ends all connections of a door that closes. */
void http_connections_end(struct door *door);

/* ---- http_connection.c, for the other two ---- */

/* Lets go of the socket, which stays open, and of everything the connection kept: it is GONE. */
void http_connection_detach(struct http_connection *connection);

/* Closes the socket and tells who watches the exchange. The struct stays as long as someone up the stack, or
 * libuv, needs it. */
void http_connection_end(struct http_connection *connection);

/* The same in the next turn of the loop. */
void http_connection_end_soon(struct http_connection *connection);

/* The same with a RST, for a client that does not read: what the kernel still holds is dropped at once. */
void http_connection_reset(struct http_connection *connection);

/* The answer is given and sent: what comes next, by keep_alive. */
void http_connection_answered(struct http_connection *connection);

/* An exchange whose client had gone before was answered: frees its connection. */
void http_connection_bury(struct http_connection *orphan);

/* Watches the socket for what the state needs. */
void http_connection_watch(struct http_connection *connection);

/* All is said: lets the client know, and waits for it to close. */
void http_connection_linger(struct http_connection *connection);

/* Sets the deadline, from now. */
void http_connection_set_deadline(struct http_connection *connection, uint32_t after_ms);

/* ---- http_socket.c ---- */

/* As recv(), with room for a record of TLS at least. */
ssize_t http_connection_receive(struct http_connection *connection, char *bytes, size_t room);

/* How many bytes of the pieces were taken (of none: only what waits in TLS was tried), 0 when the socket is full, -1 when
 * it is dead. */
ssize_t http_connection_send(struct http_connection *connection, struct iovec *pieces, size_t count);

/* Goes on with the handshake. True when it is done, and requests may come; otherwise it needs more, or has failed and is
 * answered, and the connection perhaps gone. */
bool http_connection_shake_hands(struct http_connection *connection);

/* Counts and logs; `words` may be NULL. */
void http_connection_handshake_failed(
    struct http_connection *connection, enum tls_failure failure, const char *words);

/* ---- http_read.c ---- */

/* One step forward with the input: a header, a head, a piece of a body, or a request to its handler. False
 * when more bytes are needed, or something else must happen first. */
bool http_connection_step(struct http_connection *connection, struct http_input *in);

/* ---- http_answer.c ---- */

/* Refuses what the client sent: the status, {"error": why}, and the end of the connection. */
void http_connection_refuse(struct http_connection *connection, const struct http_refusal *refusal);

/* Sends what waits. False if the connection ended by it. */
bool http_connection_flush(struct http_connection *connection);

static inline size_t http_connection_waiting_bytes(const struct http_connection *connection)
{
    return connection->out.length - connection->out_sent +
           (connection->tls ? tls_session_waiting_bytes(connection->tls) : 0);
}
