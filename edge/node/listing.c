/* The channels of an app: those with the most subscriptions, of all that have the searched text in their names. */
#include "edge/node/insight_private.h"

#include "edge/base/container.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

struct listed {
    char *name;
    uint64_t subscriptions, users;
};

struct listing {
    struct insight *insight;
    struct store_query query;
    uint64_t found;
    uint32_t limit, count;
    uint32_t least; /* of a full list: the place of the one with the fewest subscriptions */
    struct listed channels[];
};

static void free_listing(void *work)
{
    struct listing *listing = work;
    for (uint32_t i = 0; i < listing->count; i++)
        free(listing->channels[i].name);
    free(listing);
}

static void find_least(struct listing *listing)
{
    listing->least = 0;
    for (uint32_t i = 1; i < listing->count; i++)
        if (listing->channels[i].subscriptions < listing->channels[listing->least].subscriptions)
            listing->least = i;
}

static void keep(
    struct listing *listing, uint32_t place, const char *name, const struct store_channel_state *state)
{
    struct listed *listed = &listing->channels[place];
    free(listed->name);
    *listed = (struct listed){
        .name = new_text(name), .subscriptions = state->subscription_count, .users = state->user_count};
}

static void on_channel(struct store_query *query, const char *name, const struct store_channel_state *state)
{
    struct listing *listing = CONTAINER_OF(query, struct listing, query);
    const char *text = listing->insight->text;
    if (name[0] == '#' || !state->occupied || (text && !strcasestr(name, text)))
        return;
    listing->found++;
    if (listing->count < listing->limit) {
        keep(listing, listing->count++, name, state);
        find_least(listing);
    } else if (state->subscription_count > listing->channels[listing->least].subscriptions) {
        keep(listing, listing->least, name, state);
        find_least(listing);
    }
}

static int by_subscriptions(const void *a, const void *b)
{
    const struct listed *one = a, *other = b;
    if (one->subscriptions != other->subscriptions)
        return one->subscriptions < other->subscriptions ? 1 : -1;
    return strcmp(one->name, other->name);
}

static uint32_t count_here(struct insight *insight, const char *name)
{
    struct store_channel *stored = store_find(insight->node->store, insight->app_id, name);
    struct channel *channel = stored ? stored->context : NULL;
    return channel ? channel->subscriptions : 0;
}

static void write_listed(struct insight *insight, const struct listed *listed)
{
    struct buffer *json = &insight->body;
    buffer_add_string(json, "{\"name\":");
    insight_add_text(json, listed->name);
    buffer_printf(json, ",\"kind\":\"%s\",\"subscriptions\":%ju,\"users\":%ju,\"here\":%u}",
        insight_kind_name(listed->name), (uintmax_t)listed->subscriptions, (uintmax_t)listed->users,
        count_here(insight, listed->name));
}

static void on_done(struct store_query *query, enum store_result result)
{
    struct listing *listing = CONTAINER_OF(query, struct listing, query);
    struct insight *insight = listing->insight;
    struct buffer *json = &insight->body;
    if (result != STORE_OK) {
        insight_answer(insight, INSIGHT_UNAVAILABLE);
        return;
    }
    qsort(listing->channels, listing->count, sizeof(listing->channels[0]), by_subscriptions);
    buffer_add_string(json, "{\"app\":");
    insight_add_text(json, insight->app_id);
    buffer_printf(json, ",\"found\":%ju,\"stale_s\":", (uintmax_t)listing->found);
    if (query->stale_s == STORE_FRESH)
        buffer_add_string(json, "null");
    else
        buffer_printf(json, "%d", query->stale_s);
    buffer_add_string(json, ",\"channels\":[");
    for (uint32_t i = 0; i < listing->count; i++) {
        buffer_add_string(json, i ? "," : "");
        write_listed(insight, &listing->channels[i]);
    }
    buffer_add_string(json, "]}");
    insight_answer(insight, INSIGHT_OK);
}

void insight_ask_channels(struct node *node, struct insight *insight)
{
    uint32_t limit =
        insight->limit && insight->limit < INSIGHT_CHANNELS_MAX ? insight->limit : INSIGHT_CHANNELS_MAX;
    struct listing *listing = new_zeroed(sizeof(*listing) + limit * sizeof(listing->channels[0]));
    listing->insight = insight;
    listing->limit = limit;
    listing->query = (struct store_query){
        .app_id = insight->app_id, .channel = "", .each_channel = on_channel, .done = on_done};
    insight->work = listing;
    insight->free_work = free_listing;
    store_query_channels(node->store, &listing->query);
}
