#include "presence/store_memory.h"

#include "presence/base/new.h"
#include "presence/transitions_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* A channel is kept while it has a subscription or a cached event.
 *
 *   memory_store.index  ── "app_id\nname" ──▶ memory_channel ── roster ──▶ members
 *   memory_store.cached ── first to last kept ──▶ the channels with a cached event
 */
struct memory_channel {
    struct store_channel base; /* first: what the observer sees */
    UT_hash_handle hh;         /* keyed by "app_id\nname"; neither holds control characters */
    TAILQ_ENTRY(memory_channel) cached_entry;
    uint32_t subscriptions;
    struct frame *cached; /* NULL: none */
    uint64_t cached_until_ms;
    char key[];
};

TAILQ_HEAD(memory_channel_queue, memory_channel);

struct memory_store {
    struct store base; /* first */
    uint64_t (*now_ms)(void);
    struct memory_channel *index;
    struct memory_channel_queue cached;
    struct transitions_memory *transitions; /* NULL: nobody wants them */
};

static struct memory_store *memory_of(struct store *store)
{
    return (struct memory_store *)store;
}

static struct memory_channel *find_channel(struct memory_store *store, const char *app_id, const char *name)
{
    /* Names are bounded by the edge; a longer one cannot be in the index. */
    char key[1024];
    int length = snprintf(key, sizeof(key), "%s\n%s", app_id, name);
    if (length < 0 || (size_t)length >= sizeof(key))
        return NULL;
    struct memory_channel *channel;
    HASH_FIND(hh, store->index, key, (size_t)length, channel);
    return channel;
}

static struct memory_channel *add_channel(struct memory_store *store, const char *app_id, const char *name)
{
    size_t app_bytes = strlen(app_id), name_bytes = strlen(name);
    size_t key_bytes = app_bytes + 1 + name_bytes;
    /* The key "app_id\nname" and behind it the app's id alone; the name is the tail of the key. */
    struct memory_channel *channel = new_zeroed(sizeof(*channel) + key_bytes + 1 + app_bytes + 1);
    snprintf(channel->key, key_bytes + 1, "%s\n%s", app_id, name);
    memcpy(channel->key + key_bytes + 1, app_id, app_bytes + 1);
    channel->base.app_id = channel->key + key_bytes + 1;
    channel->base.name = channel->key + app_bytes + 1;
    HASH_ADD_KEYPTR(hh, store->index, channel->key, key_bytes, channel);
    return channel;
}

static void drop_cached(struct memory_store *store, struct memory_channel *channel)
{
    TAILQ_REMOVE(&store->cached, channel, cached_entry);
    frame_unref(channel->cached);
    channel->cached = NULL;
}

static void drop_if_unused(struct memory_store *store, struct memory_channel *channel)
{
    if (channel->subscriptions > 0 || channel->cached)
        return;
    HASH_DELETE(hh, store->index, channel);
    free(channel);
}

/* The cached event, dropped first if its time is over. The channel itself stays. */
static struct frame *cached_event(struct memory_store *store, struct memory_channel *channel)
{
    if (channel->cached && store->now_ms() >= channel->cached_until_ms)
        drop_cached(store, channel);
    return channel->cached;
}

/* ---- transitions ---- */

static void add_transition(struct memory_store *store, struct memory_channel *channel,
    enum store_transition_kind kind, const struct member *member, enum store_reason reason)
{
    if (!store->transitions)
        return;
    transitions_memory_add(store->transitions, &(struct store_transition){
                                                   .kind = kind,
                                                   .app_id = channel->base.app_id,
                                                   .channel = channel->base.name,
                                                   .user_id = member ? member->id : NULL,
                                                   .reason = reason,
                                                   .count = channel->subscriptions,
                                               });
}

/* Of a subscription that has just been added. */
static void note_arrival(
    struct memory_store *store, struct memory_channel *channel, const struct member *member)
{
    if (channel->subscriptions == 1)
        add_transition(store, channel, STORE_OCCUPIED, NULL, 0);
    if (member && member->local == 1)
        add_transition(store, channel, STORE_MEMBER_ADDED, member, 0);
}

/* Of a subscription that is counted no more; `member` is about to lose it. */
static void note_departure(struct memory_store *store, struct memory_channel *channel,
    const struct member *member, enum store_reason reason)
{
    if (member && member->local == 1)
        add_transition(store, channel, STORE_MEMBER_REMOVED, member, reason);
    if (channel->subscriptions == 0)
        add_transition(store, channel, STORE_VACATED, NULL, reason);
}

