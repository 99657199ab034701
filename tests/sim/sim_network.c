/* Links between edges and servers. Each direction of a connection is in order; the connections among each other are not.
 * A closed connection may have delivered what was sent, and its replies are lost. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *script_name(enum script script)
{
    return script == SCRIPT_COUNT ? "INFO" : script_texts[script].name;
}

int64_t link_latency(struct sim *sim)
{
    if (sim->now_us < sim->latency_until_us)
        return sim_between(sim, 1000, 300000);
    return sim_chance(sim, 95) ? sim_between(sim, 100, 3000) : sim_between(sim, 3000, 40000);
}

/* When what is sent now arrives, keeping the order of `last`, and not before a cut of the link ends. */
int64_t link_arrival(struct sim *sim, const struct link *link, int64_t *last)
{
    int64_t from = sim->now_us > link->cut_until_us ? sim->now_us : link->cut_until_us;
    int64_t at = from + link_latency(sim);
    *last = at > *last ? at : *last + 1;
    return *last;
}

struct event *link_event(struct edge *edge, unsigned shard, unsigned generation, int64_t at_us, event_run run)
{
    struct event *event = sim_later(edge->sim, at_us, run);
    event->edge = edge;
    event->boot = edge->boot;
    event->shard = shard;
    event->generation = generation;
    return event;
}

/* A paused edge, a stalled server or a cut link take an event later; true when it was put off. Events put off to one
 * moment keep their order. */
bool link_put_off(struct sim *sim, struct event *event, int64_t until_us)
{
    if (sim->now_us >= until_us)
        return false;
    struct event *later = sim_later(sim, until_us, event->run);
    int64_t at_us = later->at_us;
    uint64_t serial = later->serial;
    *later = *event;
    later->at_us = at_us;
    later->serial = serial;
    event->message = NULL;
    return true;
}

bool link_reaches_edge(struct sim *sim, struct event *event)
{
    const struct edge *edge = event->edge;
    return edge->engine && edge->boot == event->boot && !link_put_off(sim, event, edge->paused_until_us);
}

/* What is on its way when the engine forgets a shard is for nobody. */
bool link_find_index(const struct edge *edge, unsigned shard, unsigned *index)
{
    int found = edge_index_of(edge, shard);
    *index = found >= 0 ? (unsigned)found : 0;
    return found >= 0;
}

bool link_reaches_engine(struct sim *sim, struct event *event, unsigned *index)
{
    return link_reaches_edge(sim, event) && link_find_index(event->edge, event->shard, index);
}

void server_set_clock(struct sim *sim, struct server *server)
{
    /* The epoch of the simulation is some Tuesday in 2026. */
    fake_redis_set_time(server->redis, 1790000000000000 + sim->now_us + server->clock_offset_us);
}

/* Replies on their way to the edge. */

/* Of one that is no array. */
static void convert(const struct fake_reply *from, struct reply *to)
{
    *to = (struct reply){.integer = from->integer, .text = from->text, .bytes = from->bytes};
    switch (from->type) {
    case FAKE_NIL:
        to->type = REPLY_NIL;
        return;
    case FAKE_INTEGER:
        to->type = REPLY_INTEGER;
        return;
    case FAKE_BULK:
    case FAKE_STATUS:
        to->type = REPLY_TEXT;
        return;
    case FAKE_ERROR:
        to->type = REPLY_ERROR;
        return;
    case FAKE_ARRAY:
        abort();
    }
}

static size_t count_flat(const struct fake_reply *from)
{
    size_t count = 0;
    if (from->type != FAKE_ARRAY)
        return 1;
    for (size_t i = 0; i < from->count; i++)
        count += count_flat(from->items[i]);
    return count;
}

/* Returns where the next one goes. */
static struct reply *flatten(const struct fake_reply *from, struct reply *to)
{
    if (from->type != FAKE_ARRAY) {
        convert(from, to);
        return to + 1;
    }
    for (size_t i = 0; i < from->count; i++)
        to = flatten(from->items[i], to);
    return to;
}

