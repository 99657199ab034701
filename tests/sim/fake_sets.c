/* Sets. */
#include "tests/sim/fake_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct fake_reply *name_of(const struct entry *entry)
{
    return fake_bulk(entry->name, entry->name_bytes);
}

static struct fake_reply *run_sadd(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_make(call, 1, FAKE_SET, &key);
    if (error)
        return error;
    int64_t count = 0;
    for (size_t i = 2; i < call->argc; i++) {
        bool added;
        entry_add(key, call->argv[i], &added);
        count += added;
    }
    if (count)
        key_changed(call->redis, key);
    return fake_integer(count);
}

static struct fake_reply *run_srem(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_SET, &key);
    if (error || !key)
        return error ? error : fake_integer(0);
    int64_t count = 0;
    for (size_t i = 2; i < call->argc; i++) {
        struct entry *entry = entry_find(key, call->argv[i]);
        if (!entry)
            continue;
        entry_delete(key, entry);
        count++;
    }
    if (count)
        key_changed(call->redis, key);
    return fake_integer(count);
}

static struct fake_reply *run_smembers(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_SET, &key);
    if (error)
        return error;
    struct fake_reply *reply = fake_array();
    struct entry **entries = shuffled_entries(call->redis, key);
    for (size_t i = 0; key && i < entry_count(key); i++)
        fake_push(reply, name_of(entries[i]));
    free(entries);
    return reply;
}

static struct fake_reply *run_scard(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_SET, &key);
    return error ? error : fake_integer(key ? (int64_t)entry_count(key) : 0);
}

static struct fake_reply *run_sismember(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_SET, &key);
    return error ? error : fake_integer(key && entry_find(key, call->argv[2]));
}

static struct fake_reply *run_smismember(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_SET, &key);
    if (error)
        return error;
    struct fake_reply *reply = fake_array();
    for (size_t i = 2; i < call->argc; i++)
        fake_push(reply, fake_integer(key && entry_find(key, call->argv[i])));
    return reply;
}

/* SPOP and SRANDMEMBER, with a count that is not negative. */
static struct fake_reply *pick(struct call *call, bool pop)
{
    struct key *key;
    int64_t limit = 1;
    bool many = call->argc > 2;
    if (many && !slice_integer(call->argv[2], &limit))
        return not_an_integer();
    if (limit < 0 || call->argc > 3)
        return fake_error("ERR value is out of range, must be positive");
    struct fake_reply *error = call_typed(call, 1, FAKE_SET, &key);
    if (error)
        return error;
    if (!key)
        return many ? fake_array() : fake_nil();
    struct entry **entries = shuffled_entries(call->redis, key);
    size_t count = entry_count(key);
    struct fake_reply *picked = fake_array();
    for (size_t i = 0; i < count && i < (size_t)limit; i++) {
        fake_push(picked, name_of(entries[i]));
        if (pop)
            entry_delete(key, entries[i]);
    }
    free(entries);
    if (pop && picked->count)
        key_changed(call->redis, key);
    if (many)
        return picked;
    struct fake_reply *one = fake_bulk(picked->items[0]->text, picked->items[0]->bytes);
    fake_reply_free(picked);
    return one;
}

static struct fake_reply *run_spop(struct call *call)
{
    return pick(call, true);
}

static struct fake_reply *run_srandmember(struct call *call)
{
    return pick(call, false);
}

static struct fake_reply *run_sscan(struct call *call)
{
    struct scan scan;
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_SET, &key);
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
        if (!scan.pattern.data || glob_matches(scan.pattern, (struct slice){entry->name, entry->name_bytes}))
            fake_push(found, name_of(entry));
    }
    free(names);
    char cursor[24];
    snprintf(cursor, sizeof(cursor), "%" PRIu64, scan.cursor);
    struct fake_reply *reply = fake_array();
    fake_push(reply, fake_text(cursor));
    fake_push(reply, found);
    return reply;
}

const struct command commands_sets[] = {
    {"SADD", -3, COMMAND_WRITES | COMMAND_GROWS, run_sadd},
    {"SREM", -3, COMMAND_WRITES, run_srem},
    {"SMEMBERS", 2, 0, run_smembers},
    {"SCARD", 2, 0, run_scard},
    {"SISMEMBER", 3, 0, run_sismember},
    {"SMISMEMBER", -3, 0, run_smismember},
    {"SPOP", -2, COMMAND_WRITES, run_spop},
    {"SRANDMEMBER", -2, 0, run_srandmember},
    {"SSCAN", -3, 0, run_sscan},
    {NULL, 0, 0, NULL},
};
