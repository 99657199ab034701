/* Views: what this edge knows of a channel's roster, and how it stays right: reads, deltas, and the comparison
 * of the two. presence.md, "Views" and "After a loss, removals wait".
 */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"
#include "presence/engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* ---- telling the observer ---- */

static void told_added(struct channel *channel, const struct member *member)
{
    const struct store *store = &channel->engine->store;
    if (store->observer.member_added)
        store->observer.member_added(store->observer_context, &channel->shown, member);
}

/* ---- removals that wait ---- */

static struct missing *find_missing(struct channel *channel, const char *id, size_t id_bytes)
{
    struct missing *missing;
    HASH_FIND(hh, channel->missing, id, id_bytes, missing);
    return missing;
}

static void forget_missing(struct channel *channel, struct missing *missing)
{
    if (!missing)
        return;
    HASH_DEL(channel->missing, missing);
    free(missing);
}

static void note_missing(struct channel *channel, const char *id, size_t id_bytes)
{
    if (find_missing(channel, id, id_bytes))
        return;
    struct missing *missing = new_zeroed(sizeof *missing + id_bytes + 1);
    missing->id_bytes = id_bytes;
    memcpy(missing->id, id, id_bytes);
    HASH_ADD_KEYPTR(hh, channel->missing, missing->id, missing->id_bytes, missing);
}

static void take_out(struct channel *channel, struct member *member)
{
    const struct store *store = &channel->engine->store;
    forget_missing(channel, find_missing(channel, member->id, member->id_bytes));
    /* Out of the roster before anyone hears of it, and freed after: the observer may look at both. */
    struct roster alone = {0};
    HASH_DEL(channel->shown.roster.members, member);
    HASH_ADD_KEYPTR(hh, alone.members, member->id, member->id_bytes, member);
    if (store->observer.member_removed)
        store->observer.member_removed(store->observer_context, &channel->shown, member);
    roster_clear(&alone);
}

/* ---- one user ---- */

static void show(struct channel *channel, const char *id, size_t id_bytes, const char *info,
    size_t info_bytes, bool remote)
{
    forget_missing(channel, find_missing(channel, id, id_bytes));
    struct member *member = roster_find(&channel->shown.roster, id, id_bytes);
    if (member) {
        /* while removals wait, who else has him may not have asserted it yet */
        member->remote = remote || (member->remote && channel->partition->waits);
        return;
    }
    member = roster_add(&channel->shown.roster, id, id_bytes, info_bytes ? info : NULL, info_bytes);
    member->remote = remote;
    told_added(channel, member);
}

/* The roster no longer has him. own: he was ours alone, as far as Redis knew. */
static void hide(struct channel *channel, const char *id, size_t id_bytes, bool own, bool may_remove)
{
    struct member *member = roster_find(&channel->shown.roster, id, id_bytes);
    if (!member) {
        forget_missing(channel, find_missing(channel, id, id_bytes));
        return;
    }
    bool elsewhere = member->remote;
    member->remote = member->remote && !may_remove;
    if (may_remove || (own && !elsewhere)) {
        forget_missing(channel, find_missing(channel, id, id_bytes));
        if (!member->local) /* our own are always in our view */
            take_out(channel, member);
    } else {
        note_missing(channel, id, id_bytes);
    }
}

struct member *view_show_own(struct channel *channel, struct fact *fact)
{
    struct member *member = roster_find(&channel->shown.roster, fact->id, fact->id_bytes);
    if (!member) {
        show(channel, fact->id, fact->id_bytes, fact->info, fact->info_bytes, false);
        member = roster_find(&channel->shown.roster, fact->id, fact->id_bytes);
    }
    return member;
}

void view_hide_own(struct channel *channel, const struct fact *fact)
{
    struct member *member = roster_find(&channel->shown.roster, fact->id, fact->id_bytes);
    if (member && !member->local && !member->remote)
        take_out(channel, member);
}

/* ---- deltas ---- */

