/* Partitions: hello, the heartbeat and what it tells, reaping, and the wait of removals after a loss. */
#include "presence/engine/engine_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void partition_init(struct partition *partition, struct engine *engine, unsigned index)
{
    *partition = (struct partition){.engine = engine, .index = index};
    partition->shard = engine->staying[index % engine->staying_count]; /* until it is known */
    partition->here = 1;
    partition->fresh_ms = engine->started_ms;
    layout_print_base(partition->base, sizeof partition->base, partition, 1);
    TAILQ_INIT(&partition->batches);
    TAILQ_INIT(&partition->dirty);
    TAILQ_INIT(&partition->channels);
    TAILQ_INIT(&partition->recents);
    STAILQ_INIT(&partition->usages);
}

static uint64_t lease_and_heartbeat_us(const struct partition *partition)
{
    const struct engine_options *options = &partition->engine->options;
    return ((uint64_t)options->lease_ms + options->heartbeat_ms) * 1000;
}

void partition_note_loss(struct partition *partition, uint64_t clock)
{
    partition->engine->counters.losses += !partition->waits;
    if (!partition->waits && partition->asserted_owner) { /* at the start nothing was lost that we knew */
        partition->wait_noted = true;
        engine_note(partition->shard, partition, NOTE_WAITS, 0, NULL, NULL);
    }
    partition->waits = true;
    if (!clock) {
        partition->wait_from_next = true;
        partition->wait_serial = partition->engine->command_serial;
    } else if (clock + lease_and_heartbeat_us(partition) > partition->wait_until) {
        partition->wait_until = clock + lease_and_heartbeat_us(partition);
    }
}

void partition_note_clock(struct partition *partition, const struct command *command, uint64_t clock)
{
    partition->clock = clock;
    if (!partition->wait_from_next || command->serial <= partition->wait_serial)
        return;
    partition->wait_from_next = false;
    if (clock + lease_and_heartbeat_us(partition) > partition->wait_until)
        partition->wait_until = clock + lease_and_heartbeat_us(partition);
}

/* The wait is over when a heartbeat says so, and what was held back goes with the read that follows. */
static void end_wait(struct partition *partition)
{
    if (!partition->waits || partition->wait_from_next || partition->clock < partition->wait_until)
        return;
    partition->waits = false;
    if (partition->wait_noted)
        engine_note(partition->shard, partition, NOTE_WAITED, 0, NULL, NULL);
    partition->wait_noted = false;
    struct channel *channel;
    TAILQ_FOREACH (channel, &partition->channels, of_partition) {
        if (channel->missing)
            view_read(channel);
    }
}

void partition_refuse(struct partition *partition, const char *why)
{
    partition->state = PARTITION_REFUSED;
    partition->retry_ms = engine_now(partition->engine) + REFUSED_MS;
    shard_alarm(partition->shard, partition, why);
}

void partition_unsure(struct partition *partition)
{
    partition->shard->blank = true;
    if (shard_confirmed(partition->shard)) { /* it was not when we asked */
        partition->state = PARTITION_REFUSED;
        partition->retry_ms = engine_now(partition->engine) + WAIT_MS;
        return;
    }
    partition_refuse(
        partition, "the shard is empty, and no majority of the Sentinels says that it is the master");
}

static void copy_text(char *to, size_t room, const struct reply *reply, size_t at)
{
    size_t length = reply->elements[at].bytes < room ? reply->elements[at].bytes : room - 1;
    memcpy(to, reply->elements[at].text, length);
    to[length] = '\0';
}

static void check_clocks(struct partition *partition, uint64_t redis_us)
{
    struct engine *engine = partition->engine;
    if (!engine->io.wall_us || !redis_us)
        return;
    int64_t apart = engine->io.wall_us(engine->io_context) - (int64_t)redis_us;
    if (llabs(apart) > (int64_t)engine->options.data_ttl_ms * 500)
        engine_log(engine, ENGINE_WARN, "redis.clock", "the clock of shard %s is %" PRId64 " s off ours",
            partition->shard->name, apart / 1000000);
}

