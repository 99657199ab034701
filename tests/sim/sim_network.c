/* Links between edges and servers. Each direction of a connection is in order; the connections among each other are not.
 * A closed connection may have delivered what was sent, and its replies are lost. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *script_name(enum script script)
{
    return script == SCRIPT_COUNT ? "INFO" : script_texts[script].name;
}

static int64_t latency(struct sim *sim)
{
    if (sim->now_us < sim->latency_until_us)
        return sim_between(sim, 1000, 300000);
    return sim_chance(sim, 95) ? sim_between(sim, 100, 3000) : sim_between(sim, 3000, 40000);
}

/* When what is sent now arrives, keeping the order of `last`, and not before a cut of the link ends. */
static int64_t arrival(struct sim *sim, const struct link *link, int64_t *last)
{
    int64_t from = sim->now_us > link->cut_until_us ? sim->now_us : link->cut_until_us;
    int64_t at = from + latency(sim);
    *last = at > *last ? at : *last + 1;
    return *last;
}

static struct event *link_event(
    struct edge *edge, unsigned shard, unsigned generation, int64_t at_us, event_run run)
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
static bool put_off(struct sim *sim, struct event *event, int64_t until_us)
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

static bool is_for_present(const struct event *event)
{
    return event->edge->engine && event->edge->boot == event->boot;
}

/* What is on its way when the engine forgets a shard is for nobody. */
static bool find_index(const struct edge *edge, unsigned shard, unsigned *index)
{
    int found = edge_index_of(edge, shard);
    *index = found >= 0 ? (unsigned)found : 0;
    return found >= 0;
}

void server_set_clock(struct sim *sim, struct server *server)
{
    /* The epoch of the simulation is some Tuesday in 2026. */
    fake_redis_set_time(server->redis, 1790000000000000 + sim->now_us + server->clock_offset_us);
}

/* Replies on their way to the edge. */

static void convert(const struct fake_reply *from, struct reply *to, struct reply *elements)
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
        to->type = REPLY_ARRAY;
        to->elements = elements;
        to->count = elements ? from->count : 0;
        for (size_t i = 0; i < to->count; i++)
            convert(from->items[i], &elements[i], NULL);
        return;
    }
}

static void on_reply(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    if (!is_for_present(event) || put_off(sim, event, edge->paused_until_us))
        return;
    unsigned index;
    if (!find_index(edge, event->shard, &index))
        return;
    struct link *link = &edge->links[event->shard];
    if (link->generation != event->generation)
        return;
    if (put_off(sim, event, link->cut_until_us))
        return;
    const struct fake_reply *from = event->message->reply;
    struct reply *elements = fake_alloc(from->count * sizeof(*elements));
    struct reply reply;
    convert(from, &reply, elements);
    if (sim->options.trace) {
        char *text = fake_reply_print(from);
        sim_trace(sim, "edge %u <- server %u  %s: %.300s", edge->number, link->server->number,
            script_name(event->message->script), text);
        free(text);
    }
    engine_reply(edge->engine, index, &reply);
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
    if (!server->alive || closed || put_off(sim, event, server->stalled_until_us))
        return;
    if (same_link && put_off(sim, event, link->cut_until_us))
        return;
    server_set_clock(sim, server);
    if (sim->options.trace)
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
        event->edge, event->shard, event->generation, arrival(sim, link, &link->to_edge_us), on_reply);
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
    struct event *event =
        link_event(edge, shard, link->generation, arrival(edge->sim, link, &link->to_server_us), on_request);
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

/* The bus. */

struct bus_end {
    struct sim *sim;
    struct edge *edge;
    struct server *server;
    unsigned shard, generation, boot;
};

