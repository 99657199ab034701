/* The user a connection has signed in as, and those he watches.
 *
 * He is a member of his own CHANNEL_USER ("#user-ID"), wherever in the fleet he is connected; whoever has him on a
 * watchlist watches that channel. So being online is presence, and heals like it.
 */
#pragma once

#include "edge/node/node.h"

struct user {
    char *id;
    char *info;             /* JSON text, or NULL */
    struct frame *success;  /* signin_success, until his own channel has him */
    size_t watched_missing; /* subscriptions of watched users that the node has not answered yet */
    bool watchlist_cut;     /* it was longer than the app allows */
    bool told;              /* the watchlist's first state; from then on changes are passed on as they come */
};

/* NULL is allowed. */
void user_free(struct user *user);
