/* Edges and their clients. The open sockets are the truth; what each client is told must be a story without holes. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const channel_names[CHANNELS] = {
    "presence-0", "presence-1", "presence-2", "presence-3", "room-4", "room-5"};

static const char app[] = "app";

enum { CACHE_MS = 4000 };

int user_of(const char *id, size_t bytes)
{
    return bytes == 2 && id[0] == 'u' && id[1] >= '0' && id[1] < '0' + USERS ? id[1] - '0' : -1;
}

int channel_of(const char *name)
{
    for (int c = 0; c < CHANNELS; c++) {
        if (!strcmp(name, channel_names[c]))
            return c;
    }
    return -1;
}

uint32_t view_mask(const struct store_channel *channel)
{
    uint32_t mask = 0;
    for (const struct member *m = roster_first(&channel->roster); m; m = roster_next(m)) {
        int user = user_of(m->id, m->id_bytes);
        if (user >= 0)
            mask |= 1u << user;
    }
    return mask;
}

bool edge_is_running(const struct edge *edge)
{
    return edge->engine && !edge->retiring && edge->sim->now_us >= edge->paused_until_us;
}

uint32_t sim_truth(const struct sim *sim, unsigned channel)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &sim->clients[i];
        if (client->state != CLIENT_FREE && client->channel == channel && client->user >= 0)
            mask |= 1u << client->user;
    }
    return mask;
}

uint64_t sim_truth_count(const struct sim *sim, unsigned channel)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &sim->clients[i];
        bool is_watcher = channel < ROSTERS && client->user < 0;
        count += client->state != CLIENT_FREE && client->channel == channel && !is_watcher;
    }
    return count;
}

uint32_t sim_connections(const struct edge *edge)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        count += edge->sim->clients[i].state != CLIENT_FREE && edge->sim->clients[i].edge == edge;
    return count;
}

/* What clients are told. */

static void say_mask(char text[USERS + 1], uint32_t mask)
{
    for (unsigned u = 0; u < USERS; u++)
        text[u] = mask & (1u << u) ? (char)('0' + u) : '.';
    text[USERS] = '\0';
}

/* In a history without faults: the event that was cached last, unless another one came at about the same time. */
static void check_cached(struct sim *sim, unsigned channel, const struct frame *cached)
{
    const int64_t apart_us = 100000;
    const struct publish *last = NULL;
    bool clear = !sim->fault_kinds;
    for (unsigned n = 0; n < sim->publish_count; n++) {
        const struct publish *each = &sim->publishes[n];
        if (!each->cached || strcmp(each->publish.channel, channel_names[channel]))
            continue;
        clear = clear && each->accepted && (!last || each->accepted_us > last->accepted_us + apart_us);
        last = each;
    }
    int64_t age_us = last ? sim->now_us - last->accepted_us : 0;
    if (!clear || age_us < apart_us)
        return;
    if (age_us < CACHE_MS * 1000 - 2 * apart_us && (!cached || strcmp(cached->text, last->text)))
        sim_fail(sim, "%s has %s cached, a subscriber gets %s", channel_names[channel], last->text,
            cached ? cached->text : "nothing");
    if (age_us > CACHE_MS * 1000 + 2 * apart_us && cached)
        sim_fail(sim, "a subscriber of %s gets %s, which is too old", channel_names[channel], cached->text);
}

static void on_done(struct store_subscription *subscription, enum store_result result, struct frame *cached)
{
    struct client *client = (struct client *)((char *)subscription - offsetof(struct client, subscription));
    struct sim *sim = client->edge->sim;
    unsigned number = (unsigned)(client - sim->clients);
    if (client->state != CLIENT_WAITS) {
        sim_fail(sim, "client %u was answered twice", number);
        return;
    }
    if (result != STORE_OK) {
        if (result != STORE_FULL || client->channel != CAPPED)
            sim_fail(sim, "client %u is refused: %d", number, result);
        sim_trace(sim, "client %u: refused (%d)", number, result);
        client->state = CLIENT_FREE;
        return;
    }
    check_cached(sim, client->channel, cached);
    client->state = CLIENT_READY;
    client->ready_us = sim->now_us;
    client->ready_serial = sim->publish_count;
    client->mask = client->channel < ROSTERS ? view_mask(subscription->channel) : 0;
    char text[USERS + 1];
    say_mask(text, client->mask);
    sim_trace(sim, "client %u is in %s with %s", number, channel_names[client->channel], text);
    if (client->user >= 0 && !(client->mask & (1u << client->user)))
        sim_fail(sim, "client %u (u%d) is not in the roster he got of %s", number, client->user,
            channel_names[client->channel]);
}

