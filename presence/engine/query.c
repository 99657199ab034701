/* Questions about the whole fleet. Redis answers; when it cannot, what this edge knows is the answer, marked
 * with its age, or it is said that nothing is known. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"
#include "presence/engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* One question while its answers are outstanding. */
struct asked {
    struct store_query *query;
    struct engine *engine;
    char *app_key;
    unsigned outstanding;
    struct name *told; /* channels: a slice may repeat one */
    bool known;
};

struct name {
    UT_hash_handle hh;
    char text[];
};

static int32_t age_s(const struct partition *partition)
{
    return (int32_t)((engine_now(partition->engine) - partition->fresh_ms) / 1000);
}

static void age(struct asked *asked, const struct partition *partition)
{
    if (asked->query->stale_s < age_s(partition))
        asked->query->stale_s = age_s(partition);
}

static struct asked *ask(struct engine *engine, struct store_query *query)
{
    struct asked *asked = new_zeroed(sizeof *asked);
    *asked = (struct asked){.query = query, .engine = engine, .app_key = wire_app_key(query->app_id)};
    asked->outstanding = 1; /* until all is asked */
    query->stale_s = STORE_FRESH;
    return asked;
}

static void answered(struct asked *asked)
{
    if (--asked->outstanding)
        return;
    struct store_query *query = asked->query;
    bool known = asked->known, freeing = asked->engine->freeing;
    struct name *name, *next;
    HASH_ITER (hh, asked->told, name, next) {
        HASH_DEL(asked->told, name);
        free(name);
    }
    free(asked->app_key);
    free(asked);
    if (!freeing)
        query->done(query, known ? STORE_OK : STORE_UNAVAILABLE);
}

static bool can_ask(const struct partition *partition)
{
    return partition->state == PARTITION_READY && !partition->retired;
}

/* ---- all channels of an app ---- */

static void tell_channel(
    struct asked *asked, const char *text, size_t bytes, struct store_channel_state *state)
{
    struct name *name;
    HASH_FIND(hh, asked->told, text, bytes, name);
    if (name || asked->engine->freeing)
        return;
    name = new_zeroed(sizeof *name + bytes + 1);
    memcpy(name->text, text, bytes);
    HASH_ADD(hh, asked->told, text[0], bytes, name);
    if (asked->query->each_channel)
        asked->query->each_channel(asked->query, name->text, state);
}

static void local_state(struct channel *channel, struct store_channel_state *state)
{
    *state = (struct store_channel_state){.user_count = roster_count(&channel->shown.roster)};
    /* An edge that never heard of the fleet knows at least its own. */
    state->subscription_count =
        channel->total > channel->subscriptions ? channel->total : channel->subscriptions;
    state->occupied = state->subscription_count > 0 || state->user_count > 0;
    if (channel->cached && engine_now(channel->engine) < channel->cached_until_ms) {
        state->cached = channel->cached;
        state->cached_ttl_ms = (uint32_t)(channel->cached_until_ms - engine_now(channel->engine));
    }
}

static void tell_local_channels(struct asked *asked, struct partition *partition)
{
    const struct store_query *query = asked->query;
    struct channel *channel, *next;
    asked->known = true;
    age(asked, partition);
    for (channel = TAILQ_FIRST(&partition->channels); channel; channel = next) {
        struct store_channel_state state;
        next = TAILQ_NEXT(channel, of_partition);
        if (!channel->open || strcmp(channel->shown.app_id, query->app_id) != 0 ||
            strncmp(channel->shown.name, query->channel, strlen(query->channel)) != 0)
            continue;
        local_state(channel, &state);
        if (state.occupied)
            tell_channel(asked, channel->shown.name, strlen(channel->shown.name), &state);
    }
}

static void ask_slice(struct asked *asked, struct partition *partition, const char *cursor, size_t bytes);

static void on_slice(struct command *command, const struct reply *reply)
{
    struct asked *asked = command->context;
    struct partition *partition = command->partition;
    if (command_answer(command, reply) != ANSWER_OK || reply->count < 2) {
        tell_local_channels(asked, partition);
        answered(asked);
        return;
    }
    asked->known = true;
    for (size_t i = 2; i + 2 < reply->count; i += 3) {
        struct store_channel_state state = {.occupied = true};
        state.subscription_count = reply_number(reply, i + 1);
        state.user_count = reply_number(reply, i + 2);
        tell_channel(asked, reply->elements[i].text, reply->elements[i].bytes, &state);
    }
    if (!reply_is(reply, 1, "0")) {
        if (can_ask(partition))
            ask_slice(asked, partition, reply->elements[1].text, reply->elements[1].bytes);
        else
            tell_local_channels(asked, partition);
    }
    answered(asked);
}

