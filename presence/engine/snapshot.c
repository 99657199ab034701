#include "presence/engine/snapshot.h"

#include "presence/engine/engine_internal.h"

enum { LAST_VERSION = 1, CLOCK, EXTRAS, CACHED, CACHED_TTL_MS, FIELDS };

static bool is_named(const struct reply *name, char letter)
{
    return name->bytes == 1 && *name->text == letter;
}

bool snapshot_next(const struct snapshot *snapshot, size_t *at, struct snapshot_user *user)
{
    for (; *at + 1 < snapshot->count; *at += 2) {
        const struct reply *name = &snapshot->fields[*at], *value = name + 1;
        if (!name->bytes || *name->text != 'u')
            continue;
        user->id = name->text + 1;
        user->id_bytes = name->bytes - 1;
        user->is_junk = !wire_user_parse(value->text, value->bytes, &user->is);
        *at += 2;
        return true;
    }
    return false;
}

bool snapshot_parse(const struct reply *reply, struct snapshot *snapshot)
{
    if (reply->count < FIELDS)
        return false;
    *snapshot = (struct snapshot){
        .last_version = reply_number(reply, LAST_VERSION),
        .clock = reply_number(reply, CLOCK),
        .subscriptions = reply_number(reply, EXTRAS),
        .cached = &reply->elements[CACHED],
        .cached_ttl_ms = reply_number(reply, CACHED_TTL_MS),
        .fields = &reply->elements[FIELDS],
        .count = reply->count - FIELDS,
    };
    for (size_t i = FIELDS; i + 1 < reply->count; i += 2) {
        if (is_named(&reply->elements[i], 'v'))
            snapshot->version = reply_number(reply, i + 1);
        else if (is_named(&reply->elements[i], 'b'))
            snapshot->birth = reply_number(reply, i + 1);
    }
    struct snapshot_user user;
    for (size_t at = 0; snapshot_next(snapshot, &at, &user);)
        snapshot->subscriptions += user.is_junk ? 1 : wire_user_sockets(&user.is);
    return true;
}