/* Whether someone who is in the channel all along, on an edge with nothing wrong, was shown leaving. */
static bool is_wrong_removal(const struct sim *sim, const struct edge *edge, unsigned channel, int user)
{
    if (!edge->view_was_read[channel])
        return false; /* opened while the shard was out of reach: it cannot know of others */
    int64_t settled_us = (LEASE_MS + 3 * HEARTBEAT_MS) * 1000ll;
    int64_t long_ago_us = sim->now_us - 2 * settled_us;
    if (sim->excuses.rollback_us > long_ago_us ||
        junk_has_hit_roster(sim, channel, sim->now_us - 2 * SCRUB_MS * 1000ll) ||
        sim->excuses.lost_message_us > sim->now_us - 2 * SCRUB_MS * 1000ll)
        return false;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &sim->clients[i];
        if (client->state == CLIENT_READY && client->channel == channel && client->user == user &&
            client->known_us && client->known_us < long_ago_us && client->edge->well_since_us < long_ago_us)
            return true;
    }
    return false;
}

static void tell_all(struct edge *edge, unsigned channel, int user, bool added)
{
    struct sim *sim = edge->sim;
    uint32_t bit = 1u << user;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &sim->clients[i];
        if (client->state != CLIENT_READY || client->edge != edge || client->channel != channel)
            continue;
        if (added == ((client->mask & bit) != 0))
            sim_fail(sim, "client %u on edge %u is told that u%d %s %s, who %s", i, edge->number, user,
                added ? "came to" : "left", channel_names[channel], added ? "is there" : "is not there");
        client->mask ^= bit;
    }
}

static void on_member(struct edge *edge, struct store_channel *at, const struct member *member, bool added)
{
    struct sim *sim = edge->sim;
    int channel = channel_of(at->name), user = user_of(member->id, member->id_bytes);
    sim_trace(sim, "edge %u tells: %s %c%.*s", edge->number, at->name, added ? '+' : '-',
        (int)member->id_bytes, member->id);
    if (channel < 0 || user < 0) {
        if (channel < 0 || member->id_bytes != 1 || !junk_is_any(sim))
            sim_fail(sim, "edge %u tells of a stranger in %s", edge->number, at->name);
        return;
    }
    if (!added && is_wrong_removal(sim, edge, (unsigned)channel, user))
        sim_fail(sim, "edge %u shows u%d leaving %s, who is there and well connected", edge->number, user,
            at->name);
    tell_all(edge, (unsigned)channel, user, added);
}

static void on_member_added(void *context, struct store_channel *channel, const struct member *member)
{
    on_member(context, channel, member, true);
}

static void on_member_removed(void *context, struct store_channel *channel, const struct member *member)
{
    on_member(context, channel, member, false);
}

static void on_event(void *context, struct store_channel *at, const struct store_event *event)
{
    struct edge *edge = context;
    struct sim *sim = edge->sim;
    int channel = channel_of(at->name);
    unsigned number = (unsigned)atoi(event->frame->text + 1);
    sim_trace(sim, "edge %u delivers %s in %s", edge->number, event->frame->text, at->name);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &sim->clients[i];
        if (client->state != CLIENT_READY || client->edge != edge || (int)client->channel != channel)
            continue;
        uint64_t bit = 1ull << (number % 64);
        if (client->heard[number / 64] & bit)
            sim_fail(sim, "client %u gets %s twice", i, event->frame->text);
        client->heard[number / 64] |= bit;
    }
}

