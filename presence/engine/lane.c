/* Lanes: the transitions of a partition, for webhooks, fetched by the one edge that holds its delivery, told to
 * the observer, and forgotten by Redis when he is done with them. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE = 100,
    POLL_MS = 500,       /* of the edge that holds the lane and is not woken */
    MISS_ONCE_MS = 1000, /* "one for many in a short time" (store.h, STORE_CACHE_MISS) */
};

static const char *const kinds[] = {
    [STORE_OCCUPIED] = "channel_occupied",
    [STORE_VACATED] = "channel_vacated",
    [STORE_MEMBER_ADDED] = "member_added",
    [STORE_MEMBER_REMOVED] = "member_removed",
    [STORE_COUNTED] = "subscription_count",
    [STORE_CLIENT_EVENT] = "client_event",
    [STORE_CACHE_MISS] = "cache_miss",
};
enum { KINDS = sizeof kinds / sizeof *kinds, WORDS = 5 /* of an entry in the answer */ };

/* ---- what Redis says, as transitions ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The app's id out of a key: the escapes of wire_app_key() undone. */
static void add_app_id(struct args *strings, const char *key, size_t bytes)
{
    char *id = new_zeroed(bytes + 1), *end = id;
    for (size_t i = 0; i < bytes; i++) {
        bool escaped =
            key[i] == '%' && i + 2 < bytes && hex_digit(key[i + 1]) >= 0 && hex_digit(key[i + 2]) >= 0;
        *end++ = escaped ? (char)(hex_digit(key[i + 1]) * 16 + hex_digit(key[i + 2])) : key[i];
        i += escaped ? 2 : 0;
    }
    args_add(strings, id, (size_t)(end - id));
    free(id);
}

/* The entry's last word: "timeline reason count payload". */
struct tail {
    char timeline[TIMELINE_BYTES];
    int reason;
    unsigned long long count;
    size_t payload_at;
};

static bool parse_tail(const struct reply *word, struct tail *tail)
{
    char head[128] = "";
    int at = 0;
    memcpy(head, word->text, word->bytes < sizeof head ? word->bytes : sizeof head - 1);
    if (sscanf(head, "%47s %1d %19llu%n", tail->timeline, &tail->reason, &tail->count, &at) != 3)
        return false;
    tail->payload_at = (size_t)at + 1 < word->bytes ? (size_t)at + 1 : word->bytes;
    return true;
}

/* Appends id, app, channel, user and payload. False: not an entry that this release knows. */
static bool add_entry(struct partition *partition, struct args *strings, const struct reply *words,
    struct store_transition *transition)
{
    struct tail tail;
    const char *colon = memchr(words[2].text, ':', words[2].bytes);
    int kind = 0;
    for (; kind < KINDS; kind++) {
        if (strlen(kinds[kind]) == words[1].bytes && !memcmp(kinds[kind], words[1].text, words[1].bytes))
            break;
    }
    if (kind == KINDS || !colon || !parse_tail(&words[4], &tail))
        return false;
    size_t app_bytes = (size_t)(colon - words[2].text);
    args_printf(strings, "%u-%s-%.*s", partition->index, tail.timeline, (int)words[0].bytes, words[0].text);
    add_app_id(strings, words[2].text, app_bytes);
    args_add(strings, colon + 1, words[2].bytes - app_bytes - 1);
    args_add(strings, words[3].text, words[3].bytes);
    args_add(strings, words[4].text + tail.payload_at, words[4].bytes - tail.payload_at);
    *transition = (struct store_transition){.kind = (enum store_transition_kind)kind, .count = tail.count};
    transition->reason =
        tail.reason <= STORE_TERMINATED ? (enum store_reason)tail.reason : STORE_UNSUBSCRIBED;
    return true;
}

