/* The layout: which shard each partition is on. Every shard's stamp has all of it, every edge tells every shard what it knows
 * once in H, and of two entries the higher version is right.
 *
 *     list of shards ──▶ wish ──heartbeat──▶ all who live want the same? ──▶ the copy left, version + 1
 *                                                                                   │
 *     adopt ◀── NEWLAYOUT, the heartbeat's answer, "1m" on the bus, a shard's list ◀┘
 *       └─▶ as with a new timeline: a new owner, everything asserted, removals held back
 *
 * Nobody counts votes but the script that heartbeats run, in the copy that is left if they agree: it then refuses every
 * writer, so there is no moment at which two copies take writes. An edge that wants nothing else, does not know the other
 * shard, or cannot reach it, keeps the partition where it is for as long as it lives.
 *
 * A shard that will not come back cannot be asked. When no edge has stood by it for 2 L, in the words of those that can
 * be asked, whoever wants its partitions elsewhere takes them.
 */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ABANDONED_LISTS = 3, /* of each shard, in a row, H apart: a clock that steps makes fewer */
    ENTRY_BYTES = 128,   /* "<version> <shard>": redis.shards[].name has 64 at most */
};

struct shard *layout_find_shard(struct engine *engine, const char *name)
{
    for (unsigned i = 0; name && i < engine->shards_used; i++) {
        if (engine->shards[i].name && !strcmp(engine->shards[i].name, name))
            return &engine->shards[i];
    }
    return NULL;
}

static struct shard *wanted(const struct partition *partition)
{
    const struct engine *engine = partition->engine;
    return engine->staying[partition->index % engine->staying_count];
}

/* One that is to go, and is out of reach, is to us as if it were not in the list. */
static bool stands_by(const struct shard *shard)
{
    return shard && shard->name && (shard->up || (!shard->leaving && !shard->dropped));
}

static bool is_good(const struct shard *shard)
{
    return shard->up && shard->bus_up && shard->usable && shard_confirmed(shard);
}

const char *layout_wish(const struct partition *partition)
{
    const struct shard *other = wanted(partition);
    bool may_move = shard_confirmed(partition->shard) && is_good(other);
    return may_move ? other->name : partition->shard->name;
}

void layout_print_base(char *base, size_t room, const struct partition *partition, uint64_t layout)
{
    const char *prefix = partition->engine->options.prefix;
    if (layout > 1)
        snprintf(base, room, "%s:{%u}.%" PRIu64, prefix, partition->index, layout);
    else
        snprintf(base, room, "%s:{%u}", prefix, partition->index);
}

/* ---- going there ---- */

/* What was on its way is refused, or will never be known to have been taken: all is asserted where the partition lives. */
static void leave_place(struct partition *partition)
{
    struct shard *old = partition->shard;
    uint64_t old_layout = partition->here;
    bool had_owner = partition->owner != 0;
    partition->placed = false;
    partition_lost(partition);
    commands_give_up(partition);
    lane_lost(partition);
    wake_leave(partition);
    partition->owner = 0;
    partition->incarnation[0] = partition->timeline[0] = '\0';
    partition->stalled_ms = partition->oom_ms = 0;
    if (!had_owner)
        return;
    partition->engine->counters.moves++;
    snprintf(partition->from, sizeof partition->from, "%" PRIu64 " %.100s", old_layout, old->name);
    lane_drain(partition, old, old_layout);
}

static void place(struct partition *partition)
{
    struct shard *shard = layout_find_shard(partition->engine, partition->lives_on);
    struct shard *next = shard ? shard : wanted(partition);
    bool is_elsewhere = next != partition->shard || partition->layout != partition->here;
    if (partition->placed)
        leave_place(partition);
    partition->shard = next;
    partition->here = partition->layout;
    layout_print_base(partition->base, sizeof partition->base, partition, partition->layout);
    if (is_elsewhere)
        bus_move(partition);
    partition->placed = shard != NULL;
    partition->retry_ms = 0;
    if (partition->placed && partition->shard->up)
        partition_hello(partition);
}