/* A new timeline may have begun long before we hear of it: whoever opens a view within its wait waits too. */
static void adopt_timeline(struct partition *partition, const struct reply *reply)
{
    bool is_new = !reply_is(reply, 1, partition->timeline);
    if (is_new && partition->timeline[0])
        engine_note(partition->shard, partition, NOTE_TIMELINE, 0, NULL, NULL);
    copy_text(partition->timeline, sizeof partition->timeline, reply, 1);
    partition->clock = reply_number(reply, 2);
    partition->mark = reply_number(reply, 3);
    if (is_new) {
        partition->engine->counters.new_timelines++;
        partition->waits = partition->wait_from_next = false;
        partition->wait_until = 0;
        struct channel *channel;
        TAILQ_FOREACH (channel, &partition->channels, of_partition)
            channel->rebased = true, channel->count_version = 0;
    }
    if (partition->clock < partition->mark + lease_and_heartbeat_us(partition))
        partition_note_loss(partition, partition->mark);
}

static void read_all_views(struct partition *partition)
{
    struct channel *channel;
    TAILQ_FOREACH (channel, &partition->channels, of_partition) {
        if (channel->open)
            view_read(channel);
    }
}

/* The one who finds it counts it, once a partition: those who come after find the clock moving. */
static void note_stall(struct partition *partition, const struct reply *reply, size_t at)
{
    struct engine_counters *counters = &partition->engine->counters;
    char stood_still_us[24];
    copy_text(stood_still_us, sizeof stood_still_us, reply, at);
    int64_t us = strtoll(stood_still_us, NULL, 10);
    counters->clock_steps_back += us < 0;
    counters->clock_stalls += us > (int64_t)partition->engine->options.heartbeat_ms * 1000;
}

static void on_welcome(struct partition *partition, const struct command *command, const struct reply *reply)
{
    struct engine *engine = partition->engine;
    bool same_timeline = reply_is(reply, 1, partition->timeline);
    bool kept = reply_is(reply, 9, "1");
    adopt_timeline(partition, reply);
    partition->was_silent |= engine_now(engine) - partition->fresh_ms > engine->options.lease_ms;
    if (!kept) {
        lane_lost(partition);
        partition->owner = reply_number(reply, 4);
        snprintf(partition->incarnation, sizeof partition->incarnation, "%016" PRIx64, command->number);
        partition->number = 0;
    }
    partition->shard->blank = false;
    check_clocks(partition, reply_number(reply, 7));
    copy_text(partition->shard->replication_id, sizeof partition->shard->replication_id, reply, 8);
    lane_drain_entry(partition, reply->elements[10].text, reply->elements[10].bytes);
    note_stall(partition, reply, 11);
    partition->state = PARTITION_READY;
    partition->fresh_ms = engine_now(partition->engine);
    if (partition->shard->frozen)
        engine_note(partition->shard, NULL, NOTE_THAWED,
            partition->fresh_ms - partition->shard->down_since_ms, NULL, NULL);
    partition->shard->frozen = false;
    writer_resume(partition, reply_number(reply, 5), !kept || !same_timeline);
    writer_flush(partition); /* so that the reads show what we assert */
    read_all_views(partition);
}

static void on_hello(struct command *command, const struct reply *reply)
{
    struct partition *partition = command->partition;
    enum answer answer = command_answer(command, reply);
    if (answer == ANSWER_NONE || answer == ANSWER_REFUSED)
        return;
    if (answer != ANSWER_OK || reply->count < 12) {
        partition->state = PARTITION_REFUSED; /* asks again */
        partition->retry_ms = engine_now(partition->engine) + WAIT_MS;
        return;
    }
    on_welcome(partition, command, reply);
}

