/* Channels of this edge: subscriptions, the facts they amount to, and when a subscriber is answered. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

/* ---- making, finding, freeing ---- */

static char *key_of(const char *app_key, const char *name, size_t *bytes)
{
    size_t app_bytes = strlen(app_key), name_bytes = strlen(name);
    char *key = new_zeroed(app_bytes + name_bytes + 2);
    memcpy(key, app_key, app_bytes);
    key[app_bytes] = ':';
    memcpy(key + app_bytes + 1, name, name_bytes);
    *bytes = app_bytes + name_bytes + 1;
    return key;
}

struct channel *channel_lookup(struct engine *engine, const char *app_id, const char *name)
{
    size_t bytes;
    char *app_key = wire_app_key(app_id);
    char *key = key_of(app_key, name, &bytes);
    struct channel *channel;
    HASH_FIND(hh, engine->channels, key, bytes, channel);
    free(key);
    free(app_key);
    return channel;
}

static struct channel *channel_new(struct engine *engine, const char *app_id, const char *name)
{
    struct channel *channel = new_zeroed(sizeof *channel);
    channel->engine = engine;
    channel->shown.app_id = new_copy(app_id, strlen(app_id));
    channel->shown.name = new_copy(name, strlen(name));
    channel->app_key = wire_app_key(app_id);
    channel->key = key_of(channel->app_key, name, &channel->key_bytes);
    channel->partition = &engine->partitions[wire_partition(app_id, name, engine->options.partitions)];
    channel->number.channel = channel;
    TAILQ_INIT(&channel->waiters);
    STAILQ_INIT(&channel->kept);
    HASH_ADD_KEYPTR(hh, engine->channels, channel->key, channel->key_bytes, channel);
    TAILQ_INSERT_TAIL(&channel->partition->channels, channel, of_partition);
    return channel;
}

void channel_maybe_idle(struct channel *channel)
{
    if (channel->idle || channel->open)
        return;
    channel->idle = true;
    TAILQ_INSERT_TAIL(&channel->engine->idle, channel, idle_link);
}

void channels_sweep(struct engine *engine)
{
    struct channel *channel;
    while ((channel = TAILQ_FIRST(&engine->idle))) {
        TAILQ_REMOVE(&engine->idle, channel, idle_link);
        channel->idle = false;
        const struct fact *number = &channel->number;
        if (channel->open || channel->facts || channel->reads || number->sent || number->in_batches ||
            number->dirty)
            continue; /* whoever ends that says so again */
        channel_free(channel);
    }
}

static void free_facts(struct channel *channel)
{
    struct fact *fact, *next;
    HASH_ITER (hh, channel->facts, fact, next) {
        HASH_DEL(channel->facts, fact);
        free(fact->id);
        free(fact->info);
        free(fact);
    }
}

static void free_waiter(struct waiter *waiter)
{
    if (waiter->channel->engine->accepting == waiter)
        waiter->channel->engine->accepting = NULL;
    TAILQ_REMOVE(&waiter->channel->waiters, waiter, of_channel);
    TAILQ_REMOVE(&waiter->channel->engine->waiters, waiter, of_engine);
    free(waiter);
}

void channel_free(struct channel *channel)
{
    if (channel->idle)
        TAILQ_REMOVE(&channel->engine->idle, channel, idle_link);
    while (!TAILQ_EMPTY(&channel->waiters))
        free_waiter(TAILQ_FIRST(&channel->waiters));
    free_facts(channel);
    view_close(channel);
    recent_channel_gone(channel);
    HASH_DEL(channel->engine->channels, channel);
    TAILQ_REMOVE(&channel->partition->channels, channel, of_partition);
    free((char *)channel->shown.app_id);
    free((char *)channel->shown.name);
    free(channel->app_key);
    free(channel->key);
    free(channel);
}

struct store_channel *channel_find(struct store *store, const char *app_id, const char *name)
{
    struct channel *channel = channel_lookup(engine_of_store(store), app_id, name);
    return channel && channel->open ? &channel->shown : NULL;
}

static void open_channel(struct channel *channel, struct store_channel_options options)
{
    channel->open = true;
    channel->shown.context = NULL;
    channel->shown.has_roster = options.roster;
    channel->scrubbed_ms = engine_now(channel->engine);
    bus_want(channel);
}

static void close_if_unused(struct channel *channel)
{
    if (!channel->open || channel->subscriptions || channel->watchers)
        return;
    channel->open = false;
    bus_unwant(channel);
    view_close(channel);
    channel_maybe_idle(channel);
}

/* ---- facts ---- */

struct fact *channel_fact(struct channel *channel, const char *id, size_t id_bytes)
{
    struct fact *fact;
    HASH_FIND(hh, channel->facts, id, id_bytes, fact);
    return fact;
}

