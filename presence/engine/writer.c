/* The writer: what a partition's facts need told to Redis, in numbered, frozen batches, a few of them
 * unanswered at once; and the assertion of everything when something was lost.
 *
 * Facts hold the state, not a queue: who joins and leaves while Redis is away leaves nothing to send, so what
 * waits is never more than what the edge holds and held.
 */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <stdlib.h>

/* ---- facts ---- */

static void dirty(struct fact *fact)
{
    struct partition *partition = fact->channel->partition;
    if (fact->dirty)
        return;
    fact->dirty = true;
    TAILQ_INSERT_TAIL(&partition->dirty, fact, dirty_link);
    partition->dirty_count++;
}

static void clean(struct fact *fact)
{
    struct partition *partition = fact->channel->partition;
    if (!fact->dirty)
        return;
    fact->dirty = false;
    TAILQ_REMOVE(&partition->dirty, fact, dirty_link);
    partition->dirty_count--;
}

void fact_free_if_idle(struct fact *fact)
{
    struct channel *channel = fact->channel;
    if (fact->wanted || fact->sent || fact->in_batches || fact->dirty)
        return;
    if (fact->id) {
        HASH_DEL(channel->facts, fact);
        free(fact->id);
        free(fact->info);
        free(fact);
    }
    channel_maybe_idle(channel);
}

static uint32_t value_of(const struct fact *fact)
{
    return fact->id ? fact->wanted > 0 : fact->wanted;
}

void fact_update(struct fact *fact)
{
    if (value_of(fact) == fact->sent)
        clean(fact);
    else
        dirty(fact);
    fact_free_if_idle(fact);
}

static void set_sent(struct fact *fact, uint32_t value)
{
    struct channel *channel = fact->channel;
    bool held = channel->facts_sent > 0;
    channel->facts_sent = channel->facts_sent + (value > 0) - (fact->sent > 0);
    fact->sent = value;
    channel->partition->held_sent = channel->partition->held_sent + (channel->facts_sent > 0) - held;
}

/* ---- batches ---- */

/* Whom we assert was told long ago, and nobody can have told that he left. */
static bool asserts_quietly(const struct partition *partition)
{
    return partition->asserted_owner && !partition->was_silent;
}

static struct batch *batch_new(struct partition *partition, enum script script, size_t ops)
{
    struct batch *batch = new_zeroed(sizeof *batch);
    *batch = (struct batch){.partition = partition, .script = script, .number = ++partition->number};
    batch->ops = new_array(ops + 1, sizeof *batch->ops);
    args_number(&batch->args, batch->number);
    if (partition->engine->options.outbox && script == SCRIPT_ASSERT && asserts_quietly(partition))
        args_number(&batch->args, partition->asserted_owner);
    else
        args_string(&batch->args, partition->engine->options.outbox ? "1" : "0");
    TAILQ_INSERT_TAIL(&partition->batches, batch, link);
    return batch;
}

static void batch_free(struct batch *batch)
{
    args_deinit(&batch->args);
    free(batch->ops);
    free(batch);
}

static void add_op(struct batch *batch, struct fact *fact, uint32_t value)
{
    const struct partition *partition = batch->partition;
    bool is_quiet =
        !fact->id && asserts_quietly(partition); /* of a number only what it adds up to may be told */
    bool is_news = value != fact->sent || (partition->asserted_owner != partition->owner && !is_quiet);
    batch->ops[batch->count++] = (struct batch_op){fact, value, is_news};
    fact->in_batches++;
    fact->last_number = batch->number;
    fact->target = 0;
    set_sent(fact, value);
}

static void add_name(struct batch *batch, const char *kind, const struct fact *fact)
{
    args_string(&batch->args, kind);
    args_add(&batch->args, fact->channel->key, fact->channel->key_bytes);
}

/* The info under which the fleet knows a user, if it does: the first one's stays. */
static void add_info(struct batch *batch, const struct fact *fact)
{
    const struct member *member = roster_find(&fact->channel->shown.roster, fact->id, fact->id_bytes);
    if (member)
        args_add(&batch->args, member->info ? member->info : "", member->info ? member->info_bytes : 0);
    else
        args_add(&batch->args, fact->info ? fact->info : "", fact->info_bytes);
}

