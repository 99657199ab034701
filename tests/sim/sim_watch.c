/* What must hold at the servers, after every script. The watch keeps its own count of what was done, so it does not
 * believe what the scripts answer. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned partition_of_key(const char *key)
{
    unsigned partition;
    if (strncmp(key, "rc:{", 4) || sscanf(key + 4, "%u}", &partition) != 1 || partition >= PARTITIONS)
        return PARTITIONS;
    return partition;
}

uint64_t layout_of_key(const char *key)
{
    const char *end = strchr(key, '}');
    return end && end[1] == '.' ? strtoull(end + 2, NULL, 10) : 1;
}

static struct owner_seen *find_owner(struct partition_seen *seen, uint64_t owner)
{
    for (unsigned i = 0; i < seen->owners; i++) {
        if (seen->owner[i].owner == owner)
            return &seen->owner[i];
    }
    return NULL;
}

static const struct entry *field_of(const struct server *server, const char *key_name, const char *field)
{
    const struct key *key =
        data_find(fake_redis_data(server->redis), (struct slice){key_name, strlen(key_name)});
    if (!key || key->type != FAKE_HASH)
        return NULL;
    return entry_find(key, (struct slice){field, strlen(field)});
}

static const struct entry *record_field(
    const struct server *server, const char *base, const char *owner, const char *field)
{
    char name[96];
    snprintf(name, sizeof(name), "%s:o:%s", base, owner);
    return field_of(server, name, field);
}

static bool names_caller(enum script script)
{
    return script != SCRIPT_HELLO && script != SCRIPT_LAYOUT && script != SCRIPT_COUNT;
}

/* Whether the request has changed something; junk that was cleaned up does not count. */
static bool has_changed(const struct server *server, const struct message *request, const struct watch *watch)
{
    unsigned partition = partition_of_key(request->argv[0]);
    uint64_t cleaned = watch->junk - (watch->junk ? junk_left(server, partition) : 0);
    return fake_redis_changes(server->redis) - watch->changes > cleaned;
}

/* Where ARGV begins. */
static char **arguments(const struct message *request)
{
    return request->argv + request->keys;
}

void watch_before(struct server *server, const struct message *request, struct watch *watch)
{
    *watch = (struct watch){.changes = fake_redis_changes(server->redis)};
    if (server->hit_count && request->script != SCRIPT_COUNT)
        watch->junk = junk_left(server, partition_of_key(request->argv[0]));
    if (!names_caller(request->script))
        return;
    char **argv = arguments(request);
    const struct entry *incarnation = record_field(server, request->argv[0], argv[2], "i");
    watch->record_was_there = incarnation && !strcmp(incarnation->value, argv[3]);
    const struct entry *timeline = field_of(server, request->argv[0], "t");
    watch->timeline_fits = timeline && !strcmp(timeline->value, argv[1]);
    if (request->script == SCRIPT_REAP)
        watch->victim_was_there = record_field(server, request->argv[0], argv[4], "i") != NULL;
}

static bool answered(const struct fake_reply *reply, const char *word)
{
    return reply->type == FAKE_ARRAY && reply->count && reply->items[0]->type == FAKE_BULK &&
           !strcmp(reply->items[0]->text, word);
}

/* Nobody changes a dataset that is another's, or a replica; no condemned or unknown owner changes anything. */
static void check_stamp(
    struct sim *sim, struct server *server, const struct event *event, const struct watch *watch)
{
    const struct message *request = event->message;
    if (!has_changed(server, request, watch))
        return;
    const char *name = script_texts[request->script].name;
    if (server->shard != event->shard)
        sim_fail(sim, "%s for shard %u was accepted by server %u of shard %u", name, event->shard,
            server->number, server->shard);
    if (fake_redis_is_replica(server->redis))
        sim_fail(sim, "%s has changed a replica", name);
    if (names_caller(request->script) && !watch->timeline_fits)
        sim_fail(sim, "%s of another timeline has changed something", name);
    if (names_caller(request->script) && !watch->record_was_there)
        sim_fail(
            sim, "%s of owner %s, who has no record, has changed something", name, arguments(request)[2]);
}

