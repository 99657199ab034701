/* Strings, and the commands on keys of any type. */
#include "tests/sim/fake_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct fake_reply *run_get(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_STRING, &key);
    if (error)
        return error;
    return key ? fake_bulk(key->string, key->string_bytes) : fake_nil();
}

static struct fake_reply *run_strlen(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_STRING, &key);
    if (error)
        return error;
    return fake_integer(key ? (int64_t)key->string_bytes : 0);
}

static struct fake_reply *run_mget(struct call *call)
{
    struct fake_reply *values = fake_array();
    for (size_t i = 1; i < call->argc; i++) {
        struct key *key = call_key(call, i);
        if (key && key->type == FAKE_STRING)
            fake_push(values, fake_bulk(key->string, key->string_bytes));
        else
            fake_push(values, fake_nil());
    }
    return values;
}

static void replace(struct call *call, size_t index, struct slice value, int64_t expires_ms)
{
    struct key *key = call_key(call, index);
    if (key)
        data_delete(&call->redis->data, key);
    key = data_add(&call->redis->data, call->argv[index], FAKE_STRING);
    key_set_string(key, value);
    key->expires_ms = expires_ms;
    call->redis->changes++;
}

struct set_options {
    int64_t expires_ms;
    bool only_new, only_old, keep_ttl, get;
};

static struct fake_reply *set_expiry(struct call *call, size_t i, struct set_options *options)
{
    int64_t value;
    if (i + 1 >= call->argc)
        return syntax_error();
    if (!slice_integer(call->argv[i + 1], &value))
        return not_an_integer();
    if (value <= 0)
        return fake_error("ERR invalid expire time in 'set' command");
    bool seconds = call_is(call, i, "EX") || call_is(call, i, "EXAT");
    bool absolute = call_is(call, i, "EXAT") || call_is(call, i, "PXAT");
    options->expires_ms = value * (seconds ? 1000 : 1) + (absolute ? 0 : call->redis->now_us / 1000);
    return NULL;
}

static struct fake_reply *set_options(struct call *call, struct set_options *options)
{
    *options = (struct set_options){.expires_ms = FAKE_NO_EXPIRY};
    for (size_t i = 3; i < call->argc; i++) {
        if (call_is(call, i, "NX"))
            options->only_new = true;
        else if (call_is(call, i, "XX"))
            options->only_old = true;
        else if (call_is(call, i, "KEEPTTL"))
            options->keep_ttl = true;
        else if (call_is(call, i, "GET"))
            options->get = true;
        else if (call_is(call, i, "EX") || call_is(call, i, "PX") || call_is(call, i, "EXAT") ||
                 call_is(call, i, "PXAT")) {
            struct fake_reply *error = set_expiry(call, i++, options);
            if (error)
                return error;
        } else {
            return syntax_error();
        }
    }
    return options->only_new && options->only_old ? syntax_error() : NULL;
}

static struct fake_reply *run_set(struct call *call)
{
    struct set_options options;
    struct fake_reply *error = set_options(call, &options);
    if (error)
        return error;
    struct fake_reply *old = options.get ? run_get(call) : NULL;
    if (old && old->type == FAKE_ERROR)
        return old;
    struct key *key = call_key(call, 1);
    if ((key && options.only_new) || (!key && options.only_old))
        return old ? old : fake_nil();
    if (options.keep_ttl && key)
        options.expires_ms = key->expires_ms;
    replace(call, 1, call->argv[2], options.expires_ms);
    return old ? old : fake_status("OK");
}

static struct fake_reply *run_setnx(struct call *call)
{
    if (call_key(call, 1))
        return fake_integer(0);
    replace(call, 1, call->argv[2], FAKE_NO_EXPIRY);
    return fake_integer(1);
}

static struct fake_reply *set_with_ttl(struct call *call, int64_t unit_ms, const char *name)
{
    int64_t ttl;
    if (!slice_integer(call->argv[2], &ttl))
        return not_an_integer();
    if (ttl <= 0)
        return fake_error("ERR invalid expire time in '%s' command", name);
    replace(call, 1, call->argv[3], call->redis->now_us / 1000 + ttl * unit_ms);
    return fake_status("OK");
}

static struct fake_reply *run_setex(struct call *call)
{
    return set_with_ttl(call, 1000, "setex");
}

static struct fake_reply *run_psetex(struct call *call)
{
    return set_with_ttl(call, 1, "psetex");
}

static struct fake_reply *run_mset(struct call *call)
{
    if (call->argc % 2 == 0)
        return fake_error("ERR wrong number of arguments for 'mset' command");
    for (size_t i = 1; i < call->argc; i += 2)
        replace(call, i, call->argv[i + 1], FAKE_NO_EXPIRY);
    return fake_status("OK");
}

static struct fake_reply *run_append(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_STRING, &key);
    if (error)
        return error;
    size_t old = key ? key->string_bytes : 0;
    char *joined = fake_alloc(old + call->argv[2].size);
    if (old)
        memcpy(joined, key->string, old);
    memcpy(joined + old, call->argv[2].data, call->argv[2].size);
    struct slice value = {joined, old + call->argv[2].size};
    if (!key)
        key = data_add(&call->redis->data, call->argv[1], FAKE_STRING);
    key_set_string(key, value);
    free(joined);
    call->redis->changes++;
    return fake_integer((int64_t)value.size);
}

