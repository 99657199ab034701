/* The receiver of webhooks: what it was told last of each user must be so in the end. It drops ids it knows. */
#include "tests/sim/mutant.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FETCH_AT_MOST = 50,
    TOLD_US = (LEASE_MS + 3 * HEARTBEAT_MS + 4000) *
              1000, /* by then a departure is told: L + 2 H, and a wait of 3 s */
};

static unsigned partition_of_channel(const struct sim *sim, unsigned channel)
{
    for (unsigned e = 0; e < EDGES; e++) {
        if (sim->edges[e].engine)
            return engine_partition_of(sim->edges[e].engine, "app", channel_names[channel]);
    }
    return 0;
}

/* Any owner with a record may fetch; the receiver borrows one, and what the stamp says. */
struct caller {
    const char *id, *timeline, *owner, *incarnation;
};

static const char *value_of(const struct key *key, const char *field)
{
    if (!key || key->type != FAKE_HASH)
        return NULL;
    const struct entry *entry = entry_find(key, (struct slice){field, strlen(field)});
    return entry ? entry->value : NULL;
}

static bool find_caller(const struct server *server, const char *base, struct caller *caller)
{
    const struct fake_data *data = fake_redis_data(server->redis);
    const struct key *stamp = data_find(data, (struct slice){base, strlen(base)});
    caller->id = value_of(stamp, "id");
    caller->timeline = value_of(stamp, "t");
    caller->incarnation = NULL;
    if (value_of(stamp, "to")) { /* the fleet has left: whoever comes may fetch */
        caller->owner = caller->incarnation = "0";
        return caller->id && caller->timeline;
    }
    char prefix[32];
    size_t size = (size_t)snprintf(prefix, sizeof(prefix), "%s:o:", base);
    for (const struct key *key = data->keys; key && !caller->incarnation; key = key->hh.next) {
        if (strncmp(key->name, prefix, size))
            continue;
        caller->owner = key->name + size;
        caller->incarnation = value_of(key, "i");
    }
    return caller->id && caller->timeline && caller->incarnation;
}

static struct fake_reply *fetch(struct server *server, const char *base, const char *delivered)
{
    struct caller caller = {0};
    if (!find_caller(server, base, &caller))
        return NULL;
    char most[8];
    snprintf(most, sizeof(most), "%d", FETCH_AT_MOST);
    const char *words[] = {"EVAL", script_text(SCRIPT_OUTBOX).data, "1", base, caller.id, caller.timeline,
        caller.owner, caller.incarnation, most, delivered};
    struct slice argv[sizeof(words) / sizeof(*words)];
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        argv[i] = (struct slice){words[i], strlen(words[i])};
    return fake_command(server->command, sizeof(words) / sizeof(*words), argv);
}

/* Departures wait for 3 s of the lease clock: nobody can come back while it stands. Where nothing is lost nobody asserts, so
 * none is told again at once. */
static void check_wait(struct sim *sim, const struct server *server, unsigned channel, unsigned user)
{
    const uint32_t harmless = 1u << FAULT_OUTAGE | 1u << FAULT_STALL | 1u << FAULT_LATENCY |
                              1u << FAULT_CLOSE_BUS | 1u << FAULT_DROP | 1u << FAULT_SCRIPT_FLUSH;
    const struct partition_seen *seen = &server->seen.partition[partition_of_channel(sim, channel)];
    int64_t waited_ms = (seen->clock_us - seen->removed_clock[channel][user]) / 1000;
    if (!(sim->fault_kinds & ~harmless) && !sim->loss_count && waited_ms < 3000 - HEARTBEAT_MS * 11 / 10)
        sim_fail(sim, "the webhooks say that u%u left %s, after %" PRId64 " ms of the lease clock", user,
            channel_names[channel], waited_ms);
}

static void receive(struct sim *sim, const struct server *server, const struct fake_reply *reply, size_t at)
{
    const char *kind = reply->items[at + 1]->text, *channel = reply->items[at + 2]->text;
    int c = strncmp(channel, "app:", 4) ? -1 : channel_of(channel + 4);
    int user = user_of(reply->items[at + 3]->text, reply->items[at + 3]->bytes);
    sim_trace(sim, "webhook %s: %s %s %s", reply->items[at]->text, kind, channel, reply->items[at + 3]->text);
    if (c < 0 || c >= ROSTERS || user < 0)
        return;
    if (!strcmp(kind, "member_added"))
        sim->told[c][user] = TOLD_ADDED;
    else if (!strcmp(kind, "member_removed"))
        check_wait(sim, server, (unsigned)c, (unsigned)user);
    if (!strcmp(kind, "member_removed"))
        sim->told[c][user] = TOLD_REMOVED;
}

/* False: it answers with an error, as when it lacks replicas. */
static bool fetch_copy(struct sim *sim, struct server *server, unsigned partition, uint64_t layout)
{
    char base[48], delivered[48] = "";
    bool answers = true;
    layout_base(base, partition, layout);
    for (bool more = true; more;) {
        struct fake_reply *reply = fetch(server, base, delivered);
        more = reply && reply->type == FAKE_ARRAY && reply->count > 1;
        if (more && !strcmp(reply->items[0]->text, "OK")) {
            for (size_t at = 1; at + 4 < reply->count; at += 5)
                receive(sim, server, reply, at);
            snprintf(delivered, sizeof(delivered), "%s", reply->items[reply->count - 5]->text);
        } else {
            answers = !reply || reply->type != FAKE_ERROR;
            more = false;
        }
        fake_reply_free(reply);
    }
    return answers;
}