static struct fact *fact_for(struct channel *channel, const struct store_user *user)
{
    struct fact *fact = channel_fact(channel, user->id, user->id_bytes);
    if (fact && (fact->wanted || fact->sent))
        return fact;
    if (!fact) {
        fact = new_zeroed(sizeof *fact);
        fact->channel = channel;
        fact->id = new_copy(user->id, user->id_bytes);
        fact->id_bytes = user->id_bytes;
        HASH_ADD_KEYPTR(hh, channel->facts, fact->id, fact->id_bytes, fact);
    }
    free(fact->info);
    fact->info = user->info ? new_copy(user->info, user->info_bytes) : NULL;
    fact->info_bytes = user->info ? user->info_bytes : 0;
    return fact;
}

/* With a roster, a user on this edge is one subscription already; the number has those beyond. */
static void count(struct channel *channel)
{
    struct fact *number = &channel->number;
    number->wanted =
        channel->shown.has_roster ? channel->subscriptions - channel->users : channel->subscriptions;
    fact_update(number);
}

static void hold(struct fact *fact)
{
    if (!fact->wanted++) {
        fact->channel->users++;
        fact->accepted = fact->sent && fact->acknowledged; /* he never left, as far as Redis knows */
        fact_update(fact);
    }
}

static void let_go(struct fact *fact)
{
    if (--fact->wanted)
        return;
    struct channel *channel = fact->channel;
    channel->users--;
    fact->accepted = false;
    bool redis_will_tell = fact->sent && channel->partition->state == PARTITION_READY;
    /* A view that was never read does not know whether he is elsewhere. One whose partition was never reached
     * is of an edge that is alone, and shows its own. */
    bool nowhere_else = channel->version || !channel->partition->owner;
    fact->in_batches++; /* the observer may do anything, but this fact stays */
    if (!redis_will_tell && nowhere_else && channel->open)
        view_hide_own(channel, fact);
    fact->in_batches--;
    fact_update(fact);
}

static void leave(struct channel *channel, struct fact *fact)
{
    if (fact) {
        let_go(fact);
        channel->subscriptions--;
    } else if (channel->shown.has_roster) {
        channel->watchers--;
    } else {
        channel->subscriptions--;
    }
    count(channel);
}

/* Departures of which Redis would have told, and may not: it is out of reach, or never had those users. They are
 * shown where the user is known to be nowhere else. */
void channel_show_departures(struct channel *channel)
{
    struct fact *fact, *next;
    if (!channel->version)
        return;
    for (fact = channel->facts; channel->open && fact; fact = next) {
        next = fact->hh.next;
        if (fact->wanted)
            continue;
        struct member *member = roster_find(&channel->shown.roster, fact->id, fact->id_bytes);
        if (!member || member->local || member->remote)
            continue;
        view_hide_own(channel, fact);
        next = channel->facts; /* the observer may have changed anything */
    }
}

/* ---- answering subscribers ---- */

static struct frame *cached_event(struct channel *channel)
{
    if (channel->cached && engine_now(channel->engine) >= channel->cached_until_ms) {
        frame_unref(channel->cached);
        channel->cached = NULL;
    }
    return channel->cached;
}

static void refuse(struct waiter *waiter)
{
    struct channel *channel = waiter->channel;
    struct store_subscription *subscription = waiter->subscription;
    struct fact *fact = waiter->fact;
    free_waiter(waiter);
    channel->engine->counters.full++;
    leave(channel, fact);
    subscription->waits = NULL;
    subscription->channel = NULL;
    subscription->done(subscription, STORE_FULL, NULL);
    close_if_unused(channel);
}

static void accept(struct waiter *waiter)
{
    struct channel *channel = waiter->channel;
    struct store_subscription *subscription = waiter->subscription;
    struct waiter *outer = channel->engine->accepting;
    channel->engine->accepting = waiter;
    struct member *member = waiter->fact ? view_show_own(channel, waiter->fact) : NULL;
    bool gone = channel->engine->accepting != waiter;
    channel->engine->accepting = outer;
    if (gone)
        return; /* the observer, told of the member, has given this subscription up */
    free_waiter(waiter);
    subscription->waits = NULL;
    subscription->member = member;
    if (member)
        member->local++;
    subscription->done(subscription, STORE_OK, cached_event(channel));
    close_if_unused(channel);
}

static bool is_ready(const struct waiter *waiter)
{
    const struct channel *channel = waiter->channel;
    const struct fact *fact = waiter->fact;
    if (!channel->confirmed)
        return false;
    return !fact || (fact->accepted && fact->sent && fact->target && channel->version >= fact->target);
}