/* The strings do not move any more: point at them. */
static void point(struct store_transition *transition, const struct args *strings, size_t first)
{
    size_t user_bytes, ignored;
    transition->id = args_at(strings, first, &ignored);
    transition->app_id = args_at(strings, first + 1, &ignored);
    transition->channel = args_at(strings, first + 2, &ignored);
    transition->user_id = args_at(strings, first + 3, &user_bytes);
    if (!user_bytes)
        transition->user_id = NULL;
    transition->payload = args_at(strings, first + 4, &transition->payload_bytes);
    if (!transition->payload_bytes)
        transition->payload = NULL;
}

/* ---- those that were given ---- */

enum { NAMES = 2 }; /* of each in lane->ids */

static void forget_given(struct lane *lane)
{
    args_deinit(&lane->ids);
    lane->ids_done = 0;
}

/* Not all at once: one at a time they would be copied again and again. */
static void forget_first(struct lane *lane, size_t names)
{
    struct args rest = {0};
    size_t bytes;
    lane->ids_done += names;
    if (lane->ids_done * 2 < lane->ids.count)
        return;
    for (size_t i = lane->ids_done; i < lane->ids.count; i++) {
        const char *name = args_at(&lane->ids, i, &bytes);
        args_add(&rest, name, bytes);
    }
    forget_given(lane);
    lane->ids = rest;
}

/* A copy that the fleet has left begins no new one. */
static const char *timeline_of(const struct partition *partition)
{
    return partition->lane.left_count ? "" : partition->timeline;
}

/* What Redis calls the last one given, if the observer is not done with it: the following ones are asked for. "" asks
 * for all. On another timeline later ones may have smaller ids; the observer knows those that are told twice. */
static const char *last_given(const struct partition *partition)
{
    const struct lane *lane = &partition->lane;
    size_t bytes;
    if (lane->ids.count == lane->ids_done || strcmp(lane->timeline, timeline_of(partition)) != 0)
        return "";
    return args_at(&lane->ids, lane->ids.count - 1, &bytes);
}

static void tell(struct partition *partition, const struct reply *reply)
{
    struct engine *engine = partition->engine;
    struct lane *lane = &partition->lane;
    struct args strings = {0};
    struct store_transition *list = new_array(reply->count / WORDS + 1, sizeof *list);
    size_t count = 0, ignored;
    snprintf(lane->timeline, sizeof lane->timeline, "%s", timeline_of(partition));
    for (size_t at = 1; at + WORDS <= reply->count; at += WORDS) {
        if (!add_entry(partition, &strings, &reply->elements[at], &list[count]))
            continue;
        args_string(&lane->ids, args_at(&strings, count * WORDS, &ignored));
        args_add(&lane->ids, reply->elements[at].text, reply->elements[at].bytes);
        count++;
    }
    for (size_t i = 0; i < count; i++)
        point(&list[i], &strings, i * WORDS);
    lane->given = count > 0;
    if (count)
        engine->store.observer.transitions(engine->store.observer_context, partition->index, list, count);
    args_deinit(&strings);
    free(list);
}

/* ---- holding a lane ---- */

void lane_lost(struct partition *partition)
{
    struct lane *lane = &partition->lane;
    const struct store *store = &partition->engine->store;
    bool was_given = lane->ours && lane->ids.count > lane->ids_done;
    lane->ours = lane->given = false;
    lane->done[0] = '\0';
    forget_given(lane);
    if (was_given && store->observer.lane_lost)
        store->observer.lane_lost(store->observer_context, partition->index);
}

/* The last two words of the answer to a claim. */
static void take_settled(struct command *command, const struct reply *reply)
{
    if (reply->count >= 3)
        recents_settled(command->partition, command, reply_number(reply, reply->count - 2),
            reply_number(reply, reply->count - 1));
}

static void take(struct partition *partition, const struct reply *reply)
{
    struct lane *lane = &partition->lane;
    if (reply_is(reply, 1, "-")) {
        lane_lost(partition);
        return;
    }
    lane->ours = true;
    if (strcmp(lane->done, lane->said) == 0) /* else he was done with more meanwhile */
        lane->done[0] = '\0';
    if (!lane->given && partition->engine->store.observer.transitions)
        tell(partition, reply);
}