void layout_adopt(struct partition *partition, uint64_t version, const char *name, size_t name_bytes)
{
    char *copied = new_copy(name, name_bytes);
    bool higher = version > partition->layout ||
                  (version == partition->layout && strcmp(copied, partition->lives_on) > 0);
    if (!version || !name_bytes || !higher) {
        free(copied);
        return;
    }
    if (partition->layout)
        engine_log(partition->engine, ENGINE_INFO, "redis.layout",
            "partition %u lives on shard %.64s now, not on %.64s (layout version %" PRIu64 ")",
            partition->index, copied, partition->lives_on, version);
    free(partition->lives_on);
    partition->lives_on = copied;
    partition->layout = version;
    partition->abandoned = 0;
    partition->engine->layout_is_news = true;
    place(partition);
}

uint64_t layout_parse_entry(const char *entry, size_t bytes, size_t *name_at)
{
    uint64_t version = 0;
    size_t at = 0;
    for (; at < bytes && at < 16 && entry[at] >= '0' && entry[at] <= '9'; at++)
        version = version * 10 + (uint64_t)(entry[at] - '0');
    *name_at = at + 1;
    return at + 1 < bytes && entry[at] == ' ' ? version : 0;
}

void layout_adopt_entry(struct partition *partition, const char *entry, size_t bytes)
{
    size_t name_at;
    uint64_t version = layout_parse_entry(entry, bytes, &name_at);
    if (version)
        layout_adopt(partition, version, entry + name_at, bytes - name_at);
}

void layout_message(struct engine *engine, const char *message, size_t bytes)
{
    char text[16] = "";
    unsigned index;
    int at = 0;
    memcpy(text, message, bytes < sizeof text ? bytes : sizeof text - 1);
    if (sscanf(text, "1m %u %n", &index, &at) == 1 && at && index < engine->options.partitions)
        layout_adopt_entry(&engine->partitions[index], message + at, bytes - (size_t)at);
}

/* ---- the list ---- */

static bool is_entry(const struct partition *partition, const char *entry, size_t bytes)
{
    char mine[ENTRY_BYTES];
    int mine_bytes = snprintf(mine, sizeof mine, "%" PRIu64 " %.64s", partition->layout, partition->lives_on);
    return bytes == (size_t)mine_bytes && !memcmp(mine, entry, bytes);
}

static void take_over(struct partition *partition)
{
    struct engine *engine = partition->engine;
    struct shard *shard = wanted(partition);
    if (!is_good(shard))
        return;
    engine_log(engine, ENGINE_WARN, "redis.abandoned",
        "nobody stands by shard %.64s any more: partition %u is taken to shard %s", partition->lives_on,
        partition->index, shard->name);
    layout_adopt(partition, partition->layout + 1, shard->name, strlen(shard->name));
}

/* What a shard says of a partition: the entry, and "1" when nobody has stood by that shard for 2 L. */
static void take_entry(
    struct partition *partition, const struct shard *said_by, const struct reply *entry, bool is_abandoned)
{
    struct engine *engine = partition->engine;
    if (!entry->bytes)
        return;
    layout_adopt_entry(partition, entry->text, entry->bytes);
    if (!is_entry(partition, entry->text, entry->bytes) || !shard_confirmed(said_by))
        return;
    bool to_us_too = !stands_by(layout_find_shard(engine, partition->lives_on));
    partition->abandoned = is_abandoned && to_us_too ? partition->abandoned + 1 : 0;
    if (partition->abandoned > ABANDONED_LISTS * engine->shards_used)
        take_over(partition);
}

