/* Who is in a channel: what Redis says of the fleet, and what the workers say of the sockets that are here. */
#include "edge/node/who.h"

#include "edge/base/container.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

static void free_who(void *work)
{
    struct who *who = work;
    for (size_t i = 0; i < who->owner_count; i++)
        free(who->owners[i].edge);
    for (size_t i = 0; i < who->user_count; i++) {
        free(who->users[i].id);
        free(who->users[i].info);
    }
    for (unsigned i = 0; i < who->asked_count; i++)
        sockets_deinit(&who->asked[i]);
    free(who->owners);
    free(who->users);
    free(who);
}

static char *copy_or_null(const char *bytes, size_t length)
{
    return bytes ? new_copy(bytes, length) : NULL;
}

static void one_less(struct who *who)
{
    if (--who->outstanding > 0)
        return;
    struct insight *insight = who->insight;
    who_write(insight->node, who, &insight->body);
    insight_answer(insight, INSIGHT_OK);
}

/* ---- Redis ---- */

static void on_owner(struct engine_look *look, const struct engine_owner *owner)
{
    struct who *who = CONTAINER_OF(look, struct who, look);
    who->owners = grown(who->owners, &who->owner_capacity, who->owner_count + 1, sizeof(*who->owners));
    who->owners[who->owner_count++] = (struct who_owner){.owner = owner->owner,
        .edge = copy_or_null(owner->edge, owner->edge_bytes),
        .lease_ms = owner->lease_ms,
        .sequence = owner->sequence,
        .is_here = owner->is_me};
}

static struct who_owner *find_owner(struct who *who, uint64_t owner)
{
    for (size_t i = 0; i < who->owner_count; i++)
        if (who->owners[i].owner == owner)
            return &who->owners[i];
    return NULL;
}

static void on_number(struct engine_look *look, uint64_t owner, uint64_t number)
{
    struct who *who = CONTAINER_OF(look, struct who, look);
    struct who_owner *found = find_owner(who, owner);
    if (found)
        found->more = number;
}

static struct who_user *add_user(
    struct who *who, const char *id, size_t id_bytes, const char *info, size_t info_bytes)
{
    who->users = grown(who->users, &who->user_capacity, who->user_count + 1, sizeof(*who->users));
    struct who_user *user = &who->users[who->user_count++];
    *user = (struct who_user){.id = copy_or_null(id, id_bytes), .info = copy_or_null(info, info_bytes)};
    return user;
}

static void on_user(struct engine_look *look, const char *id, size_t id_bytes, const char *info,
    size_t info_bytes, const uint64_t *owners, size_t owner_count)
{
    struct who *who = CONTAINER_OF(look, struct who, look);
    struct who_user *user = add_user(who, id, id_bytes, info, info_bytes);
    user->owner_count = owner_count;
    for (size_t i = 0; i < owner_count; i++) {
        struct who_owner *owner = find_owner(who, owners[i]);
        user->owners[i] = owners[i];
        if (owner)
            owner->users++;
    }
}

/* ---- what this edge knows ---- */

static void add_member(struct who *who, const struct member *member)
{
    const char *wanted = who->insight->user;
    if (wanted && strcmp(member->id, wanted) != 0)
        return;
    who->users_total++;
    if (who->user_count == INSIGHT_USERS_MAX)
        return;
    struct who_user *user = add_user(who, member->id, member->id_bytes, member->info, member->info_bytes);
    user->is_here = member->local > 0;
    user->is_elsewhere = member->remote || member->local == 0;
}

static void add_view(struct who *who)
{
    struct insight *insight = who->insight;
    struct store_channel *stored = store_find(insight->node->store, insight->app_id, insight->channel);
    for (struct member *m = stored ? roster_first(&stored->roster) : NULL; m; m = roster_next(m))
        add_member(who, m);
}

static void on_looked(struct engine_look *look, bool known)
{
    struct who *who = CONTAINER_OF(look, struct who, look);
    who->known = known;
    who->users_total = look->users;
    if (!known)
        add_view(who);
    one_less(who);
}

static void ask_redis(struct node *node, struct who *who)
{
    const struct insight *insight = who->insight;
    struct engine_look_at at = {.app_id = insight->app_id,
        .channel = insight->channel,
        .user = insight->user,
        .user_bytes = insight->user ? strlen(insight->user) : 0,
        .users_max = INSIGHT_USERS_MAX};
    who->look = (struct engine_look){
        .each_owner = on_owner, .each_number = on_number, .each_user = on_user, .done = on_looked};
    who->outstanding++;
    engine_look(node->engine, &at, &who->look);
}

/* ---- sockets ---- */

static void on_told(struct sockets_asked *asked, void *context)
{
    (void)asked;
    one_less(context);
}

static void ask_workers(struct node *node, struct who *who)
{
    const struct insight *insight = who->insight;
    struct store_channel *stored = store_find(node->store, insight->app_id, insight->channel);
    struct channel *channel = stored ? stored->context : NULL;
    if (!channel)
        return;
    who->asked_count = node->workers;
    for (unsigned w = 0; w < node->workers; w++) {
        who->asked[w] = (struct sockets_asked){.node = node,
            .channel = channel_ref(channel),
            .user = insight->user,
            .worker = w,
            .told = on_told,
            .context = who};
        who->outstanding++;
        sockets_ask(&who->asked[w]);
    }
}

void insight_ask_who(struct node *node, struct insight *insight)
{
    struct who *who = new_zeroed(sizeof(*who) + node->workers * sizeof(who->asked[0]));
    who->insight = insight;
    who->outstanding = 1; /* until all is asked */
    insight->work = who;
    insight->free_work = free_who;
    ask_workers(node, who);
    if (node->engine) {
        ask_redis(node, who);
    } else {
        who->known = true;
        add_view(who);
    }
    one_less(who);
}
