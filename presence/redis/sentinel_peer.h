/* One Sentinel: asked who a master is, and listened to for `+switch-master`.
 *
 * Thread: that of the loop. Callbacks must not free the peer.
 */
#pragma once

#include "presence/redis/address.h"

#include <uv.h>

enum { SENTINEL_REPLICAS_MAX = 8 };

struct sentinel_answer {
    bool named; /* it has named a master; when: asked_ms */
    struct redis_address master;
    uint64_t epoch;                 /* its config epoch */
    uint64_t asked_ms;              /* uv_now() */
    uint32_t down_after_ms, quorum; /* as it is set up; 0: not said */
    char flags[80];                 /* "master", "master,s_down", … */
    struct redis_address replicas[SENTINEL_REPLICAS_MAX];
    size_t replica_count;
    char problem[200]; /* "": the last question was answered well; else the end of "Sentinel a:1 …" */
};

struct tls_client;

struct sentinel_peer_options {
    const char *master;              /* its name in "sentinel monitor"; stays valid, as what follows */
    const char *username, *password; /* of the Sentinel; NULL: the default user, no AUTH */
    struct tls_client *tls;          /* NULL: none */
    uint32_t answer_ms;
};

struct sentinel_peer_events {
    void (*answered)(void *context); /* well or not: see sentinel_peer_answer() */
    void (*switched)(void *context); /* it says that this master has moved */
};

struct sentinel_peer;

/* Never NULL. */
struct sentinel_peer *sentinel_peer_new(uv_loop_t *loop, const struct redis_address *address,
    const struct sentinel_peer_options *options, const struct sentinel_peer_events *events, void *context);

/* Asks; and sees to it that the subscription is there. Nothing, while it is being asked. */
void sentinel_peer_ask(struct sentinel_peer *peer);
bool sentinel_peer_is_asking(const struct sentinel_peer *peer);
const struct sentinel_answer *sentinel_peer_answer(const struct sentinel_peer *peer);
void sentinel_peer_free(struct sentinel_peer *peer);
