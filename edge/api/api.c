#include "edge/api/api_private.h"

#include <stdio.h>
#include <string.h>

enum { GET = 1, POST = 2 };

struct route {
    const char *path; /* ':' stands for a segment, '*' for one or more; neither is empty */
    unsigned methods; /* GET includes HEAD; OPTIONS is answered everywhere */
    enum {
        FOR_ALL,
        FOR_APP,  /* signed by the app of the first ':' */
        FOR_KEY,  /* signed by the app of auth_key */
        FOR_DEMO, /* exists only with the demo app */
    } access;
    void (*run)(struct api_call *call);
    void (*options)(struct api_call *call); /* NULL: says what is allowed */
    bool publishes;                         /* its time is measured */
};

static const struct route routes[] = {
    {"/apps/:/events", POST, FOR_APP, api_post_events, NULL, true},
    {"/apps/:/batch_events", POST, FOR_APP, api_post_batch_events, NULL, true},
    {"/apps/:/channels", GET, FOR_APP, api_get_channels, NULL, false},
    {"/apps/:/channels/:", GET, FOR_APP, api_get_channel, NULL, false},
    {"/apps/:/channels/:/users", GET, FOR_APP, api_get_channel_users, NULL, false},
    /* A user's id may hold a '/', which SDKs send as it is. */
    {"/apps/:/users/*/terminate_connections", POST, FOR_APP, api_post_terminate, NULL, false},
    {"/users/*/terminate_connections", POST, FOR_KEY, api_post_terminate_by_key, NULL, false},
    {"/app/:", GET, FOR_ALL, api_not_upgraded, NULL, false},
    {"/healthz", GET, FOR_ALL, api_healthz, NULL, false},
    {"/readyz", GET, FOR_ALL, api_readyz, NULL, false},
    {"/", GET, FOR_DEMO, api_page, NULL, false},
    {"/demo/auth", GET | POST, FOR_DEMO, api_demo_auth, api_demo_preflight, false},
};

/* Where what a '*' stands for ends: so that what follows it in the pattern, text without variables, is the
 * path's end. NULL if that does not fit. */
static const char *find_rest(const char *begin, const char *end, const char *rest)
{
    size_t rest_bytes = strlen(rest);
    if ((size_t)(end - begin) <= rest_bytes || memcmp(end - rest_bytes, rest, rest_bytes) != 0)
        return NULL;
    return end - rest_bytes;
}

static const char *find_segment_end(const char *begin, const char *end)
{
    const char *slash = memchr(begin, '/', (size_t)(end - begin));
    return slash ? slash : end;
}

/* Whether a path is this one; what stands in place of each variable goes to variables. */
static bool path_fits(struct http_text path, const char *pattern, struct http_text *variables)
{
    const char *at = path.bytes, *end = at + path.length;
    for (; *pattern; pattern++) {
        if (*pattern != ':' && *pattern != '*') {
            if (at == end || *at++ != *pattern)
                return false;
            continue;
        }
        const char *begin = at;
        at = *pattern == ':' ? find_segment_end(at, end) : find_rest(at, end, pattern + 1);
        if (!at || at == begin)
            return false;
        *variables++ = (struct http_text){begin, (size_t)(at - begin)};
    }
    return at == end;
}

static const struct route *find_route(struct api_call *call)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct route *route = &routes[i];
        if (path_fits(call->request->path, route->path, call->variables))
            return route->access == FOR_DEMO && !api_demo_app(call->worker->config) ? NULL : route;
    }
    return NULL;
}

static unsigned method_bit(const char *method)
{
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return GET;
    return strcmp(method, "POST") == 0 ? POST : 0;
}

static const char *allow_header(unsigned methods)
{
    static const char *const headers[] = {
        [GET] = "Allow: GET, HEAD, OPTIONS\r\n",
        [POST] = "Allow: POST, OPTIONS\r\n",
        [GET | POST] = "Allow: GET, HEAD, POST, OPTIONS\r\n",
    };
    return headers[methods];
}

