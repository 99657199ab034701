/* What must hold once the faults have stopped and the bound has passed: rosters = open sockets, views = rosters. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which edges hold a user in a channel, a bit each. */
static uint32_t holders(const struct sim *sim, unsigned channel, int user)
{
    uint32_t edges = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &sim->clients[i];
        if (client->state != CLIENT_FREE && client->channel == channel && client->user == user)
            edges |= 1u << client->edge->number;
    }
    return edges;
}

static struct edge *any_edge(struct sim *sim)
{
    for (unsigned e = 0; e < EDGES; e++) {
        if (sim->edges[e].engine)
            return &sim->edges[e];
    }
    return NULL;
}

static uint64_t owner_of(const struct edge *edge, unsigned partition)
{
    struct engine_partition_status status;
    engine_partition_status(edge->engine, partition, &status);
    return status.owner;
}

/* The edge that owns that number, as a bit; 0: nobody who lives. */
static uint32_t edge_of(const struct sim *sim, unsigned partition, uint64_t owner)
{
    for (unsigned e = 0; e < EDGES; e++) {
        if (sim->edges[e].engine && owner_of(&sim->edges[e], partition) == owner)
            return 1u << e;
    }
    return 0;
}

static const struct key *find(
    const struct sim *sim, const struct server *server, unsigned partition, const char *rest)
{
    char name[128], base[48];
    layout_base(base, partition, sim->layout[partition]);
    snprintf(name, sizeof(name), "%s%s", base, rest);
    return data_find(fake_redis_data(server->redis), (struct slice){name, strlen(name)});
}

static const struct key *find_of(const struct sim *sim, const struct server *server, unsigned partition,
    const char *kind, unsigned channel)
{
    char rest[64];
    snprintf(rest, sizeof(rest), ":%s:app:%s", kind, channel_names[channel]);
    return find(sim, server, partition, rest);
}

static void check_partition_states(struct sim *sim)
{
    for (unsigned e = 0; e < EDGES; e++) {
        for (unsigned p = 0; p < PARTITIONS && sim->edges[e].engine; p++) {
            struct engine_partition_status status;
            engine_partition_status(sim->edges[e].engine, p, &status);
            if (status.state != PARTITION_READY)
                sim_fail(sim, "edge %u: partition %u is in state %d", e, p, status.state);
            if (status.removals_wait)
                sim_fail(sim, "edge %u: removals of partition %u still wait", e, p);
            if (status.unacknowledged || status.dirty)
                sim_fail(sim, "edge %u: partition %u has %zu batches and %zu facts to send", e, p,
                    status.unacknowledged, status.dirty);
        }
    }
}

/* One user's field: "owner,owner|info". Returns how many owners, i.e. subscriptions, it names. */
static unsigned check_field(
    struct sim *sim, unsigned partition, unsigned channel, int user, const struct entry *entry)
{
    uint32_t named = 0;
    unsigned count = 0;
    const char *at = entry->value;
    while (*at >= '0' && *at <= '9') {
        char *end;
        uint64_t owner = strtoull(at, &end, 10);
        uint32_t edge = edge_of(sim, partition, owner);
        if (!edge)
            sim_fail(sim, "u%d in %s belongs to owner %" PRIu64 ", who is nobody", user,
                channel_names[channel], owner);
        named |= edge;
        count++;
        at = *end == ',' ? end + 1 : end;
    }
    uint32_t right = holders(sim, channel, user);
    if (named != right)
        sim_fail(sim, "u%d in %s is held by the edges %x, Redis says %x", user, channel_names[channel], right,
            named);
    return count;
}

static uint64_t check_roster(
    struct sim *sim, const struct server *server, unsigned partition, unsigned channel)
{
    const struct key *key = find_of(sim, server, partition, "r", channel);
    uint32_t mask = 0;
    uint64_t subscriptions = 0;
    if (key && key->type != FAKE_HASH) {
        sim_fail(sim, "the roster of %s is junk", channel_names[channel]);
        return 0;
    }
    for (const struct entry *entry = key ? key->entries : NULL; entry; entry = entry->hh.next) {
        int user = user_of(entry->name + 1, entry->name_bytes - 1);
        if (entry->name[0] != 'u' || user < 0)
            continue;
        mask |= 1u << user;
        subscriptions += check_field(sim, partition, channel, user, entry);
    }
    uint32_t truth = sim_truth(sim, channel);
    if (mask != truth)
        sim_fail(sim, "%s has the users %02x, Redis says %02x", channel_names[channel], truth, mask);
    return subscriptions;
}