/* A new one lifts all leases: what it is younger than may have been lost with the heartbeats of the living. */
static void see_timeline(const struct server *server, struct partition_seen *seen, const char *timeline)
{
    if (!strcmp(seen->greeted, timeline))
        return;
    snprintf(seen->greeted, sizeof(seen->greeted), "%s", timeline);
    for (unsigned i = 0; i < seen->owners; i++) {
        seen->owner[i].beat_clock = seen->clock_us;
        seen->owner[i].beat_steps = server->seen.clock_steps;
    }
}

static void see_hello(struct sim *sim, const struct server *server, struct partition_seen *seen,
    const struct event *event, const struct fake_reply *reply)
{
    if (!answered(reply, "OK") || reply->count < 10)
        return;
    see_timeline(server, seen, reply->items[1]->text);
    uint64_t owner = strtoull(reply->items[4]->text, NULL, 10);
    struct owner_seen *known = find_owner(seen, owner);
    bool kept = !strcmp(reply->items[9]->text, "1");
    if (known && known->boot != event->boot)
        sim_fail(
            sim, "owner %" PRIu64 " was given to boot %u and to boot %u", owner, known->boot, event->boot);
    if (known && kept)
        return;
    if (!known) {
        unsigned at = seen->owners < OWNERS ? seen->owners++ : (unsigned)(owner % OWNERS);
        known = &seen->owner[at];
    }
    *known = (struct owner_seen){.owner = owner,
        .boot = event->boot,
        .since_us = sim->now_us,
        .beat_clock = seen->clock_us,
        .beat_steps = server->seen.clock_steps,
        .sequence = strtoull(reply->items[5]->text, NULL, 10)};
}

/* Our own lease clock goes by the true time, whatever the server's clock and the script believe. */
static void see_heartbeat(struct sim *sim, struct server *server, struct partition_seen *seen,
    struct owner_seen *owner, const struct fake_reply *reply)
{
    if (!answered(reply, "OK"))
        return;
    int64_t passed = sim->now_us - seen->heartbeat_us, most = HEARTBEAT_MS * 1100;
    seen->clock_us += passed < most ? passed : most;
    seen->heartbeat_us = sim->now_us;
    if (!owner)
        return;
    owner->beat_clock = seen->clock_us;
    owner->beat_steps = server->seen.clock_steps;
}

static void see_numbered(struct sim *sim, struct server *server, struct owner_seen *owner,
    const struct event *event, const struct watch *watch, const struct fake_reply *reply)
{
    const char *name = script_texts[event->message->script].name;
    uint64_t number = strtoull(arguments(event->message)[4], NULL, 10);
    bool changed = has_changed(server, event->message, watch);
    if (!owner)
        return;
    if (changed && number <= owner->sequence)
        sim_fail(sim, "%s %" PRIu64 " of owner %" PRIu64 " was applied again", name, number, owner->owner);
    if (changed && event->message->script != SCRIPT_ASSERT && number > owner->sequence + 1)
        sim_fail(sim, "%s %" PRIu64 " of owner %" PRIu64 " was accepted after %" PRIu64, name, number,
            owner->owner, owner->sequence);
    if (answered(reply, "OK"))
        owner->sequence = number;
}

/* Who is condemned has missed L of lease-clock time. A step of the server's clock counts for at most 1.1 H. */
static void see_reap(struct sim *sim, struct server *server, struct partition_seen *seen,
    const struct event *event, const struct watch *watch)
{
    const char *victim = arguments(event->message)[4];
    if (!watch->victim_was_there || record_field(server, event->message->argv[0], victim, "i"))
        return;
    struct owner_seen *owner = find_owner(seen, strtoull(victim, NULL, 10));
    if (!owner || owner->retired)
        return;
    int64_t missed_ms = (seen->clock_us - owner->beat_clock) / 1000;
    int64_t steps = (int64_t)(server->seen.clock_steps - owner->beat_steps);
    int64_t least_ms = LEASE_MS - steps * HEARTBEAT_MS * 11 / 10;
    if (missed_ms < least_ms)
        sim_fail(sim, "owner %s of boot %u is condemned after %" PRId64 " ms of the lease clock", victim,
            owner->boot, missed_ms);
    if (!sim_confirmed(event->edge, event->shard))
        sim_trace(sim, "(condemned by an edge that nobody confirms any more)");
}

