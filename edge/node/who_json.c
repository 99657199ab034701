#include "edge/node/who.h"

#include "edge/pusher/events.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

/* ---- sockets ---- */

struct socket_list {
    const struct socket_seen **seen; /* by user, those without one first */
    size_t count;
};

static const char *user_of(const struct socket_seen *seen)
{
    return seen->user_id ? seen->user_id : "";
}

static int by_user(const void *a, const void *b)
{
    const struct socket_seen *one = *(const struct socket_seen *const *)a;
    const struct socket_seen *other = *(const struct socket_seen *const *)b;
    int order = strcmp(user_of(one), user_of(other));
    return order ? order : (one->since_ms > other->since_ms) - (one->since_ms < other->since_ms);
}

static struct socket_list collect(const struct who *who)
{
    struct socket_list list = {0};
    size_t count = 0;
    for (unsigned w = 0; w < who->asked_count; w++)
        count += who->asked[w].count;
    list.seen = new_array(count + 1, sizeof(*list.seen));
    for (unsigned w = 0; w < who->asked_count; w++)
        for (size_t i = 0; i < who->asked[w].count; i++)
            list.seen[list.count++] = &who->asked[w].seen[i];
    qsort(list.seen, list.count, sizeof(*list.seen), by_user);
    return list;
}

/* The first place at which the user, or one behind him, stands. */
static size_t find(const struct socket_list *list, const char *user)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(user_of(list->seen[middle]), user) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void write_sockets(const struct socket_list *list, const char *user, struct buffer *json)
{
    char id[SOCKET_ID_CHARS];
    size_t first = find(list, user);
    buffer_add_string(json, "\"sockets\":[");
    for (size_t i = first; i < list->count && strcmp(user_of(list->seen[i]), user) == 0; i++) {
        socket_id_print(list->seen[i]->id, id);
        buffer_printf(json, "%s{\"socket_id\":\"%s\",\"since_ms\":%jd,\"connected_ms\":%jd,\"worker\":%u}",
            i > first ? "," : "", id, (intmax_t)list->seen[i]->since_ms,
            (intmax_t)list->seen[i]->connected_ms, list->seen[i]->worker);
    }
    buffer_add_string(json, "]");
}

/* ---- users ---- */

static const struct who_owner *find_owner(const struct who *who, uint64_t owner)
{
    for (size_t i = 0; i < who->owner_count; i++)
        if (who->owners[i].owner == owner)
            return &who->owners[i];
    return NULL;
}

static void write_holder(const struct who *who, uint64_t number, struct buffer *json)
{
    const struct who_owner *owner = find_owner(who, number);
    buffer_add_string(json, "{\"edge\":");
    insight_add_text(json, owner ? owner->edge : NULL);
    buffer_printf(json, ",\"owner\":%ju", (uintmax_t)number);
    if (owner)
        buffer_printf(json, ",\"lease_ms\":%jd,\"here\":%s}", (intmax_t)owner->lease_ms,
            owner->is_here ? "true" : "false");
    else /* whom no lease names any more; the next scrub takes him away */
        buffer_add_string(json, ",\"lease_ms\":null,\"here\":false}");
}

static void write_known_holders(struct node *node, const struct who_user *user, struct buffer *json)
{
    if (user->is_here) {
        buffer_add_string(json, "{\"edge\":");
        insight_add_text(json, node->config->edge.name);
        buffer_add_string(json, ",\"owner\":null,\"lease_ms\":null,\"here\":true}");
    }
    if (user->is_elsewhere)
        buffer_printf(json, "%s{\"edge\":null,\"owner\":null,\"lease_ms\":null,\"here\":false}",
            user->is_here ? "," : "");
}

static void write_user(struct node *node, const struct who *who, const struct who_user *user,
    const struct socket_list *list, struct buffer *json)
{
    buffer_add_string(json, "{\"id\":");
    insight_add_text(json, user->id);
    buffer_add_string(json, ",\"info\":");
    insight_add_text(json, user->info);
    buffer_add_string(json, ",\"held_by\":[");
    for (size_t i = 0; i < user->owner_count; i++) {
        buffer_add_string(json, i ? "," : "");
        write_holder(who, user->owners[i], json);
    }
    if (user->owner_count == 0)
        write_known_holders(node, user, json);
    buffer_add_string(json, "],");
    write_sockets(list, user->id, json);
    buffer_add_string(json, "}");
}

