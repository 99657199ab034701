/* The layout: which shard each partition is on, as the watch has seen it decided; edges whose lists of shards are changed one
 * after the other; and what must hold of both: all who live want a move, and no copy takes a write that was left. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGE_MS = 4000 /* until the last edge has its new list */ };

void layout_start(struct sim *sim)
{
    sim->shards_used = sim->fault_kinds & (1u << FAULT_LAYOUT) ? SHARDS : 2;
    sim->list = (struct shard_list){.count = 2, .of = {{0, false}, {1, false}}};
    for (unsigned p = 0; p < PARTITIONS; p++) {
        sim->layout[p] = 1;
        sim->places[p][1].shard = p % 2;
    }
}

struct server *layout_server(const struct sim *sim, unsigned partition)
{
    return sim->masters[sim->places[partition][sim->layout[partition]].shard];
}

void layout_base(char base[48], unsigned partition, uint64_t layout)
{
    if (layout > 1)
        snprintf(base, 48, "rc:{%u}.%" PRIu64, partition, layout);
    else
        snprintf(base, 48, "rc:{%u}", partition);
}

/* ---- the lists of edges ---- */

const char *const shard_names[SHARDS] = {"s0", "s1", "s2"};

int edge_index_of(const struct edge *edge, unsigned shard)
{
    return edge->engine ? engine_shard_index(edge->engine, shard_names[shard]) : -1;
}

static void print(const struct shard_list *list, struct engine_shard shards[SHARDS])
{
    for (unsigned i = 0; i < list->count; i++)
        shards[i] = (struct engine_shard){shard_names[list->of[i].shard], list->of[i].leaving};
}

bool layout_is_in_use(const struct sim *sim, unsigned shard)
{
    for (unsigned p = 0; p < PARTITIONS; p++) {
        if (sim->places[p][sim->layout[p]].shard == shard)
            return true;
    }
    return false;
}

/* With a list of shards that are all empty nobody could find the fleet. */
unsigned edge_print_list(struct edge *edge, struct engine_shard shards[SHARDS])
{
    bool knows_fleet = false;
    for (unsigned i = 0; i < edge->list.count; i++)
        knows_fleet = knows_fleet || layout_is_in_use(edge->sim, edge->list.of[i].shard);
    if (!knows_fleet)
        edge->list = edge->sim->list;
    print(&edge->list, shards);
    return edge->list.count;
}

void edge_connect_all(struct edge *edge)
{
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        int index = edge_index_of(edge, shard);
        if (index < 0)
            continue;
        edge->shard_of[index] = shard;
        if (!edge->links[shard].server)
            link_connect_later(edge, shard);
    }
}

void edge_set_list(struct edge *edge, const struct shard_list *list)
{
    struct engine_shard shards[SHARDS];
    edge->list = *list;
    if (!edge->engine || edge->retiring)
        return;
    print(list, shards);
    if (engine_change_shards(edge->engine, shards, list->count))
        sim_fail(edge->sim, "edge %u does not take its list", edge->number);
    edge_connect_all(edge);
}

/* As the store does with shards that are in no list any more. */
void edge_forget_unused(struct edge *edge)
{
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        int index = edge_index_of(edge, shard);
        struct link *link = &edge->links[shard];
        if (index < 0 || !engine_shard_is_unused(edge->engine, (unsigned)index))
            continue;
        sim_trace(edge->sim, "edge %u forgets shard %u", edge->number, shard);
        link_forget_bus(link);
        link->generation++;
        link->server = NULL;
        engine_shard_forget(edge->engine, (unsigned)index);
    }
}

/* ---- the watch ---- */

static unsigned wanted(const struct shard_list *list, unsigned partition)
{
    unsigned staying[SHARDS], count = 0;
    for (unsigned i = 0; i < list->count; i++) {
        if (!list->of[i].leaving)
            staying[count++] = list->of[i].shard;
    }
    return staying[partition % count];
}

static bool has(const struct shard_list *list, unsigned shard)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (list->of[i].shard == shard)
            return true;
    }
    return false;
}

