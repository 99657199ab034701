/* The inside of the HTTP fallback, for its files only.
 *
 *   fallback.c           requests: whose they are, CORS, what they ask for
 *   fallback_session.c   sessions and who receives for them; the transport
 *   fallback_lines.c     what is written to who receives
 */
#pragma once

#include "edge/pusher/fallback.h"

#include "edge/pusher/connection_private.h"

LIST_HEAD(fallback_session_list, fallback_session);

struct fallback_host {
    struct worker *worker;
    void *by_name; /* tsearch(3): names are the clients' to choose, so no hash that they could make collide */
    struct fallback_session_list sessions;
};

/* The request that receives now, if any. Its answer is a stream from the beginning, also that of a poll: the door
 * tells at once when the client of a stream leaves. */
struct fallback_receiver {
    struct http_exchange *exchange; /* NULL: none */
    bool polls;                     /* its answer ends with the first line */
    size_t units;                   /* of UTF-16, written so far */
    size_t waiting_bytes;           /* in the door, because the client takes no more */
};

/* Life: a session begins with its connection. When the client goes both end. When the connection ends first, the
 * session stays until the client has been told so. */
struct fallback_session {
    struct fallback_host *host;
    struct connection *connection; /* NULL: has ended */
    struct outbox left;            /* what the connection had not said when it ended */
    int end_code;                  /* from then on */
    char *end_why;                 /* owned */
    char *origin;                  /* owned: of the page that opened it; NULL: it named none */
    struct fallback_receiver receiver;
    struct wheel_timer away; /* runs while nobody receives */
    bool open_said, close_said;
    bool answer_due; /* the client has asked for a sign of life */
    LIST_ENTRY(fallback_session) of_host;
    char name[];
};

/* The session of that name, or NULL. */
struct fallback_session *fallback_session_find(struct fallback_host *host, struct http_text name);

/* A new one, with a connection that is still silent; arguments as of connection_new(). The name must be new. */
struct fallback_session *fallback_session_new(struct fallback_host *host, struct http_text name,
    const struct admission *admission, struct door_seat *seat);

/* This request receives from now on, in place of the one before, which is reset. */
void fallback_session_receive(struct fallback_session *session, struct http_exchange *exchange, bool polls);

/* The client wants a sign of life. */
void fallback_session_answer(struct fallback_session *session);

/* Ends session and connection without a word. */
void fallback_session_drop(struct fallback_session *session);
