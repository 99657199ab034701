/* What is gathered about one channel before it is told (who.c gathers, who_json.c tells). Private to edge/node. */
#pragma once

#include "edge/node/insight_private.h"
#include "presence/engine/look.h"

struct who_owner {
    uint64_t owner;
    char *edge;
    int64_t lease_ms;
    uint64_t sequence;
    uint64_t users, more; /* of this channel: users it holds, and subscriptions beyond */
    bool is_here;
};

struct who_user {
    char *id, *info; /* info: JSON text or NULL */
    uint64_t owners[LOOK_HOLDERS_MAX];
    size_t owner_count;
    bool is_here, is_elsewhere; /* when the owners are not known */
};

struct who {
    struct insight *insight;
    struct engine_look look;
    bool known; /* Redis has answered, or all is in memory */
    unsigned outstanding;
    uint64_t users_total;
    struct who_owner *owners;
    size_t owner_count, owner_capacity;
    struct who_user *users;
    size_t user_count, user_capacity;
    unsigned asked_count;
    struct sockets_asked asked[]; /* one a worker */
};

/* {"id":…,"app":…,"channel":…,"kind":…,"edge":…,"store":"redis"|"memory","known":bool,"partition":…|null,"shard":…|null,
 *  "users_total":…,
 *  "users":[{"id":…,"info":"JSON text"|null,
 *            "held_by":[{"edge":…,"owner":…,"lease_ms":…,"here":bool}…],
 *            "sockets":[{"socket_id":…,"since_ms":…,"connected_ms":…,"worker":…}…]}…],
 *  "edges":[{"edge":…,"owner":…|null,"lease_ms":…|null,"here":bool,"users":…,"more":…,"last_write":…}…],
 *  "here":{"subscriptions":…,"cut":bool,"sockets":[… those that are no members]},
 *  "hold":null|{"owner":…,"write":…,"settled":bool,"fresh_ago_ms":…}}
 * id: of the process, as in /api/edge. cut: not all sockets are listed. held_by: with known false, what this edge knows: itself, and {"edge":null,…} for others. hold: with a user, what this
 * edge has written of him itself. sockets are those of this edge; times are since 1970. */
void who_write(struct node *node, const struct who *who, struct buffer *json);
