#include "edge/api/api_private.h"

#include <string.h>

static void answer_ok(const struct api_call *call)
{
    static const char body[] = "{\"status\":\"ok\"}";
    http_answer(call->request->exchange, &(struct http_answer){.status = 200,
                                             .headers = "Cache-Control: no-store\r\n",
                                             .body = body,
                                             .body_bytes = strlen(body)});
}

/* The thread answers. */
void api_healthz(struct api_call *call)
{
    answer_ok(call);
}

/* New connections are welcome, and the node keeps up. */
void api_readyz(struct api_call *call)
{
    static const char headers[] = "Cache-Control: no-store\r\nRetry-After: 1\r\n";
    if (call->worker->drain.active)
        http_answer_error(call->request->exchange, 503, headers, "the server is shutting down");
    else if (!node_port_has_room(&call->worker->node))
        http_answer_error(call->request->exchange, 503, headers, "the server is over its capacity");
    else
        answer_ok(call);
}