static void tell_subscription_count(struct memory_store *store, struct memory_channel *channel)
{
    if (channel->base.has_roster)
        return;
    add_transition(store, channel, STORE_COUNTED, NULL, 0);
    store->base.observer.subscription_count(
        store->base.observer_context, &channel->base, channel->subscriptions);
}

/* The member for a user, new or not; STORE_FULL leaves the roster as it was. */
static enum store_result join(struct memory_store *store, struct memory_channel *channel,
    uint32_t members_max, const struct store_user *user, struct member **joined)
{
    struct member *member = roster_find(&channel->base.roster, user->id, user->id_bytes);
    bool is_new = !member;
    if (is_new) {
        if (members_max && roster_count(&channel->base.roster) >= members_max)
            return STORE_FULL;
        member = roster_add(&channel->base.roster, user->id, user->id_bytes, user->info, user->info_bytes);
    }
    member->local++;
    *joined = member;
    if (is_new)
        store->base.observer.member_added(store->base.observer_context, &channel->base, member);
    return STORE_OK;
}

static void leave(struct memory_store *store, struct memory_channel *channel, struct member *member)
{
    if (--member->local > 0)
        return;
    store->base.observer.member_removed(store->base.observer_context, &channel->base, member);
    roster_remove(&channel->base.roster, member);
}

static void memory_subscribe(struct store *base, const char *app_id, const char *name,
    struct store_channel_options options, const struct store_user *user,
    struct store_subscription *subscription)
{
    struct memory_store *store = memory_of(base);
    struct memory_channel *channel = find_channel(store, app_id, name);
    if (!channel)
        channel = add_channel(store, app_id, name);
    channel->base.has_roster = options.roster;
    subscription->channel = &channel->base;
    subscription->member = NULL;
    if (user) {
        enum store_result result = join(store, channel, options.members_max, user, &subscription->member);
        if (result != STORE_OK) {
            subscription->done(subscription, result, NULL);
            drop_if_unused(store, channel);
            return;
        }
    }
    channel->subscriptions++;
    note_arrival(store, channel, subscription->member);
    subscription->done(subscription, STORE_OK, cached_event(store, channel));
    tell_subscription_count(store, channel);
}

static void memory_unsubscribe(struct store *base, struct store_subscription *subscription)
{
    struct memory_store *store = memory_of(base);
    struct memory_channel *channel = (struct memory_channel *)subscription->channel;
    channel->subscriptions--;
    note_departure(store, channel, subscription->member, subscription->reason);
    if (subscription->member)
        leave(store, channel, subscription->member);
    else
        tell_subscription_count(store, channel);
    subscription->member = NULL;
    subscription->channel = NULL;
    cached_event(store, channel);
    drop_if_unused(store, channel);
}

/* Drops what nobody asks for any more. In the order in which it was kept: an event that was kept for longer lets
 * those behind it wait, but not for longer than its own time. */
static void sweep_cached(struct memory_store *store)
{
    struct memory_channel *oldest;
    while ((oldest = TAILQ_FIRST(&store->cached)) && !cached_event(store, oldest))
        drop_if_unused(store, oldest);
}

static void keep_cached(
    struct memory_store *store, struct memory_channel *channel, struct store_publish *publish)
{
    if (channel->cached)
        drop_cached(store, channel);
    channel->cached = frame_ref(publish->event.frame);
    channel->cached_until_ms = store->now_ms() + publish->cache_ttl_ms;
    TAILQ_INSERT_TAIL(&store->cached, channel, cached_entry);
    sweep_cached(store);
}

static void memory_publish(struct store *base, struct store_publish *publish)
{
    struct memory_store *store = memory_of(base);
    struct memory_channel *channel = find_channel(store, publish->app_id, publish->channel);
    if (!channel && publish->cache_ttl_ms)
        channel = add_channel(store, publish->app_id, publish->channel);
    if (channel && publish->cache_ttl_ms)
        keep_cached(store, channel, publish);
    if (channel && channel->subscriptions > 0)
        store->base.observer.event(store->base.observer_context, &channel->base, &publish->event);
    publish->done(publish, STORE_OK);
}

static struct store_channel_state state_of(struct memory_store *store, struct memory_channel *channel)
{
    struct frame *cached = cached_event(store, channel);
    return (struct store_channel_state){
        .occupied = channel->subscriptions > 0,
        .subscription_count = channel->subscriptions,
        .user_count = roster_count(&channel->base.roster),
        .cached = cached,
        .cached_ttl_ms = cached ? (uint32_t)(channel->cached_until_ms - store->now_ms()) : 0,
    };
}

