/* The bus of a link: the connection that subscribes. It follows the command connection. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

struct bus_end {
    struct sim *sim;
    struct edge *edge;
    struct server *server;
    unsigned shard, generation, boot;
};

static void on_bus_push(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    unsigned index;
    if (!link_reaches_engine(sim, event, &index))
        return;
    struct link *link = &edge->links[event->shard];
    if (link->bus_generation != event->generation || link_put_off(sim, event, link->cut_until_us))
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
    clients_check(edge);
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
        edge, end->shard, end->generation, link_arrival(end->sim, link, &link->bus_to_edge_us), on_bus_push);
    event->message = fake_alloc(sizeof(*event->message));
    event->message->reply = push;
}

static void on_bus_command(struct sim *sim, struct event *event)
{
    struct link *link = &event->edge->links[event->shard];
    if (event->edge->boot != event->boot || link->bus_generation != event->generation || !link->bus)
        return;
    if (link_put_off(sim, event, link->server->stalled_until_us) ||
        link_put_off(sim, event, link->cut_until_us))
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
    struct event *event = link_event(edge, shard, link->bus_generation,
        link_arrival(edge->sim, link, &link->bus_to_server_us), on_bus_command);
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

void link_bus_subscribe(void *context, unsigned index, const char *topic)
{
    send_bus(context, ((struct edge *)context)->shard_of[index], "SUBSCRIBE", topic);
}

void link_bus_unsubscribe(void *context, unsigned index, const char *topic)
{
    send_bus(context, ((struct edge *)context)->shard_of[index], "UNSUBSCRIBE", topic);
}

/* Connecting. */

static void on_bus_connect(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    struct link *link = &edge->links[event->shard];
    if (!link_reaches_edge(sim, event))
        return;
    link->bus_connecting = false;
    unsigned index;
    if (!link_find_index(edge, event->shard, &index))
        return;
    if (!link->server || link->bus)
        return;
    if (link->generation != event->generation || !link->server->alive || sim->now_us < link->cut_until_us) {
        link_connect_bus(edge, event->shard, sim_between(sim, 20000, 200000));
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

void link_connect_bus(struct edge *edge, unsigned shard, int64_t delay_us)
{
    struct link *link = &edge->links[shard];
    if (link->bus_connecting || !link->server)
        return;
    link->bus_connecting = true;
    link_event(edge, shard, link->generation, edge->sim->now_us + delay_us, on_bus_connect);
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

static void on_bus_closed(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    unsigned index;
    if (!link_reaches_engine(sim, event, &index))
        return;
    struct link *link = &edge->links[event->shard];
    if (link->bus_generation != event->generation || !link->bus)
        return;
    link_forget_bus(link);
    sim_trace(sim, "edge %u: bus of shard %u closed", edge->number, event->shard);
    link_connect_bus(edge, event->shard, sim_between(sim, 5000, 100000));
    engine_bus_down(edge->engine, index, "closed by the other side");
}

void link_close_bus(struct edge *edge, unsigned shard, bool tell)
{
    struct link *link = &edge->links[shard];
    if (!link->bus || !edge->engine)
        return;
    link->bus_silent = true;
    if (tell)
        link_event(
            edge, shard, link->bus_generation, edge->sim->now_us + link_latency(edge->sim), on_bus_closed);
}

void link_bus_reset(void *context, unsigned index, const char *why)
{
    struct edge *edge = context;
    unsigned shard = edge->shard_of[index];
    sim_trace(edge->sim, "edge %u resets the bus of shard %u: %s", edge->number, shard, why);
    link_forget_bus(&edge->links[shard]);
    link_connect_bus(edge, shard, sim_between(edge->sim, 5000, 100000));
}
