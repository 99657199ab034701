/* Who came or left here lately: what a loss may have taken from the outbox before it was told, so that it is told again when
 * all is asserted.
 *
 * A change is lately for RESTATE_MS at most, and mostly much shorter: each asking for the outbox also says whether everything
 * in it was told and is done with. An arrival is there at once, so the first such answer to what was asked behind it will
 * do. For others that asking bounds, on the lease clock, when they happened: they have been told when all is done with once a
 * departure has waited its time.
 */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <stdlib.h>

enum { WAITS_US = 3001000 }; /* LEAVE_WAITS of roster.lua, and a little for the digits of its scores */

static void begin(struct partition *partition, struct recent *recent, bool is_arrival)
{
    recent->is_arrival = is_arrival;
    recent->until_ms = engine_now(partition->engine) + RESTATE_MS;
    recent->serial = partition->engine->command_serial;
    recent->by_clock = 0;
    TAILQ_INSERT_TAIL(&partition->recents, recent, link);
}

static struct recent *make(struct fact *fact)
{
    struct recent *recent = new_zeroed(sizeof *recent);
    recent->channel = new_copy(fact->channel->key, fact->channel->key_bytes);
    recent->channel_bytes = fact->channel->key_bytes;
    recent->user = new_copy(fact->id ? fact->id : "", fact->id_bytes);
    recent->user_bytes = fact->id_bytes;
    return recent;
}

/* One for a channel: its number may change many times a second. */
static struct recent *take_number(struct fact *fact)
{
    struct channel *channel = fact->channel;
    if (channel->recent_number)
        TAILQ_REMOVE(&channel->partition->recents, channel->recent_number, link);
    else
        channel->recent_number = make(fact);
    channel->recent_number->number_of = channel;
    return channel->recent_number;
}

void recent_note(struct fact *fact, bool is_arrival)
{
    struct partition *partition = fact->channel->partition;
    if (!partition->engine->options.outbox || (!fact->id && fact->channel->shown.has_roster))
        return;
    begin(partition, fact->id ? make(fact) : take_number(fact), fact->id && is_arrival);
}

void recent_channel_gone(struct channel *channel)
{
    if (channel->recent_number)
        channel->recent_number->number_of = NULL;
}

static void forget(struct partition *partition, struct recent *recent)
{
    TAILQ_REMOVE(&partition->recents, recent, link);
    if (recent->number_of)
        recent->number_of->recent_number = NULL;
    free(recent->channel);
    free(recent->user);
    free(recent);
}

void recents_forget(struct partition *partition, uint64_t now)
{
    struct recent *recent;
    while ((recent = TAILQ_FIRST(&partition->recents)) && recent->until_ms <= now)
        forget(partition, recent);
}

void recents_add(struct partition *partition, struct args *args)
{
    recents_forget(partition, engine_now(partition->engine));
    struct recent *recent;
    TAILQ_FOREACH (recent, &partition->recents, link) {
        args_add(args, recent->channel, recent->channel_bytes);
        args_add(args, recent->user, recent->user_bytes);
    }
}

void recents_asserted(struct partition *partition)
{
    struct recent *recent;
    TAILQ_FOREACH (recent, &partition->recents, link) {
        recent->serial = partition->engine->command_serial;
        recent->by_clock = 0;
    }
}

void recents_settled(
    struct partition *partition, const struct command *asked, uint64_t clock, uint64_t settled)
{
    struct recent *recent, *next;
    for (recent = TAILQ_FIRST(&partition->recents); recent; recent = next) {
        next = TAILQ_NEXT(recent, link);
        if (!recent->by_clock && recent->serial < asked->serial)
            recent->by_clock = clock;
        if (recent->by_clock && settled >= recent->by_clock + (recent->is_arrival ? 0 : WAITS_US))
            forget(partition, recent);
    }
}
