/* Alive and ready, in JSON. */
#include "edge/admin/admin_pages.h"

static uint64_t silent_ms(const struct admin_sources *sources, size_t worker, uint64_t now_ms)
{
    uint64_t turned_ms = atomic_load_explicit(sources->turned_ms[worker], memory_order_relaxed);
    return now_ms > turned_ms ? now_ms - turned_ms : 0;
}

int admin_health_print(const struct admin_sources *sources, uint64_t now_ms, struct buffer *body)
{
    bool alive = sources->alive(sources->context);
    buffer_printf(body, "{\"alive\":%s", alive ? "true" : "false");
    if (sources->turned_ms) {
        buffer_add_string(body, ",\"workers\":[");
        for (size_t i = 0; i < sources->worker_count; i++)
            buffer_printf(body, "%s{\"worker\":%zu,\"silent_ms\":%ju}", i ? "," : "", i,
                (uintmax_t)silent_ms(sources, i, now_ms));
        buffer_add_string(body, "]");
    }
    buffer_add_string(body, "}\n");
    return alive ? 200 : 503;
}

int admin_readiness_print(const struct admin_sources *sources, struct buffer *body)
{
    struct readiness_report report = readiness_read(sources->readiness);
    return readiness_print(&report, body);
}
