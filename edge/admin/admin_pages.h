/* The pages of the admin listener, as text. Private to this room. Pure functions of their arguments. */
#pragma once

#include "edge/admin/admin.h"
#include "edge/base/buffer.h"

/* What the kernel says of this process; a number that could not be read is 0 and is not printed. */
struct admin_process {
    uint64_t resident_bytes;
    uint64_t open_fds, max_fds;
    double cpu_seconds;
    double start_time_seconds; /* since 1970 */
};

void admin_process_read(struct admin_process *process);

/* A JSON body, and the status to send with it. now_ms is of clock_monotonic_ms(). */
int admin_health_print(const struct admin_sources *sources, uint64_t now_ms, struct buffer *body);
int admin_readiness_print(const struct admin_sources *sources, struct buffer *body);

/* A part of the metrics: what is counted of apps. */
void admin_apps_print(const struct admin_sources *sources, const struct config *config, struct buffer *body);

/* Another: handshakes that failed, and when certificates expire. */
void admin_tls_print(const struct admin_sources *sources, const struct config *config, struct buffer *body);

void admin_metrics_print(const struct admin_sources *sources, const struct config *config,
    const struct admin_process *process, uint64_t now_ms, struct buffer *body);
