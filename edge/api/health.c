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

/* What the process says, and what this worker knows besides. */
void api_readyz(struct api_call *call)
{
    struct worker *worker = call->worker;
    struct readiness_report report = readiness_read(node_readiness(worker->node.node));
    struct buffer body = {0};
    if (worker->drain.active && !report.why[READINESS_DRAINING])
        report.why[READINESS_DRAINING] = "this worker is closing its connections";
    if (!node_port_has_room(&worker->node) && !report.why[READINESS_OVERLOADED])
        report.why[READINESS_OVERLOADED] = "edge.mailbox_length requests wait for the node";
    int status = readiness_print(&report, &body);
    http_answer(call->request->exchange,
        &(struct http_answer){.status = status,
            .headers = status == 200 ? "Cache-Control: no-store\r\n"
                                     : "Cache-Control: no-store\r\nRetry-After: 1\r\n",
            .body = body.bytes,
            .body_bytes = body.length});
    buffer_deinit(&body);
}