/* An edge adopts the highest version of the layout that any shard tells, at once. */
static void note_list(struct edge *edge, enum script script, const struct fake_reply *reply)
{
    if (script != SCRIPT_LAYOUT || reply->type != FAKE_ARRAY || strcmp(reply->items[0]->text, "OK"))
        return;
    for (size_t p = 0; p < PARTITIONS && 2 + 2 * p < reply->count; p++) {
        uint64_t version = strtoull(reply->items[2 + 2 * p]->text, NULL, 10);
        if (version > edge->layout_told[p])
            edge->layout_told[p] = version;
    }
}

static void check_layout(struct edge *edge, const struct engine_request *request)
{
    unsigned partition = request->argc ? partition_of_key(request->argv[0]) : PARTITIONS;
    if (partition == PARTITIONS || request->script == SCRIPT_OUTBOX)
        return;
    uint64_t layout = layout_of_key(request->argv[0]);
    if (layout < edge->layout_told[partition])
        sim_fail(edge->sim,
            "edge %u speaks to partition %u by layout version %" PRIu64 " and was told of %" PRIu64,
            edge->number, partition, layout, edge->layout_told[partition]);
}

static void on_reply(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    unsigned index;
    if (!link_reaches_engine(sim, event, &index))
        return;
    struct link *link = &edge->links[event->shard];
    if (link->generation != event->generation)
        return;
    if (link_put_off(sim, event, link->cut_until_us))
        return;
    const struct fake_reply *from = event->message->reply;
    size_t count = count_flat(from);
    struct reply *elements = fake_alloc((count + 1) * sizeof(*elements));
    flatten(from, elements);
    struct reply reply = *elements;
    if (from->type == FAKE_ARRAY)
        reply = (struct reply){.type = REPLY_ARRAY, .elements = elements, .count = count};
    if (sim->options.trace || sim->options.digest) {
        char *text = fake_reply_print(from);
        sim_trace(sim, "edge %u <- server %u  %s: %.300s", edge->number, link->server->number,
            script_name(event->message->script), text);
        free(text);
    }
    note_list(edge, event->message->script, from);
    engine_reply(edge->engine, index, &reply);
    clients_check(edge);
    free(elements);
}

/* Requests. */

static struct fake_reply *run_request(struct sim *sim, struct server *server, const struct message *request)
{
    struct slice argv[4] = {{"INFO", 4}, {"replication", 11}};
    if (request->script == SCRIPT_COUNT)
        return fake_command(server->command, 2, argv);
    sim->scripts_run++;
    struct slice *words = fake_alloc((request->argc + 3) * sizeof(*words));
    char keys[8];
    int keys_bytes = snprintf(keys, sizeof(keys), "%u", request->keys);
    words[0] = (struct slice){"EVALSHA", 7};
    words[1] = (struct slice){script_sha(request->script), 40};
    words[2] = (struct slice){keys, (size_t)keys_bytes};
    for (size_t i = 0; i < request->argc; i++)
        words[i + 3] = (struct slice){request->argv[i], request->argv_bytes[i]};
    struct fake_reply *reply = fake_command(server->command, request->argc + 3, words);
    free(words);
    return reply;
}

static void trace_request(struct sim *sim, const struct event *event)
{
    char text[512];
    size_t used = 0;
    const struct message *request = event->message;
    for (size_t i = 0; i < request->argc && used < sizeof(text) - 1; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, " %s", request->argv[i]);
    for (char *c = text; used && *c; c++)
        *c = *c == '\n' ? '/' : *c;
    sim_trace(sim, "server %u: edge %u %s%.*s", event->server->number, event->edge->number,
        script_name(request->script), (int)(used ? strlen(text) : 0), text);
}