static void on_bus_push(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    if (!is_for_present(event) || put_off(sim, event, edge->paused_until_us))
        return;
    unsigned index;
    if (!find_index(edge, event->shard, &index))
        return;
    struct link *link = &edge->links[event->shard];
    if (link->bus_generation != event->generation || put_off(sim, event, link->cut_until_us))
        return;
    const struct fake_reply *push = event->message->reply;
    const char *topic = push->items[1]->text;
    if (!strcmp(push->items[0]->text, "subscribe")) {
        sim_trace(sim, "edge %u <= bus: subscribed %s", edge->number, topic);
        engine_bus_subscribed(edge->engine, index, topic);
    } else if (!strcmp(push->items[0]->text, "message")) {
        sim_trace(sim, "edge %u <= bus: %s %s", edge->number, topic, push->items[2]->text);
        engine_bus_message(edge->engine, index, topic, push->items[2]->text, push->items[2]->bytes);
    }
}

static void on_server_push(void *context, struct fake_reply *push)
{
    struct bus_end *end = context;
    struct edge *edge = end->edge;
    struct link *link = &edge->links[end->shard];
    bool present = edge->boot == end->boot && link->bus_generation == end->generation;
    bool lost = present && link->bus_silent;
    if (present && link->bus_drop && !strcmp(push->items[0]->text, "message")) {
        link->bus_drop--;
        lost = true;
        sim_trace(end->sim, "lost on the bus to edge %u: %s", edge->number, push->items[2]->text);
    }
    if (!present || lost) {
        fake_reply_free(push);
        return;
    }
    struct event *event = link_event(
        edge, end->shard, end->generation, arrival(end->sim, link, &link->bus_to_edge_us), on_bus_push);
    event->message = fake_alloc(sizeof(*event->message));
    event->message->reply = push;
}

static void on_bus_command(struct sim *sim, struct event *event)
{
    struct link *link = &event->edge->links[event->shard];
    if (event->edge->boot != event->boot || link->bus_generation != event->generation || !link->bus)
        return;
    if (put_off(sim, event, link->server->stalled_until_us) || put_off(sim, event, link->cut_until_us))
        return;
    if (link->bus_silent || !link->server->alive)
        return;
    struct slice argv[2];
    for (size_t i = 0; i < 2; i++)
        argv[i] = (struct slice){event->message->argv[i], event->message->argv_bytes[i]};
    fake_command(link->bus, 2, argv);
}

static void send_bus(struct edge *edge, unsigned shard, const char *command, const char *topic)
{
    struct link *link = &edge->links[shard];
    if (!link->bus) {
        sim_fail(
            edge->sim, "edge %u: %s on the bus of shard %u, which is down", edge->number, command, shard);
        return;
    }
    struct event *event = link_event(
        edge, shard, link->bus_generation, arrival(edge->sim, link, &link->bus_to_server_us), on_bus_command);
    struct message *message = event->message = fake_alloc(sizeof(*message));
    message->argc = 2;
    message->argv = fake_alloc(2 * sizeof(char *));
    message->argv_bytes = fake_alloc(2 * sizeof(size_t));
    const char *words[] = {command, topic};
    for (size_t i = 0; i < 2; i++) {
        message->argv[i] = fake_copy(words[i], strlen(words[i]));
        message->argv_bytes[i] = strlen(words[i]);
    }
}

static void io_bus_subscribe(void *context, unsigned index, const char *topic)
{
    send_bus(context, ((struct edge *)context)->shard_of[index], "SUBSCRIBE", topic);
}

static void io_bus_unsubscribe(void *context, unsigned index, const char *topic)
{
    send_bus(context, ((struct edge *)context)->shard_of[index], "UNSUBSCRIBE", topic);
}

/* Connecting. */

static void connect_bus_later(struct edge *edge, unsigned shard, int64_t delay_us);

