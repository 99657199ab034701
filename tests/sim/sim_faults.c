/* What goes wrong. Each seed draws which kinds it has, and when they happen. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const fault_names[FAULT_KINDS] = {"pause", "crash", "retire", "cut", "cut-all", "close",
    "close-bus", "silent-bus", "drop", "flush", "restart-empty", "restart-old", "rollback", "failover",
    "split", "reroute", "clock", "junk", "out-of-memory", "script-flush", "stall", "no-replicas", "outage",
    "latency", "layout", "delete", "late"};

struct copy *copy_take(const struct server *server)
{
    struct copy *copy = fake_alloc(sizeof(*copy));
    copy->data = fake_redis_snapshot(server->redis);
    copy->seen = server->seen;
    return copy;
}

void copy_free(struct copy *copy)
{
    if (!copy)
        return;
    fake_snapshot_free(copy->data);
    free(copy);
}

static struct edge *draw_edge(struct sim *sim)
{
    return &sim->edges[sim_draw(sim, EDGES)];
}

void edge_mark_unwell(struct edge *edge, int64_t until_us)
{
    if (edge->well_since_us < until_us)
        edge->well_since_us = until_us;
}

static struct server *draw_master(struct sim *sim)
{
    return sim->masters[sim_draw(sim, sim->shards_used)];
}

/* Short ones mostly, sometimes longer than a lease. */
static int64_t draw_length_us(struct sim *sim)
{
    if (sim_chance(sim, 60))
        return sim_between(sim, 10000, HEARTBEAT_MS * 2000);
    return sim_between(sim, HEARTBEAT_MS * 2000, LEASE_MS * 2500);
}

struct event *fault_end_later(struct sim *sim, int64_t length_us, event_run run)
{
    sim->faults_active++;
    return sim_later(sim, sim->now_us + length_us, run);
}

/* Edges. */

static void on_reboot(struct sim *sim, struct event *event)
{
    sim->faults_active--;
    if (!event->edge->engine)
        edge_start(event->edge);
}

static void crash(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    if (!edge->engine)
        return;
    edge_crash(edge);
    fault_end_later(sim, draw_length_us(sim), on_reboot)->edge = edge;
}

static void retire(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    if (!edge_is_running(edge))
        return;
    edge_retire(edge);
    fault_end_later(sim, sim_between(sim, 1200000, LEASE_MS * 2000), on_reboot)->edge = edge;
}

static void pause_edge(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    int64_t length_us = draw_length_us(sim);
    sim_trace(sim, "edge %u is paused for %.3f s", edge->number, (double)length_us / 1e6);
    if (edge->paused_until_us < sim->now_us + length_us)
        edge->paused_until_us = sim->now_us + length_us;
    if (length_us > HEARTBEAT_MS * 1000)
        edge_mark_unwell(edge, edge->paused_until_us);
}

/* The net. */

static void cut_link(struct sim *sim, struct edge *edge, unsigned shard, int64_t length_us)
{
    struct link *link = &edge->links[shard];
    sim_trace(
        sim, "edge %u and shard %u are cut off for %.3f s", edge->number, shard, (double)length_us / 1e6);
    if (link->cut_until_us < sim->now_us + length_us)
        link->cut_until_us = sim->now_us + length_us;
    edge_mark_unwell(edge, link->cut_until_us + HEARTBEAT_MS * 1000);
}

static void cut(struct sim *sim)
{
    cut_link(sim, draw_edge(sim), (unsigned)sim_draw(sim, sim->shards_used), draw_length_us(sim));
}

static void cut_all(struct sim *sim)
{
    int64_t length_us = draw_length_us(sim);
    unsigned shard = (unsigned)sim_draw(sim, sim->shards_used);
    for (unsigned e = 0; e < EDGES; e++)
        cut_link(sim, &sim->edges[e], shard, length_us);
}

static void close_link(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    unsigned shard = (unsigned)sim_draw(sim, sim->shards_used);
    sim_trace(sim, "the connection of edge %u to shard %u is closed", edge->number, shard);
    link_close(edge, shard, sim_chance(sim, 70));
}

static void close_bus(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    unsigned shard = (unsigned)sim_draw(sim, sim->shards_used);
    sim_trace(sim, "the bus of edge %u to shard %u is closed", edge->number, shard);
    link_close_bus(edge, shard, true);
}

