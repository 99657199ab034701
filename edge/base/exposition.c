#include "edge/base/exposition.h"

void exposition_begin(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* What is read while its owner adds may be one short in the sum, never in the buckets against each other. */
void exposition_histogram(
    struct buffer *out, const char *name, const char *labels, const struct latency *latency)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
        count += atomic_load_explicit(&latency->counts[i], memory_order_relaxed);
        buffer_printf(out, "%s_bucket{%s,le=\"%g\"} %ju\n", name, labels, (double)latency_bounds_us[i] / 1e6,
            (uintmax_t)count);
    }
    count += atomic_load_explicit(&latency->counts[LATENCY_BOUNDS], memory_order_relaxed);
    buffer_printf(out, "%s_bucket{%s,le=\"+Inf\"} %ju\n", name, labels, (uintmax_t)count);
    buffer_printf(out, "%s_sum{%s} %.6f\n", name, labels,
        (double)atomic_load_explicit(&latency->sum_us, memory_order_relaxed) / 1e6);
    buffer_printf(out, "%s_count{%s} %ju\n", name, labels, (uintmax_t)count);
}