/* What a server says that no majority names, as some see it in a split. */
static void fetch_unconfirmed(struct sim *sim, struct server *server, unsigned partition, uint64_t layout)
{
    if (!sim_taken_out("no-delivery-majority") || !server->alive || fake_redis_is_replica(server->redis))
        return;
    server_set_clock(sim, server);
    fetch_copy(sim, server, partition, layout);
}

/* One that was restored does not know that it was left until it is told. */
static bool knows_that_it_was_left(const struct server *server, unsigned partition, uint64_t layout)
{
    char base[48];
    layout_base(base, partition, layout);
    const struct key *stamp = data_find(fake_redis_data(server->redis), (struct slice){base, strlen(base)});
    return !stamp || value_of(stamp, "to");
}

/* What a copy that the fleet has left still has comes first, once; it is waited for as long as an edge does. */
static bool empty_left_copy(struct sim *sim, unsigned partition, uint64_t layout)
{
    struct place *place = &sim->places[partition][layout];
    struct server *server = sim->masters[place->shard];
    if (place->emptied || sim->now_us > place->left_us + 2 * LEASE_MS * 1000)
        return place->emptied = true;
    if (!server->alive || sim->now_us < server->stalled_until_us ||
        !knows_that_it_was_left(server, partition, layout))
        return false;
    server_set_clock(sim, server);
    return place->emptied = fetch_copy(sim, server, partition, layout);
}

static void fetch_partition(struct sim *sim, unsigned partition)
{
    uint64_t present = sim->layout[partition];
    for (uint64_t layout = 1; layout < present; layout++) {
        if (!empty_left_copy(sim, partition, layout))
            return;
    }
    struct server *server = sim->masters[sim->places[partition][present].shard];
    if (!server->alive || sim->now_us < server->stalled_until_us)
        return;
    server_set_clock(sim, server);
    if (fetch_copy(sim, server, partition, present))
        fetch_unconfirmed(sim, &sim->servers[server->number ^ 1], partition, present);
}

void outbox_fetch(struct sim *sim)
{
    for (unsigned p = 0; p < PARTITIONS; p++)
        fetch_partition(sim, p);
}

void outbox_note_death(struct edge *edge)
{
    struct sim *sim = edge->sim;
    if (sim->death_count == DEATHS) {
        sim_fail(sim, "too many deaths to keep");
        return;
    }
    struct death *death = &sim->deaths[sim->death_count++];
    *death = (struct death){.at_us = sim->now_us};
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &sim->clients[i];
        if (client->state != CLIENT_FREE && client->edge == edge && client->user >= 0)
            death->held[client->channel] |= 1u << client->user;
    }
    for (unsigned c = 0; c < ROSTERS; c++) {
        for (unsigned u = 0; u < USERS; u++) {
            if (edge->left_us[c][u] && edge->left_us[c][u] > sim->now_us - TOLD_US)
                death->held[c] |= 1u << u;
        }
    }
}

static bool has_been_on(const struct sim *sim, unsigned partition, unsigned shard)
{
    for (uint64_t v = 1; v <= sim->layout[partition]; v++) {
        if (sim->places[partition][v].shard == shard)
            return true;
    }
    return false;
}

/* After a loss the departure of a user whose edge died around that moment may go unreported, and a join that meets such a
 * dead edge's fact makes no event. */
static uint32_t may_be_untold(const struct sim *sim, unsigned partition, unsigned channel)
{
    uint32_t users = 0;
    for (unsigned d = 0; d < sim->death_count; d++) {
        const struct death *death = &sim->deaths[d];
        for (unsigned l = 0; l < sim->loss_count; l++) {
            const struct loss *loss = &sim->losses[l];
            /* While the server stalls nobody can say again what was lost. */
            int64_t stalled_us = sim->masters[loss->shard]->stalled_until_us;
            int64_t to_us = loss->to_us > stalled_us ? loss->to_us : stalled_us;
            if (death->at_us > loss->from_us - TOLD_US && death->at_us < to_us + HEARTBEAT_MS * 2000 &&
                has_been_on(sim, partition, loss->shard))
                users |= death->held[channel];
        }
    }
    return users;
}

void outbox_check(struct sim *sim)
{
    const struct edge *edge = &sim->edges[0];
    for (unsigned e = 0; e < EDGES && !edge->engine; e++)
        edge = &sim->edges[e];
    for (unsigned c = 0; c < ROSTERS; c++) {
        uint32_t truth = sim_truth(sim, c);
        unsigned partition = engine_partition_of(edge->engine, "app", channel_names[c]);
        if (sim->died_moving[partition] || junk_has_hit_partition(sim, partition))
            continue;
        uint32_t excused = may_be_untold(sim, partition, c);
        for (unsigned u = 0; u < USERS; u++) {
            if (excused & 1u << u)
                continue;
            bool is_there = truth & (1u << u);
            enum told told = sim->told[c][u];
            if (is_there && told == TOLD_REMOVED)
                sim_fail(sim, "the webhooks say that u%u left %s, and he is there", u, channel_names[c]);
            if (is_there && told == TOLD_NOTHING)
                sim_fail(sim, "no webhook said that u%u is in %s", u, channel_names[c]);
            if (!is_there && told == TOLD_ADDED)
                sim_fail(sim, "no webhook said that u%u left %s", u, channel_names[c]);
        }
    }
}