static void check_channel(struct sim *sim, struct edge *edge, unsigned channel)
{
    unsigned partition = engine_partition_of(edge->engine, "app", channel_names[channel]);
    const struct server *server = layout_server(sim, partition);
    if (!sim_truth_count(sim, channel) && junk_has_hit_partition(sim, partition))
        return; /* junk in what nobody owns has until its TTL */
    uint64_t subscriptions = channel < ROSTERS ? check_roster(sim, server, partition, channel) : 0;
    const struct key *numbers = find_of(sim, server, partition, "s", channel);
    for (const struct entry *entry = numbers ? numbers->entries : NULL; entry; entry = entry->hh.next) {
        if (!edge_of(sim, partition, strtoull(entry->name, NULL, 10)))
            sim_fail(sim, "subscriptions of %s belong to owner %s, who is nobody", channel_names[channel],
                entry->name);
        subscriptions += strtoull(entry->value, NULL, 10);
    }
    uint64_t truth = sim_truth_count(sim, channel);
    if (subscriptions != truth)
        sim_fail(sim, "%s has %" PRIu64 " subscriptions, Redis says %" PRIu64, channel_names[channel], truth,
            subscriptions);
    const struct key *index = find(sim, server, partition, ":c:app");
    struct slice name = {channel_names[channel], strlen(channel_names[channel])};
    if (truth && (!index || index->type != FAKE_SET || !entry_find(index, name)))
        sim_fail(sim, "%s is occupied and not among the channels", channel_names[channel]);
}

/* Owners: those of the living edges, each with a lease and a record, and nobody else. */
static void check_owners(struct sim *sim, unsigned partition)
{
    const struct server *server = layout_server(sim, partition);
    const struct key *leases = find(sim, server, partition, ":l");
    for (const struct entry *entry = leases ? leases->entries : NULL; entry; entry = entry->hh.next) {
        if (!edge_of(sim, partition, strtoull(entry->name, NULL, 10)))
            sim_fail(sim, "owner %s of partition %u has a lease and is nobody", entry->name, partition);
    }
    for (unsigned e = 0; e < EDGES; e++) {
        if (!sim->edges[e].engine)
            continue;
        char owner[24], rest[32];
        int size = snprintf(owner, sizeof(owner), "%" PRIu64, owner_of(&sim->edges[e], partition));
        snprintf(rest, sizeof(rest), ":o:%s", owner);
        if (!leases || leases->type != FAKE_ZSET || !entry_find(leases, (struct slice){owner, (size_t)size}))
            sim_fail(sim, "edge %u has no lease in partition %u", e, partition);
        if (!find(sim, server, partition, rest))
            sim_fail(sim, "edge %u has no record in partition %u", e, partition);
    }
}

static void check_views(struct sim *sim)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &sim->clients[i];
        const char *name = channel_names[client->channel];
        if (client->state == CLIENT_FREE)
            continue;
        if (client->state == CLIENT_WAITS)
            sim_fail(sim, "client %u in %s on edge %u still waits", i, name, client->edge->number);
        else if (client->channel >= ROSTERS &&
                 client->edge->count_told[client->channel] != sim_truth_count(sim, client->channel))
            sim_fail(sim, "edge %u was told that %s has %" PRIu64 " subscriptions; it has %" PRIu64,
                client->edge->number, name, client->edge->count_told[client->channel],
                sim_truth_count(sim, client->channel));
        else if (client->channel < ROSTERS && client->mask != sim_truth(sim, client->channel))
            sim_fail(sim, "client %u on edge %u knows the users %02x in %s; they are %02x", i,
                client->edge->number, client->mask, name, sim_truth(sim, client->channel));
        if (!engine_view_confirmed(client->edge->engine, "app", name))
            sim_fail(sim, "the view of %s on edge %u is not confirmed", name, client->edge->number);
    }
}