static void on_count(void *context, struct store_channel *at, uint64_t count)
{
    struct edge *edge = context;
    int channel = channel_of(at->name);
    sim_trace(edge->sim, "edge %u tells: %s has %" PRIu64, edge->number, at->name, count);
    if (channel >= ROSTERS)
        edge->count_told[channel] = count;
}

static void on_usage(void *context, const char *app_id, uint64_t elsewhere)
{
    struct edge *edge = context;
    sim_trace(
        edge->sim, "edge %u tells: %" PRIu64 " connections of %s elsewhere", edge->number, elsewhere, app_id);
    if (elsewhere == edge->usage_told || elsewhere > EDGES * CLIENTS)
        sim_fail(edge->sim, "edge %u tells of %" PRIu64 " connections elsewhere, after %" PRIu64,
            edge->number, elsewhere, edge->usage_told);
    edge->usage_told = elsewhere;
}

static const struct store_observer observer = {
    .member_added = on_member_added,
    .member_removed = on_member_removed,
    .event = on_event,
    .subscription_count = on_count,
    .usage = on_usage,
};

/* Edges. */

static void on_tick(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    if (!edge->engine || edge->boot != event->boot)
        return;
    int64_t next = sim->now_us + TICK_MS * 1000;
    if (sim->now_us < edge->paused_until_us) {
        next = edge->paused_until_us;
    } else {
        store_set_usage(engine_store(edge->engine), app, sim_connections(edge));
        engine_tick(edge->engine);
        edge_forget_unused(edge);
        clients_check(edge);
    }
    struct event *again = sim_later(sim, next, on_tick);
    again->edge = edge;
    again->boot = event->boot;
}

void edge_start(struct edge *edge)
{
    struct sim *sim = edge->sim;
    if (sim->boot_count + 1 >= BOOTS)
        return;
    struct engine_shard shards[SHARDS];
    char name[16];
    unsigned shard_count = edge_print_list(edge, shards);
    snprintf(name, sizeof(name), "edge%u", edge->number);
    struct engine_options options = {
        .prefix = "rc",
        .cluster = "sim",
        .edge_name = name,
        .shards = shards,
        .shard_count = shard_count,
        .partitions = PARTITIONS,
        .heartbeat_ms = HEARTBEAT_MS,
        .lease_ms = LEASE_MS,
        .scrub_ms = SCRUB_MS,
        .data_ttl_ms = DATA_TTL_MS,
        .command_ms = COMMAND_MS,
        .answer_ms = ANSWER_MS,
        .outbox = true,
    };
    edge->boot = ++sim->boot_count;
    sim->boots[edge->boot].edge = edge->number;
    edge->paused_until_us = 0;
    edge->retiring = false;
    edge->well_since_us = sim->now_us;
    memset(edge->layout_told, 0, sizeof(edge->layout_told));
    memset(edge->count_told, 0, sizeof(edge->count_told));
    edge->usage_told = 0;
    sim_trace(sim, "edge %u starts (boot %u)", edge->number, edge->boot);
    edge->engine = engine_new(&options, &sim_io, edge, &observer, edge);
    for (unsigned shard = 0; shard < SHARDS; shard++)
        edge->links[shard].connecting = edge->links[shard].bus_connecting = false;
    edge_connect_all(edge);
    struct event *tick = sim_later(sim, sim->now_us + sim_between(sim, 0, TICK_MS * 1000), on_tick);
    tick->edge = edge;
    tick->boot = edge->boot;
}

void edge_crash(struct edge *edge)
{
    struct sim *sim = edge->sim;
    if (!edge->engine)
        return;
    sim_trace(sim, "edge %u is killed", edge->number);
    layout_note_crash(edge);
    outbox_note_death(edge);
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (sim->clients[i].edge == edge)
            sim->clients[i].state = CLIENT_FREE;
    }
    engine_free(edge->engine);
    edge->engine = NULL;
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        struct link *link = &edge->links[shard];
        link_forget_bus(link);
        link->generation++;
        link->server = NULL;
    }
}