static void check_refusal(struct sim *sim, struct server *server, const struct event *event,
    const struct watch *watch, const struct fake_reply *reply)
{
    bool refused = reply->type == FAKE_ERROR || !answered(reply, "OK");
    if (refused && event->message->script != SCRIPT_HELLO && has_changed(server, event->message, watch))
        sim_fail(sim, "%s has changed something and answered %s", script_texts[event->message->script].name,
            reply->type == FAKE_ERROR ? reply->text : reply->items[0]->text);
    if (reply->type == FAKE_ERROR &&
        (fake_reply_is_error(reply, "ERR") || fake_reply_is_error(reply, "WRONGTYPE")))
        sim_fail(sim, "%s failed: %s", script_texts[event->message->script].name, reply->text);
}

/* Every key has a TTL or is of the fixed set; a fact was true of the incarnation it names. */

bool watch_is_fixed(const char *name)
{
    if (!strcmp(name, "rc:shard"))
        return true;
    unsigned partition;
    int used = 0;
    if (sscanf(name, "rc:{%u}%n", &partition, &used) != 1 || !used)
        return false;
    name += used;
    if (*name == '.')
        name += 1 + strspn(name + 1, "0123456789");
    return !*name || !strcmp(name, ":l") || !strcmp(name, ":out") || !strcmp(name, ":due");
}

static void check_cap(struct sim *sim, const struct key *key, int channel)
{
    unsigned users = 0;
    for (const struct entry *entry = key->entries; entry; entry = entry->hh.next)
        users += entry->name[0] == 'u';
    if (channel == CAPPED && !sim->fault_kinds && users > CAP)
        sim_fail(sim, "%s has %u members, and %d is the most", channel_names[channel], users, CAP);
}

static void check_member(struct sim *sim, struct server *server, struct partition_seen *seen, int channel,
    const struct entry *entry)
{
    int user = user_of(entry->name + 1, entry->name_bytes - 1);
    const char *owners = entry->value;
    while (*owners && *owners != '|') {
        char *end;
        struct owner_seen *owner = find_owner(seen, strtoull(owners, &end, 10));
        if (end == owners)
            break;
        if (owner && (user < 0 || !sim->boots[owner->boot].ever[channel][user]))
            sim_fail(sim, "server %u: owner %" PRIu64 " of boot %u never held %s in %s", server->number,
                owner->owner, owner->boot, entry->name + 1, channel_names[channel]);
        owners = *end == ',' ? end + 1 : end;
    }
}

static void check_roster(struct sim *sim, struct server *server, const struct key *key)
{
    const char *colon = strrchr(key->name, ':');
    unsigned partition = partition_of_key(key->name);
    int channel = colon ? channel_of(colon + 1) : -1;
    if (channel < 0 || channel >= ROSTERS || partition == PARTITIONS || !strstr(key->name, ":r:"))
        return;
    check_cap(sim, key, channel);
    for (const struct entry *entry = key->entries; entry; entry = entry->hh.next) {
        if (entry->name[0] == 'u')
            check_member(sim, server, &server->seen.partition[partition], channel, entry);
    }
}

void watch_keys(struct sim *sim, struct server *server, const char *prefix)
{
    size_t bytes = strlen(prefix);
    for (const struct key *key = fake_redis_data(server->redis)->keys; key; key = key->hh.next) {
        if (strncmp(key->name, prefix, bytes))
            continue;
        if (key->expires_ms == FAKE_NO_EXPIRY && !watch_is_fixed(key->name) &&
            !junk_is_bare(server, key->name))
            sim_fail(sim, "server %u has %s without a TTL", server->number, key->name);
        check_roster(sim, server, key);
    }
}

void watch_loss(struct sim *sim, struct server *server, int64_t since_us)
{
    server->lost_us = sim->now_us;
    if (sim->loss_count == LOSSES) {
        sim_fail(sim, "too many losses to keep");
        return;
    }
    sim->losses[sim->loss_count++] =
        (struct loss){.from_us = since_us, .to_us = sim->now_us, .shard = server->shard};
}