static void on_outbox(struct command *command, const struct reply *reply)
{
    struct partition *partition = command->partition;
    partition->lane.asked = false;
    if (command_answer(command, reply) != ANSWER_OK)
        return;
    partition->lane.drained &= !command->flag;
    take_settled(command, reply);
    take(partition, reply);
}

/* ---- copies that the fleet has left ---- */

static uint64_t patience_until(const struct partition *partition)
{
    return engine_now(partition->engine) + 2ull * partition->engine->options.lease_ms;
}

void lane_drain(struct partition *partition, struct shard *from, uint64_t layout)
{
    struct lane *lane = &partition->lane;
    if (!partition->engine->store.observer.transitions)
        return;
    for (unsigned i = 0; i < lane->left_count; i++) {
        if (lane->left[i].shard == from && lane->left[i].layout == layout)
            return;
    }
    if (lane->left_count == LEFT_COPIES)
        memmove(lane->left, lane->left + 1, (--lane->left_count) * sizeof *lane->left);
    lane->left[lane->left_count++] = (struct left_copy){from, layout};
    lane->left_until_ms = patience_until(partition);
    lane->next_ms = 0;
}

void lane_drain_entry(struct partition *partition, const char *entry, size_t bytes)
{
    size_t name_at;
    uint64_t layout = layout_parse_entry(entry, bytes, &name_at);
    if (!layout || partition->lane.drained)
        return;
    char *name = new_copy(entry + name_at, bytes - name_at);
    struct shard *from = layout_find_shard(partition->engine, name);
    if (from)
        lane_drain(partition, from, layout);
    else
        partition->lane.next_ms = patience_until(partition); /* others may be at it */
    free(name);
}

bool lane_needs(const struct partition *partition, const struct shard *shard)
{
    for (unsigned i = 0; i < partition->lane.left_count; i++) {
        if (partition->lane.left[i].shard == shard)
            return true;
    }
    return false;
}

static void next_copy(struct partition *partition)
{
    struct lane *lane = &partition->lane;
    lane_lost(partition);
    memmove(lane->left, lane->left + 1, (--lane->left_count) * sizeof *lane->left);
    lane->left_until_ms = patience_until(partition);
    lane->drained = !lane->left_count;
    lane->next_ms = 0;
}

/* Nothing is left when nothing is told, was told, or is about to be forgotten. */
static void on_drained(struct command *command, const struct reply *reply)
{
    struct partition *partition = command->context;
    struct lane *lane = &partition->lane;
    bool is_present =
        lane->left_count && lane->left[0].shard == command->shard && lane->left[0].layout == command->number;
    lane->asked = false;
    bool is_array = reply && reply->type == REPLY_ARRAY;
    if (!is_array) {
        command_answer(command, reply);
    } else if (is_present && reply_is(reply, 0, "OK")) {
        lane->left_until_ms = patience_until(partition);
        take(partition, reply);
        bool all_told = reply->count == 1 && command->flag;
        if (all_told && lane->ids.count == lane->ids_done && !lane->done[0])
            next_copy(partition);
    } else if (is_present &&
               !reply_is(reply, 0, "NEWTIMELINE")) { /* that does not know yet that it was left */
        next_copy(partition);
    }
}

/* While the observer has some, and has not asked for more, it only keeps the lane. */
static void ask(struct partition *partition)
{
    struct lane *lane = &partition->lane;
    const struct engine_options *options = &partition->engine->options;
    struct command *command;
    if (lane->left_count) {
        const struct left_copy *copy = &lane->left[0];
        command = command_new_at(partition, copy->shard, copy->layout, SCRIPT_OUTBOX, on_drained);
        command->partition = NULL; /* nothing that it answers is about where the partition is */
        command->context = partition;
        command->number = copy->layout;
        command->flag = !lane->given;
    } else {
        command = command_new(partition, SCRIPT_OUTBOX, on_outbox);
        command->flag = lane->drained;
    }
    snprintf(lane->said, sizeof lane->said, "%s", lane->done);
    args_number(&command->args, lane->given ? 0 : AT_ONCE);
    args_string(&command->args, lane->done);
    args_string(&command->args, "1");
    args_string(&command->args, last_given(partition));
    args_string(&command->args, lane->drained ? "1" : "0");
    lane->asked = true;
    partition->engine->counters.lane_asks++;
    bool polls = !lane->given && (lane->left_count || (lane->ours && !partition->wake.heard));
    lane->next_ms = engine_now(partition->engine) +
                    (polls && POLL_MS < options->heartbeat_ms ? POLL_MS : options->heartbeat_ms);
    command_send(command);
}