void partition_hello(struct partition *partition)
{
    struct engine *engine = partition->engine;
    const struct engine_options *options = &engine->options;
    if (partition->retired || !partition->placed)
        return;
    struct command *command = command_new(partition, SCRIPT_HELLO, on_hello);
    struct args *args = &command->args;
    /* One incarnation an owner, so that a condemned one is never another's too. */
    command->number = engine->io.random(engine->io_context);
    args_string(args, options->cluster);
    args_string(args, partition->shard->name);
    args_number(args, partition->here);
    args_string(args, engine->settings);
    args_number(args, partition->index);
    args_string(args, shard_confirmed(partition->shard) ? "1" : "0");
    args_printf(args, "%016" PRIx64, engine->io.random(engine->io_context));
    args_number(args, partition->owner);
    args_string(args, partition->incarnation);
    args_printf(args, "%016" PRIx64, command->number);
    args_string(args, options->edge_name);
    args_number(args, (uint64_t)options->heartbeat_ms * 1000);
    args_number(args, (uint64_t)options->lease_ms * 1000);
    args_number(args, (uint64_t)options->data_ttl_ms * 1000);
    args_number(args, (uint64_t)options->scrub_ms * 1000);
    args_string(args, partition->from);
    partition->state = PARTITION_GREETING;
    partition->heartbeat_ms = engine_now(engine) + options->heartbeat_ms * (partition->index % 16 + 1) / 16;
    engine->counters.hellos++;
    command_send(command);
}

void partition_lost(struct partition *partition)
{
    partition->state = PARTITION_DOWN;
    partition->heartbeat_out = false;
    partition->lane.asked = false;
    memset(partition->victims, 0, sizeof partition->victims);
    writer_lost(partition);
}

/* ---- reaping ---- */

static uint64_t *victim_slot(struct partition *partition, uint64_t owner)
{
    for (size_t i = 0; i < VICTIMS_MAX; i++) {
        if (partition->victims[i] == owner)
            return &partition->victims[i];
    }
    return NULL;
}

static void reap(struct partition *partition, uint64_t owner);

static void note_condemned(struct partition *partition, uint64_t owner, const struct reply *reply)
{
    char edge[80];
    if (reply->count < 3 || !reply->elements[2].bytes)
        return;
    copy_text(edge, sizeof edge, reply, 2);
    engine_note(partition->shard, partition, NOTE_REAPED, owner, NULL, edge);
}

static void on_reaped(struct command *command, const struct reply *reply)
{
    struct partition *partition = command->partition;
    uint64_t *slot = victim_slot(partition, command->number);
    if (slot)
        *slot = 0;
    if (command_answer(command, reply) != ANSWER_OK)
        return;
    if (reply_is(reply, 1, "-1"))
        return; /* he lives again */
    note_condemned(partition, command->number, reply);
    partition->engine->counters.facts_drained += reply_number(reply, 3);
    if (!reply_number(reply, 1))
        partition->engine->counters.reaps++;
    else if (shard_confirmed(partition->shard) && partition->state == PARTITION_READY)
        reap(partition, command->number);
}

static void reap(struct partition *partition, uint64_t owner)
{
    uint64_t *slot = victim_slot(partition, 0);
    if (!slot || victim_slot(partition, owner))
        return;
    *slot = owner;
    struct command *command = command_new(partition, SCRIPT_REAP, on_reaped);
    command->number = owner;
    args_number(&command->args, owner);
    args_number(&command->args, REAP_CHANNELS);
    args_string(&command->args, partition->engine->options.outbox ? "1" : "0");
    command_send(command);
}

/* ---- heartbeat ---- */

enum { HEARTBEAT_FIXED = 8 /* elements of its answer before those that are one for each of something */ };

