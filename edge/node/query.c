#include "edge/node/node_private.h"

#include "edge/base/container.h"

#include <jansson.h>

/* {"data":…,"ttl":seconds}: the data is taken out of the event as it was sent. */
static void write_cached(struct buffer *body, const struct store_channel_state *state)
{
    json_t *event =
        state->cached ? json_loadb(state->cached->text, state->cached->text_bytes, 0, NULL) : NULL;
    const char *data = json_string_value(json_object_get(event, "data"));
    if (!data) {
        buffer_add_string(body, "null");
    } else {
        buffer_add_string(body, "{\"data\":");
        buffer_add_json_string(body, data, json_string_length(json_object_get(event, "data")));
        buffer_printf(body, ",\"ttl\":%u}", (state->cached_ttl_ms + 999) / 1000);
    }
    json_decref(event);
}

void node_write_attributes(
    struct buffer *body, unsigned info, const struct store_channel_state *state, bool first)
{
    if (info & INFO_USER_COUNT) {
        buffer_printf(body, "%s\"user_count\":%ju", first ? "" : ",", (uintmax_t)state->user_count);
        first = false;
    }
    if (info & INFO_SUBSCRIPTION_COUNT) {
        buffer_printf(
            body, "%s\"subscription_count\":%ju", first ? "" : ",", (uintmax_t)state->subscription_count);
        first = false;
    }
    if (info & INFO_CACHE) {
        buffer_printf(body, "%s\"cache\":", first ? "" : ",");
        write_cached(body, state);
    }
}

static struct query *query_of(struct store_query *stored)
{
    return CONTAINER_OF(stored, struct query, stored);
}

static void on_listed_channel(
    struct store_query *stored, const char *name, const struct store_channel_state *state)
{
    struct query *query = query_of(stored);
    if (name[0] == '#') /* ours: users, not channels that a back end knows */
        return;
    buffer_add_string(&query->body, query->seen++ ? "," : "");
    buffer_add_json_text(&query->body, name);
    buffer_add_string(&query->body, ":{");
    node_write_attributes(&query->body, query->info, state, true);
    buffer_add_string(&query->body, "}");
}

static void on_channel(struct store_query *stored, const char *name, const struct store_channel_state *state)
{
    struct query *query = query_of(stored);
    (void)name;
    buffer_printf(&query->body, "{\"occupied\":%s", state->occupied ? "true" : "false");
    node_write_attributes(&query->body, query->info, state, false);
    buffer_add_string(&query->body, "}");
}

static void on_member(struct store_query *stored, const struct member *member)
{
    struct query *query = query_of(stored);
    buffer_add_string(&query->body, query->seen++ ? ",{\"id\":" : "{\"id\":");
    buffer_add_json_string(&query->body, member->id, member->id_bytes);
    buffer_add_string(&query->body, "}");
}

static void on_done(struct store_query *stored, enum store_result result)
{
    static const char *const endings[] = {
        [QUERY_CHANNELS] = "}}", [QUERY_CHANNEL] = "", [QUERY_USERS] = "]}"};
    struct query *query = query_of(stored);
    query->status = result == STORE_OK ? NODE_OK : NODE_UNAVAILABLE;
    query->stale_s = stored->stale_s;
    buffer_add_string(&query->body, endings[query->kind]);
    query->mail.run = port_on_query_answered;
    node_send(query->port->node, query->port->worker, &query->mail);
}

void node_on_query(struct mail *mail, void *context)
{
    struct query *query = CONTAINER_OF(mail, struct query, mail);
    struct node *node = context;
    query->stored = (struct store_query){
        .app_id = query->app->id,
        .channel = query->name,
        .done = on_done,
    };
    switch (query->kind) {
    case QUERY_CHANNELS:
        buffer_add_string(&query->body, "{\"channels\":{");
        query->stored.each_channel = on_listed_channel;
        store_query_channels(node->store, &query->stored);
        break;
    case QUERY_CHANNEL:
        query->stored.each_channel = on_channel;
        store_query_channel(node->store, &query->stored);
        break;
    case QUERY_USERS:
        buffer_add_string(&query->body, "{\"users\":[");
        query->stored.each_member = on_member;
        store_query_members(node->store, &query->stored);
        break;
    }
}