static void on_layout(struct command *command, const struct reply *reply)
{
    struct shard *shard = command->shard;
    struct engine *engine = command->engine;
    enum answer answer = command_answer(command, reply);
    shard->usable = false;
    if (answer != ANSWER_OK || reply->count < 2)
        return;
    shard->listed = true;
    shard->usable = reply_is(reply, 1, "STAMPED") || reply_is(reply, 1, "EMPTY");
    for (unsigned i = 0; i < engine->options.partitions && 3 + 2 * i < reply->count; i++)
        take_entry(
            &engine->partitions[i], shard, &reply->elements[2 + 2 * i], reply_is(reply, 3 + 2 * i, "1"));
}

static void add_names(struct engine *engine, struct args *args)
{
    char names[ENGINE_SHARDS_MAX * 66] = "";
    size_t used = 0;
    for (unsigned i = 0; i < engine->shards_used; i++) {
        if (stands_by(&engine->shards[i]))
            used += (size_t)snprintf(names + used, sizeof names - used, "%.64s\n", engine->shards[i].name);
    }
    args_add(args, names, used);
}

static bool knows_all(const struct engine *engine)
{
    for (unsigned i = 0; i < engine->options.partitions; i++) {
        if (!engine->partitions[i].layout)
            return false;
    }
    return true;
}

void layout_ask(struct shard *shard)
{
    struct engine *engine = shard->engine;
    struct command *command = command_new_of(shard, SCRIPT_LAYOUT, on_layout);
    struct args *args = &command->args;
    command->keys = 1;
    args_printf(args, "%s:shard", engine->options.prefix);
    args_string(args, engine->options.cluster);
    args_string(args, shard->name);
    args_string(args, engine->settings);
    args_number(args, (uint64_t)engine->options.lease_ms * 2000);
    add_names(engine, args);
    if (knows_all(engine) && shard_confirmed(shard))
        args_printf(args, "%016" PRIx64, engine->io.random(engine->io_context));
    else
        args_string(args, "");
    for (unsigned i = 0; i < engine->options.partitions; i++) {
        const struct partition *partition = &engine->partitions[i];
        if (partition->layout)
            args_printf(args, "%" PRIu64 " %.64s", partition->layout, partition->lives_on);
        else
            args_string(args, "");
    }
    command_send(command);
}

void layout_tell(struct engine *engine)
{
    bool is_news = engine->layout_is_news;
    engine->layout_is_news = false;
    for (unsigned i = 0; is_news && i < engine->shards_used; i++) {
        if (engine->shards[i].up)
            layout_ask(&engine->shards[i]);
    }
}

/* ---- before anything is known ---- */

/* A shard that is empty may be new, in a list that the fleet does not have: then the fleet lives on the others. So all are
 * asked first; those that stay away are not waited for longer than a fleet without life is remembered. */
static bool nobody_knows(const struct partition *partition)
{
    const struct engine *engine = partition->engine;
    uint64_t now = engine_now(engine), patience_ms = 2ull * engine->options.lease_ms;
    bool all = true, refused = engine->other_settings_ms && now - engine->other_settings_ms < patience_ms;
    for (unsigned i = 0; i < engine->shards_used; i++)
        all = all && (!engine->shards[i].name || engine->shards[i].listed);
    return all || (wanted(partition)->listed && !refused && now - engine->started_ms >= patience_ms);
}

void layout_tick(struct partition *partition)
{
    char why[300];
    if (!partition->layout && nobody_knows(partition))
        layout_adopt(partition, 1, wanted(partition)->name, strlen(wanted(partition)->name));
    if (partition->placed || !partition->layout || engine_now(partition->engine) < partition->retry_ms)
        return;
    snprintf(why, sizeof why,
        "the fleet has it on shard %.64s, which is not in redis.shards: it has to be there, with "
        "\"leaving\": "
        "true when it is to go, until no partition is on it",
        partition->lives_on);
    partition_refuse(partition, why);
}

/* ---- the shards themselves ---- */

