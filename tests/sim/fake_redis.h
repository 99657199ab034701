/* A Redis in memory, on a clock of the test's: enough of 7.0 for the scripts of presence/redis and those who
 * call them, exact in what it has, and refusing what it has not ("unknown command").
 *
 *   data          strings, hashes, sets, sorted sets, streams, with expiry; deep copies make snapshots and
 * replicas scripts       run in an embedded Lua 5.1, with the globals, conversions and refusals of Redis
 * (fake_lua.c) open orders   HGETALL, SMEMBERS, SCAN… answer in an order drawn from the seed, so that nobody
 * relies on one faults        whoever holds the instance flushes, rolls back, promotes or starves it between
 * two commands
 *
 * It is checked against a real redis-server by check_fake.c. Two runs with the same seed and calls are the
 * same. Not thread-safe: one process uses all its instances from one thread (they share one Lua state).
 */
#pragma once

#include "tests/sim/fake_data.h"
#include "tests/sim/fake_reply.h"

enum { FAKE_REPLICATION_ID_BYTES = 40 };

struct fake_redis;
struct fake_connection;
struct fake_snapshot;

/* What arrives unasked on a connection: answers to SUBSCRIBE and messages. The callee owns the reply. */
typedef void (*fake_on_push)(void *context, struct fake_reply *push);

/* An empty master. The clock stands at 0 until set. Free with fake_redis_free(). */
struct fake_redis *fake_redis_new(uint64_t seed);
void fake_redis_free(struct fake_redis *redis);

/* The server's wall clock, in µs since 1970; may step in either direction. */
void fake_redis_set_time(struct fake_redis *redis, int64_t now_us);
int64_t fake_redis_time(const struct fake_redis *redis);

struct fake_connection *fake_connect(struct fake_redis *redis, fake_on_push on_push, void *context);
/* Ends it and its subscriptions. */
void fake_disconnect(struct fake_connection *connection);

/* Runs one command. NULL for (UN)SUBSCRIBE, whose answers go to on_push; else a reply the caller frees. */
struct fake_reply *fake_command(struct fake_connection *connection, size_t argc, const struct slice *argv);

/* The same with words separated by single spaces, for tests. */
struct fake_reply *fake_command_words(struct fake_connection *connection, const char *words);

/* A deep copy of the data, the replication id included. Free with fake_snapshot_free(). */
struct fake_snapshot *fake_redis_snapshot(const struct fake_redis *redis);
void fake_snapshot_free(struct fake_snapshot *snapshot);

/* Puts the data back, under open connections, as a resynchronisation or DEBUG RELOAD of an old file does.
 * new_id: the instance then names another replication id, else the one it had before the call. */
void fake_redis_rollback(struct fake_redis *redis, const struct fake_snapshot *snapshot, bool new_id);

/* A process started again: data from the snapshot (NULL: none), no scripts, a new replication id. Whoever
 * calls closes the connections. */
void fake_redis_restart(struct fake_redis *redis, const struct fake_snapshot *snapshot);

/* Makes it a replica that has what the snapshot has; it refuses writers until fake_redis_promote(). */
void fake_redis_follow(struct fake_redis *redis, const struct fake_snapshot *snapshot);

/* A replica becomes a master: new replication id, the same data. */
void fake_redis_promote(struct fake_redis *redis);
bool fake_redis_is_replica(const struct fake_redis *redis);

/* Above maxmemory: what may grow is refused. */
void fake_redis_set_out_of_memory(struct fake_redis *redis, bool out);
/* Below min-replicas-to-write. */
void fake_redis_set_no_replicas(struct fake_redis *redis, bool none);
/* SCRIPT FLUSH. */
void fake_redis_forget_scripts(struct fake_redis *redis);

/* For oracles: the data as they are (expired keys may still be in it), the present id, and how many commands
 * have changed anything since the start. */
const struct fake_data *fake_redis_data(const struct fake_redis *redis);
const char *fake_redis_replication_id(const struct fake_redis *redis);
uint64_t fake_redis_changes(const struct fake_redis *redis);
/* Told of each PUBLISH, whoever is subscribed; the texts are good for the call. */
typedef void (*fake_on_publish)(void *context, struct slice topic, struct slice message);
void fake_redis_watch(struct fake_redis *redis, fake_on_publish on_publish, void *context);
/* Removes what has expired by the present clock. */
void fake_redis_expire(struct fake_redis *redis);