static struct fake_reply *add_to(struct call *call, int64_t by)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_STRING, &key);
    if (error)
        return error;
    int64_t value = 0;
    if (key && !slice_integer((struct slice){key->string, key->string_bytes}, &value))
        return not_an_integer();
    if (__builtin_add_overflow(value, by, &value))
        return fake_error("ERR increment or decrement would overflow");
    if (!key)
        key = data_add(&call->redis->data, call->argv[1], FAKE_STRING);
    char text[24];
    int size = snprintf(text, sizeof(text), "%" PRId64, value);
    key_set_string(key, (struct slice){text, (size_t)size});
    call->redis->changes++;
    return fake_integer(value);
}

static struct fake_reply *run_incr(struct call *call)
{
    return add_to(call, 1);
}

static struct fake_reply *run_decr(struct call *call)
{
    return add_to(call, -1);
}

static struct fake_reply *run_incrby(struct call *call)
{
    int64_t by;
    return slice_integer(call->argv[2], &by) ? add_to(call, by) : not_an_integer();
}

static struct fake_reply *run_del(struct call *call)
{
    int64_t deleted = 0;
    for (size_t i = 1; i < call->argc; i++) {
        struct key *key = call_key(call, i);
        if (!key)
            continue;
        data_delete(&call->redis->data, key);
        deleted++;
    }
    call->redis->changes += (uint64_t)deleted;
    return fake_integer(deleted);
}

static struct fake_reply *run_getdel(struct call *call)
{
    struct fake_reply *value = run_get(call);
    if (value->type == FAKE_BULK) {
        data_delete(&call->redis->data, call_key(call, 1));
        call->redis->changes++;
    }
    return value;
}

static struct fake_reply *run_exists(struct call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += call_key(call, i) != NULL;
    return fake_integer(count);
}

static const char *const type_names[] = {"string", "hash", "set", "zset", "stream"};

static struct fake_reply *run_type(struct call *call)
{
    const struct key *key = call_key(call, 1);
    return fake_status(key ? type_names[key->type] : "none");
}

/* NX, XX, GT and LT of the EXPIRE family; a key without expiry counts as infinite. */
static bool expiry_allowed(const struct call *call, const struct key *key, int64_t expires_ms)
{
    bool has = key->expires_ms != FAKE_NO_EXPIRY;
    for (size_t i = 3; i < call->argc; i++) {
        if ((call_is(call, i, "NX") && has) || (call_is(call, i, "XX") && !has) ||
            (call_is(call, i, "GT") && (!has || expires_ms <= key->expires_ms)) ||
            (call_is(call, i, "LT") && has && expires_ms >= key->expires_ms))
            return false;
    }
    return true;
}

static struct fake_reply *expire(struct call *call, int64_t unit_ms, bool absolute)
{
    int64_t value;
    if (!slice_integer(call->argv[2], &value))
        return not_an_integer();
    for (size_t i = 3; i < call->argc; i++) {
        if (!call_is(call, i, "NX") && !call_is(call, i, "XX") && !call_is(call, i, "GT") &&
            !call_is(call, i, "LT"))
            return fake_error("ERR Unsupported option %.*s", (int)call->argv[i].size, call->argv[i].data);
    }
    int64_t now_ms = call->redis->now_us / 1000;
    int64_t expires_ms = value * unit_ms + (absolute ? 0 : now_ms);
    struct key *key = call_key(call, 1);
    if (!key || !expiry_allowed(call, key, expires_ms))
        return fake_integer(0);
    if (expires_ms <= now_ms)
        data_delete(&call->redis->data, key);
    else
        key->expires_ms = expires_ms;
    call->redis->changes++;
    return fake_integer(1);
}

static struct fake_reply *run_expire(struct call *call)
{
    return expire(call, 1000, false);
}

static struct fake_reply *run_pexpire(struct call *call)
{
    return expire(call, 1, false);
}

static struct fake_reply *run_expireat(struct call *call)
{
    return expire(call, 1000, true);
}

static struct fake_reply *run_pexpireat(struct call *call)
{
    return expire(call, 1, true);
}

static struct fake_reply *ttl(struct call *call, bool seconds, bool absolute)
{
    const struct key *key = call_key(call, 1);
    if (!key)
        return fake_integer(-2);
    if (key->expires_ms == FAKE_NO_EXPIRY)
        return fake_integer(-1);
    int64_t value = key->expires_ms - (absolute ? 0 : call->redis->now_us / 1000);
    if (seconds)
        return fake_integer((value + 500) / 1000);
    return fake_integer(value);
}

static struct fake_reply *run_ttl(struct call *call)
{
    return ttl(call, true, false);
}

static struct fake_reply *run_pttl(struct call *call)
{
    return ttl(call, false, false);
}

static struct fake_reply *run_pexpiretime(struct call *call)
{
    return ttl(call, false, true);
}