static void add_change(struct batch *batch, struct fact *fact)
{
    uint32_t value = value_of(fact);
    struct args *args = &batch->args;
    add_op(batch, fact, value);
    const char *hold = fact->channel->facts_sent ? "1" : "0";
    if (!fact->id) {
        add_name(batch, "n", fact);
        args_number(args, value);
        args_string(args, fact->channel->shown.has_roster ? "0" : "1");
        args_number(args, fact->reason);
        args_string(args, hold);
    } else if (value) {
        add_name(batch, "j", fact);
        args_add(args, fact->id, fact->id_bytes);
        add_info(batch, fact);
        args_number(args, fact->accepted ? 0 : fact->channel->members_max);
        args_string(args, "-");
    } else {
        add_name(batch, "l", fact);
        args_add(args, fact->id, fact->id_bytes);
        args_number(args, fact->reason);
        args_string(args, "-");
        args_string(args, hold);
    }
}

/* ---- answers ---- */

/* Returns true when the channel is full for this user. A batch that was seen before tells what is there now: who is not may have
 * been refused then, or lost since. He is sent again. */
static bool settle(struct batch *batch, struct batch_op *op, const struct reply *reply, size_t at, bool seen)
{
    struct fact *fact = op->fact;
    bool refused = fact->id && op->value && reply_is(reply, at, "-1");
    fact->acknowledged = refused ? 0 : op->value;
    if (fact->last_number != batch->number)
        return false; /* a later batch says what counts */
    fact->unsure = false;
    if (refused) {
        set_sent(fact, 0);
        if (fact->wanted && (seen || fact->accepted)) /* accepted: someone has been told yes meanwhile */
            dirty(fact);
        return fact->wanted && !seen && !fact->accepted;
    }
    if (op->is_news)
        recent_note(fact, op->value > 0);
    if (fact->id && op->value) {
        fact->accepted |= fact->wanted > 0;
        fact->target = reply_number(reply, at);
    }
    return false;
}

static void acknowledge(struct batch *batch, const struct reply *reply, bool seen)
{
    bool *full = new_zeroed(batch->count + 1);
    struct partition *partition = batch->partition;
    if (batch->script == SCRIPT_ASSERT) {
        if (partition->asserted_owner) /* the first one of a life heals nothing */
            engine_note(partition->shard, partition, NOTE_ASSERTED, batch->count, NULL, NULL);
        partition->asserted_owner = partition->owner;
        partition->was_silent = false;
    }
    TAILQ_REMOVE(&partition->batches, batch, link);
    for (size_t i = 0; i < batch->count; i++)
        full[i] = settle(batch, &batch->ops[i], reply, i + 2, seen);
    for (size_t i = 0; i < batch->count; i++) {
        struct fact *fact = batch->ops[i].fact;
        if (full[i])
            channel_fact_full(fact);
        else
            channel_answer_waiters(fact->channel);
        fact->in_batches--;
        fact_free_if_idle(fact);
    }
    free(full);
    batch_free(batch);
}

static void on_batch(struct command *command, const struct reply *reply)
{
    struct batch *batch = command->context;
    struct partition *partition = batch->partition;
    if (batch->dissolved) {
        command_answer(command, reply);
        batch_free(batch);
        return;
    }
    if (reply) { /* without one, writer_lost() has counted it */
        batch->out = false;
        partition->batches_out--;
    }
    enum answer answer = command_answer(command, reply);
    partition->engine->counters.replays += answer == ANSWER_DUP;
    if (answer == ANSWER_OK || answer == ANSWER_DUP) {
        acknowledge(batch, reply, answer == ANSWER_DUP);
    } else if (answer == ANSWER_GAP && batch == TAILQ_FIRST(&partition->batches)) {
        partition->engine->counters.gaps++;
        engine_note(partition->shard, partition, NOTE_GAP, 0, NULL, NULL);
        partition->assert_wanted = true;
    } else if (answer == ANSWER_OOM) {
        batch->refused_oom = true;
        partition->oom_ms = engine_now(partition->engine) + REFUSED_MS;
    } else if (answer == ANSWER_FAILED) {
        partition->stalled_ms = engine_now(partition->engine) + WAIT_MS;
        partition->assert_wanted = true;
    }
}

