/* The inside of insights, for edge/node's files about them.
 *
 *   insight.c   questions as such; what is told at once
 *   leases.c    INSIGHT_FLEET
 *   listing.c   INSIGHT_CHANNELS
 *   who.c       INSIGHT_WHO: gathering;  who_json.c: its words;  sockets.c: what workers tell
 */
#pragma once

#include "edge/node/insight.h"
#include "edge/node/node_private.h"

void insight_ask_fleet(struct node *node, struct insight *insight);
void insight_ask_channels(struct node *node, struct insight *insight);
void insight_ask_who(struct node *node, struct insight *insight);

/* Takes it off the node's list and calls `answered`. */
void insight_answer(struct insight *insight, enum insight_status status);

/* "public", "private", … as the name says. */
const char *insight_kind_name(const char *channel);

/* A string, or null. */
void insight_add_text(struct buffer *json, const char *text);

/* ---- sockets.c ---- */

/* A client of this edge in a channel. */
struct socket_seen {
    struct socket_id id;
    char *user_id;        /* owned; NULL: no member */
    int64_t since_ms;     /* since 1970: its subscription */
    int64_t connected_ms; /* since 1970: its connection */
    unsigned worker;
};

/* What one worker tells of one channel. The mail's memory is the asker's throughout, also when it is never run. */
struct sockets_asked {
    struct mail mail;
    struct node *node;
    struct channel *channel; /* with a reference */
    const char *user;        /* only his; NULL: all */
    unsigned worker;
    /* the answer */
    struct socket_seen *seen;
    size_t count;
    size_t total;                                             /* of those that were asked for */
    void (*told)(struct sockets_asked *asked, void *context); /* on the node's thread */
    void *context;
};

/* Sends the mail to the worker; `told` follows, unless the worker has ended. */
void sockets_ask(struct sockets_asked *asked);
void sockets_deinit(struct sockets_asked *asked);
