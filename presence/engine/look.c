#include "presence/engine/look.h"

#include "presence/engine/engine_internal.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST = 6, OWNER_FIELDS = 6 };

static void tell_owners(
    struct partition *partition, struct engine_look *look, const struct reply *reply, size_t count)
{
    int64_t clock = (int64_t)reply_number(reply, 1);
    for (size_t i = 0; i < count; i++) {
        size_t at = FIRST + i * OWNER_FIELDS;
        const struct reply *edge = &reply->elements[at + 4];
        struct engine_owner owner = {
            .owner = reply_number(reply, at),
            .edge = edge->bytes ? edge->text : "",
            .edge_bytes = edge->bytes,
            .lease_ms = ((int64_t)reply_number(reply, at + 1) - clock) / 1000,
            .sequence = reply_number(reply, at + 3),
            .channels = reply_number(reply, at + 5),
        };
        owner.is_me = owner.owner == partition->owner && reply_is(reply, at + 2, partition->incarnation);
        look->each_owner(look, &owner);
    }
}

/* "17,18" */
static size_t parse_owners(const struct wire_user *user, uint64_t owners[LOOK_HOLDERS_MAX])
{
    size_t count = 0;
    bool begins = true;
    for (size_t i = 0; i < user->owners_bytes; i++) {
        char c = user->owners[i];
        if (c == ',') {
            begins = true;
        } else if (c >= '0' && c <= '9') {
            if (begins && count == LOOK_HOLDERS_MAX)
                return count;
            if (begins)
                owners[count++] = 0;
            begins = false;
            owners[count - 1] = owners[count - 1] * 10 + (uint64_t)(c - '0');
        }
    }
    return count;
}

static void tell_user(struct engine_look *look, const struct reply *id, const struct reply *value)
{
    struct wire_user user;
    uint64_t owners[LOOK_HOLDERS_MAX];
    if (!id->bytes || !wire_user_parse(value->text, value->bytes, &user))
        return;
    size_t count = parse_owners(&user, owners);
    look->each_user(look, id->text + 1, id->bytes - 1, user.info_bytes ? user.info : NULL, user.info_bytes,
        owners, count);
}

static void on_looked(struct command *command, const struct reply *reply)
{
    struct engine_look *look = command->context;
    if (command->engine->freeing)
        return;
    bool known = command_answer(command, reply) == ANSWER_OK && reply->count >= FIRST;
    if (known) {
        size_t owners = reply_number(reply, 2), numbers = reply_number(reply, 3);
        size_t users = reply_number(reply, 5);
        known = owners < reply->count && numbers < reply->count && users < reply->count &&
                reply->count >= FIRST + owners * OWNER_FIELDS + 2 * numbers + 2 * users;
        look->users = reply_number(reply, 4);
        size_t at = FIRST + owners * OWNER_FIELDS;
        if (known)
            tell_owners(command->partition, look, reply, owners);
        for (size_t i = 0; known && i < numbers; i++, at += 2)
            look->each_number(look, reply_number(reply, at), reply_number(reply, at + 1));
        for (size_t i = 0; known && i < users; i++, at += 2)
            tell_user(look, &reply->elements[at], &reply->elements[at + 1]);
    }
    look->done(look, known);
}

static void ask(struct partition *partition, const struct engine_look_at *at, struct engine_look *look)
{
    struct command *command = command_new(partition, SCRIPT_LOOK, on_looked);
    command->context = look;
    args_number(&command->args, LOOK_OWNERS_MAX);
    if (at->app_id) {
        char *app_key = wire_app_key(at->app_id);
        args_printf(&command->args, "%s:%s", app_key, at->channel);
        free(app_key);
    } else {
        args_string(&command->args, "");
    }
    args_number(&command->args, at->users_max);
    args_add(&command->args, at->user ? at->user : "", at->user ? at->user_bytes : 0);
    command_send(command);
}

void engine_look(struct engine *engine, const struct engine_look_at *at, struct engine_look *look)
{
    look->partition = at->app_id ? engine_partition_of(engine, at->app_id, at->channel) : at->partition;
    look->users = 0;
    struct partition *partition = &engine->partitions[look->partition % engine->options.partitions];
    if (partition->state != PARTITION_READY || partition->retired) {
        look->done(look, false);
        return;
    }
    engine_enter(engine);
    ask(partition, at, look);
    engine_leave(engine);
}

bool engine_hold_of(struct engine *engine, const char *app_id, const char *name, const char *user,
    size_t user_bytes, struct engine_hold *hold)
{
    struct channel *channel = channel_lookup(engine, app_id, name);
    struct fact *fact = !channel ? NULL : user ? channel_fact(channel, user, user_bytes) : &channel->number;
    if (!fact || (!fact->wanted && !fact->acknowledged))
        return false;
    bool moves = fact->dirty || fact->in_batches || fact->sent != fact->acknowledged;
    *hold = (struct engine_hold){
        .partition = channel->partition->index,
        .owner = channel->partition->owner,
        .write = fact->last_number,
        .fresh_ago_ms = engine_now(engine) - channel->partition->fresh_ms,
        .is_settled = !moves && channel->partition->state == PARTITION_READY,
    };
    return true;
}