static void check_number(
    struct partition *partition, const struct command *command, const struct reply *reply)
{
    struct batch *oldest = TAILQ_FIRST(&partition->batches);
    bool settled = !oldest || oldest->number > command->number;
    bool renumbered = partition->number < command->number;
    if (!settled || renumbered || partition->assert_wanted)
        return;
    if (reply_number(reply, 1) != command->number) {
        partition->engine->counters.gaps++;
        engine_note(partition->shard, partition, NOTE_GAP, 0, NULL, NULL);
        partition->assert_wanted = true;
    } else if (command->flag && reply_number(reply, 4) != command->generation) {
        /* `held` says what to drain when we die */
        partition->engine->counters.scrub_divergences++;
        engine_note(partition->shard, partition, NOTE_DIVERGED, 0, NULL, NULL);
        partition->assert_wanted = true;
    }
}

static void on_heartbeat(struct command *command, const struct reply *reply)
{
    struct partition *partition = command->partition;
    partition->heartbeat_out = false;
    size_t fixed = HEARTBEAT_FIXED + command->usages;
    if (command_answer(command, reply) != ANSWER_OK || reply->count < fixed)
        return;
    partition->fresh_ms = engine_now(partition->engine);
    partition->engine->counters.heartbeats++;
    partition_note_clock(partition, command, reply_number(reply, 2));
    note_stall(partition, reply, 7);
    if (!partition->shard->beat_due_ms)
        partition->shard->beat_due_ms = partition->fresh_ms;
    check_number(partition, command, reply);
    if (shard_confirmed(partition->shard)) {
        for (size_t i = fixed; i < reply->count; i++)
            reap(partition, reply_number(reply, i));
    }
    end_wait(partition);
    usage_take(partition, command, reply, HEARTBEAT_FIXED);
    layout_adopt_entry(partition, reply->elements[6].text, reply->elements[6].bytes);
}

static void heartbeat(struct partition *partition)
{
    struct command *command = command_new(partition, SCRIPT_HEARTBEAT, on_heartbeat);
    command->number = partition->number;
    command->generation = partition->held_sent;
    command->flag = TAILQ_EMPTY(&partition->batches); /* nothing that could still be refused */
    args_string(&command->args, partition->shard->beat_topic);
    args_string(
        &command->args, partition->engine->retiring ? partition->shard->name : layout_wish(partition));
    usage_add(partition, command);
    partition->heartbeat_out = true;
    command_send(command);
}

void partition_tick(struct partition *partition)
{
    uint64_t now = engine_now(partition->engine);
    if (!partition->placed && !partition->retired)
        layout_tick(partition);
    if (!partition->shard->up || partition->retired || !partition->placed)
        return;
    bool may_stamp_now = partition->shard->blank && shard_confirmed(partition->shard);
    if (partition->state == PARTITION_REFUSED && (now >= partition->retry_ms || may_stamp_now))
        partition_hello(partition);
    wake_tick(partition);
    lane_tick(partition);
    /* One that is out when the next is due is waited for, and no longer: whoever stood still meanwhile has a lease to renew. */
    if (partition->state != PARTITION_READY || now < partition->heartbeat_ms || partition->heartbeat_out)
        return;
    partition->heartbeat_ms += partition->engine->options.heartbeat_ms;
    if (partition->heartbeat_ms <= now)
        partition->heartbeat_ms = now + partition->engine->options.heartbeat_ms;
    heartbeat(partition);
    if (partition->state == PARTITION_READY)
        scrub_some(partition);
}

static void on_retired(struct command *command, const struct reply *reply)
{
    (void)command;
    (void)reply; /* unanswered, or refused: then the lease runs out instead */
}

void partition_retire(struct partition *partition, uint32_t grace_ms)
{
    if (!partition->retired && partition->state == PARTITION_READY) {
        struct command *command = command_new(partition, SCRIPT_RETIRE, on_retired);
        args_number(&command->args, (uint64_t)grace_ms * 1000);
        command_send(command);
    }
    partition->retired = true;
}
