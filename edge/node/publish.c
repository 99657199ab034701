#include "edge/node/node_private.h"

#include "edge/base/container.h"
#include "edge/node/insight.h"
#include "edge/node/tap.h"

#include <string.h>

static void answer(struct node *node, struct publish *publish, enum node_status status)
{
    publish->status = status;
    if (status == NODE_OK)
        metric_add(&node->metrics.publishes, publish->count);
    else
        metric_add(&node->metrics.publishes_refused, publish->count);
    if (publish->port == &node->own) {
        publish->answered(publish);
        return;
    }
    publish->mail.run = port_on_published;
    node_send(node, publish->port->worker, &publish->mail);
}

/* ---- the answer's body ---- */

/* Whether an earlier item has the same channel; an object must not have a key twice. At most 100 items. */
static bool repeats_earlier(const struct publish *publish, size_t item)
{
    for (size_t i = 0; i < item; i++)
        if (strcmp(publish->items[i].channel, publish->items[item].channel) == 0)
            return true;
    return false;
}

static void write_batch(struct publish *publish)
{
    buffer_add_string(&publish->body, "{\"batch\":[");
    for (size_t i = 0; i < publish->count; i++) {
        buffer_add_string(&publish->body, i ? ",{" : "{");
        node_write_attributes(&publish->body, publish->items[i].info, &publish->items[i].state, true);
        buffer_add_string(&publish->body, "}");
    }
    buffer_add_string(&publish->body, "]}");
}

static void write_channels(struct publish *publish)
{
    bool first = true;
    buffer_add_string(&publish->body, "{\"channels\":{");
    for (size_t i = 0; i < publish->count; i++) {
        const struct publish_item *item = &publish->items[i];
        if (repeats_earlier(publish, i))
            continue;
        if (!first)
            buffer_add_string(&publish->body, ",");
        first = false;
        buffer_add_json_text(&publish->body, item->channel);
        buffer_add_string(&publish->body, ":{");
        node_write_attributes(&publish->body, item->info, &item->state, true);
        buffer_add_string(&publish->body, "}");
    }
    buffer_add_string(&publish->body, "}}");
}

static bool wants_info(const struct publish *publish)
{
    for (size_t i = 0; i < publish->count; i++)
        if (publish->items[i].info)
            return true;
    return false;
}

static void write_body(struct publish *publish)
{
    if (!wants_info(publish))
        buffer_add_string(&publish->body, "{}");
    else if (publish->as_batch)
        write_batch(publish);
    else
        write_channels(publish);
}

/* ---- asking for the attributes ---- */

static void one_asked(struct node *node, struct publish *publish)
{
    if (--publish->outstanding > 0)
        return;
    write_body(publish);
    answer(node, publish, NODE_OK);
}

static void on_state(struct store_query *question, const char *name, const struct store_channel_state *state)
{
    struct publish_item *item = CONTAINER_OF(question, struct publish_item, question);
    (void)name;
    item->state = *state;
    item->state.cached = NULL; /* borrowed for the call only, and not asked for */
}

static void on_state_done(struct store_query *question, enum store_result result)
{
    struct publish_item *item = CONTAINER_OF(question, struct publish_item, question);
    (void)result; /* what is not known counts as nobody there; stale_s says how old it is */
    if (question->stale_s > item->publish->stale_s)
        item->publish->stale_s = question->stale_s;
    one_asked(item->publish->port->node, item->publish);
}

static void ask_for_attributes(struct node *node, struct publish *publish)
{
    publish->stale_s = STORE_FRESH;
    publish->outstanding = 1; /* this loop's own, for answers that come at once */
    for (size_t i = 0; i < publish->count; i++) {
        struct publish_item *item = &publish->items[i];
        if (!item->info)
            continue;
        item->question = (struct store_query){
            .app_id = publish->app->id,
            .channel = item->channel,
            .each_channel = on_state,
            .done = on_state_done,
        };
        publish->outstanding++;
        store_query_channel(node->store, &item->question);
    }
    one_asked(node, publish);
}

/* ---- publishing ---- */

/* Client events are not kept (protocol.md, "Channels"). */
static uint32_t cache_ttl_ms(const struct publish *publish, const struct publish_item *item)
{
    bool kept = publish->counted && channel_is_cache(item->channel);
    return kept ? publish->app->limits.cache_ttl_s * 1000 : 0;
}

static void one_published(struct node *node, struct publish *publish)
{
    if (--publish->outstanding > 0)
        return;
    if (publish->status != NODE_OK)
        answer(node, publish, publish->status);
    else
        ask_for_attributes(node, publish);
}

/* What has subscribers here is seen when it comes back, in its order. */
static void tap_unheard(struct node *node, const struct publish *publish, const struct publish_item *item)
{
    if (taps_any(node->insight.taps) && publish->kind == STORE_EVENT_MESSAGE &&
        !store_find(node->store, publish->app->id, item->channel))
        node_tap_event(node, publish->app->id, item->channel, item->frame);
}

static void on_published(struct store_publish *stored, enum store_result result)
{
    struct publish_item *item = CONTAINER_OF(stored, struct publish_item, stored);
    if (result != STORE_OK)
        item->publish->status = NODE_UNAVAILABLE;
    else {
        node_note_client_event(item->publish->port->node, item->publish->app, item);
        tap_unheard(item->publish->port->node, item->publish, item);
    }
    one_published(item->publish->port->node, item->publish);
}

/* What is refused is refused whole, before anything is sent. */
static enum node_status admit(struct node *node, struct publish *publish)
{
    if (!node_workers_have_room(node))
        return NODE_BUSY;
    if (!publish->counted)
        return NODE_OK;
    uint32_t per_second = publish->app->limits.publishes_per_second;
    /* A publish to more channels than a second's allowance takes a whole one: it could never be granted
     * otherwise. */
    uint32_t count = (uint32_t)publish->count;
    if (per_second && count > per_second)
        count = per_second;
    if (rate_take(&publish->app->counters->publishes, count, per_second, per_second, uv_now(node->loop)))
        return NODE_OK;
    publish->retry_after_s = 1;
    return NODE_RATE_LIMITED;
}

static struct socket_id excluded(const struct publish_item *item)
{
    return item->exclude.edge || item->exclude.serial ? item->exclude : item->publish->exclude;
}

void node_on_publish(struct mail *mail, void *context)
{
    struct publish *publish = CONTAINER_OF(mail, struct publish, mail);
    struct node *node = context;
    enum node_status status = admit(node, publish);
    if (status != NODE_OK) {
        answer(node, publish, status);
        return;
    }
    publish->status = NODE_OK;
    publish->outstanding = 1; /* this loop's own, for stores that answer at once */
    for (size_t i = 0; i < publish->count; i++) {
        struct publish_item *item = &publish->items[i];
        item->publish = publish;
        item->stored = (struct store_publish){
            .app_id = publish->app->id,
            .channel = item->channel,
            .event = {.frame = item->frame, .exclude = excluded(item), .kind = publish->kind},
            .cache_ttl_ms = cache_ttl_ms(publish, item),
            .done = on_published,
        };
        publish->outstanding++;
        store_publish(node->store, &item->stored);
    }
    one_published(node, publish);
}

void node_publish_here(struct node *node, struct publish *publish)
{
    publish->port = &node->own;
    node_on_publish(&publish->mail, node);
}
