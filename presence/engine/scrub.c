/* Scrubbing: once a period every channel of this edge is compared with Redis, a slice with each heartbeat. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <stdlib.h>

enum {
    CHANNELS_AT_ONCE = 50,
    FACTS_AT_ONCE = 500, /* about 5 ms of Redis */
    READ_AGAIN = 1,      /* scrub's flags */
    ASSERT_AGAIN = 2,
};

/* The channels of one command, and what was true when it was sent. */
struct slice {
    struct {
        struct channel *channel;
        uint32_t generation;
    } of[CHANNELS_AT_ONCE];
    size_t count;
};

static void take_flags(struct slice *slice, const struct command *command, const struct reply *reply)
{
    struct partition *partition = command->partition;
    for (size_t i = 0; i < slice->count; i++) {
        struct channel *channel = slice->of[i].channel;
        uint64_t flags = reply_number(reply, i + 1);
        if (flags) {
            channel->engine->counters.scrub_divergences++;
            engine_note(partition->shard, partition, NOTE_DIVERGED, 0, channel->key, NULL);
        }
        if (flags & READ_AGAIN && channel->open && channel->generation == slice->of[i].generation)
            view_read(channel);
        if (!(flags & ASSERT_AGAIN))
            continue;
        /* What was on its way when the slice was sent may have been refused: a read tells it apart. */
        if (command->flag) {
            channel->engine->counters.scrub_repairs++;
            partition->assert_wanted = true;
        } else if (channel->open) {
            view_read(channel);
        }
    }
}

static void on_scrubbed(struct command *command, const struct reply *reply)
{
    struct slice *slice = command->context;
    if (command_answer(command, reply) == ANSWER_OK)
        take_flags(slice, command, reply);
    for (size_t i = 0; i < slice->count; i++) {
        slice->of[i].channel->reads--;
        channel_maybe_idle(slice->of[i].channel);
    }
    free(slice);
}

/* Returns how many facts were added. */
static size_t add_channel(struct command *command, struct channel *channel)
{
    struct args *args = &command->args;
    struct fact *fact, *next;
    size_t users = 0;
    HASH_ITER (hh, channel->facts, fact, next) {
        users += fact->sent > 0;
    }
    args_add(args, channel->key, channel->key_bytes);
    args_string(args, channel->shown.has_roster ? "r" : "n");
    args_number(args, channel->shown.has_roster ? channel->version : channel->total);
    args_number(args, channel->number.sent);
    args_number(args, users);
    HASH_ITER (hh, channel->facts, fact, next) {
        if (fact->sent)
            args_add(args, fact->id, fact->id_bytes);
    }
    return users + 1;
}

static void scrub(struct partition *partition, uint64_t older_than_ms)
{
    struct slice *slice = new_zeroed(sizeof *slice);
    struct command *command = command_new(partition, SCRIPT_SCRUB, on_scrubbed);
    struct channel *channel;
    size_t facts = 0;
    command->context = slice;
    command->flag = TAILQ_EMPTY(&partition->batches);
    args_string(&command->args, partition->engine->options.outbox ? "1" : "0");
    while (slice->count < CHANNELS_AT_ONCE && facts < FACTS_AT_ONCE) {
        channel = TAILQ_FIRST(&partition->channels);
        if (!channel || channel->scrubbed_ms > older_than_ms)
            break;
        TAILQ_REMOVE(&partition->channels, channel, of_partition);
        TAILQ_INSERT_TAIL(&partition->channels, channel, of_partition);
        channel->scrubbed_ms = engine_now(partition->engine);
        if (!channel->open)
            continue;
        facts += add_channel(command, channel);
        slice->of[slice->count].channel = channel;
        slice->of[slice->count++].generation = channel->generation;
        channel->reads++;
    }
    partition->engine->counters.scrubs++;
    command_send(command);
}

static bool is_due(const struct partition *partition, uint64_t older_than_ms)
{
    const struct channel *first = TAILQ_FIRST(&partition->channels);
    return first && first->scrubbed_ms <= older_than_ms;
}

/* A read that failed, or could not be sent, is tried again. */
static void read_again(struct partition *partition)
{
    struct channel *channel;
    TAILQ_FOREACH (channel, &partition->channels, of_partition) {
        if (channel->open && channel->read_again && !channel->read_out) {
            channel->read_again = false;
            view_read(channel);
        }
    }
}

void scrub_some(struct partition *partition)
{
    const struct engine_options *options = &partition->engine->options;
    uint64_t now = engine_now(partition->engine);
    /* What is not due with this heartbeat would be late with the next. */
    uint64_t period_ms =
        options->scrub_ms - (options->scrub_ms > options->heartbeat_ms ? options->heartbeat_ms : 0);
    read_again(partition);
    if (now < period_ms)
        return;
    for (int slices = 0; slices < 20 && is_due(partition, now - period_ms); slices++)
        scrub(partition, now - period_ms);
}