void watch_after(struct sim *sim, struct server *server, const struct event *event, const struct watch *watch,
    const struct fake_reply *reply)
{
    const struct message *request = event->message;
    if (request->script == SCRIPT_COUNT)
        return;
    bool changed = has_changed(server, request, watch);
    unsigned partition = partition_of_key(request->argv[0]);
    if (request->script == SCRIPT_LAYOUT) {
        check_stamp(sim, server, event, watch);
        return;
    }
    layout_see(sim, server, event, changed, reply);
    if (partition == PARTITIONS) {
        sim_fail(sim, "%s with the key %s", script_texts[request->script].name, request->argv[0]);
        return;
    }
    check_stamp(sim, server, event, watch);
    if (changed)
        watch_keys(sim, server, request->argv[0]);
    check_refusal(sim, server, event, watch, reply);
    struct partition_seen *seen = &server->seen.partition[partition];
    if (request->script == SCRIPT_HELLO) {
        see_hello(sim, server, seen, event, reply);
        return;
    }
    struct owner_seen *owner = find_owner(seen, strtoull(arguments(request)[2], NULL, 10));
    if (request->script == SCRIPT_HEARTBEAT)
        see_heartbeat(sim, server, seen, owner, reply);
    else if (request->script == SCRIPT_WRITE || request->script == SCRIPT_LEAVE ||
             request->script == SCRIPT_ASSERT)
        see_numbered(sim, server, owner, event, watch, reply);
    else if (request->script == SCRIPT_REAP)
        see_reap(sim, server, seen, event, watch);
    else if (request->script == SCRIPT_RETIRE && owner)
        owner->retired = true;
}

/* Versions rise within a timeline: of each channel's deltas, as published. "1+ timeline previous version …" */
void watch_publish(void *context, struct slice of, struct slice message)
{
    struct server *server = context;
    struct sim *sim = server->sim;
    char topic[128], head[160];
    snprintf(topic, sizeof(topic), "%.*s", (int)of.size, of.data);
    snprintf(head, sizeof(head), "%.*s", (int)message.size, message.data);
    unsigned partition = partition_of_key(topic);
    const char *colon = strrchr(topic, ':');
    int channel = colon ? channel_of(colon + 1) : -1;
    char kind, timeline[48];
    uint64_t previous, version;
    if (partition == PARTITIONS || channel < 0 || channel >= ROSTERS ||
        sscanf(head, "1%c %47s %" SCNu64 " %" SCNu64, &kind, timeline, &previous, &version) != 4 ||
        (kind != '+' && kind != '-'))
        return;
    struct partition_seen *seen = &server->seen.partition[partition];
    bool same = !strcmp(seen->timeline[channel], timeline);
    if (same && version <= seen->version[channel])
        sim_fail(sim, "the version of %s goes from %" PRIu64 " to %" PRIu64 " within a timeline",
            channel_names[channel], seen->version[channel], version);
    if (previous >= version)
        sim_fail(sim, "the version of %s goes from %" PRIu64 " to %" PRIu64, channel_names[channel], previous,
            version);
    if (version <= server->version_high[channel] && !server->seen.clock_steps)
        sim_fail(sim, "the version %" PRIu64 " of %s is given out again", version, channel_names[channel]);
    if (version > server->version_high[channel])
        server->version_high[channel] = version;
    unsigned user;
    if (kind == '-' && sscanf(head, "%*s %*s %*s %*s %*s %*s u%u", &user) == 1 && user < USERS)
        seen->removed_clock[channel][user] = seen->clock_us;
    seen->version[channel] = version;
    memcpy(seen->timeline[channel], timeline, sizeof(timeline));
}

bool watch_is_held(const struct sim *sim, unsigned partition, unsigned channel, int user, unsigned boot)
{
    const struct server *server = layout_server(sim, partition);
    char key[128], field[8], base[48];
    layout_base(base, partition, sim->layout[partition]);
    snprintf(key, sizeof(key), "%s:r:app:%s", base, channel_names[channel]);
    snprintf(field, sizeof(field), "uu%d", user % 10);
    const struct entry *entry = field_of(server, key, field);
    const struct partition_seen *seen = &server->seen.partition[partition];
    for (unsigned i = 0; entry && i < seen->owners; i++) {
        char owner[24];
        snprintf(owner, sizeof(owner), "%" PRIu64, seen->owner[i].owner);
        if (seen->owner[i].boot == boot && strstr(entry->value, owner))
            return true;
    }
    return false;
}