static bool of_present_timeline(const struct channel *channel, const struct wire_event *event)
{
    const char *timeline = channel->partition->timeline;
    return strlen(timeline) == event->timeline_bytes &&
           !memcmp(timeline, event->timeline, event->timeline_bytes);
}

static void apply_delta(struct channel *channel, const struct wire_event *event)
{
    struct partition *partition = channel->partition;
    bool mine = event->owner == partition->owner;
    if (!channel->confirmed)
        return; /* the read to come has it */
    if (!of_present_timeline(channel, event)) {
        view_read(channel);
        return;
    }
    if (event->kind == WIRE_MARKER) {
        struct member *member = roster_find(&channel->shown.roster, event->id, event->id_bytes);
        if (member && !mine)
            member->remote = true;
        /* A user we do not show: he was leaving here, and is now another's. The marker has no info. */
        if (event->version > channel->version || (!member && !mine))
            view_read(channel);
        return;
    }
    if (event->version <= channel->version)
        return;
    if (event->previous != channel->version) {
        if (event->previous && event->previous < channel->version)
            partition_note_loss(partition, 0);
        channel->engine->counters.resyncs++;
        if (event->previous) /* a roster that was just born missed nothing */
            engine_note(partition->shard, partition, NOTE_READ_AGAIN, 0, channel->key, NULL);
        view_read(channel);
        return;
    }
    channel->engine->counters.deltas++;
    channel->version = event->version;
    channel->absent = false;
    if (event->kind == WIRE_ADDED)
        show(channel, event->id, event->id_bytes, event->info, event->info_bytes, !mine);
    else
        hide(channel, event->id, event->id_bytes, mine, !partition->waits);
}

void view_tell_count(struct channel *channel)
{
    const struct store *store = &channel->engine->store;
    if (!channel->count_changed || !TAILQ_EMPTY(&channel->waiters))
        return;
    channel->count_changed = false;
    if (!channel->shown.has_roster && store->observer.subscription_count)
        store->observer.subscription_count(store->observer_context, &channel->shown, channel->total);
}

static void take_count(struct channel *channel, uint64_t version, uint64_t count)
{
    if (version < channel->count_version)
        return; /* older than what was told */
    channel->count_changed |= channel->total != count;
    channel->count_version = version;
    channel->total = count;
    view_tell_count(channel);
}

static void apply(struct channel *channel, const struct wire_event *event)
{
    switch (event->kind) {
    case WIRE_EVENT:
        publish_deliver(channel, event);
        break;
    case WIRE_COUNT:
        if (of_present_timeline(channel, event))
            take_count(channel, event->version, event->count);
        break;
    default:
        if (channel->shown.has_roster)
            apply_delta(channel, event);
    }
}

/* ---- messages kept while a read is out ---- */

static void clear_kept(struct channel *channel)
{
    struct kept *kept;
    while ((kept = STAILQ_FIRST(&channel->kept))) {
        STAILQ_REMOVE_HEAD(&channel->kept, link);
        free(kept);
    }
    channel->kept_count = 0;
}

static void keep(struct channel *channel, const char *message, size_t bytes)
{
    struct kept *kept = new_zeroed(sizeof *kept + bytes);
    kept->bytes = bytes;
    memcpy(kept->message, message, bytes);
    STAILQ_INSERT_TAIL(&channel->kept, kept, link);
    channel->kept_count++;
}

/* deltas: apply them too, not only the events. A delta may ask for another read: what is kept after it waits
 * for that. */
static void play_kept(struct channel *channel, bool deltas)
{
    uint32_t generation = channel->generation;
    struct kept *kept;
    struct wire_event event;
    while (channel->generation == generation && !(deltas && channel->read_out) &&
           (kept = STAILQ_FIRST(&channel->kept))) {
        STAILQ_REMOVE_HEAD(&channel->kept, link);
        channel->kept_count--;
        if (wire_parse(kept->message, kept->bytes, &event) && (deltas || event.kind == WIRE_EVENT))
            apply(channel, &event);
        free(kept);
    }
}

