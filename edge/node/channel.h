/* A channel with subscriptions on this edge, seen from both sides: the node, which owns it, and the workers,
 * which deliver to their subscribers.
 *
 *   store_channel ── context ──▶ channel ── local[w] ──▶ subscriptions of worker w (an array, for quick
 * walks)
 *
 * `local[w].subscribers` is touched by worker w only; `on_worker[w]` by the node only. The node takes the
 * channel out of its index when its last subscription has gone; mail on its way holds references, and the
 * last one frees it.
 */
#pragma once

#include "edge/base/wheel.h"
#include "presence/store.h"

#include <stdatomic.h>

struct subscription;

enum channel_kind {
    CHANNEL_PUBLIC,
    CHANNEL_PRIVATE,
    CHANNEL_ENCRYPTED,
    CHANNEL_PRESENCE,
    CHANNEL_SERVER_TO_USER, /* "#server-to-user-ID": what back ends send to a user; clients subscribe to it */
    CHANNEL_USER, /* "#user-ID": our own; its members are the user's connections, its watchers those who
                               have him on their watchlist. Never in the hands of clients or back ends */
};

#define CHANNEL_SERVER_TO_USER_PREFIX "#server-to-user-"
#define CHANNEL_USER_PREFIX "#user-"

struct channel_local {
    struct subscription **subscribers;
    uint32_t count, capacity;
};

struct channel {
    atomic_uint references;
    const char *name; /* in the same allocation */
    enum channel_kind kind;
    uint32_t subscriptions;  /* node: those of this edge that were answered */
    uint32_t *on_worker;     /* node: how many of them each worker has */
    struct frame *succeeded; /* node: the answer to subscriptions, where it is the same for all; or NULL */
    unsigned workers;
    struct { /* node: telling subscribers how many they are */
        struct node *node;
        struct wheel_timer timer; /* when it has to wait */
        uint64_t told_ms;
        uint64_t value;
    } subscription_count;
    struct channel_local local[]; /* one a worker */
};

/* A channel without subscriptions, with one reference. Never NULL. */
struct channel *channel_new(const char *name, unsigned workers);
struct channel *channel_ref(struct channel *channel);
void channel_unref(struct channel *channel);

/* Worker w: puts a subscription into local[w], or takes it out. */
void channel_attach(struct channel *channel, unsigned worker, struct subscription *subscription);
void channel_detach(struct channel *channel, unsigned worker, struct subscription *subscription);

/* The kind that a name's prefix says (protocol.md, "Channels"). */
enum channel_kind channel_kind_of(const char *name);

/* True for cache channels: cache-, private-cache-, private-encrypted-cache-, presence-cache-. */
bool channel_is_cache(const char *name);

/* Whether clients and back ends may use such a name: 1 to max_chars (0: any number) of A-Z a-z 0-9 _ - = @ ,
 * . ; */
bool channel_name_valid(const char *name, size_t length, uint32_t max_chars);
