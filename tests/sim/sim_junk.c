/* What others do to keys, and which they hit: what happens to these is excused, and nothing else. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

bool junk_has_hit(const struct server *server, const char *prefix, int64_t after_us)
{
    for (unsigned i = 0; i < server->hit_count; i++) {
        if (begins(server->hits[i].key, prefix) && server->hits[i].at_us > after_us)
            return true;
    }
    return false;
}

bool junk_is_any(const struct sim *sim)
{
    for (unsigned s = 0; s < SERVERS; s++) {
        if (sim->servers[s].hit_count)
            return true;
    }
    return false;
}

bool junk_has_hit_roster(const struct sim *sim, unsigned channel, int64_t after_us)
{
    char rest[64];
    snprintf(rest, sizeof(rest), ":r:app:%s", channel_names[channel]);
    for (unsigned s = 0; s < SERVERS; s++) {
        const struct server *server = &sim->servers[s];
        for (unsigned i = 0; i < server->hit_count; i++) {
            const struct hit *hit = &server->hits[i];
            if (!hit->is_delete && hit->at_us > after_us && strstr(hit->key, rest))
                return true;
        }
    }
    return false;
}

/* Whether one of its keys was hit that ends so, or goes on so behind the partition's base. */
static bool has_hit_part(const struct server *server, unsigned partition, const char *part)
{
    for (unsigned i = 0; i < server->hit_count; i++) {
        const char *key = server->hits[i].key, *colon = strchr(key, '}');
        colon = colon ? strchr(colon, ':') : NULL;
        if (partition_of_key(key) == partition && (*part ? colon && begins(colon, part) : !colon))
            return true;
    }
    return false;
}

bool junk_has_hit_partition(const struct sim *sim, unsigned partition)
{
    for (unsigned s = 0; s < SERVERS; s++) {
        const struct server *server = &sim->servers[s];
        if (has_hit_part(server, partition, "") || has_hit_part(server, partition, ":"))
            return true;
    }
    return false;
}

bool junk_has_hit_stamps(const struct server *server, unsigned partition)
{
    return junk_has_hit(server, "rc:shard", NEVER_US) || has_hit_part(server, partition, "");
}

bool junk_has_hit_owners(const struct sim *sim, unsigned partition)
{
    for (unsigned s = 0; s < SERVERS; s++) {
        const struct server *server = &sim->servers[s];
        if (junk_has_hit_stamps(server, partition) || has_hit_part(server, partition, ":l") ||
            has_hit_part(server, partition, ":o:"))
            return true;
    }
    return false;
}

static const char junk[] = "junk";

static bool is_junk(const struct server *server, const struct key *key)
{
    return key->type == FAKE_STRING && key->string_bytes == strlen(junk) &&
           !memcmp(key->string, junk, strlen(junk)) && junk_has_hit(server, key->name, NEVER_US);
}

unsigned junk_left(const struct server *server, unsigned partition)
{
    const struct key *counted[HITS];
    unsigned left = 0;
    for (unsigned i = 0; i < server->hit_count; i++) {
        const char *name = server->hits[i].key;
        const struct key *key = data_find(fake_redis_data(server->redis), (struct slice){name, strlen(name)});
        bool known = !key || partition_of_key(name) != partition || !is_junk(server, key);
        for (unsigned k = 0; k < left && !known; k++)
            known = counted[k] == key;
        if (!known)
            counted[left++] = key;
    }
    return left;
}

bool junk_is_bare(const struct server *server, const char *key)
{
    for (unsigned i = 0; i < server->hit_count; i++) {
        if (server->hits[i].is_bare && !strcmp(server->hits[i].key, key))
            return true;
    }
    return false;
}

/* ---- the faults ---- */

static bool is_stamp(const char *name)
{
    return begins(name, "rc:shard") || !strchr(strchr(name, '}') ? strchr(name, '}') : "", ':');
}

/* The names in a stamp are what a foreign dataset is told by: an operator's business. And of a server's stamps one at a time
 * is damaged: with all of them gone nobody could tell whose the data are. */
static bool spares_stamps(const struct server *server, const struct key *key, const char *field)
{
    bool shard = begins(key->name, "rc:shard");
    if (!is_stamp(key->name))
        return true;
    for (unsigned i = 0; i < server->hit_count; i++) {
        if (is_stamp(server->hits[i].key))
            return false;
    }
    return !(shard && field && (!strcmp(field, "c") || !strcmp(field, "n")));
}

static struct server *draw_server(struct sim *sim)
{
    struct server *server = sim->masters[sim_draw(sim, sim->shards_used)];
    return server->alive && server->hit_count < HITS ? server : NULL;
}

typedef bool (*is_meant)(const struct key *key);

static bool is_any(const struct key *key)
{
    (void)key;
    return true;
}

static bool has_ttl(const struct key *key)
{
    return key->expires_ms != FAKE_NO_EXPIRY;
}

static bool is_roster(const struct key *key)
{
    return strstr(key->name, ":r:") != NULL;
}

static const struct key *draw_key(struct sim *sim, const struct server *server, is_meant meant)
{
    const struct key *found = NULL;
    uint64_t count = 0;
    for (const struct key *key = fake_redis_data(server->redis)->keys; key; key = key->hh.next) {
        if (meant(key) && sim_draw(sim, ++count) == 0)
            found = key;
    }
    return found;
}

static struct hit *note_hit(struct sim *sim, struct server *server, const struct key *key)
{
    struct hit *hit = &server->hits[server->hit_count++];
    *hit = (struct hit){.at_us = sim->now_us};
    snprintf(hit->key, sizeof(hit->key), "%s", key->name);
    return hit;
}

static void run(struct sim *sim, struct server *server, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void run(struct sim *sim, struct server *server, const char *format, ...)
{
    char words[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    sim_trace(sim, "server %u of shard %u: %s", server->number, server->shard, words);
    server_set_clock(sim, server);
    fake_reply_free(fake_command_words(server->command, words));
}

void junk_write(struct sim *sim)
{
    struct server *server = draw_server(sim);
    const struct key *key = server ? draw_key(sim, server, is_any) : NULL;
    if (!key)
        return;
    static const char *const fields[] = {"u2", "v", "b", "x", "i", "s", "c", "t", "id"};
    const char *field = fields[sim_draw(sim, sizeof(fields) / sizeof(*fields))];
    bool in_hash = key->type == FAKE_HASH && sim_chance(sim, 50), gone = sim_chance(sim, 30);
    if (!spares_stamps(server, key, in_hash ? field : NULL))
        return;
    struct hit *hit = note_hit(sim, server, key);
    hit->is_bare = !(in_hash && !gone);
    if (gone)
        run(sim, server, "DEL %s", hit->key);
    if (in_hash)
        run(sim, server, "HSET %s %s junk", hit->key, field);
    else if (!gone)
        run(sim, server, "SET %s junk", hit->key);
}

void junk_delete(struct sim *sim)
{
    struct server *server = draw_server(sim);
    const struct key *key = server ? draw_key(sim, server, sim_chance(sim, 50) ? is_roster : has_ttl) : NULL;
    if (!key)
        return;
    struct hit *hit = note_hit(sim, server, key);
    hit->is_delete = true;
    run(sim, server, "DEL %s", hit->key);
}