static void send_batch(struct batch *batch)
{
    struct command *command = command_new(batch->partition, batch->script, on_batch);
    command->context = batch;
    args_append(&command->args, &batch->args);
    batch->out = true;
    batch->partition->batches_out++;
    batch->partition->engine->counters.batches++;
    command_send(command);
    for (size_t i = 0; i < batch->count; i++)
        batch->ops[i].fact->sent_serial = batch->partition->engine->command_serial;
}

/* ---- giving batches up ---- */

static void dissolve(struct batch *batch)
{
    struct partition *partition = batch->partition;
    TAILQ_REMOVE(&partition->batches, batch, link);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].is_news) /* it may have been applied, told, and lost */
            recent_note(batch->ops[i].fact, false);
        batch->ops[i].fact->in_batches--;
    }
    batch->count = 0;
    if (!batch->out) {
        batch_free(batch);
        return;
    }
    partition->batches_out--;
    batch->dissolved = true;
}

static void show_departures(struct partition *partition)
{
    struct channel *channel;
    TAILQ_FOREACH (channel, &partition->channels, of_partition)
        channel_show_departures(channel);
}

/* ---- assert ---- */

/* While Redis is out of memory it gets only what it had, or may have: who is left out there is told to have left. */
static bool is_asserted(const struct fact *fact)
{
    const struct partition *partition = fact->channel->partition;
    bool new_join = fact->id && !fact->accepted && !fact->acknowledged && !fact->unsure;
    return value_of(fact) && !(new_join && engine_now(partition->engine) < partition->oom_ms);
}

static void assert_fact(struct batch *batch, struct fact *fact)
{
    uint32_t value = value_of(fact);
    clean(fact);
    if (value != fact->sent && (!value || (asserts_quietly(fact->channel->partition) && is_asserted(fact))))
        recent_note(fact, false); /* nobody has been told */
    if (!is_asserted(fact)) {
        set_sent(fact, 0);
        fact->acknowledged = 0;
        if (value)
            dirty(fact);
        return;
    }
    add_op(batch, fact, value);
    add_name(batch, fact->id ? "j" : fact->channel->shown.has_roster ? "x" : "n", fact);
    if (fact->id) {
        args_add(&batch->args, fact->id, fact->id_bytes);
        add_info(batch, fact);
        args_number(&batch->args, fact->accepted ? 0 : fact->channel->members_max);
    } else {
        args_number(&batch->args, value);
        args_number(&batch->args, fact->channel->total);
        args_string(&batch->args, "-");
    }
}

static size_t count_facts(struct partition *partition, bool asserted_only)
{
    size_t count = 0;
    struct channel *channel;
    struct fact *fact, *next;
    TAILQ_FOREACH (channel, &partition->channels, of_partition) {
        count += !asserted_only || is_asserted(&channel->number);
        HASH_ITER (hh, channel->facts, fact, next) {
            count += !asserted_only || is_asserted(fact);
        }
    }
    return count;
}

static void free_unwanted(struct channel *channel)
{
    struct fact *fact, *next;
    HASH_ITER (hh, channel->facts, fact, next) {
        fact_free_if_idle(fact);
    }
    fact_free_if_idle(&channel->number);
}

void writer_assert(struct partition *partition)
{
    struct batch *batch;
    while ((batch = TAILQ_FIRST(&partition->batches)))
        dissolve(batch);
    partition->assert_wanted = false;
    partition->engine->counters.asserts++;
    batch = batch_new(partition, SCRIPT_ASSERT, count_facts(partition, false));
    args_number(&batch->args, count_facts(partition, true));
    struct channel *channel;
    struct fact *fact, *next;
    TAILQ_FOREACH (channel, &partition->channels, of_partition) {
        assert_fact(batch, &channel->number);
        HASH_ITER (hh, channel->facts, fact, next) {
            assert_fact(batch, fact);
        }
    }
    recents_add(partition, &batch->args);
    send_batch(batch);
    recents_asserted(partition);
    show_departures(partition);
    TAILQ_FOREACH (channel, &partition->channels, of_partition)
        free_unwanted(channel);
}

