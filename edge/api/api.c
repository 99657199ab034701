#include "edge/api/api_private.h"

#include <stdio.h>
#include <string.h>

enum { GET = 1, POST = 2 };

struct route {
    const char *path; /* ':' stands for a segment that is not empty */
    unsigned methods; /* GET includes HEAD; OPTIONS is answered everywhere */
    enum {
        FOR_ALL,
        FOR_SIGNED, /* by the app of the first ':' */
        FOR_DEMO,   /* exists only with the demo app */
    } access;
    void (*run)(struct api_call *call);
};

static const struct route routes[] = {
    {"/apps/:/events", POST, FOR_SIGNED, api_post_events},
    {"/apps/:/batch_events", POST, FOR_SIGNED, api_post_batch_events},
    {"/apps/:/channels", GET, FOR_SIGNED, api_get_channels},
    {"/apps/:/channels/:", GET, FOR_SIGNED, api_get_channel},
    {"/apps/:/channels/:/users", GET, FOR_SIGNED, api_get_channel_users},
    {"/healthz", GET, FOR_ALL, api_healthz},
    {"/readyz", GET, FOR_ALL, api_readyz},
    {"/", GET, FOR_DEMO, api_page},
    {"/demo/auth", GET | POST, FOR_DEMO, api_demo_auth},
};

/* Whether a path is this one; what stands in place of each ':' goes to variables. */
static bool path_fits(struct http_text path, const char *pattern, struct http_text *variables)
{
    const char *at = path.bytes, *end = at + path.length;
    for (; *pattern; pattern++) {
        if (*pattern != ':') {
            if (at == end || *at++ != *pattern)
                return false;
            continue;
        }
        const char *begin = at;
        while (at < end && *at != '/')
            at++;
        if (at == begin)
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

static void answer_other_method(const struct http_request *request, unsigned allowed)
{
    if (strcmp(request->method, "OPTIONS") == 0)
        http_answer(request->exchange,
            &(struct http_answer){
                .status = 200, .headers = allow_header(allowed), .body = "{}", .body_bytes = 2});
    else
        http_answer_error(request->exchange, 405, allow_header(allowed),
            "this path does not know the method %s: see the header Allow", request->method);
}

void api_request(void *worker, const struct http_request *request)
{
    struct api_call call = {.worker = worker, .request = request};
    const struct route *route = find_route(&call);
    if (!route)
        http_answer_error(request->exchange, 404, NULL,
            "there is nothing at this path; the API is under /apps/{app_id}/, WebSockets under /app/{key}");
    else if (!(route->methods & method_bit(request->method)))
        answer_other_method(request, route->methods);
    else if (route->access != FOR_SIGNED || api_authenticate(&call))
        route->run(&call);
}

/* ---- shared by the calls ---- */

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