static bool is_well(const struct edge *edge)
{
    int64_t settled_us = (LEASE_MS + 3 * HEARTBEAT_MS) * 1000ll;
    return edge->engine && !edge->retiring && edge->well_since_us < edge->sim->now_us - settled_us;
}

/* Who has been well and has another wish keeps the partition where it is. */
static void check_all_want(struct sim *sim, unsigned partition, unsigned shard)
{
    for (unsigned e = 0; e < EDGES; e++) {
        const struct edge *edge = &sim->edges[e];
        if (is_well(edge) && wanted(&edge->list, partition) != shard &&
            !junk_has_hit_owners(sim, partition) && edge->list_since_us < sim->now_us - HEARTBEAT_MS * 2000ll)
            sim_fail(sim, "partition %u moves to shard %u, and edge %u, who is well, wants it on shard %u",
                partition, shard, e, wanted(&edge->list, partition));
    }
}

/* A partition is taken from a shard only if nobody has stood by that for 2 L. */
static void check_nobody_stands(struct sim *sim, unsigned partition, unsigned shard)
{
    for (unsigned e = 0; e < EDGES; e++) {
        const struct edge *edge = &sim->edges[e];
        for (unsigned i = 0; i < edge->list.count && is_well(edge); i++) {
            if (edge->list.of[i].shard == shard && !edge->list.of[i].leaving &&
                edge->list_since_us < sim->now_us - LEASE_MS * 2000ll && !junk_is_any(sim))
                sim_fail(
                    sim, "partition %u is taken from shard %u, by which edge %u stands", partition, shard, e);
        }
    }
}

static void decide(struct sim *sim, unsigned partition, uint64_t layout, unsigned shard, bool abandoned)
{
    if (layout <= sim->layout[partition])
        return;
    if (layout >= LAYOUTS) {
        sim_fail(sim, "partition %u goes to and fro: layout version %" PRIu64, partition, layout);
        return;
    }
    sim_trace(sim, "partition %u moves to shard %u by layout version %" PRIu64 "%s", partition, shard, layout,
        abandoned ? ", without being asked where it was" : "");
    struct place *old = &sim->places[partition][sim->layout[partition]];
    old->left_us = sim->now_us;
    old->abandoned = abandoned;
    for (uint64_t v = sim->layout[partition] + 1; v < layout; v++)
        sim->places[partition][v] = *old;
    if (abandoned) /* what it had is lost, since anybody there could write to it */
        watch_loss(sim, sim->masters[old->shard], sim->now_us - (2 * LEASE_MS + 6 * HEARTBEAT_MS) * 1000ll);
    sim->died_moving[partition] |= sim->crash_us > sim->now_us - 2 * HEARTBEAT_MS * 1000;
    sim->layout[partition] = layout;
    sim->places[partition][layout] = (struct place){.shard = shard};
    if (abandoned)
        check_nobody_stands(sim, partition, old->shard);
    else
        check_all_want(sim, partition, shard);
}

static bool has_asserted(const struct edge *edge, unsigned partition)
{
    const struct sim *sim = edge->sim;
    const struct partition_seen *seen = &layout_server(sim, partition)->seen.partition[partition];
    int64_t moved_us = sim->places[partition][sim->layout[partition] - 1].left_us;
    for (unsigned i = 0; i < seen->owners; i++) {
        if (seen->owner[i].boot == edge->boot && seen->owner[i].since_us >= moved_us &&
            seen->owner[i].sequence)
            return true;
    }
    return false;
}

/* An edge that has agreed to a move and dies before it has asserted anything there: nobody knows whom it held. */
void layout_note_crash(const struct edge *edge)
{
    struct sim *sim = edge->sim;
    sim->crash_us = sim->now_us;
    for (unsigned p = 0; p < PARTITIONS; p++)
        sim->died_moving[p] |= sim->layout[p] > 1 && !has_asserted(edge, p);
}

static unsigned shard_of_name(const char *name)
{
    return (unsigned)(name[1] - '0') % SHARDS;
}

/* A copy that was left takes nothing more, unless it has forgotten that by losing data; nobody asked one that was
 * abandoned. */