void channel_answer_waiters(struct channel *channel)
{
    struct waiter *waiter = TAILQ_FIRST(&channel->waiters);
    while (waiter) {
        struct waiter *next = TAILQ_NEXT(waiter, of_channel);
        if (is_ready(waiter)) {
            accept(waiter);
            next = TAILQ_FIRST(&channel->waiters);
        }
        waiter = next;
    }
    view_tell_count(channel);
}

void channel_fact_full(struct fact *fact)
{
    struct channel *channel = fact->channel;
    struct waiter *waiter = TAILQ_FIRST(&channel->waiters);
    while (waiter) {
        struct waiter *next = TAILQ_NEXT(waiter, of_channel);
        if (waiter->fact == fact) {
            refuse(waiter);
            next = TAILQ_FIRST(&channel->waiters);
        }
        waiter = next;
    }
}

/* Redis does not answer: the subscriber gets what this edge knows. */
static void finish_degraded(struct waiter *waiter)
{
    struct channel *channel = waiter->channel;
    struct fact *fact = waiter->fact;
    const struct roster *roster = &channel->shown.roster;
    channel->engine->counters.degraded_answers++;
    view_read(channel); /* perhaps only a message of the bus was lost */
    if (fact && !fact->accepted) {
        bool full = channel->members_max && roster_count(roster) >= channel->members_max &&
                    !roster_find(roster, fact->id, fact->id_bytes);
        if (full) {
            refuse(waiter);
            return;
        }
        fact->accepted = true;
    }
    accept(waiter);
    view_tell_count(channel);
}

static bool out_of_reach(const struct partition *partition)
{
    const struct engine *engine = partition->engine;
    return partition->state != PARTITION_READY &&
           engine_now(engine) - partition->fresh_ms >
               engine->options.heartbeat_ms + engine->options.answer_ms;
}

void channels_tick(struct engine *engine)
{
    uint64_t now = engine_now(engine);
    struct waiter *waiter;
    while ((waiter = TAILQ_FIRST(&engine->waiters)) && now >= waiter->deadline_ms)
        finish_degraded(waiter);
}

/* ---- the store's operations ---- */

static struct waiter *wait_for(
    struct channel *channel, struct fact *fact, struct store_subscription *subscription)
{
    struct engine *engine = channel->engine;
    struct waiter *waiter = new_zeroed(sizeof *waiter);
    *waiter = (struct waiter){.subscription = subscription, .channel = channel, .fact = fact};
    waiter->deadline_ms = engine_now(engine) + engine->options.answer_ms;
    subscription->waits = waiter;
    TAILQ_INSERT_TAIL(&channel->waiters, waiter, of_channel);
    TAILQ_INSERT_TAIL(&engine->waiters, waiter, of_engine);
    return waiter;
}

void channel_subscribe(struct store *store, const char *app_id, const char *name,
    struct store_channel_options options, const struct store_user *user,
    struct store_subscription *subscription)
{
    struct engine *engine = engine_of_store(store);
    engine_enter(engine);
    struct channel *channel = channel_lookup(engine, app_id, name);
    if (!channel)
        channel = channel_new(engine, app_id, name);
    channel->members_max = options.members_max;
    if (!channel->open)
        open_channel(channel, options);
    struct fact *fact = user && options.roster ? fact_for(channel, user) : NULL;
    if (fact)
        hold(fact);
    if (fact || !options.roster)
        channel->subscriptions++;
    else
        channel->watchers++;
    count(channel);
    subscription->channel = &channel->shown;
    subscription->member = NULL;
    struct waiter *waiter = wait_for(channel, fact, subscription);
    if (is_ready(waiter))
        accept(waiter);
    else if (out_of_reach(channel->partition))
        finish_degraded(waiter);
    engine_leave(engine);
}

void channel_unsubscribe(struct store *store, struct store_subscription *subscription)
{
    struct engine *engine = engine_of_store(store);
    struct channel *channel = (struct channel *)subscription->channel;
    struct waiter *waiter = subscription->waits;
    struct fact *fact = NULL;
    if (!channel)
        return;
    engine_enter(engine);
    if (waiter) {
        fact = waiter->fact;
        free_waiter(waiter);
    } else if (subscription->member) {
        fact = channel_fact(channel, subscription->member->id, subscription->member->id_bytes);
        subscription->member->local--;
    }
    subscription->waits = NULL;
    subscription->member = NULL;
    subscription->channel = NULL;
    channel->number.reason = subscription->reason;
    if (fact)
        fact->reason = subscription->reason;
    leave(channel, fact);
    close_if_unused(channel);
    view_tell_count(channel);
    engine_leave(engine);
}
