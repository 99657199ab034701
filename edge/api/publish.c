#include "edge/api/api_private.h"

#include "edge/api/event_list.h"
#include "edge/pusher/events.h"
#include "presence/base/new.h"

typedef struct event_list *parse_function(
    const struct config_limits *limits, const char *body, size_t body_bytes, struct event_refusal *refusal);

/* The node has published everything or nothing. A client that has gone away meanwhile is the door's to know.
 */
static void on_answered(struct publish *publish)
{
    struct http_exchange *exchange = publish->context;
    if (publish->status == NODE_OK)
        api_answer_json(exchange, publish->body.bytes, publish->body.length, publish->stale_s);
    else
        api_answer_refusal(exchange, publish->status, publish->retry_after_s);
    publish_free(publish);
}

static void fill_item(struct publish_item *item, const struct event_item *event)
{
    item->channel = new_text(event->channel);
    item->frame =
        event_published(event->channel, event->name, event->name_bytes, event->data, event->data_bytes);
    item->info = event->info;
    item->exclude = event->exclude;
}

void api_publish(struct api_call *call, struct publish *publish)
{
    publish->answered = on_answered;
    publish->context = call->request->exchange;
    publish->stale_s = STORE_FRESH;
    node_publish(&call->worker->node, publish);
}

static struct publish *make_publish(const struct app *app, const struct event_list *list)
{
    struct publish *publish = publish_new(app, list->count);
    publish->counted = true;
    publish->as_batch = list->is_batch;
    for (size_t i = 0; i < list->count; i++)
        fill_item(&publish->items[i], &list->items[i]);
    return publish;
}

static void publish_body(struct api_call *call, parse_function *parse)
{
    const struct http_request *request = call->request;
    struct event_refusal refusal;
    struct event_list *list = parse(&call->app->limits, request->body, request->body_bytes, &refusal);
    if (!list) {
        http_answer_error(request->exchange, refusal.status, NULL, "%s", refusal.words);
        return;
    }
    if (api_node_has_room(call))
        api_publish(call, make_publish(call->app, list));
    else
        metric_add(&call->worker->metrics.publishes_refused, list->count);
    event_list_free(list);
}

void api_post_events(struct api_call *call)
{
    publish_body(call, event_list_parse);
}

void api_post_batch_events(struct api_call *call)
{
    publish_body(call, event_list_parse_batch);
}