static void check_left(
    struct sim *sim, const struct server *server, const struct event *event, unsigned partition)
{
    uint64_t layout = layout_of_key(event->message->argv[0]);
    const struct place *place = &sim->places[partition][layout % LAYOUTS];
    bool is_present = layout == sim->layout[partition] && server->shard == place->shard;
    bool may_be_emptied = event->message->script == SCRIPT_OUTBOX;
    if (is_present || may_be_emptied || server != sim->masters[server->shard] ||
        junk_has_hit_stamps(server, partition) || place->abandoned)
        return;
    if (layout < sim->layout[partition] && server->lost_us >= place->left_us)
        return;
    sim_fail(sim,
        "%s by layout version %" PRIu64 " changes partition %u on shard %u; it lives on shard %u by %" PRIu64,
        script_texts[event->message->script].name, layout, partition, server->shard,
        sim->places[partition][sim->layout[partition]].shard, sim->layout[partition]);
}

static bool lives(const struct sim *sim, unsigned boot)
{
    for (unsigned e = 0; e < EDGES; e++) {
        if (sim->edges[e].engine && sim->edges[e].boot == boot)
            return true;
    }
    return false;
}

/* Of whoever is dead and has said what he wants just before, on the lease clock, nobody knows yet that he is. */
static bool has_dead_voter(const struct sim *sim, const struct partition_seen *seen)
{
    for (unsigned i = 0; i < seen->owners; i++) {
        const struct owner_seen *owner = &seen->owner[i];
        if (!lives(sim, owner->boot) && seen->clock_us - owner->beat_clock <= 2 * HEARTBEAT_MS * 1000)
            return true;
    }
    return false;
}

static bool is_ok(const struct fake_reply *reply)
{
    return reply->type == FAKE_ARRAY && reply->count && reply->items[0]->type == FAKE_BULK &&
           !strcmp(reply->items[0]->text, "OK");
}

void layout_see(struct sim *sim, struct server *server, const struct event *event, bool changed,
    const struct fake_reply *reply)
{
    const struct message *request = event->message;
    unsigned partition = partition_of_key(request->argv[0]);
    if (partition == PARTITIONS)
        return;
    uint64_t layout = layout_of_key(request->argv[0]);
    if (request->script == SCRIPT_HELLO && is_ok(reply))
        decide(sim, partition, layout, server->shard, true);
    if (changed)
        check_left(sim, server, event, partition);
    uint64_t next;
    char name[8];
    if (request->script == SCRIPT_HEARTBEAT && is_ok(reply) && reply->count > 6 &&
        sscanf(reply->items[6]->text, "%" SCNu64 " %7s", &next, name) == 2) {
        sim->died_moving[partition] |= has_dead_voter(sim, &server->seen.partition[partition]);
        decide(sim, partition, next, shard_of_name(name), false);
    }
}

void layout_look(struct sim *sim)
{
    for (unsigned e = 0; e < EDGES; e++) {
        struct edge *edge = &sim->edges[e];
        for (unsigned p = 0; p < PARTITIONS && edge->engine; p++) {
            if (!has(&edge->list, sim->places[p][sim->layout[p]].shard))
                edge_mark_unwell(edge, sim->now_us + HEARTBEAT_MS * 1000);
        }
    }
}

/* ---- in the end ---- */

static void check_copies(struct sim *sim, const struct server *server)
{
    for (const struct key *key = fake_redis_data(server->redis)->keys; key; key = key->hh.next) {
        unsigned p = partition_of_key(key->name);
        if (p == PARTITIONS || key->expires_ms != FAKE_NO_EXPIRY || junk_has_hit(server, key->name, NEVER_US))
            continue;
        uint64_t layout = layout_of_key(key->name);
        const struct place *place = &sim->places[p][layout % LAYOUTS];
        if ((layout != sim->layout[p] || place->shard != server->shard) && !place->abandoned)
            sim_fail(sim, "server %u keeps %s for ever, of a copy that was left", server->number, key->name);
    }
}