/* ---- edges ---- */

static void write_owner(const struct who_owner *owner, struct buffer *json)
{
    buffer_add_string(json, "{\"edge\":");
    insight_add_text(json, owner->edge);
    buffer_printf(json,
        ",\"owner\":%ju,\"lease_ms\":%jd,\"here\":%s,\"users\":%ju,\"more\":%ju,\"last_write\":%ju}",
        (uintmax_t)owner->owner, (intmax_t)owner->lease_ms, owner->is_here ? "true" : "false",
        (uintmax_t)owner->users, (uintmax_t)owner->more, (uintmax_t)owner->sequence);
}

static void write_edges(struct node *node, const struct who *who, struct buffer *json)
{
    buffer_add_string(json, ",\"edges\":[");
    for (size_t i = 0; i < who->owner_count; i++) {
        buffer_add_string(json, i ? "," : "");
        write_owner(&who->owners[i], json);
    }
    if (who->owner_count == 0) {
        buffer_add_string(json, "{\"edge\":");
        insight_add_text(json, node->config->edge.name);
        buffer_printf(json,
            ",\"owner\":null,\"lease_ms\":null,\"here\":true,\"users\":%ju,\"more\":0,\"last_write\":null}",
            (uintmax_t)who->users_total);
    }
    buffer_add_string(json, "]");
}

/* ---- the whole ---- */

static void write_hold(struct node *node, const struct who *who, struct buffer *json)
{
    const struct insight *insight = who->insight;
    struct engine_hold hold;
    if (!node->engine || !insight->user ||
        !engine_hold_of(
            node->engine, insight->app_id, insight->channel, insight->user, strlen(insight->user), &hold)) {
        buffer_add_string(json, ",\"hold\":null");
        return;
    }
    buffer_printf(json, ",\"hold\":{\"owner\":%ju,\"write\":%ju,\"settled\":%s,\"fresh_ago_ms\":%ju}",
        (uintmax_t)hold.owner, (uintmax_t)hold.write, hold.is_settled ? "true" : "false",
        (uintmax_t)hold.fresh_ago_ms);
}

static void write_head(struct node *node, const struct who *who, struct buffer *json)
{
    const struct insight *insight = who->insight;
    buffer_printf(json, "{\"id\":\"%016jx\",\"app\":", (uintmax_t)node->incarnation);
    insight_add_text(json, insight->app_id);
    buffer_add_string(json, ",\"channel\":");
    insight_add_text(json, insight->channel);
    buffer_printf(json, ",\"kind\":\"%s\",\"edge\":", insight_kind_name(insight->channel));
    insight_add_text(json, node->config->edge.name);
    buffer_printf(json, ",\"store\":\"%s\",\"known\":%s", node->engine ? "redis" : "memory",
        who->known ? "true" : "false");
    if (node->engine) {
        unsigned partition = engine_partition_of(node->engine, insight->app_id, insight->channel);
        buffer_printf(json, ",\"partition\":%u,\"shard\":", partition);
        struct engine_partition_status status;
        engine_partition_status(node->engine, partition, &status);
        insight_add_text(json, node_shard_name(node, status.shard));
    } else {
        buffer_add_string(json, ",\"partition\":null,\"shard\":null");
    }
    buffer_printf(json, ",\"users_total\":%ju", (uintmax_t)who->users_total);
}

void who_write(struct node *node, const struct who *who, struct buffer *json)
{
    struct socket_list list = collect(who);
    size_t total = 0;
    bool is_cut = false;
    write_head(node, who, json);
    buffer_add_string(json, ",\"users\":[");
    for (size_t i = 0; i < who->user_count; i++) {
        buffer_add_string(json, i ? "," : "");
        write_user(node, who, &who->users[i], &list, json);
    }
    buffer_add_string(json, "]");
    write_edges(node, who, json);
    for (unsigned w = 0; w < who->asked_count; w++)
        total += who->asked[w].total, is_cut |= who->asked[w].total > who->asked[w].count;
    buffer_printf(json, ",\"here\":{\"subscriptions\":%zu,\"cut\":%s,", total, is_cut ? "true" : "false");
    write_sockets(&list, "", json);
    buffer_add_string(json, "}");
    write_hold(node, who, json);
    buffer_add_string(json, "}");
    free(list.seen);
}
