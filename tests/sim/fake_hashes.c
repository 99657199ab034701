/* Hashes. */
#include "tests/sim/fake_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct fake_reply *value_of(const struct entry *entry)
{
    return entry ? fake_bulk(entry->value, entry->value_bytes) : fake_nil();
}

static struct fake_reply *set_fields(struct call *call, int64_t *added_count)
{
    struct key *key;
    struct fake_reply *error = call_make(call, 1, FAKE_HASH, &key);
    if (error)
        return error;
    for (size_t i = 2; i + 1 < call->argc; i += 2) {
        bool added;
        entry_set_value(entry_add(key, call->argv[i], &added), call->argv[i + 1]);
        *added_count += added;
    }
    key_changed(call->redis, key);
    return NULL;
}

static struct fake_reply *run_hset(struct call *call)
{
    if (call->argc % 2)
        return fake_error("ERR wrong number of arguments for 'hset' command");
    int64_t added = 0;
    struct fake_reply *error = set_fields(call, &added);
    return error ? error : fake_integer(added);
}

static struct fake_reply *run_hmset(struct call *call)
{
    if (call->argc % 2)
        return fake_error("ERR wrong number of arguments for 'hmset' command");
    int64_t added = 0;
    struct fake_reply *error = set_fields(call, &added);
    return error ? error : fake_status("OK");
}

static struct fake_reply *run_hsetnx(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_make(call, 1, FAKE_HASH, &key);
    if (error)
        return error;
    if (entry_find(key, call->argv[2]))
        return fake_integer(0);
    entry_set_value(entry_add(key, call->argv[2], NULL), call->argv[3]);
    key_changed(call->redis, key);
    return fake_integer(1);
}

static struct fake_reply *run_hget(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_HASH, &key);
    if (error)
        return error;
    return value_of(key ? entry_find(key, call->argv[2]) : NULL);
}

static struct fake_reply *run_hmget(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_HASH, &key);
    if (error)
        return error;
    struct fake_reply *values = fake_array();
    for (size_t i = 2; i < call->argc; i++)
        fake_push(values, value_of(key ? entry_find(key, call->argv[i]) : NULL));
    return values;
}

static struct fake_reply *list(struct call *call, bool names, bool values)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_HASH, &key);
    if (error)
        return error;
    struct fake_reply *reply = fake_array();
    struct entry **entries = shuffled_entries(call->redis, key);
    for (size_t i = 0; key && i < entry_count(key); i++) {
        if (names)
            fake_push(reply, fake_bulk(entries[i]->name, entries[i]->name_bytes));
        if (values)
            fake_push(reply, value_of(entries[i]));
    }
    free(entries);
    return reply;
}

static struct fake_reply *run_hgetall(struct call *call)
{
    return list(call, true, true);
}

static struct fake_reply *run_hkeys(struct call *call)
{
    return list(call, true, false);
}

static struct fake_reply *run_hvals(struct call *call)
{
    return list(call, false, true);
}

static struct fake_reply *run_hdel(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_HASH, &key);
    if (error || !key)
        return error ? error : fake_integer(0);
    int64_t deleted = 0;
    for (size_t i = 2; i < call->argc; i++) {
        struct entry *entry = entry_find(key, call->argv[i]);
        if (!entry)
            continue;
        entry_delete(key, entry);
        deleted++;
    }
    if (deleted)
        key_changed(call->redis, key);
    return fake_integer(deleted);
}

static struct fake_reply *run_hlen(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_HASH, &key);
    return error ? error : fake_integer(key ? (int64_t)entry_count(key) : 0);
}

static struct fake_reply *run_hexists(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_HASH, &key);
    return error ? error : fake_integer(key && entry_find(key, call->argv[2]));
}

static struct fake_reply *run_hstrlen(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_HASH, &key);
    if (error)
        return error;
    const struct entry *entry = key ? entry_find(key, call->argv[2]) : NULL;
    return fake_integer(entry ? (int64_t)entry->value_bytes : 0);
}

static struct fake_reply *run_hincrby(struct call *call)
{
    int64_t by, value = 0;
    if (!slice_integer(call->argv[3], &by))
        return not_an_integer();
    struct key *key;
    struct fake_reply *error = call_make(call, 1, FAKE_HASH, &key);
    if (error)
        return error;
    struct entry *entry = entry_find(key, call->argv[2]);
    if (entry && !slice_integer((struct slice){entry->value, entry->value_bytes}, &value))
        return fake_error("ERR hash value is not an integer");
    if (__builtin_add_overflow(value, by, &value)) {
        return fake_error("ERR increment or decrement would overflow");
    }
    char text[24];
    int size = snprintf(text, sizeof(text), "%" PRId64, value);
    entry_set_value(entry_add(key, call->argv[2], NULL), (struct slice){text, (size_t)size});
    key_changed(call->redis, key);
    return fake_integer(value);
}

static struct fake_reply *run_hscan(struct call *call)
{
    struct scan scan;
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_HASH, &key);
    if (!error)
        error = scan_arguments(call, 2, &scan);
    if (error)
        return error;
    size_t count = 0;
    struct scan_name *names = fake_alloc((key ? entry_count(key) : 0) * sizeof(*names));
    for (struct entry *entry = key ? key->entries : NULL; entry; entry = entry->hh.next)
        names[count++] = (struct scan_name){scan_hash(entry->name, entry->name_bytes), entry};
    size_t taken = scan_step(&scan, names, count);
    struct fake_reply *found = fake_array();
    for (size_t i = 0; i < taken; i++) {
        const struct entry *entry = names[i].what;
        if (scan.pattern.data && !glob_matches(scan.pattern, (struct slice){entry->name, entry->name_bytes}))
            continue;
        fake_push(found, fake_bulk(entry->name, entry->name_bytes));
        fake_push(found, value_of(entry));
    }
    free(names);
    char cursor[24];
    snprintf(cursor, sizeof(cursor), "%" PRIu64, scan.cursor);
    struct fake_reply *reply = fake_array();
    fake_push(reply, fake_text(cursor));
    fake_push(reply, found);
    return reply;
}

const struct command commands_hashes[] = {
    {"HSET", -4, COMMAND_WRITES | COMMAND_GROWS, run_hset},
    {"HMSET", -4, COMMAND_WRITES | COMMAND_GROWS, run_hmset},
    {"HSETNX", 4, COMMAND_WRITES | COMMAND_GROWS, run_hsetnx},
    {"HGET", 3, 0, run_hget},
    {"HMGET", -3, 0, run_hmget},
    {"HGETALL", 2, 0, run_hgetall},
    {"HKEYS", 2, 0, run_hkeys},
    {"HVALS", 2, 0, run_hvals},
    {"HDEL", -3, COMMAND_WRITES, run_hdel},
    {"HLEN", 2, 0, run_hlen},
    {"HEXISTS", 3, 0, run_hexists},
    {"HSTRLEN", 3, 0, run_hstrlen},
    {"HINCRBY", 4, COMMAND_WRITES | COMMAND_GROWS, run_hincrby},
    {"HSCAN", -3, 0, run_hscan},
    {NULL, 0, 0, NULL},
};