void layout_settle_check(struct sim *sim)
{
    for (unsigned p = 0; p < PARTITIONS; p++) {
        unsigned shard = sim->places[p][sim->layout[p]].shard;
        /* A shard that no partition is on has nobody to repair its stamp, before the copies that were left there are gone. */
        bool is_usable = !junk_has_hit(sim->masters[wanted(&sim->list, p)], "rc:shard", NEVER_US);
        if (shard != wanted(&sim->list, p) && is_usable)
            sim_fail(sim, "partition %u lives on shard %u; all want it on shard %u", p, shard,
                wanted(&sim->list, p));
        for (unsigned e = 0; e < EDGES; e++) {
            struct engine_partition_status status;
            if (!sim->edges[e].engine)
                continue;
            engine_partition_status(sim->edges[e].engine, p, &status);
            if (status.layout != sim->layout[p] || sim->edges[e].shard_of[status.shard] != shard)
                sim_fail(sim, "edge %u has partition %u on shard %u by %" PRIu64, e, p,
                    sim->edges[e].shard_of[status.shard], status.layout);
        }
    }
    for (unsigned i = 0; i < sim->list.count; i++) {
        const struct server *server = sim->masters[sim->list.of[i].shard];
        check_copies(sim, server);
    }
}

/* ---- the fault ---- */

static void on_restart(struct sim *sim, struct event *event)
{
    sim->faults_active--;
    if (!event->edge->engine)
        edge_start(event->edge);
}

/* Who starts anew with a list in which a shard is missing cannot speak to it: so it has to be empty by then. Who runs on keeps
 * its connections. */
static struct shard_list without_leaving(const struct sim *sim, bool restarts)
{
    struct shard_list list = {0};
    for (unsigned i = 0; i < sim->list.count; i++) {
        if (!sim->list.of[i].leaving || (restarts && layout_is_in_use(sim, sim->list.of[i].shard)))
            list.of[list.count++] = sim->list.of[i];
    }
    return list;
}

/* By a reload, or by a restart, with or without a farewell. */
static void on_change(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    bool restarts = sim_chance(sim, 50), forgets = sim_chance(sim, 40);
    bool speaks = edge->engine && !edge->retiring && !restarts;
    struct shard_list list = forgets ? without_leaving(sim, !speaks) : sim->list;
    sim->faults_active--;
    sim->changing--;
    edge->list_since_us = sim->now_us;
    sim_trace(sim, "edge %u gets its list, %s", edge->number, restarts ? "and starts anew" : "as it runs");
    if (!restarts || !edge_is_running(edge)) {
        edge_set_list(edge, &list);
        return;
    }
    edge->list = list;
    if (sim_chance(sim, 50))
        edge_retire(edge);
    else
        edge_crash(edge);
    fault_end_later(sim, sim_between(sim, 1200000, LEASE_MS * 2000), on_restart)->edge = edge;
}

/* Any of the three stay, in any order; the others leave. */
static struct shard_list draw_list(struct sim *sim)
{
    struct shard_list list = {0};
    unsigned first = (unsigned)sim_draw(sim, SHARDS), staying = 1 + (unsigned)sim_draw(sim, SHARDS);
    unsigned step = 1 + (unsigned)sim_draw(sim, 2);
    for (unsigned i = 0; i < SHARDS; i++) {
        list.of[list.count].shard = (first + i * step) % SHARDS;
        list.of[list.count++].leaving = i >= staying;
    }
    return list;
}

/* Before anyone has written anything, edges with different lists begin a fleet each, and only later hear of one another. */
static bool is_born(const struct sim *sim)
{
    for (unsigned p = 0; p < PARTITIONS; p++) {
        if (!layout_server(sim, p)->seen.partition[p].owners)
            return false;
    }
    return true;
}

void layout_change(struct sim *sim)
{
    if (sim->changing || !is_born(sim))
        return;
    sim->list = draw_list(sim);
    sim_trace(sim, "the list of shards is to be:");
    for (unsigned i = 0; i < sim->list.count; i++)
        sim_trace(sim, "    s%u%s", sim->list.of[i].shard, sim->list.of[i].leaving ? ", leaving" : "");
    sim->changing = EDGES;
    for (unsigned e = 0; e < EDGES; e++)
        fault_end_later(sim, sim_between(sim, 0, CHANGE_MS * 1000), on_change)->edge = &sim->edges[e];
}