static void on_request(struct sim *sim, struct event *event)
{
    struct server *server = event->server;
    struct link *link = &event->edge->links[event->shard];
    bool same_link = event->edge->boot == event->boot && link->generation == event->generation;
    bool closed = event->edge->boot == event->boot && event->generation <= link->closed_generation;
    if (event->generation == link->late_generation && link_put_off(sim, event, link->late_until_us))
        return;
    if (!server->alive || closed || link_put_off(sim, event, server->stalled_until_us))
        return;
    if (same_link && link_put_off(sim, event, link->cut_until_us))
        return;
    server_set_clock(sim, server);
    if (sim->options.trace || sim->options.digest)
        trace_request(sim, event);
    struct watch watch;
    watch_before(server, event->message, &watch);
    struct fake_reply *reply = run_request(sim, server, event->message);
    watch_after(sim, server, event, &watch, reply);
    if (!same_link) {
        fake_reply_free(reply);
        return;
    }
    struct event *back = link_event(
        event->edge, event->shard, event->generation, link_arrival(sim, link, &link->to_edge_us), on_reply);
    back->message = fake_alloc(sizeof(*back->message));
    back->message->script = event->message->script;
    back->message->reply = reply;
}

static void io_send(void *context, unsigned index, const struct engine_request *request)
{
    struct edge *edge = context;
    unsigned shard = edge->shard_of[index];
    struct link *link = &edge->links[shard];
    if (!link->server) {
        sim_fail(edge->sim, "edge %u sends to shard %u, which is down", edge->number, shard);
        return;
    }
    check_layout(edge, request);
    struct event *event = link_event(
        edge, shard, link->generation, link_arrival(edge->sim, link, &link->to_server_us), on_request);
    event->server = link->server;
    struct message *message = event->message = fake_alloc(sizeof(*message));
    *message = (struct message){.script = request->script, .keys = request->keys, .argc = request->argc};
    message->argv = fake_alloc(request->argc * sizeof(char *));
    message->argv_bytes = fake_alloc(request->argc * sizeof(size_t));
    for (size_t i = 0; i < request->argc; i++) {
        message->argv[i] = fake_copy(request->argv[i], request->argv_bytes[i]);
        message->argv_bytes[i] = request->argv_bytes[i];
    }
}

/* Connecting. */

static struct server *find_master(struct edge *edge, unsigned shard)
{
    struct sim *sim = edge->sim;
    struct link *link = &edge->links[shard];
    if (link->route && sim->now_us < link->route_until_us &&
        sim->now_us >= edge->avoid_until_us[link->route->number])
        return link->route;
    return sim->masters[shard];
}

static void on_connect(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    struct link *link = &edge->links[event->shard];
    if (!link_reaches_edge(sim, event))
        return;
    link->connecting = false;
    unsigned index;
    if (!link_find_index(edge, event->shard, &index))
        return;
    if (link->server)
        return;
    struct server *server = find_master(edge, event->shard);
    bool refused = !server->alive || sim->now_us < link->cut_until_us ||
                   sim->now_us < edge->avoid_until_us[server->number];
    /* ROLE shows a replica, unless it became one right after it was asked. */
    if (refused || (fake_redis_is_replica(server->redis) && sim_chance(sim, 70))) {
        link_connect_later(edge, event->shard);
        return;
    }
    link->server = server;
    link->to_server_us = link->to_edge_us = sim->now_us;
    server_set_clock(sim, server);
    scripts_load(server);
    sim_trace(sim, "edge %u: shard %u up at server %u", edge->number, event->shard, server->number);
    link_connect_bus(edge, event->shard, sim_between(sim, 0, 20000));
    engine_shard_up(edge->engine, index);
}

void link_connect_later(struct edge *edge, unsigned shard)
{
    struct link *link = &edge->links[shard];
    if (link->connecting || !edge->engine)
        return;
    link->connecting = true;
    link_event(edge, shard, 0, edge->sim->now_us + sim_between(edge->sim, 10000, 150000), on_connect);
}

/* Closing. */

static void on_closed(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    unsigned index;
    if (!link_reaches_engine(sim, event, &index))
        return;
    struct link *link = &edge->links[event->shard];
    if (link->generation != event->generation || !link->server)
        return;
    bool bus_was_up = link->bus != NULL;
    link->generation++;
    link->server = NULL;
    link_forget_bus(link);
    sim_trace(sim, "edge %u: shard %u closed", edge->number, event->shard);
    link_connect_later(edge, event->shard);
    engine_shard_down(edge->engine, index, "closed by the other side");
    if (bus_was_up)
        engine_bus_down(edge->engine, index, "it follows the command connection");
}

