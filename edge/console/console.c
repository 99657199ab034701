#include "edge/console/console_private.h"

#include "auth/request_auth.h"
#include "edge/admin/admin_token.h"
#include "edge/base/clock.h"
#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct route {
    const char *method, *path;
    console_handler *handler;
    enum admin_right right;
} routes[] = {
    {"GET", "/api/edge", console_overview, ADMIN_LOOKS},
    {"GET", "/api/fleet", console_fleet, ADMIN_LOOKS},
    {"GET", "/api/channels", console_channels, ADMIN_LOOKS},
    {"GET", "/api/who", console_who, ADMIN_LOOKS},
    {"GET", "/api/events", console_events_watch, ADMIN_LOOKS},
    {"POST", "/api/events", console_events_send, ADMIN_CHANGES},
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

static bool takes(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

bool console_request(void *context, const struct http_request *request)
{
    struct console *console = context;
    const struct route *other = NULL;
    const struct file *file = console_file_find(request->path);
    if (file) {
        if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
            console_file_answer(file, request);
        else
            http_answer_error(request->exchange, 405, "Allow: GET, HEAD\r\n", "the page takes GET and HEAD");
        return true;
    }
    for (const struct route *route = routes; route < routes + ROUTES; route++) {
        if (!http_text_is(request->path, route->path))
            continue;
        other = route;
        if (!takes(route, request->method))
            continue;
        if (admin_allows(console->sources.config, request, route->right))
            route->handler(console, request);
        return true;
    }
    if (!other && console_peers(console, request))
        return true;
    if (other)
        http_answer_error(request->exchange, 405,
            strcmp(other->path, "/api/events") == 0 ? "Allow: GET, HEAD, POST\r\n" : "Allow: GET, HEAD\r\n",
            "%s does not take %s", other->path, request->method);
    return other != NULL;
}

struct console *console_new(const struct console_sources *sources)
{
    struct console *console = new_zeroed(sizeof(*console));
    console->sources = *sources;
    config_ref(sources->config);
    console->sources.workers = new_copy(sources->workers, sources->worker_count * sizeof(*sources->workers));
    console->sources.turned_ms =
        new_copy(sources->turned_ms, sources->worker_count * sizeof(*sources->turned_ms));
    console->started_ms = clock_wall_ms();
    LIST_INIT(&console->waiters);
    console->peers = peers_new(sources->loop);
    console->samples = samples_new(
        sources->wheel, console->sources.workers, sources->worker_count, node_metrics(sources->node));
    return console;
}

void console_reload(struct console *console, const struct config *config)
{
    const struct config *before = console->sources.config;
    console->sources.config = config_ref(config);
    config_unref(before);
}

void console_free(struct console *console)
{
    console_events_end(console);
    peers_close(console->peers);
    samples_free(console->samples);
    config_unref(console->sources.config);
    free((void *)console->sources.workers);
    free((void *)console->sources.turned_ms);
    free(console);
}

/* ---- for the handlers ---- */

bool console_parameter(const struct http_request *request, const char *name, char value[CONSOLE_TEXT_BYTES])
{
    value[0] = '\0';
    int length =
        request_query_get(request->query.bytes, request->query.length, name, value, CONSOLE_TEXT_BYTES);
    if (length != -2)
        return true;
    http_answer_error(request->exchange, 400, NULL,
        "%s: must be percent-encoded text of less than %d bytes without NUL", name, CONSOLE_TEXT_BYTES);
    return false;
}

bool console_number(const struct http_request *request, const char *name, uint64_t absent, uint64_t *number)
{
    char text[CONSOLE_TEXT_BYTES], *end;
    *number = absent;
    if (!console_parameter(request, name, text))
        return false;
    if (!text[0])
        return true;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (errno == 0 && !*end && text[0] >= '0' && text[0] <= '9')
        return true;
    http_answer_error(request->exchange, 400, NULL, "%s: must be a whole number", name);
    return false;
}

const struct app *console_app(struct console *console, const struct http_request *request)
{
    const struct config *config = console->sources.config;
    char id[CONSOLE_TEXT_BYTES];
    if (!console_parameter(request, "app", id))
        return NULL;
    if (!id[0] && config->app_count == 1)
        return &config->apps[0];
    const struct app *app = config_app_by_id(config, id, strlen(id));
    if (!app && !id[0])
        http_answer_error(request->exchange, 400, NULL,
            "app: must be the id of an app; there are %zu in the configuration", config->app_count);
    else if (!app)
        http_answer_error(request->exchange, 404, NULL, "app: there is no app \"%s\"", id);
    return app;
}

void console_answer(struct http_exchange *exchange, const struct buffer *json)
{
    http_answer(exchange,
        &(struct http_answer){
            .status = 200, .headers = CONSOLE_HEADERS, .body = json->bytes, .body_bytes = json->length});
}