static void silence_bus(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    unsigned shard = (unsigned)sim_draw(sim, sim->shards_used);
    sim_trace(sim, "the bus of edge %u to shard %u falls silent", edge->number, shard);
    link_close_bus(edge, shard, false);
}

static void drop_messages(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    edge->links[sim_draw(sim, sim->shards_used)].bus_drop += (unsigned)sim_between(sim, 1, 3);
    sim->excuses.lost_message_us = sim->now_us;
}

static void reroute(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    unsigned shard = (unsigned)sim_draw(sim, sim->shards_used);
    struct server *wrong = &sim->servers[sim_draw(sim, 2 * sim->shards_used)];
    struct link *link = &edge->links[shard];
    link->route = wrong;
    link->route_until_us = sim->now_us + draw_length_us(sim);
    sim_trace(sim, "edge %u is sent to server %u for shard %u", edge->number, wrong->number, shard);
    edge_mark_unwell(edge, link->route_until_us + HEARTBEAT_MS * 1000);
    link_poll_at(edge, shard, link->route_until_us + POLL_MS * 1000);
    link_close(edge, shard, true);
}

/* What it has sent arrives so late that it has given up the connection by then, and speaks over another. */
static void hold_up(struct sim *sim)
{
    struct edge *edge = draw_edge(sim);
    unsigned shard = (unsigned)sim_draw(sim, sim->shards_used);
    int64_t until_us = sim->now_us + sim_between(sim, COMMAND_MS * 1000, COMMAND_MS * 4000);
    sim_trace(sim, "what edge %u has sent to shard %u is held up", edge->number, shard);
    edge_mark_unwell(edge, until_us + HEARTBEAT_MS * 1000);
    link_hold_up(edge, shard, until_us);
}

static void slow_down(struct sim *sim)
{
    sim->latency_until_us = sim->now_us + sim_between(sim, 100000, 2000000);
    for (unsigned e = 0; e < EDGES; e++) /* answers may come behind their deadlines, one after the other */
        edge_mark_unwell(&sim->edges[e], sim->latency_until_us + HEARTBEAT_MS * 1000);
    sim_trace(sim, "the net is slow");
}

/* Servers. */

static void trace_server(struct sim *sim, const struct server *server, const char *what)
{
    sim_trace(sim, "server %u of shard %u: %s", server->number, server->shard, what);
}

/* since_us: what it was told since then is lost. */
static void go_back(struct sim *sim, struct server *server, const struct copy *copy, int64_t since_us)
{
    watch_loss(sim, server, since_us);
    unsigned steps = server->seen.clock_steps;
    if (copy)
        server->seen = copy->seen;
    server->seen.clock_steps = steps;
}

static void flush(struct sim *sim)
{
    struct server *server = draw_master(sim);
    if (!server->alive)
        return;
    trace_server(sim, server, "FLUSHALL");
    server_set_clock(sim, server);
    fake_reply_free(fake_command_words(server->command, "FLUSHALL"));
    go_back(sim, server, NULL, sim->now_us);
}

static void keep_copy(struct sim *sim, struct server *server)
{
    copy_free(server->saved);
    server->saved = copy_take(server);
    server->saved_us = sim->now_us;
}

static void stop_server(struct sim *sim, struct server *server)
{
    server->alive = false;
    server->down_us = sim->now_us;
    server_close_links(sim, server, sim_chance(sim, 80));
}

static void on_server_back(struct sim *sim, struct event *event)
{
    struct server *server = event->server;
    sim->faults_active--;
    static const char *const what[] = {"is back", "is back, empty", "is back with old data"};
    trace_server(sim, server, what[event->number]);
    server->alive = true;
    if (event->number == 0)
        return;
    const struct copy *copy = event->number == 2 ? server->saved : NULL;
    fake_redis_restart(server->redis, copy ? copy->data : NULL);
    go_back(sim, server, copy, copy ? server->saved_us : server->down_us);
}

static void take_down(struct sim *sim, int64_t kind)
{
    struct server *server = draw_master(sim);
    if (!server->alive)
        return;
    trace_server(sim, server, "is down");
    stop_server(sim, server);
    struct event *event = fault_end_later(sim, draw_length_us(sim), on_server_back);
    event->server = server;
    event->number = kind;
}

static void outage(struct sim *sim)
{
    take_down(sim, 0);
}

static void restart_empty(struct sim *sim)
{
    take_down(sim, 1);
}