/* The edge learns of it a little later; until then what it sends goes nowhere. */
void link_close(struct edge *edge, unsigned shard, bool tell)
{
    struct link *link = &edge->links[shard];
    if (!link->server || !edge->engine)
        return;
    link->closed_generation = link->generation;
    link->bus_silent = true;
    if (tell)
        link_event(edge, shard, link->generation, edge->sim->now_us + link_latency(edge->sim), on_closed);
}

void link_hold_up(struct edge *edge, unsigned shard, int64_t until_us)
{
    struct link *link = &edge->links[shard];
    link->late_generation = link->generation;
    link->late_until_us = until_us;
}

static void on_poll(struct sim *sim, struct event *event)
{
    const struct link *link = &event->edge->links[event->shard];
    if (!link_reaches_edge(sim, event))
        return;
    if (link->server && link->server != sim->masters[event->shard] && sim->now_us >= link->route_until_us)
        link_close(event->edge, event->shard, true);
}

void link_poll_at(struct edge *edge, unsigned shard, int64_t at_us)
{
    link_event(edge, shard, 0, at_us, on_poll);
}

void server_close_links(struct sim *sim, struct server *server, bool tell)
{
    for (unsigned e = 0; e < EDGES; e++) {
        for (unsigned shard = 0; shard < SHARDS; shard++) {
            struct link *link = &sim->edges[e].links[shard];
            if (link->server != server)
                continue;
            link_close(&sim->edges[e], shard, tell);
        }
    }
}

static void io_reset(void *context, unsigned index, const char *why)
{
    struct edge *edge = context;
    unsigned shard = edge->shard_of[index];
    struct link *link = &edge->links[shard];
    sim_trace(edge->sim, "edge %u resets shard %u: %s", edge->number, shard, why);
    if (link->server) {
        link->generation++;
        link->server = NULL;
        link_forget_bus(link);
    }
    link_connect_later(edge, shard);
}

static void io_quarantine(void *context, unsigned index, const char *why)
{
    struct edge *edge = context;
    const struct server *server = edge->links[edge->shard_of[index]].server;
    if (server)
        edge->avoid_until_us[server->number] = edge->sim->now_us + sim_between(edge->sim, 500000, 1000000);
    io_reset(context, index, why);
}

/* A majority of Sentinels names the master, and nobody else. */
bool sim_confirmed(const struct edge *edge, unsigned shard)
{
    return edge->links[shard].server && edge->links[shard].server == edge->sim->masters[shard];
}

static bool io_confirmed(void *context, unsigned index)
{
    const struct edge *edge = context;
    return sim_confirmed(edge, edge->shard_of[index]);
}

static uint64_t io_now_ms(void *context)
{
    const struct edge *edge = context;
    return (uint64_t)edge->sim->now_us / 1000 + 1000;
}

static int64_t io_wall_us(void *context)
{
    const struct edge *edge = context;
    return 1790000000000000 + edge->sim->now_us;
}

static uint64_t io_random(void *context)
{
    const struct edge *edge = context;
    return sim_draw(edge->sim, 0);
}

static void io_log(void *context, enum engine_level level, const char *event, const char *text)
{
    static const char *const levels[] = {"debug", "info", "warn", "ALARM"};
    const struct edge *edge = context;
    sim_trace(edge->sim, "edge %u %s %s: %s", edge->number, levels[level], event, text);
}

const struct engine_io sim_io = {
    .now_ms = io_now_ms,
    .random = io_random,
    .wall_us = io_wall_us,
    .send = io_send,
    .bus_subscribe = link_bus_subscribe,
    .bus_unsubscribe = link_bus_unsubscribe,
    .reset = io_reset,
    .bus_reset = link_bus_reset,
    .quarantine = io_quarantine,
    .confirmed = io_confirmed,
    .log = io_log,
};