static struct shard *add_shard(struct engine *engine, const char *name)
{
    struct shard *shard = engine->shards;
    while (shard->name)
        shard++;
    *shard = (struct shard){.engine = engine, .index = (unsigned)(shard - engine->shards)};
    shard->name = new_copy(name, strlen(name));
    shard->down_since_ms = engine_now(engine);
    TAILQ_INIT(&shard->in_flight);
    snprintf(
        shard->beat_topic, sizeof shard->beat_topic, "%s:b:%" PRIx64, engine->options.prefix, engine->edge);
    if (shard->index >= engine->shards_used)
        engine->shards_used = shard->index + 1;
    return shard;
}

static void take_list(struct engine *engine, const struct engine_shard *shards, unsigned count)
{
    for (unsigned i = 0; i < engine->shards_used; i++)
        engine->shards[i].dropped = true;
    engine->staying_count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct shard *shard = layout_find_shard(engine, shards[i].name);
        if (!shard)
            shard = add_shard(engine, shards[i].name);
        shard->leaving = shards[i].leaving;
        shard->dropped = false;
        if (!shard->leaving)
            engine->staying[engine->staying_count++] = shard;
    }
}

void layout_init(struct engine *engine)
{
    engine->shards = new_array(ENGINE_SHARDS_MAX + 1, sizeof *engine->shards); /* the last stays free */
    take_list(engine, engine->options.shards, engine->options.shard_count);
}

void layout_deinit(struct engine *engine)
{
    for (unsigned i = 0; i < engine->shards_used; i++)
        free((char *)engine->shards[i].name);
    for (unsigned i = 0; i < engine->options.partitions; i++)
        free(engine->partitions[i].lives_on);
    free(engine->shards);
}

static unsigned count_after(struct engine *engine, const struct engine_shard *shards, unsigned count)
{
    unsigned after = 0;
    for (unsigned i = 0; i < engine->shards_used; i++)
        after += engine->shards[i].name != NULL;
    for (unsigned i = 0; i < count; i++)
        after += !layout_find_shard(engine, shards[i].name);
    return after;
}

int engine_change_shards(struct engine *engine, const struct engine_shard *shards, unsigned count)
{
    bool stays = false;
    for (unsigned i = 0; i < count; i++)
        stays = stays || !shards[i].leaving;
    if (!stays)
        return -EINVAL;
    if (count_after(engine, shards, count) > ENGINE_SHARDS_MAX)
        return -ENOSPC;
    engine_enter(engine);
    take_list(engine, shards, count);
    for (unsigned i = 0; i < engine->options.partitions; i++) {
        engine->partitions[i].abandoned = 0;
        if (!engine->partitions[i].placed)
            place(&engine->partitions[i]);
    }
    engine_leave(engine);
    return 0;
}

const char *engine_shard_name(const struct engine *engine, unsigned index)
{
    return index < engine->shards_used ? engine->shards[index].name : NULL;
}

int engine_shard_index(const struct engine *engine, const char *name)
{
    const struct shard *shard = layout_find_shard((struct engine *)engine, name);
    return shard ? (int)shard->index : -1;
}

bool engine_shard_is_unused(const struct engine *engine, unsigned index)
{
    const struct shard *shard = &engine->shards[index];
    if (!shard->name || !shard->dropped || !knows_all(engine))
        return false;
    for (unsigned i = 0; i < engine->options.partitions; i++) {
        if (engine->partitions[i].shard == shard || lane_needs(&engine->partitions[i], shard))
            return false;
    }
    return true;
}

void engine_shard_forget(struct engine *engine, unsigned index)
{
    struct shard *shard = &engine->shards[index];
    engine_enter(engine);
    shard_lost(shard, NULL);
    engine_bus_down(engine, index, NULL);
    free((char *)shard->name);
    *shard = (struct shard){.engine = engine, .index = index};
    TAILQ_INIT(&shard->in_flight);
    engine_leave(engine);
}