static void on_restart_old(struct sim *sim, struct event *event)
{
    struct server *server = event->server;
    if (!server->alive || fake_redis_is_replica(server->redis)) {
        sim->faults_active--;
        return;
    }
    trace_server(sim, server, "is down");
    stop_server(sim, server);
    struct event *back = sim_later(sim, sim->now_us + draw_length_us(sim), on_server_back);
    back->server = server;
    back->number = 2;
}

static int64_t draw_loss_us(struct sim *sim)
{
    return sim_chance(sim, 70) ? sim_between(sim, 1000, 1000000) : sim_between(sim, 1000000, 6000000);
}

static struct event *copy_and_later(struct sim *sim, event_run run)
{
    struct server *server = draw_master(sim);
    if (!server->alive)
        return NULL;
    keep_copy(sim, server);
    struct event *event = fault_end_later(sim, draw_loss_us(sim), run);
    event->server = server;
    return event;
}

static void restart_old(struct sim *sim)
{
    copy_and_later(sim, on_restart_old);
}

static void on_rollback(struct sim *sim, struct event *event)
{
    struct server *server = event->server;
    sim->faults_active--;
    if (!server->alive || fake_redis_is_replica(server->redis) || !server->saved)
        return;
    trace_server(sim, server, "is rolled back in place");
    sim->excuses.rollback_us = sim->now_us;
    fake_redis_rollback(server->redis, server->saved->data, true);
    go_back(sim, server, server->saved, server->saved_us);
}

static void rollback(struct sim *sim)
{
    copy_and_later(sim, on_rollback);
}

/* Failovers: the other server of the shard takes over with the copy. */

static struct server *other_of(struct sim *sim, const struct server *server)
{
    return &sim->servers[server->number ^ 1];
}

static void copy_hits(struct server *to, const struct server *from)
{
    memcpy(to->hits, from->hits, sizeof(to->hits));
    to->hit_count = from->hit_count;
}

static void on_follow(struct sim *sim, struct event *event)
{
    struct server *old = event->server, *master = sim->masters[old->shard];
    sim->faults_active--;
    fake_redis_set_no_replicas(old->redis, false);
    if (old == master)
        return;
    trace_server(sim, old, "follows the new master");
    struct copy *copy = copy_take(master);
    server_close_links(sim, old, true);
    fake_redis_follow(old->redis, copy->data);
    go_back(sim, old, copy, old->saved_us);
    old->alive = true;
    copy_hits(old, master);
    copy_free(copy);
}

static void promote(struct sim *sim, struct server *old)
{
    struct server *new = other_of(sim, old);
    unsigned steps = new->seen.clock_steps;
    fake_redis_follow(new->redis, old->saved->data);
    fake_redis_promote(new->redis);
    new->seen = old->saved->seen;
    new->seen.clock_steps = steps + old->seen.clock_steps + 1; /* two servers, two clocks */
    copy_hits(new, old);
    memcpy(new->version_high, old->version_high, sizeof(new->version_high));
    new->alive = true;
    watch_loss(sim, new, old->saved_us);
    sim->masters[old->shard] = new;
    trace_server(sim, new, "is promoted");
}

static void on_promote(struct sim *sim, struct event *event)
{
    struct server *old = event->server;
    promote(sim, old);
    struct event *later = sim_later(sim, sim->now_us + draw_length_us(sim), on_follow);
    later->server = old;
}

static void on_master_dies(struct sim *sim, struct event *event)
{
    struct server *old = event->server;
    if (!old->alive || sim->masters[old->shard] != old || !old->saved) {
        sim->faults_active--;
        return;
    }
    trace_server(sim, old, "dies");
    stop_server(sim, old);
    struct event *later = sim_later(sim, sim->now_us + sim_between(sim, 100000, LEASE_MS * 1500), on_promote);
    later->server = old;
}

static void failover(struct sim *sim)
{
    copy_and_later(sim, on_master_dies);
}

/* The old master stays, with some of the edges; nobody confirms it any more. */
static void on_split(struct sim *sim, struct event *event)
{
    struct server *old = event->server;
    if (!old->alive || sim->masters[old->shard] != old || !old->saved) {
        sim->faults_active--;
        return;
    }
    trace_server(sim, old, "is on the wrong side of a split");
    promote(sim, old);
    fake_redis_set_no_replicas(old->redis, sim_chance(sim, 50));
    int64_t length_us = draw_length_us(sim);
    for (unsigned e = 0; e < EDGES; e++) {
        struct edge *edge = &sim->edges[e];
        struct link *link = &edge->links[old->shard];
        if (sim_chance(sim, 50)) {
            link->route = old;
            link->route_until_us = sim->now_us + length_us;
            edge_mark_unwell(edge, link->route_until_us + HEARTBEAT_MS * 1000);
        } else {
            link_close(edge, old->shard, true);
        }
    }
    sim_later(sim, sim->now_us + length_us, on_follow)->server = old;
}