static void on_retired(struct sim *sim, struct event *event)
{
    struct edge *edge = event->edge;
    if (!edge->engine || edge->boot != event->boot)
        return;
    if (engine_in_flight(edge->engine) && event->number < 20) {
        struct event *again = sim_later(sim, sim->now_us + 50000, on_retired);
        again->edge = edge;
        again->boot = event->boot;
        again->number = event->number + 1;
        return;
    }
    edge_crash(edge);
}

void edge_retire(struct edge *edge)
{
    struct sim *sim = edge->sim;
    if (!edge_is_running(edge) || edge->retiring)
        return;
    sim_trace(sim, "edge %u retires", edge->number);
    outbox_note_death(edge);
    edge->retiring = true;
    engine_retire(edge->engine, HEARTBEAT_MS);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &sim->clients[i];
        if (client->state == CLIENT_FREE || client->edge != edge)
            continue;
        client->state = CLIENT_FREE;
        store_unsubscribe(engine_store(edge->engine), &client->subscription);
    }
    struct event *event = sim_later(sim, sim->now_us + 50000, on_retired);
    event->edge = edge;
    event->boot = edge->boot;
}

/* Clients. */

/* user: -1 for a watcher, and in channels without a roster. */
static void enter(
    struct sim *sim, struct edge *edge, struct client *client, unsigned channel, int user_number)
{
    *client = (struct client){.edge = edge, .state = CLIENT_WAITS, .channel = channel, .user = user_number};
    client->subscription.done = on_done;
    char id[4] = "u?", info[32];
    struct store_user user = {.id = id, .id_bytes = 2, .info = info};
    if (user_number >= 0) {
        id[1] = (char)('0' + user_number);
        user.info_bytes = (size_t)snprintf(info, sizeof(info), "{\"on\":%u}", edge->number);
        sim->boots[edge->boot].ever[channel][user_number] = true;
    }
    sim_trace(sim, "client %u (%s) subscribes to %s on edge %u", (unsigned)(client - sim->clients),
        user_number >= 0 ? id : "watcher", channel_names[channel], edge->number);
    struct store_channel_options options = {
        .roster = channel < ROSTERS, .members_max = channel == CAPPED ? CAP : 0};
    store_subscribe(engine_store(edge->engine), app, channel_names[channel], options,
        user_number >= 0 ? &user : NULL, &client->subscription);
}

static void subscribe(struct sim *sim, struct edge *edge)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (sim->clients[i].state != CLIENT_FREE)
            continue;
        unsigned channel = (unsigned)sim_draw(sim, CHANNELS);
        bool has_user = channel < ROSTERS && sim_chance(sim, 90);
        enter(sim, edge, &sim->clients[i], channel, has_user ? (int)sim_draw(sim, USERS) : -1);
        return;
    }
}

static void unsubscribe(struct sim *sim, struct client *client)
{
    sim_trace(sim, "client %u (u%d) leaves %s on edge %u", (unsigned)(client - sim->clients), client->user,
        channel_names[client->channel], client->edge->number);
    client->state = CLIENT_FREE;
    if (client->user >= 0)
        client->edge->left_us[client->channel][client->user] = sim->now_us;
    store_unsubscribe(engine_store(client->edge->engine), &client->subscription);
}

static void on_published(struct store_publish *publish, enum store_result result)
{
    struct publish *mine = (struct publish *)((char *)publish - offsetof(struct publish, publish));
    mine->accepted = result == STORE_OK;
    mine->accepted_us = mine->sim->now_us;
    sim_trace(mine->sim, "publish of %s: %d", mine->text, result);
}

static void publish(struct sim *sim, struct edge *edge)
{
    if (sim->publish_count == PUBLISHES)
        return;
    unsigned number = sim->publish_count++;
    struct publish *mine = &sim->publishes[number];
    mine->sim = sim;
    int size = snprintf(mine->text, sizeof(mine->text), "m%u", number);
    mine->cached = sim_chance(sim, 40);
    mine->publish = (struct store_publish){
        .app_id = app,
        .channel = channel_names[sim_draw(sim, CHANNELS)],
        .cache_ttl_ms = mine->cached ? CACHE_MS : 0,
        .local_suffices = sim_chance(sim, 50),
        .done = on_published,
    };
    mine->frame = mine->publish.event.frame = frame_copy(mine->text, (size_t)size);
    sim_trace(sim, "edge %u publishes %s to %s", edge->number, mine->text, mine->publish.channel);
    store_publish(engine_store(edge->engine), &mine->publish);
}