static void ask_slice(struct asked *asked, struct partition *partition, const char *cursor, size_t bytes)
{
    struct command *command = command_new(partition, SCRIPT_CHANNELS, on_slice);
    command->context = asked;
    args_string(&command->args, asked->app_key);
    args_add(&command->args, cursor, bytes);
    args_string(&command->args, asked->query->channel);
    asked->outstanding++;
    command_send(command);
}

void query_channels(struct store *store, struct store_query *query)
{
    struct engine *engine = engine_of_store(store);
    engine_enter(engine);
    struct asked *asked = ask(engine, query);
    for (unsigned i = 0; i < engine->options.partitions; i++) {
        if (can_ask(&engine->partitions[i]))
            ask_slice(asked, &engine->partitions[i], "0", 1);
        else
            tell_local_channels(asked, &engine->partitions[i]);
    }
    answered(asked);
    engine_leave(engine);
}

/* ---- one channel ---- */

static void tell_local_members(struct asked *asked, struct channel *channel)
{
    for (struct member *m = roster_first(&channel->shown.roster); m; m = roster_next(m))
        asked->query->each_member(asked->query, m);
}

static void tell_local(struct asked *asked, struct partition *partition)
{
    struct store_query *query = asked->query;
    struct channel *channel = channel_lookup(asked->engine, query->app_id, query->channel);
    if (!channel || !channel->open || asked->engine->freeing)
        return; /* nothing is known */
    asked->known = true;
    age(asked, partition);
    struct store_channel_state state;
    local_state(channel, &state);
    if (query->each_channel)
        query->each_channel(query, channel->shown.name, &state);
    if (query->each_member)
        tell_local_members(asked, channel);
}

static uint64_t tell_members(struct asked *asked, const struct snapshot *snapshot)
{
    struct store_query *query = asked->query;
    struct roster one = {0};
    struct snapshot_user user;
    uint64_t users = 0;
    for (size_t at = 0; snapshot_next(snapshot, &at, &user);) {
        if (user.is_junk)
            continue;
        users++;
        if (!query->each_member)
            continue;
        struct member *member = roster_add(
            &one, user.id, user.id_bytes, user.is.info_bytes ? user.is.info : NULL, user.is.info_bytes);
        query->each_member(query, member);
        roster_clear(&one);
    }
    return users;
}

static void tell_state(struct asked *asked, const struct snapshot *snapshot, uint64_t users)
{
    struct store_query *query = asked->query;
    struct store_channel_state state = {.user_count = users, .subscription_count = snapshot->subscriptions};
    struct wire_event event;
    const struct reply *cached = snapshot->cached;
    state.occupied = state.subscription_count > 0;
    if (cached->bytes && wire_parse(cached->text, cached->bytes, &event) && event.kind == WIRE_EVENT) {
        state.cached = frame_copy(event.text, event.text_bytes);
        state.cached_ttl_ms = (uint32_t)snapshot->cached_ttl_ms;
    }
    if (query->each_channel)
        query->each_channel(query, query->channel, &state);
    frame_unref(state.cached);
}

static void on_state(struct command *command, const struct reply *reply)
{
    struct asked *asked = command->context;
    struct snapshot snapshot;
    if (command_answer(command, reply) != ANSWER_OK || !snapshot_parse(reply, &snapshot)) {
        tell_local(asked, command->partition);
    } else if (!asked->engine->freeing) {
        asked->known = true;
        tell_state(asked, &snapshot, tell_members(asked, &snapshot));
    }
    answered(asked);
}

static void ask_one(struct store *store, struct store_query *query)
{
    struct engine *engine = engine_of_store(store);
    unsigned index = wire_partition(query->app_id, query->channel, engine->options.partitions);
    struct partition *partition = &engine->partitions[index];
    engine_enter(engine);
    struct asked *asked = ask(engine, query);
    if (can_ask(partition)) {
        struct command *command = command_new(partition, SCRIPT_READ, on_state);
        command->context = asked;
        args_printf(&command->args, "%s:%s", asked->app_key, query->channel);
        asked->outstanding++;
        command_send(command);
    } else {
        tell_local(asked, partition);
    }
    answered(asked);
    engine_leave(engine);
}

void query_channel(struct store *store, struct store_query *query)
{
    ask_one(store, query);
}

void query_members(struct store *store, struct store_query *query)
{
    ask_one(store, query);
}