static void check_usage(struct sim *sim, const struct edge *edge)
{
    uint64_t elsewhere = 0;
    for (unsigned e = 0; e < EDGES; e++) {
        if (&sim->edges[e] != edge && sim->edges[e].engine)
            elsewhere += sim_connections(&sim->edges[e]);
    }
    if (edge->usage_told != elsewhere)
        sim_fail(sim, "edge %u was told of %" PRIu64 " connections on other edges; there are %" PRIu64,
            edge->number, edge->usage_told, elsewhere);
}

void settle_check_facts(struct sim *sim)
{
    struct edge *edge = any_edge(sim);
    for (unsigned c = 0; c < CHANNELS && edge; c++)
        check_channel(sim, edge, c);
}

void settle_check_views(struct sim *sim, bool nobody_else)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &sim->clients[i];
        uint32_t truth = sim_truth(sim, client->channel);
        uint32_t known = nobody_else ? client->mask : client->mask & truth;
        if (client->state == CLIENT_READY && client->channel < ROSTERS && known != truth)
            sim_fail(sim, "client %u on edge %u knows the users %02x in %s; they are %02x", i,
                client->edge->number, client->mask, channel_names[client->channel], truth);
    }
}

/* "…:o:1234" and "…:h:1234" of who lives, and the numbers of connections. */
static bool is_of_the_living(const struct sim *sim, unsigned partition, const char *name)
{
    const char *part = strchr(strchr(name, '}'), ':');
    uint64_t owner = part && (part[1] == 'o' || part[1] == 'h') ? strtoull(part + 3, NULL, 10) : 0;
    return part && (!strcmp(part, ":q") || edge_of(sim, partition, owner));
}

static void check_key(struct sim *sim, const struct server *server, const struct key *key)
{
    unsigned partition = partition_of_key(key->name);
    if (partition == PARTITIONS) {
        if (!watch_is_fixed(key->name))
            sim_fail(sim, "server %u has %s", server->number, key->name);
        return;
    }
    uint64_t layout = layout_of_key(key->name);
    if (sim->places[partition][layout % LAYOUTS].abandoned)
        return; /* nobody has asked it */
    bool is_present = layout == sim->layout[partition] && server == layout_server(sim, partition);
    if (!is_present && junk_is_bare(server, key->name))
        return; /* nobody opens what the fleet has left */
    if (!is_present || !(watch_is_fixed(key->name) || is_of_the_living(sim, partition, key->name)))
        sim_fail(sim, "server %u still has %s, %s", server->number, key->name,
            key->expires_ms == FAKE_NO_EXPIRY ? "for ever" : "for a while");
}

void settle_check_garbage(struct sim *sim)
{
    for (unsigned i = 0; i < sim->list.count; i++) {
        struct server *server = sim->masters[sim->list.of[i].shard];
        server_set_clock(sim, server);
        fake_redis_expire(server->redis);
        for (const struct key *key = fake_redis_data(server->redis)->keys; key; key = key->hh.next)
            check_key(sim, server, key);
    }
}

void settle_check(struct sim *sim)
{
    check_partition_states(sim);
    settle_check_facts(sim);
    for (unsigned p = 0; p < PARTITIONS; p++)
        check_owners(sim, p);
    for (unsigned e = 0; e < EDGES; e++) {
        if (sim->edges[e].engine)
            check_usage(sim, &sim->edges[e]);
    }
    check_views(sim);
}

void settle_check_events(struct sim *sim)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &sim->clients[i];
        for (unsigned n = client->ready_serial; client->state == CLIENT_READY && n < sim->publish_count;
             n++) {
            const struct publish *publish = &sim->publishes[n];
            if (strcmp(publish->publish.channel, channel_names[client->channel]))
                continue;
            if (!publish->accepted)
                sim_fail(sim, "%s was not accepted, and nothing went wrong", publish->text);
            if (!(client->heard[n / 64] & (1ull << (n % 64))))
                sim_fail(sim, "client %u has not heard %s", i, publish->text);
        }
    }
}
