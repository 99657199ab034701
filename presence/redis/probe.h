/* Looks at one instance that may be a shard's master: whether it takes the shard's user and password, what ROLE
 * it has, and what its stamp says. Reads only; hello, later, is the proof.
 *
 * Thread: that of the loop. Callbacks must not free the probe.
 */
#pragma once

#include "presence/redis/address.h"

#include <uv.h>

enum probe_verdict {
    PROBE_UNKNOWN,     /* not asked yet */
    PROBE_UNREACHABLE, /* or it cannot answer yet */
    PROBE_REFUSES,     /* not with this user and password */
    PROBE_REPLICA,
    PROBE_FOREIGN, /* a master whose stamp names another shard */
    PROBE_MASTER,
};

struct probe_result {
    enum probe_verdict verdict;
    struct redis_address master; /* PROBE_REPLICA: whose */
    bool stamped;                /* PROBE_MASTER: as this shard */
    uint64_t timeline;           /* of the stamp; 0 without */
    uint64_t asked_ms;           /* uv_now() */
    char why[320];               /* "refuses …": the end of a sentence that begins with the address */
};

struct tls_client;

struct probe_options {
    const char *username, *password; /* stay valid; NULL: the default user, no AUTH */
    struct tls_client *tls;          /* stays valid; NULL: none */
    const char *cluster, *shard;
    const char *stamp_key;
    uint32_t answer_ms;
};

struct probe;

/* finished: a look is over, see probe_result(). Never NULL. */
struct probe *probe_new(uv_loop_t *loop, const struct redis_address *address,
    const struct probe_options *options, void (*finished)(void *context), void *context);
void probe_look(struct probe *probe); /* nothing, while it looks already */
bool probe_is_looking(const struct probe *probe);
const struct probe_result *probe_result(const struct probe *probe);
void probe_free(struct probe *probe);