/* Only with a majority behind this master: on the wrong side of a split departures are told that never were. */
static bool may_ask(const struct partition *partition)
{
    const struct lane *lane = &partition->lane;
    if (!partition->engine->store.observer.transitions || lane->asked || partition->retired)
        return false;
    if (lane->left_count)
        return lane->left[0].shard->up && shard_confirmed(lane->left[0].shard);
    return partition->state == PARTITION_READY && shard_confirmed(partition->shard);
}

void lane_tick(struct partition *partition)
{
    struct lane *lane = &partition->lane;
    if (lane->left_count && engine_now(partition->engine) >= lane->left_until_ms) {
        engine_log(partition->engine, ENGINE_WARN, "redis.left",
            "shard %s does not answer: what partition %u had to tell before it was moved is not waited for",
            lane->left[0].shard->name, partition->index);
        next_copy(partition);
    }
    if (may_ask(partition) && engine_now(partition->engine) >= partition->lane.next_ms)
        ask(partition);
}

void lane_deinit(struct partition *partition)
{
    forget_given(&partition->lane);
}

/* ---- the store's operations ---- */

static void ask_for_more(struct partition *partition)
{
    partition->lane.given = false;
    partition->lane.next_ms = 0;
    engine_enter(partition->engine);
    lane_tick(partition);
    engine_leave(partition->engine);
}

void lane_done(struct store *store, unsigned index, const char *last_id)
{
    struct engine *engine = engine_of_store(store);
    if (index >= engine->options.partitions)
        return;
    struct partition *partition = &engine->partitions[index];
    struct lane *lane = &partition->lane;
    size_t bytes;
    for (size_t i = lane->ids_done; i < lane->ids.count; i += NAMES) {
        if (strcmp(args_at(&lane->ids, i, &bytes), last_id) != 0)
            continue;
        snprintf(lane->done, sizeof lane->done, "%s", args_at(&lane->ids, i + 1, &bytes));
        forget_first(lane, i + NAMES - lane->ids_done);
        ask_for_more(partition);
        return;
    }
}

void lane_more(struct store *store, unsigned index)
{
    struct engine *engine = engine_of_store(store);
    if (index < engine->options.partitions && engine->partitions[index].lane.given)
        ask_for_more(&engine->partitions[index]);
}

static void on_noted(struct command *command, const struct reply *reply)
{
    command_answer(command, reply); /* refused or lost: it was an event, not a state */
}

void lane_note(struct store *store, const struct store_transition *transition)
{
    struct engine *engine = engine_of_store(store);
    unsigned index = wire_partition(transition->app_id, transition->channel, engine->options.partitions);
    struct partition *partition = &engine->partitions[index];
    if (!engine->options.outbox || partition->state != PARTITION_READY || partition->retired)
        return;
    engine_enter(engine);
    struct command *command = command_new(partition, SCRIPT_NOTE, on_noted);
    char *app_key = wire_app_key(transition->app_id);
    args_string(&command->args, kinds[transition->kind]);
    args_printf(&command->args, "%s:%s", app_key, transition->channel);
    args_string(&command->args, transition->user_id ? transition->user_id : "");
    args_add(&command->args, transition->payload, transition->payload ? transition->payload_bytes : 0);
    args_number(&command->args, transition->kind == STORE_CACHE_MISS ? MISS_ONCE_MS : 0);
    command_send(command);
    free(app_key);
    engine_leave(engine);
}