static void on_bus_connect(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    struct link *link = &edge->links[event->shard];
    if (!is_for_present(event) || put_off(sim, event, edge->paused_until_us))
        return;
    link->bus_connecting = false;
    unsigned index;
    if (!find_index(edge, event->shard, &index))
        return;
    if (!link->server || link->bus)
        return;
    if (link->generation != event->generation || !link->server->alive || sim->now_us < link->cut_until_us) {
        connect_bus_later(edge, event->shard, sim_between(sim, 20000, 200000));
        return;
    }
    struct bus_end *end = link->bus_end = fake_alloc(sizeof(*end));
    *end = (struct bus_end){.sim = sim,
        .edge = edge,
        .server = link->server,
        .shard = event->shard,
        .generation = link->bus_generation,
        .boot = edge->boot};
    link->bus = fake_connect(link->server->redis, on_server_push, end);
    link->bus_to_edge_us = link->bus_to_server_us = sim->now_us;
    sim_trace(sim, "edge %u: bus of shard %u up", edge->number, event->shard);
    engine_bus_up(edge->engine, index);
}

static void connect_bus_later(struct edge *edge, unsigned shard, int64_t delay_us)
{
    struct link *link = &edge->links[shard];
    if (link->bus_connecting || !link->server)
        return;
    link->bus_connecting = true;
    link_event(edge, shard, link->generation, edge->sim->now_us + delay_us, on_bus_connect);
}

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
    if (!is_for_present(event) || put_off(sim, event, edge->paused_until_us))
        return;
    link->connecting = false;
    unsigned index;
    if (!find_index(edge, event->shard, &index))
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
    connect_bus_later(edge, event->shard, sim_between(sim, 0, 20000));
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

void link_forget_bus(struct link *link)
{
    if (link->bus)
        fake_disconnect(link->bus);
    free(link->bus_end);
    link->bus = NULL;
    link->bus_end = NULL;
    link->bus_generation++;
    link->bus_silent = false;
    link->bus_drop = 0;
}

static void on_closed(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    if (!is_for_present(event) || put_off(sim, event, edge->paused_until_us))
        return;
    unsigned index;
    if (!find_index(edge, event->shard, &index))
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

static void on_bus_closed(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    if (!is_for_present(event) || put_off(sim, event, edge->paused_until_us))
        return;
    unsigned index;
    if (!find_index(edge, event->shard, &index))
        return;
    struct link *link = &edge->links[event->shard];
    if (link->bus_generation != event->generation || !link->bus)
        return;
    link_forget_bus(link);
    sim_trace(sim, "edge %u: bus of shard %u closed", edge->number, event->shard);
    connect_bus_later(edge, event->shard, sim_between(sim, 5000, 100000));
    engine_bus_down(edge->engine, index, "closed by the other side");
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
        link_event(edge, shard, link->generation, edge->sim->now_us + latency(edge->sim), on_closed);
}

static void on_poll(struct sim *sim, struct event *event)
{
    const struct link *link = &event->edge->links[event->shard];
    if (!is_for_present(event) || put_off(sim, event, event->edge->paused_until_us))
        return;
    if (link->server && link->server != sim->masters[event->shard] && sim->now_us >= link->route_until_us)
        link_close(event->edge, event->shard, true);
}

void link_poll_at(struct edge *edge, unsigned shard, int64_t at_us)
{
    link_event(edge, shard, 0, at_us, on_poll);
}

void link_close_bus(struct edge *edge, unsigned shard, bool tell)
{
    struct link *link = &edge->links[shard];
    if (!link->bus || !edge->engine)
        return;
    link->bus_silent = true;
    if (tell)
        link_event(edge, shard, link->bus_generation, edge->sim->now_us + latency(edge->sim), on_bus_closed);
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

static void io_bus_reset(void *context, unsigned index, const char *why)
{
    struct edge *edge = context;
    unsigned shard = edge->shard_of[index];
    sim_trace(edge->sim, "edge %u resets the bus of shard %u: %s", edge->number, shard, why);
    link_forget_bus(&edge->links[shard]);
    connect_bus_later(edge, shard, sim_between(edge->sim, 5000, 100000));
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
    .bus_subscribe = io_bus_subscribe,
    .bus_unsubscribe = io_bus_unsubscribe,
    .reset = io_reset,
    .bus_reset = io_bus_reset,
    .quarantine = io_quarantine,
    .confirmed = io_confirmed,
    .log = io_log,
};
