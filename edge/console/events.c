/* Events of an app as they pass through this edge: who watches asks again with the number he has seen, and waits for the
 * answer (a long poll). So a slow reader waits for nobody but himself, and a page can say its token in a header, which a
 * browser's EventSource cannot. */
#include "edge/console/console_private.h"

#include "edge/api/event_list.h"
#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/pusher/events.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

enum {
    WAITERS_MAX = 64,
    WAIT_MS =
        8000, /* shorter than what balancers, and other edges that ask for their console, wait for an answer */
};

struct event_waiter {
    LIST_ENTRY(event_waiter) entry;
    struct console *console;
    struct http_exchange *exchange;
    struct wheel_timer timer;
    uint64_t after;
    char app_id[];
};

/* ---- watching ---- */

static void answer(
    struct console *console, struct http_exchange *exchange, const char *app_id, uint64_t after)
{
    struct buffer json = {0};
    node_write_events(console->sources.node, app_id, after, &json);
    console_answer(exchange, &json);
    buffer_deinit(&json);
}

static void forget(struct event_waiter *waiter)
{
    struct console *console = waiter->console;
    wheel_cancel(&waiter->timer);
    LIST_REMOVE(waiter, entry);
    console->waiter_count--;
    if (console->waiter_count == 0)
        node_on_news(console->sources.node, NULL, NULL);
    free(waiter);
}

static void answer_waiter(struct event_waiter *waiter)
{
    answer(waiter->console, waiter->exchange, waiter->app_id, waiter->after);
    forget(waiter);
}

static void on_gone(void *context)
{
    forget(context);
}

static void on_late(struct wheel_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    answer_waiter(CONTAINER_OF(timer, struct event_waiter, timer));
}

static void on_news(void *context)
{
    struct console *console = context;
    struct event_waiter *next;
    for (struct event_waiter *waiter = LIST_FIRST(&console->waiters); waiter; waiter = next) {
        next = LIST_NEXT(waiter, entry);
        if (node_events_last(console->sources.node, waiter->app_id) > waiter->after)
            answer_waiter(waiter);
    }
}

static void wait(
    struct console *console, const struct http_request *request, const char *app_id, uint64_t after)
{
    size_t bytes = strlen(app_id) + 1;
    struct event_waiter *waiter = new_zeroed(sizeof(*waiter) + bytes);
    waiter->console = console;
    waiter->exchange = request->exchange;
    waiter->after = after;
    waiter->timer.expired = on_late;
    memcpy(waiter->app_id, app_id, bytes);
    LIST_INSERT_HEAD(&console->waiters, waiter, entry);
    console->waiter_count++;
    http_exchange_watch(request->exchange, on_gone, waiter);
    wheel_set(console->sources.wheel, &waiter->timer, clock_monotonic_ms() + WAIT_MS);
    node_on_news(console->sources.node, on_news, console);
}

void console_events_watch(struct console *console, const struct http_request *request)
{
    uint64_t after, wants_to_wait;
    const struct app *app = console_app(console, request);
    if (!app || !console_number(request, "after", 0, &after) ||
        !console_number(request, "wait", 0, &wants_to_wait))
        return;
    struct node *node = console->sources.node;
    if (!node_watch_events(node, app->id)) {
        http_answer_error(request->exchange, 503, "Retry-After: 60\r\n" CONSOLE_HEADERS,
            "as many apps are watched as can be; those that nobody watches any more are free after a minute");
        return;
    }
    bool has_news = node_events_last(node, app->id) != after;
    if (!wants_to_wait || has_news || console->waiter_count == WAITERS_MAX)
        answer(console, request->exchange, app->id, after);
    else
        wait(console, request, app->id, after);
}

void console_events_end(struct console *console)
{
    while (!LIST_EMPTY(&console->waiters))
        answer_waiter(LIST_FIRST(&console->waiters));
    node_on_news(console->sources.node, NULL, NULL);
}

/* ---- sending ---- */

static void on_published(struct publish *publish)
{
    struct http_exchange *exchange = publish->context;
    if (publish->status == NODE_OK)
        http_answer(exchange, &(struct http_answer){.status = 200,
                                  .headers = CONSOLE_HEADERS,
                                  .body = "{\"sent\":true}",
                                  .body_bytes = strlen("{\"sent\":true}")});
    else if (publish->status == NODE_RATE_LIMITED)
        http_answer_error(exchange, 429, "Retry-After: 1\r\n" CONSOLE_HEADERS,
            "the app may not publish more than its publishes_per_second");
    else
        http_answer_error(exchange, 503, "Retry-After: 2\r\n" CONSOLE_HEADERS,
            publish->status == NODE_BUSY ? "the server is over capacity"
                                         : "Redis is out of reach, so the event was sent to nobody");
    publish_free(publish);
}

static void fill(struct publish_item *item, const struct event_item *event)
{
    item->channel = new_text(event->channel);
    item->frame =
        event_published(event->channel, event->name, event->name_bytes, event->data, event->data_bytes);
    item->exclude = event->exclude;
}

static bool is_encrypted(const struct event_list *list)
{
    return list->count > 0 && channel_kind_of(list->items[0].channel) == CHANNEL_ENCRYPTED;
}

static void publish(struct console *console, const struct http_request *request, const struct app *app,
    const struct event_list *list)
{
    struct publish *sent = publish_new(app, list->count);
    sent->counted = true;
    sent->answered = on_published;
    sent->context = request->exchange;
    for (size_t i = 0; i < list->count; i++)
        fill(&sent->items[i], &list->items[i]);
    log_info("console.event_sent", "app %s, channel %s: event %s, by the console of %s", app->id,
        list->items[0].channel, list->items[0].name, request->peer);
    node_publish_here(console->sources.node, sent);
}

void console_events_send(struct console *console, const struct http_request *request)
{
    struct event_refusal refusal;
    const struct app *app = console_app(console, request);
    if (!app)
        return;
    struct event_list *list = event_list_parse(&app->limits, request->body, request->body_bytes, &refusal);
    if (!list) {
        http_answer_error(request->exchange, refusal.status, NULL, "%s", refusal.words);
    } else if (is_encrypted(list)) {
        http_answer_error(request->exchange, 400, NULL,
            "channel: the data of an encrypted channel are encrypted by the back end, which has the key");
    } else {
        publish(console, request, app, list);
    }
    if (list)
        event_list_free(list);
}
