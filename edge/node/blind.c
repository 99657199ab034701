/* An edge that cannot reach a shard of Redis goes on with what it knows: rosters stand still, events stay on this edge.
 * After a lease the others may count it as dead, so from then on it calls itself blind. */
#include "edge/node/node_private.h"

#include "edge/base/container.h"
#include "presence/base/new.h"
#include "presence/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 250 };

/* The first shard with a partition whose heartbeats nobody has accepted for a lease; -1: all are in reach. */
static int find_blind(const struct node *node)
{
    for (unsigned p = 0; p < node->config->presence.partitions; p++) {
        struct engine_partition_status status;
        engine_partition_status(node->engine, p, &status);
        if (status.fresh_ago_ms > node->config->presence.lease_ms)
            return (int)status.shard;
    }
    return -1;
}

/* Made once for each name: whoever reads a reason on another thread may hold it for a while. */
struct blind_words {
    struct blind_words *next;
    char *words;
    char name[];
};

static struct blind_words *make_words(struct node *node, const char *name)
{
    size_t bytes = strlen(name) + 1;
    struct blind_words *made = must_have(malloc(sizeof(*made) + bytes));
    made->words =
        new_printed("shard %s has accepted no heartbeat for longer than presence.lease_ms: its rosters stand "
                    "still, its events stay on this edge",
            name);
    memcpy(made->name, name, bytes);
    made->next = node->blind.words;
    node->blind.words = made;
    return made;
}

static const char *words_of(struct node *node, const char *name)
{
    struct blind_words *found = node->blind.words;
    while (found && strcmp(found->name, name) != 0)
        found = found->next;
    return (found ? found : make_words(node, name))->words;
}

static void on_look(struct wheel_timer *timer, uint64_t now_ms)
{
    struct node *node = CONTAINER_OF(timer, struct node, blind.timer);
    int shard = find_blind(node);
    const char *name = shard < 0 ? NULL : node_shard_name(node, (unsigned)shard);
    readiness_set(&node->readiness, READINESS_BLIND, name ? words_of(node, name) : NULL);
    wheel_set(&node->wheel, timer, now_ms + LOOK_EVERY_MS);
}

void node_start_blind(struct node *node)
{
    if (!node->engine)
        return;
    readiness_tolerate(&node->readiness, READINESS_BLIND, node->config->presence.ready_when_blind);
    node->blind.timer.expired = on_look;
    wheel_set(&node->wheel, &node->blind.timer, uv_now(node->loop) + LOOK_EVERY_MS);
}

void node_stop_blind(struct node *node)
{
    struct blind_words *words;
    wheel_cancel(&node->blind.timer);
    while ((words = node->blind.words)) {
        node->blind.words = words->next;
        free(words->words);
        free(words);
    }
}