static struct fake_reply *run_persist(struct call *call)
{
    struct key *key = call_key(call, 1);
    if (!key || key->expires_ms == FAKE_NO_EXPIRY)
        return fake_integer(0);
    key->expires_ms = FAKE_NO_EXPIRY;
    call->redis->changes++;
    return fake_integer(1);
}

static struct fake_reply *run_keys(struct call *call)
{
    fake_redis_expire(call->redis);
    struct fake_reply *names = fake_array();
    for (const struct key *key = call->redis->data.keys; key; key = key->hh.next) {
        if (!glob_matches(call->argv[1], (struct slice){key->name, key->name_bytes}))
            continue;
        fake_push(names, fake_bulk(key->name, key->name_bytes));
        size_t place = (size_t)(redis_random(call->redis) % names->count);
        struct fake_reply *last = names->items[names->count - 1];
        names->items[names->count - 1] = names->items[place];
        names->items[place] = last;
    }
    return names;
}

static struct fake_reply *run_scan(struct call *call)
{
    struct scan scan;
    struct fake_reply *error = scan_arguments(call, 1, &scan);
    if (error)
        return error;
    fake_redis_expire(call->redis);
    size_t count = 0;
    struct scan_name *names = fake_alloc(HASH_COUNT(call->redis->data.keys) * sizeof(*names));
    for (const struct key *key = call->redis->data.keys; key; key = key->hh.next)
        names[count++] = (struct scan_name){scan_hash(key->name, key->name_bytes), key};
    size_t taken = scan_step(&scan, names, count);
    struct fake_reply *found = fake_array();
    for (size_t i = 0; i < taken; i++) {
        const struct key *key = names[i].what;
        struct slice name = {key->name, key->name_bytes};
        if ((!scan.pattern.data || glob_matches(scan.pattern, name)) &&
            (!scan.type.data || slice_is(scan.type, type_names[key->type])))
            fake_push(found, fake_bulk(name.data, name.size));
    }
    free(names);
    char cursor[24];
    snprintf(cursor, sizeof(cursor), "%" PRIu64, scan.cursor);
    struct fake_reply *reply = fake_array();
    fake_push(reply, fake_text(cursor));
    fake_push(reply, found);
    return reply;
}

static struct fake_reply *run_randomkey(struct call *call)
{
    fake_redis_expire(call->redis);
    size_t count = HASH_COUNT(call->redis->data.keys);
    if (!count)
        return fake_nil();
    size_t place = (size_t)(redis_random(call->redis) % count);
    const struct key *key = call->redis->data.keys;
    while (place--)
        key = key->hh.next;
    return fake_bulk(key->name, key->name_bytes);
}

static struct fake_reply *run_dbsize(struct call *call)
{
    fake_redis_expire(call->redis);
    return fake_integer((int64_t)HASH_COUNT(call->redis->data.keys));
}

const struct command commands_keys[] = {
    {"GET", 2, 0, run_get},
    {"STRLEN", 2, 0, run_strlen},
    {"MGET", -2, 0, run_mget},
    {"SET", -3, COMMAND_WRITES | COMMAND_GROWS, run_set},
    {"SETNX", 3, COMMAND_WRITES | COMMAND_GROWS, run_setnx},
    {"SETEX", 4, COMMAND_WRITES | COMMAND_GROWS, run_setex},
    {"PSETEX", 4, COMMAND_WRITES | COMMAND_GROWS, run_psetex},
    {"MSET", -3, COMMAND_WRITES | COMMAND_GROWS, run_mset},
    {"APPEND", 3, COMMAND_WRITES | COMMAND_GROWS, run_append},
    {"INCR", 2, COMMAND_WRITES | COMMAND_GROWS, run_incr},
    {"DECR", 2, COMMAND_WRITES | COMMAND_GROWS, run_decr},
    {"INCRBY", 3, COMMAND_WRITES | COMMAND_GROWS, run_incrby},
    {"DEL", -2, COMMAND_WRITES, run_del},
    {"UNLINK", -2, COMMAND_WRITES, run_del},
    {"GETDEL", 2, COMMAND_WRITES, run_getdel},
    {"EXISTS", -2, 0, run_exists},
    {"TYPE", 2, 0, run_type},
    {"EXPIRE", -3, COMMAND_WRITES, run_expire},
    {"PEXPIRE", -3, COMMAND_WRITES, run_pexpire},
    {"EXPIREAT", -3, COMMAND_WRITES, run_expireat},
    {"PEXPIREAT", -3, COMMAND_WRITES, run_pexpireat},
    {"TTL", 2, 0, run_ttl},
    {"PTTL", 2, 0, run_pttl},
    {"PEXPIRETIME", 2, 0, run_pexpiretime},
    {"PERSIST", 2, COMMAND_WRITES, run_persist},
    {"KEYS", 2, 0, run_keys},
    {"SCAN", -2, 0, run_scan},
    {"RANDOMKEY", 1, 0, run_randomkey},
    {"DBSIZE", 1, 0, run_dbsize},
    {NULL, 0, 0, NULL},
};