void view_message(struct channel *channel, const char *message, size_t bytes)
{
    struct wire_event event;
    if (!wire_parse(message, bytes, &event))
        return; /* of a release to come */
    if (!channel->read_out || !channel->shown.has_roster) {
        apply(channel, &event);
        channel_answer_waiters(channel);
        return;
    }
    if (channel->kept_count >= KEPT_MAX) {
        play_kept(channel, false);
        channel->read_again = true;
    }
    keep(channel, message, bytes);
}

void view_bus_lost(struct channel *channel)
{
    channel->subscribed = false;
    channel->confirmed = false;
    play_kept(channel, false);
}

void view_close(struct channel *channel)
{
    clear_kept(channel);
    struct missing *missing, *next;
    HASH_ITER (hh, channel->missing, missing, next) {
        forget_missing(channel, missing);
    }
    roster_clear(&channel->shown.roster);
    frame_unref(channel->cached);
    channel->cached = NULL;
    channel->generation++;
    channel->read_out = channel->read_again = channel->confirmed = channel->subscribed = false;
    channel->rebased = channel->absent = false;
    channel->version = channel->count_version = channel->total = 0;
    channel->count_changed = false;
}

bool view_current(const struct channel *channel)
{
    return channel->confirmed && channel->partition->state == PARTITION_READY && !channel->read_out;
}

/* ---- reads ---- */

struct listed {
    UT_hash_handle hh;
};

/* A fact that Redis and I see differently, and not because it changed after the read was sent. */
static bool differs(const struct command *read, const struct fact *fact, bool mine)
{
    if (!fact)
        return mine;
    if (fact->sent_serial > read->serial)
        return false;
    return mine ? !fact->sent : fact->sent && fact->acknowledged;
}

static bool compare_listed(
    struct channel *channel, const struct command *read, const struct snapshot_user *user)
{
    bool mine, others;
    if (user->is_junk)
        return false;
    wire_user_owners(&user->is, channel->partition->owner, &mine, &others);
    const struct fact *fact = channel_fact(channel, user->id, user->id_bytes);
    bool leaving = mine && !others && (!fact || !fact->wanted);
    if (!leaving || roster_find(&channel->shown.roster, user->id, user->id_bytes))
        show(channel, user->id, user->id_bytes, user->is.info, user->is.info_bytes, others);
    return differs(read, channel_fact(channel, user->id, user->id_bytes), mine);
}

/* Members of the view whom the answer does not list, as a list of ids. */
static struct args not_listed(struct channel *channel, const struct snapshot *snapshot)
{
    struct args ids = {0};
    struct listed *listed = new_array(snapshot->count + 1, sizeof *listed), *head = NULL, *found;
    struct snapshot_user user;
    for (size_t at = 0; snapshot_next(snapshot, &at, &user);)
        HASH_ADD_KEYPTR(hh, head, user.id, user.id_bytes, &listed[at]);
    for (struct member *m = roster_first(&channel->shown.roster); m; m = roster_next(m)) {
        HASH_FIND(hh, head, m->id, m->id_bytes, found);
        if (!found)
            args_add(&ids, m->id, m->id_bytes);
    }
    HASH_CLEAR(hh, head);
    free(listed);
    return ids;
}

static bool has_remote(const struct channel *channel)
{
    for (struct member *m = roster_first(&channel->shown.roster); m; m = roster_next(m)) {
        if (m->remote)
            return true;
    }
    return false;
}