/* Redis was out of memory and has taken none of them: number them again, leaves first. When one may have been taken before,
 * its number is not used again: what follows under it would be taken for seen. */
static void renumber(struct partition *partition)
{
    struct batch *batch;
    TAILQ_FOREACH (batch, &partition->batches, link) {
        if (batch->unsure) {
            writer_assert(partition);
            return;
        }
    }
    partition->number = TAILQ_FIRST(&partition->batches)->number - 1;
    while ((batch = TAILQ_FIRST(&partition->batches))) {
        for (size_t i = 0; i < batch->count; i++) {
            struct fact *fact = batch->ops[i].fact;
            set_sent(fact, fact->acknowledged);
            dirty(fact);
        }
        dissolve(batch);
    }
    show_departures(partition);
}

/* ---- the turn ---- */

static struct batch *build(struct partition *partition, bool leaves_only)
{
    struct batch *batch = NULL;
    struct fact *fact, *next;
    for (fact = TAILQ_FIRST(&partition->dirty); fact && (!batch || batch->count < BATCH_OPS); fact = next) {
        next = TAILQ_NEXT(fact, dirty_link);
        if (value_of(fact) == fact->sent) {
            clean(fact);
            fact_free_if_idle(fact);
            continue;
        }
        if (leaves_only && value_of(fact) > fact->sent)
            continue;
        if (!batch)
            batch = batch_new(partition, leaves_only ? SCRIPT_LEAVE : SCRIPT_WRITE, BATCH_OPS);
        clean(fact);
        add_change(batch, fact);
    }
    return batch;
}

static bool refused_for_memory(const struct partition *partition)
{
    const struct batch *batch;
    TAILQ_FOREACH (batch, &partition->batches, link) {
        if (batch->refused_oom)
            return true;
    }
    return false;
}

void writer_flush(struct partition *partition)
{
    if (partition->state != PARTITION_READY || partition->retired)
        return;
    if (!partition->assert_wanted && !partition->dirty_count && !TAILQ_FIRST(&partition->batches))
        return;
    uint64_t now = engine_now(partition->engine);
    if (now < partition->stalled_ms)
        return;
    if (partition->assert_wanted)
        writer_assert(partition);
    if (refused_for_memory(partition)) {
        if (partition->batches_out)
            return;
        renumber(partition);
    }
    struct batch *batch;
    TAILQ_FOREACH (batch, &partition->batches, link) {
        if (!batch->out)
            send_batch(batch);
    }
    recents_forget(partition, now);
    while (partition->batches_out < BATCHES_OUT && partition->dirty_count &&
           (!partition->batches_out || partition->dirty_count >= BATCH_OPS)) {
        batch = build(partition, now < partition->oom_ms);
        if (!batch)
            break;
        send_batch(batch);
    }
}

void writer_lost(struct partition *partition)
{
    struct batch *batch;
    TAILQ_FOREACH (batch, &partition->batches, link) {
        for (size_t i = 0; batch->out && i < batch->count; i++)
            batch->ops[i].fact->unsure = true;
        batch->unsure |= batch->out;
        batch->out = false;
    }
    partition->batches_out = 0;
    show_departures(partition);
}

void writer_resume(struct partition *partition, uint64_t sequence, bool all_is_new)
{
    struct batch *first = TAILQ_FIRST(&partition->batches);
    uint64_t low = first ? first->number - 1 : partition->number;
    bool follows = sequence >= low && sequence <= partition->number;
    if (!all_is_new && follows)
        return; /* writer_flush() sends what is left; Redis drops what it has */
    partition->engine->counters.gaps += !all_is_new;
    if (!all_is_new)
        engine_note(partition->shard, partition, NOTE_GAP, 0, NULL, NULL);
    if (sequence > partition->number)
        partition->number = sequence;
    partition->assert_wanted = true;
}

void writer_deinit(struct partition *partition)
{
    struct batch *batch;
    while ((batch = TAILQ_FIRST(&partition->batches)))
        dissolve(batch);
    recents_forget(partition, UINT64_MAX);
}