static void answer_options(const struct http_request *request, unsigned allowed)
{
    http_answer(request->exchange,
        &(struct http_answer){
            .status = 200, .headers = allow_header(allowed), .body = "{}", .body_bytes = 2});
}

static void answer_other_method(struct api_call *call, const struct route *route)
{
    const struct http_request *request = call->request;
    if (strcmp(request->method, "OPTIONS") != 0)
        http_answer_error(request->exchange, 405, allow_header(route->methods),
            "this path does not know the method %s: see the header Allow", request->method);
    else if (route->options)
        route->options(call);
    else
        answer_options(request, route->methods);
}

static void answer_no_route(const struct http_request *request)
{
    if (strcmp(request->method, "OPTIONS") == 0 && http_text_is(request->path, "*"))
        answer_options(request, GET | POST); /* the server as a whole (RFC 9110, 9.3.7) */
    else
        http_answer_error(request->exchange, 404, NULL,
            "there is nothing at this path; the API is under /apps/{app_id}/, WebSockets under /app/{key}");
}

/* What the app asks, and is answered. */
static void measure(const struct api_call *call, const struct route *route)
{
    struct worker *worker = call->worker;
    if (!call->app)
        return;
    struct app_metrics *counts = app_metrics_of(&worker->apps, call->app->id);
    metric_add(&counts->http_calls, 1);
    metric_add(&counts->http_received_bytes, call->request->body_bytes);
    http_exchange_measure(
        call->request->exchange, &(struct http_meter){.body_bytes = &counts->http_sent_bytes,
                                     .latency = route->publishes ? &worker->metrics.publish_latency : NULL});
}

static bool may_go_on(struct api_call *call, const struct route *route)
{
    if (route->access == FOR_APP)
        return api_authenticate(call);
    return route->access != FOR_KEY || api_authenticate_by_key(call);
}

void api_request(void *worker, const struct http_request *request)
{
    struct api_call call = {.worker = worker, .request = request};
    const struct route *route = find_route(&call);
    if (!route) {
        answer_no_route(request);
    } else if (!(route->methods & method_bit(request->method))) {
        answer_other_method(&call, route);
    } else if (may_go_on(&call, route)) {
        measure(&call, route);
        route->run(&call);
    }
}

/* GET where WebSockets are, without the upgrade (RFC 9110, 15.5.22). */
void api_not_upgraded(struct api_call *call)
{
    http_answer_error(call->request->exchange, 426, "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "this path is for WebSockets: the request must be an upgrade (if it was one, a proxy has taken its "
        "headers Upgrade and Connection away)");
}

/* ---- shared by the calls ---- */

bool api_node_has_room(const struct api_call *call)
{
    if (node_port_has_room(&call->worker->node))
        return true;
    api_answer_refusal(call->request->exchange, NODE_BUSY, 0);
    return false;
}

size_t api_count_chars(const char *text, size_t bytes)
{
    size_t chars = 0;
    for (size_t i = 0; i < bytes; i++)
        chars += ((unsigned char)text[i] & 0xc0) != 0x80;
    return chars;
}

void api_answer_json(struct http_exchange *exchange, const char *json, size_t bytes, int32_t stale_s)
{
    char header[48];
    struct http_answer answer = {.status = 200, .body = json, .body_bytes = bytes};
    if (stale_s >= 0) {
        snprintf(header, sizeof(header), "Rollcall-Stale: %d\r\n", stale_s);
        answer.headers = header;
    }
    http_answer(exchange, &answer);
}

void api_answer_refusal(struct http_exchange *exchange, enum node_status status, uint32_t retry_after_s)
{
    char header[48];
    snprintf(header, sizeof(header), "Retry-After: %u\r\n", retry_after_s ? retry_after_s : 1);
    if (status == NODE_RATE_LIMITED)
        http_answer_error(
            exchange, 429, header, "the app's limits.publishes_per_second is reached; nothing was sent");
    else if (status == NODE_BUSY)
        http_answer_error(exchange, 503, header, "the server is over its capacity; nothing was done");
    else
        http_answer_error(exchange, 503, header, "the store cannot be reached; nothing was done or is known");
}
