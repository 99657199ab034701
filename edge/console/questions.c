/* What the node answers later: the fleet, channels, who is in one. A client that goes away meanwhile is the door's to
 * know: an answer to nobody is dropped. */
#include "edge/console/console_private.h"

static void on_answered(struct insight *insight)
{
    struct http_exchange *exchange = insight->context;
    switch (insight->status) {
    case INSIGHT_OK:
        console_answer(exchange, &insight->body);
        break;
    case INSIGHT_UNAVAILABLE:
        http_answer_error(exchange, 503, "Retry-After: 2\r\n" CONSOLE_HEADERS,
            "Redis is out of reach, and nothing is known of it here");
        break;
    case INSIGHT_BUSY:
        http_answer_error(exchange, 503, "Retry-After: 2\r\n" CONSOLE_HEADERS,
            "%d questions wait for their answers already", INSIGHT_QUESTIONS_MAX);
        break;
    }
    insight_free(insight);
}

static void ask(struct console *console, const struct http_request *request, struct insight *insight)
{
    insight->answered = on_answered;
    insight->context = request->exchange;
    node_ask(console->sources.node, insight);
}

void console_fleet(struct console *console, const struct http_request *request)
{
    ask(console, request, insight_new(INSIGHT_FLEET, NULL, NULL, NULL, NULL));
}

void console_channels(struct console *console, const struct http_request *request)
{
    char search[CONSOLE_TEXT_BYTES];
    uint64_t limit;
    const struct app *app = console_app(console, request);
    if (!app || !console_parameter(request, "search", search) ||
        !console_number(request, "limit", INSIGHT_CHANNELS_MAX, &limit))
        return;
    if (limit < 1 || limit > INSIGHT_CHANNELS_MAX) {
        http_answer_error(
            request->exchange, 400, NULL, "limit: must be a whole number from 1 to %d", INSIGHT_CHANNELS_MAX);
        return;
    }
    struct insight *insight = insight_new(INSIGHT_CHANNELS, app->id, NULL, NULL, search[0] ? search : NULL);
    insight->limit = (uint32_t)limit;
    ask(console, request, insight);
}

void console_who(struct console *console, const struct http_request *request)
{
    char channel[CONSOLE_TEXT_BYTES], user[CONSOLE_TEXT_BYTES];
    const struct app *app = console_app(console, request);
    if (!app || !console_parameter(request, "channel", channel) || !console_parameter(request, "user", user))
        return;
    if (!channel[0]) {
        http_answer_error(request->exchange, 400, NULL, "channel: must be the name of a channel");
        return;
    }
    ask(console, request, insight_new(INSIGHT_WHO, app->id, channel, user[0] ? user : NULL, NULL));
}
