/* Which sockets of this edge are in a channel. Each worker has its own, and tells. */
#include "edge/node/insight_private.h"

#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/pusher/connection.h"
#include "edge/worker.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

static void on_told(struct mail *mail, void *node)
{
    struct sockets_asked *asked = CONTAINER_OF(mail, struct sockets_asked, mail);
    (void)node;
    asked->told(asked, asked->context);
}

/* ---- on the worker's thread ---- */

static void see(struct sockets_asked *asked, struct worker *worker, const struct subscription *subscription,
    int64_t wall_ms)
{
    const struct connection *connection = subscription->connection;
    int64_t now_ms = (int64_t)worker_now_ms(worker);
    struct socket_seen *seen = &asked->seen[asked->count++];
    *seen = (struct socket_seen){.id = connection->id,
        .user_id = new_text(subscription->user_id),
        .since_ms = wall_ms - (now_ms - (int64_t)subscription->since_ms),
        .connected_ms = wall_ms - (now_ms - (int64_t)connection->opened_ms),
        .worker = worker->number};
}

static void on_asked(struct mail *mail, void *context)
{
    struct sockets_asked *asked = CONTAINER_OF(mail, struct sockets_asked, mail);
    struct worker *worker = context;
    const struct channel_local *local = &asked->channel->local[worker->number];
    size_t room = local->count < INSIGHT_SOCKETS_MAX ? local->count : INSIGHT_SOCKETS_MAX;
    int64_t wall_ms = clock_wall_ms();
    asked->seen = new_array(room + 1, sizeof(*asked->seen));
    for (uint32_t i = 0; i < local->count && (asked->user || asked->count < room); i++) {
        const char *user = local->subscribers[i]->user_id;
        if (asked->user && (!user || strcmp(user, asked->user) != 0))
            continue;
        asked->total++;
        if (asked->count < room)
            see(asked, worker, local->subscribers[i], wall_ms);
    }
    if (!asked->user)
        asked->total = local->count;
    asked->mail.run = on_told;
    mailbox_post(worker->node.to_node.to, &asked->mail);
}

/* ---- on the node's ---- */

void sockets_ask(struct sockets_asked *asked)
{
    asked->mail.run = on_asked;
    node_send(asked->node, asked->worker, &asked->mail);
}

void sockets_deinit(struct sockets_asked *asked)
{
    for (size_t i = 0; i < asked->count; i++)
        free(asked->seen[i].user_id);
    free(asked->seen);
    channel_unref(asked->channel);
}