static void act(struct sim *sim, struct edge *edge)
{
    struct client *client = &sim->clients[sim_draw(sim, CLIENTS)];
    if (sim_chance(sim, 10))
        publish(sim, edge);
    else if (client->state != CLIENT_FREE && edge_is_running(client->edge) && sim_chance(sim, 80))
        unsubscribe(sim, client);
    else
        subscribe(sim, edge);
}

static void on_client(struct sim *sim, struct event *event)
{
    (void)event;
    if (sim->quiet_all)
        return;
    struct edge *edge = &sim->edges[sim_draw(sim, EDGES)];
    if (edge_is_running(edge))
        act(sim, edge);
    int64_t pause_us = sim_chance(sim, 20) ? sim_between(sim, 0, 2000) : sim_between(sim, 5000, 120000);
    sim_later(sim, sim->now_us + pause_us, on_client);
}

/* A user who is not in the channel, or -1. */
static int find_absent(const struct sim *sim, unsigned channel)
{
    uint32_t here = sim_truth(sim, channel);
    if (channel == CAPPED && __builtin_popcount(here) >= CAP)
        return -1;
    for (int user = 0; user < USERS; user++) {
        if (!(here & (1u << user)))
            return user;
    }
    return -1;
}

bool clients_can_touch(const struct sim *sim)
{
    for (unsigned c = 0; c < CHANNELS; c++) {
        if (sim->clients[CLIENTS - 1 - c].state != CLIENT_FREE || (c < ROSTERS && find_absent(sim, c) < 0))
            return false;
    }
    return true;
}

void clients_touch(struct sim *sim, bool come)
{
    struct edge *edge = &sim->edges[sim_draw(sim, EDGES)];
    for (unsigned c = 0; c < CHANNELS; c++) {
        struct client *client = &sim->clients[CLIENTS - 1 - c];
        if (come)
            enter(sim, edge, client, c, c < ROSTERS ? find_absent(sim, c) : -1);
        else if (!come && client->state != CLIENT_FREE)
            unsubscribe(sim, client);
    }
}

void clients_start(struct sim *sim)
{
    sim_later(sim, 800000, on_client);
}

void clients_close_all(struct sim *sim)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (sim->clients[i].state != CLIENT_FREE)
            unsubscribe(sim, &sim->clients[i]);
    }
}

static void look_at_views(struct edge *edge)
{
    for (unsigned c = 0; c < CHANNELS && edge->engine; c++) {
        bool has_clients = store_find(engine_store(edge->engine), app, channel_names[c]) != NULL;
        bool read = has_clients && engine_view_confirmed(edge->engine, app, channel_names[c]);
        edge->view_was_read[c] = has_clients && (edge->view_was_read[c] || read);
    }
}

void clients_look(struct sim *sim)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &sim->clients[i];
        if (client->state != CLIENT_READY || client->user < 0 || client->known_us)
            continue;
        unsigned partition = engine_partition_of(client->edge->engine, app, channel_names[client->channel]);
        if (watch_is_held(sim, partition, client->channel, client->user, client->edge->boot))
            client->known_us = sim->now_us;
    }
    for (unsigned e = 0; e < EDGES; e++)
        look_at_views(&sim->edges[e]);
}

void clients_check(const struct edge *edge)
{
    struct sim *sim = edge->sim;
    for (unsigned i = 0; i < CLIENTS && !sim->failure[0]; i++) {
        const struct client *client = &sim->clients[i];
        if (client->state != CLIENT_READY || client->channel >= ROSTERS || client->edge != edge)
            continue;
        uint32_t held = view_mask(client->subscription.channel);
        if (held == client->mask)
            continue;
        char told[USERS + 1], view[USERS + 1];
        say_mask(told, client->mask);
        say_mask(view, held);
        sim_fail(sim, "client %u in %s was told %s, his edge %u has %s", i, channel_names[client->channel],
            told, edge->number, view);
    }
}