/* Makes the view what the answer says, member by member. Stops when a callback closes the channel. */
static void compare(struct channel *channel, const struct command *read, const struct snapshot *snapshot)
{
    struct partition *partition = channel->partition;
    bool may_remove = !partition->waits && !read->flag;
    uint32_t generation = channel->generation;
    struct args gone = not_listed(channel, snapshot);
    struct snapshot_user user;
    bool diverged = false;
    for (size_t at = 0; channel->generation == generation && snapshot_next(snapshot, &at, &user);)
        diverged |= compare_listed(channel, read, &user);
    for (size_t i = 0; i < gone.count && channel->generation == generation; i++) {
        size_t id_bytes;
        const char *id = args_at(&gone, i, &id_bytes);
        const struct fact *fact = channel_fact(channel, id, id_bytes);
        diverged |= fact && differs(read, fact, false);
        struct member *member = roster_find(&channel->shown.roster, id, id_bytes);
        hide(channel, id, id_bytes, member && !member->remote, may_remove);
    }
    args_deinit(&gone);
    if (diverged && partition->state == PARTITION_READY) {
        channel->engine->counters.scrub_divergences++;
        engine_note(partition->shard, partition, NOTE_DIVERGED, 0, channel->key, NULL);
        partition->assert_wanted = true;
    }
}

static void take_cached(struct channel *channel, const struct command *read, const struct snapshot *snapshot)
{
    struct wire_event event;
    const struct reply *cached = snapshot->cached;
    if (read->serial <= channel->cached_serial)
        return;
    frame_unref(channel->cached);
    channel->cached = NULL;
    if (!cached->bytes || !wire_parse(cached->text, cached->bytes, &event) || event.kind != WIRE_EVENT)
        return;
    channel->cached = frame_copy(event.text, event.text_bytes);
    channel->cached_until_ms = engine_now(channel->engine) + snapshot->cached_ttl_ms;
}

static void take_answer(struct channel *channel, const struct command *read, const struct snapshot *snapshot)
{
    struct partition *partition = channel->partition;
    uint64_t version = snapshot->version;
    uint64_t orders = version ? version : snapshot->last_version;
    partition_note_clock(partition, read, snapshot->clock);
    if (orders < channel->version && !channel->rebased)
        return; /* older than the view; what is wrong then, the heartbeat finds */
    /* That it is gone is a loss once, however often it is read. */
    bool lost = version ? snapshot->birth > channel->version : !channel->absent;
    if (channel->version && lost && has_remote(channel))
        partition_note_loss(partition, snapshot->clock);
    take_cached(channel, read, snapshot);
    uint32_t generation = channel->generation;
    take_count(channel, snapshot->last_version, snapshot->subscriptions);
    channel->version = orders;
    channel->absent = !version;
    channel->rebased = false;
    if (channel->shown.has_roster && channel->generation == generation)
        compare(channel, read, snapshot);
    if (channel->generation == generation)
        channel->confirmed = read->number && channel->subscribed;
}

static void on_read(struct command *command, const struct reply *reply)
{
    struct channel *channel = command->context;
    channel->reads--;
    enum answer answer = command_answer(command, reply);
    struct snapshot snapshot;
    if (!channel->open || channel->generation != command->generation) {
        channel_maybe_idle(channel);
        return;
    }
    channel->read_out = false;
    if (answer != ANSWER_OK || !snapshot_parse(reply, &snapshot)) {
        channel->read_again = true; /* with the next heartbeat, or when the partition is found again */
        play_kept(channel, false);
        return;
    }
    take_answer(channel, command, &snapshot);
    if (channel->generation != command->generation)
        return;
    /* What it had to hold back, because the wait was on when it was sent, takes another. */
    bool held_back = command->flag && !channel->partition->waits && channel->missing;
    bool again = channel->read_again || held_back;
    channel->read_again = false;
    play_kept(channel, true);
    channel_answer_waiters(channel);
    if (again && channel->open)
        view_read(channel);
}

void view_read(struct channel *channel)
{
    struct partition *partition = channel->partition;
    if (!channel->open)
        return;
    if (channel->read_out || partition->state != PARTITION_READY || partition->retired) {
        channel->read_again = true;
        return;
    }
    struct command *command = command_new(partition, SCRIPT_READ, on_read);
    command->context = channel;
    command->generation = channel->generation;
    command->number = channel->subscribed;
    command->flag = partition->waits;
    args_add(&command->args, channel->key, channel->key_bytes);
    channel->read_out = true;
    channel->reads++;
    channel->engine->counters.reads++;
    command_send(command);
}