static void memory_query_channels(struct store *base, struct store_query *query)
{
    struct memory_store *store = memory_of(base);
    size_t prefix_bytes = strlen(query->channel);
    query->stale_s = STORE_FRESH;
    struct memory_channel *channel, *next;
    HASH_ITER (hh, store->index, channel, next) {
        if (channel->subscriptions == 0 || strcmp(channel->base.app_id, query->app_id) != 0 ||
            strncmp(channel->base.name, query->channel, prefix_bytes) != 0)
            continue;
        struct store_channel_state state = state_of(store, channel);
        query->each_channel(query, channel->base.name, &state);
    }
    query->done(query, STORE_OK);
}

static void memory_query_channel(struct store *base, struct store_query *query)
{
    struct memory_store *store = memory_of(base);
    struct memory_channel *channel = find_channel(store, query->app_id, query->channel);
    struct store_channel_state state = {0};
    query->stale_s = STORE_FRESH;
    if (channel)
        state = state_of(store, channel);
    query->each_channel(query, query->channel, &state);
    query->done(query, STORE_OK);
    if (channel)
        drop_if_unused(store, channel);
}

static void memory_query_members(struct store *base, struct store_query *query)
{
    struct memory_channel *channel = find_channel(memory_of(base), query->app_id, query->channel);
    query->stale_s = STORE_FRESH;
    if (channel)
        for (struct member *m = roster_first(&channel->base.roster); m; m = roster_next(m))
            query->each_member(query, m);
    query->done(query, STORE_OK);
}

static struct store_channel *memory_find(struct store *base, const char *app_id, const char *name)
{
    struct memory_channel *channel = find_channel(memory_of(base), app_id, name);
    return channel && channel->subscriptions > 0 ? &channel->base : NULL;
}

static void memory_free(struct store *base)
{
    struct memory_store *store = memory_of(base);
    struct memory_channel *channel, *next;
    HASH_ITER (hh, store->index, channel, next) {
        HASH_DELETE(hh, store->index, channel);
        frame_unref(channel->cached);
        roster_clear(&channel->base.roster);
        free(channel);
    }
    if (store->transitions)
        transitions_memory_free(store->transitions);
    free(store);
}

static void memory_keep_transitions(struct store *base)
{
    struct memory_store *store = memory_of(base);
    store->transitions = transitions_memory_new(&store->base, store->now_ms);
}

static void memory_note(struct store *base, const struct store_transition *transition)
{
    struct memory_store *store = memory_of(base);
    if (store->transitions)
        transitions_memory_add(store->transitions, transition);
}

static void memory_transitions_done(struct store *base, unsigned lane, const char *last_id)
{
    (void)lane; /* there is one */
    transitions_memory_done(memory_of(base)->transitions, last_id);
}

static void memory_transitions_more(struct store *base, unsigned lane)
{
    (void)lane;
    transitions_memory_done(memory_of(base)->transitions, NULL);
}

static const struct store_operations memory_operations = {
    .subscribe = memory_subscribe,
    .unsubscribe = memory_unsubscribe,
    .publish = memory_publish,
    .query_channels = memory_query_channels,
    .query_channel = memory_query_channel,
    .query_members = memory_query_members,
    .keep_transitions = memory_keep_transitions,
    .note = memory_note,
    .transitions_done = memory_transitions_done,
    .transitions_more = memory_transitions_more,
    .find = memory_find,
    .free = memory_free,
};

struct store *store_memory_new(
    const struct store_observer *observer, void *observer_context, uint64_t (*now_ms)(void))
{
    struct memory_store *store = new_zeroed(sizeof(*store));
    store->base = (struct store){
        .operations = &memory_operations,
        .observer = *observer,
        .observer_context = observer_context,
    };
    store->now_ms = now_ms;
    TAILQ_INIT(&store->cached);
    if (observer->transitions)
        memory_keep_transitions(&store->base);
    return &store->base;
}

size_t store_memory_channels(struct store *store)
{
    return HASH_COUNT(memory_of(store)->index);
}

void store_memory_tick(struct store *base)
{
    struct memory_store *store = memory_of(base);
    if (store->transitions)
        transitions_memory_tick(store->transitions);
}

uint64_t store_memory_transitions_dropped(struct store *base)
{
    struct memory_store *store = memory_of(base);
    return store->transitions ? transitions_memory_dropped(store->transitions) : 0;
}
