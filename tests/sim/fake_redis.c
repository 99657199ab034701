#include "tests/sim/fake_commands.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

uint64_t redis_random(struct fake_redis *redis)
{
    uint64_t x = (redis->random += 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void draw_id(struct fake_redis *redis)
{
    memcpy(redis->old_replication_id, redis->replication_id, sizeof(redis->replication_id));
    for (size_t i = 0; i < FAKE_REPLICATION_ID_BYTES; i++)
        redis->replication_id[i] = "0123456789abcdef"[redis_random(redis) & 15];
}

struct fake_redis *fake_redis_new(uint64_t seed)
{
    struct fake_redis *redis = fake_alloc(sizeof(*redis));
    redis->random = seed;
    memset(redis->replication_id, '0', FAKE_REPLICATION_ID_BYTES);
    draw_id(redis);
    return redis;
}

void fake_redis_free(struct fake_redis *redis)
{
    while (redis->connections)
        fake_disconnect(redis->connections);
    data_clear(&redis->data);
    fake_redis_forget_scripts(redis);
    free(redis);
}

void fake_redis_set_time(struct fake_redis *redis, int64_t now_us)
{
    redis->now_us = now_us;
}

int64_t fake_redis_time(const struct fake_redis *redis)
{
    return redis->now_us;
}

/* Connections and commands. */

struct fake_connection *fake_connect(struct fake_redis *redis, fake_on_push on_push, void *context)
{
    struct fake_connection *connection = fake_alloc(sizeof(*connection));
    *connection = (struct fake_connection){.redis = redis, .on_push = on_push, .context = context};
    struct fake_connection *link;
    link = redis->connections;
    if (link)
        link->previous = connection;
    connection->next = link;
    redis->connections = connection;
    return connection;
}

void fake_disconnect(struct fake_connection *connection)
{
    struct subscription *subscription, *next;
    HASH_ITER (hh, connection->subscriptions, subscription, next) {
        HASH_DEL(connection->subscriptions, subscription);
        free(subscription->name);
        free(subscription);
    }
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        connection->redis->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    free(connection);
}

static const struct command *const tables[] = {
    commands_keys, commands_hashes, commands_sets, commands_sorted, commands_streams, commands_server};

struct named {
    UT_hash_handle hh;
    const struct command *command;
};

static struct named *index_commands(void)
{
    struct named *index = NULL;
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        for (const struct command *command = tables[i]; command->name; command++) {
            struct named *named = fake_alloc(sizeof(*named));
            named->command = command;
            HASH_ADD_KEYPTR(hh, index, command->name, strlen(command->name), named);
        }
    }
    return index;
}

const struct command *command_find(struct slice name)
{
    static struct named *index;
    if (!index)
        index = index_commands();
    char upper[24];
    if (name.size > sizeof(upper))
        return NULL;
    for (size_t i = 0; i < name.size; i++)
        upper[i] = (char)toupper((unsigned char)name.data[i]);
    struct named *named;
    HASH_FIND(hh, index, upper, name.size, named);
    return named ? named->command : NULL;
}

bool command_arity_fits(const struct command *command, size_t argc)
{
    if (command->arity < 0)
        return argc >= (size_t)-command->arity;
    return argc == (size_t)command->arity;
}

static struct fake_reply *unknown_command(size_t argc, const struct slice *argv)
{
    char shown[256] = "";
    size_t used = 0;
    for (size_t i = 1; i < argc && used < 128; i++)
        used += (size_t)snprintf(shown + used, sizeof(shown) - used, "'%.*s' ",
            (int)(argv[i].size < 128 - used ? argv[i].size : 128 - used), argv[i].data);
    return fake_error("ERR unknown command '%.*s', with args beginning with: %s",
        (int)(argv[0].size < 128 ? argv[0].size : 128), argv[0].data, shown);
}

bool redis_is_starved(const struct fake_redis *redis)
{
    return redis->out_of_memory && !redis->replica;
}

bool redis_is_lonely(const struct fake_redis *redis)
{
    return redis->no_replicas && !redis->replica;
}

static struct fake_reply *refuse(const struct fake_redis *redis, unsigned flags)
{
    if (redis_is_starved(redis) && (flags & COMMAND_GROWS))
        return fake_error("OOM command not allowed when used memory > 'maxmemory'.");
    if (!(flags & COMMAND_WRITES))
        return NULL;
    if (redis_is_lonely(redis))
        return fake_error("NOREPLICAS Not enough good replicas to write.");
    if (redis->replica)
        return fake_error("READONLY You can't write against a read only replica.");
    return NULL;
}

struct fake_reply *fake_command(struct fake_connection *connection, size_t argc, const struct slice *argv)
{
    struct call call = {.redis = connection->redis, .connection = connection, .argc = argc, .argv = argv};
    const struct command *command = command_find(argv[0]);
    if (!command)
        return unknown_command(argc, argv);
    if (!command_arity_fits(command, argc)) {
        char lower[24];
        size_t size = strlen(command->name);
        for (size_t i = 0; i <= size; i++)
            lower[i] = (char)tolower((unsigned char)command->name[i]);
        return fake_error("ERR wrong number of arguments for '%s' command", lower);
    }
    unsigned flags = command->flags & COMMAND_IS_SCRIPT ? script_command_flags(&call) : command->flags;
    struct fake_reply *refused = refuse(call.redis, flags);
    return refused ? refused : command->run(&call);
}

struct fake_reply *fake_command_words(struct fake_connection *connection, const char *words)
{
    struct slice argv[64];
    size_t argc = 0;
    while (argc < 64) {
        size_t size = strcspn(words, " ");
        argv[argc++] = (struct slice){words, size};
        if (!words[size])
            break;
        words += size + 1;
    }
    return fake_command(connection, argc, argv);
}

/* Faults. */

struct fake_snapshot {
    struct fake_data data;
    char replication_id[FAKE_REPLICATION_ID_BYTES + 1];
};

struct fake_snapshot *fake_redis_snapshot(const struct fake_redis *redis)
{
    struct fake_snapshot *snapshot = fake_alloc(sizeof(*snapshot));
    data_copy(&snapshot->data, &redis->data);
    memcpy(snapshot->replication_id, redis->replication_id, sizeof(snapshot->replication_id));
    return snapshot;
}

void fake_snapshot_free(struct fake_snapshot *snapshot)
{
    if (!snapshot)
        return;
    data_clear(&snapshot->data);
    free(snapshot);
}

static void take_data(struct fake_redis *redis, const struct fake_snapshot *snapshot)
{
    data_clear(&redis->data);
    if (snapshot)
        data_copy(&redis->data, &snapshot->data);
}

void fake_redis_rollback(struct fake_redis *redis, const struct fake_snapshot *snapshot, bool new_id)
{
    take_data(redis, snapshot);
    if (new_id)
        draw_id(redis);
}

void fake_redis_restart(struct fake_redis *redis, const struct fake_snapshot *snapshot)
{
    take_data(redis, snapshot);
    fake_redis_forget_scripts(redis);
    redis->replica = false;
    draw_id(redis);
}

void fake_redis_follow(struct fake_redis *redis, const struct fake_snapshot *snapshot)
{
    if (!snapshot)
        abort(); /* a replica follows something; none is for a restart alone */
    take_data(redis, snapshot);
    redis->replica = true;
    memcpy(redis->replication_id, snapshot->replication_id, sizeof(snapshot->replication_id));
}

void fake_redis_promote(struct fake_redis *redis)
{
    redis->replica = false;
    draw_id(redis);
}

bool fake_redis_is_replica(const struct fake_redis *redis)
{
    return redis->replica;
}

void fake_redis_set_out_of_memory(struct fake_redis *redis, bool out)
{
    redis->out_of_memory = out;
}

void fake_redis_set_no_replicas(struct fake_redis *redis, bool none)
{
    redis->no_replicas = none;
}

void fake_redis_forget_scripts(struct fake_redis *redis)
{
    struct loaded_script *script, *next;
    HASH_ITER (hh, redis->scripts, script, next) {
        HASH_DEL(redis->scripts, script);
        free(script);
    }
}

const struct fake_data *fake_redis_data(const struct fake_redis *redis)
{
    return &redis->data;
}

const char *fake_redis_replication_id(const struct fake_redis *redis)
{
    return redis->replication_id;
}

uint64_t fake_redis_changes(const struct fake_redis *redis)
{
    return redis->changes;
}

void fake_redis_watch(struct fake_redis *redis, fake_on_publish on_publish, void *context)
{
    redis->on_publish = on_publish;
    redis->publish_context = context;
}

static bool has_expired(const struct fake_redis *redis, const struct key *key)
{
    return key->expires_ms != FAKE_NO_EXPIRY && redis->now_us / 1000 > key->expires_ms;
}

void fake_redis_expire(struct fake_redis *redis)
{
    struct key *key, *next;
    HASH_ITER (hh, redis->data.keys, key, next) {
        if (has_expired(redis, key))
            data_delete(&redis->data, key);
    }
}

/* What commands share. */

struct key *call_key(struct call *call, size_t index)
{
    struct key *key = data_find(&call->redis->data, call->argv[index]);
    if (!key || !has_expired(call->redis, key))
        return key;
    data_delete(&call->redis->data, key);
    return NULL;
}

struct fake_reply *call_typed(struct call *call, size_t index, enum fake_type type, struct key **key)
{
    *key = call_key(call, index);
    if (*key && (*key)->type != type)
        return fake_error("WRONGTYPE Operation against a key holding the wrong kind of value");
    return NULL;
}

struct fake_reply *call_make(struct call *call, size_t index, enum fake_type type, struct key **key)
{
    struct fake_reply *error = call_typed(call, index, type, key);
    if (!error && !*key)
        *key = data_add(&call->redis->data, call->argv[index], type);
    return error;
}

void key_changed(struct fake_redis *redis, struct key *key)
{
    redis->changes++;
    if (key_is_empty(key))
        data_delete(&redis->data, key);
}

bool slice_is(struct slice slice, const char *word)
{
    return slice.size == strlen(word) && strncasecmp(slice.data, word, slice.size) == 0;
}

bool call_is(const struct call *call, size_t index, const char *word)
{
    return index < call->argc && slice_is(call->argv[index], word);
}

bool slice_integer(struct slice slice, int64_t *value)
{
    char text[24], printed[24];
    if (slice.size == 0 || slice.size >= sizeof(text))
        return false;
    memcpy(text, slice.data, slice.size);
    text[slice.size] = '\0';
    *value = strtoll(text, NULL, 10);
    snprintf(printed, sizeof(printed), "%lld", (long long)*value);
    return strlen(text) == slice.size && strcmp(printed, text) == 0;
}

bool slice_double(struct slice slice, double *value)
{
    char text[128];
    if (slice.size == 0 || slice.size >= sizeof(text) || isspace((unsigned char)slice.data[0]))
        return false;
    memcpy(text, slice.data, slice.size);
    text[slice.size] = '\0';
    char *end;
    *value = strtod(text, &end);
    return end == text + slice.size && *value == *value;
}

struct fake_reply *syntax_error(void)
{
    return fake_error("ERR syntax error");
}

struct fake_reply *not_an_integer(void)
{
    return fake_error("ERR value is not an integer or out of range");
}

struct entry **shuffled_entries(struct fake_redis *redis, const struct key *key)
{
    size_t count = key ? entry_count(key) : 0;
    struct entry **entries = fake_alloc(count * sizeof(*entries));
    size_t filled = 0;
    for (struct entry *entry = key ? key->entries : NULL; entry; entry = entry->hh.next) {
        size_t place = (size_t)(redis_random(redis) % (filled + 1));
        entries[filled++] = entries[place];
        entries[place] = entry;
    }
    return entries;
}