static void split(struct sim *sim)
{
    copy_and_later(sim, on_split);
}

static void step_clock(struct sim *sim)
{
    struct server *server = draw_master(sim);
    int64_t step_us = sim_between(sim, -5000000, 5000000);
    server->clock_offset_us += step_us;
    server->seen.clock_steps++;
    sim_trace(sim, "the clock of server %u steps by %.3f s", server->number, (double)step_us / 1e6);
}

static void on_memory_back(struct sim *sim, struct event *event)
{
    sim->faults_active--;
    trace_server(sim, event->server, "has memory again");
    fake_redis_set_out_of_memory(event->server->redis, false);
}

static void use_up_memory(struct sim *sim)
{
    struct server *server = draw_master(sim);
    trace_server(sim, server, "is out of memory");
    fake_redis_set_out_of_memory(server->redis, true);
    fault_end_later(sim, draw_length_us(sim), on_memory_back)->server = server;
}

static void on_replicas_back(struct sim *sim, struct event *event)
{
    sim->faults_active--;
    fake_redis_set_no_replicas(event->server->redis, false);
}

static void lose_replicas(struct sim *sim)
{
    struct server *server = draw_master(sim);
    trace_server(sim, server, "has too few replicas");
    fake_redis_set_no_replicas(server->redis, true);
    fault_end_later(sim, draw_length_us(sim), on_replicas_back)->server = server;
}

static void forget_scripts(struct sim *sim)
{
    struct server *server = draw_master(sim);
    trace_server(sim, server, "SCRIPT FLUSH");
    fake_redis_forget_scripts(server->redis);
}

static void stall(struct sim *sim)
{
    struct server *server = draw_master(sim);
    int64_t until_us = sim->now_us + draw_length_us(sim);
    if (server->stalled_until_us < until_us)
        server->stalled_until_us = until_us;
    trace_server(sim, server, "stalls");
}

static void (*const runs[FAULT_KINDS])(struct sim *sim) = {pause_edge, crash, retire, cut, cut_all,
    close_link, close_bus, silence_bus, drop_messages, flush, restart_empty, restart_old, rollback, failover,
    split, reroute, step_clock, junk_write, use_up_memory, forget_scripts, stall, lose_replicas, outage,
    slow_down, layout_change, junk_delete, hold_up};

void fault_play(struct sim *sim, enum fault_kind kind)
{
    runs[kind](sim);
}

static void on_fault(struct sim *sim, struct event *event)
{
    (void)event;
    if (sim->calm)
        return;
    unsigned kinds[FAULT_KINDS], count = 0;
    for (unsigned k = 0; k < FAULT_KINDS; k++) {
        if (sim->fault_kinds & (1u << k))
            kinds[count++] = k;
    }
    fault_play(sim, kinds[sim_draw(sim, count)]);
    int64_t pause_us = sim_chance(sim, 30) ? sim_between(sim, 0, 50000) : sim_between(sim, 200000, 4000000);
    sim_later(sim, sim->now_us + pause_us, on_fault);
}

void faults_draw(struct sim *sim)
{
    static const unsigned least = 1, most = 4;
    unsigned wanted = (unsigned)sim_between(sim, least, most);
    if (sim_chance(sim, 8) || !sim->options.faults)
        return; /* a history in which nothing goes wrong must be perfect */
    for (unsigned tries = 0; wanted && tries < 1000; tries++) {
        uint32_t kind = 1u << sim_draw(sim, FAULT_KINDS);
        if (!(sim->options.faults & kind) || (sim->fault_kinds & kind))
            continue;
        sim->fault_kinds |= kind;
        wanted--;
    }
}

void faults_start(struct sim *sim)
{
    if (sim->fault_kinds)
        sim_later(sim, sim_between(sim, 500000, 3000000), on_fault);
}

/* No new faults; what goes on has an end of its own, except what only the edges can end. */
void faults_stop(struct sim *sim)
{
    sim->calm = true;
    for (unsigned e = 0; e < EDGES; e++) {
        for (unsigned shard = 0; shard < SHARDS; shard++)
            sim->edges[e].links[shard].bus_drop = 0;
    }
}
