/* The metrics, but for those of apps and of the node. */
#include "edge/admin/admin_pages.h"

#include "edge/base/exposition.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *name, *type, *help;
    size_t offset; /* in struct metrics */
};

static const struct row rows[] = {
#define ROW(name, prometheus, type, help) {prometheus, type, help, offsetof(struct metrics, name)},
    METRICS(ROW)
#undef ROW
};

static uint64_t value_of(struct metrics *block, const struct row *row)
{
    return atomic_load_explicit((metric *)((char *)block + row->offset), memory_order_relaxed);
}

static void print_row(const struct admin_sources *sources, const struct row *row, struct buffer *body)
{
    exposition_begin(body, row->name, row->type, row->help);
    for (size_t i = 0; i < sources->worker_count; i++)
        buffer_printf(
            body, "%s{worker=\"%zu\"} %ju\n", row->name, i, (uintmax_t)value_of(sources->workers[i], row));
    buffer_printf(body, "%s{worker=\"node\"} %ju\n", row->name, (uintmax_t)value_of(sources->node, row));
}

static void print_latencies(const struct admin_sources *sources, struct buffer *body)
{
    static const struct {
        const char *name, *help;
        size_t offset; /* in struct metrics */
    } latencies[] = {
#define LATENCY(name, prometheus, help) {prometheus, help, offsetof(struct metrics, name)},
        LATENCIES(LATENCY)
#undef LATENCY
    };
    for (size_t l = 0; l < sizeof(latencies) / sizeof(latencies[0]); l++) {
        exposition_begin(body, latencies[l].name, "histogram", latencies[l].help);
        for (size_t i = 0; i <= sources->worker_count; i++) {
            bool is_node = i == sources->worker_count;
            const struct metrics *block = is_node ? sources->node : sources->workers[i];
            char labels[48] = "worker=\"node\"";
            if (!is_node)
                snprintf(labels, sizeof(labels), "worker=\"%zu\"", i);
            exposition_histogram(body, latencies[l].name, labels,
                (const struct latency *)((const char *)block + latencies[l].offset));
        }
    }
}

static void print_readiness(const struct admin_sources *sources, struct buffer *body)
{
    static const char name[] = "rollcall_unready";
    struct readiness_report report = readiness_read(sources->readiness);
    exposition_begin(body, name, "gauge", "1: the reason holds; /readyz says more.");
    for (unsigned i = 0; i < READINESS_REASONS; i++)
        buffer_printf(body, "%s{reason=\"%s\"} %d\n", name, readiness_name(i), report.why[i] != NULL);
}

static void print_loops(const struct admin_sources *sources, uint64_t now_ms, struct buffer *body)
{
    static const char name[] = "rollcall_loop_silent_seconds";
    if (!sources->turned_ms)
        return;
    exposition_begin(body, name, "gauge", "Time since the worker's loop last turned.");
    for (size_t i = 0; i < sources->worker_count; i++) {
        uint64_t turned_ms = atomic_load_explicit(sources->turned_ms[i], memory_order_relaxed);
        uint64_t silent_ms = now_ms > turned_ms ? now_ms - turned_ms : 0;
        buffer_printf(body, "%s{worker=\"%zu\"} %.3f\n", name, i, (double)silent_ms / 1000);
    }
}

static void print_apps(const struct config *config, struct buffer *body)
{
    static const char name[] = "rollcall_app_connections";
    exposition_begin(body, name, "gauge", "Open client connections of the app.");
    for (size_t i = 0; i < config->app_count; i++) {
        const struct app *app = &config->apps[i];
        buffer_printf(body, "%s{app=\"", name);
        buffer_add_label(body, app->id);
        buffer_printf(
            body, "\"} %u\n", atomic_load_explicit(&app->counters->connections, memory_order_relaxed));
    }
}

static void print_build(const struct config *config, struct buffer *body)
{
    static const char name[] = "rollcall_build_info";
    exposition_begin(body, name, "gauge", "Always 1; which version runs, under which name.");
    buffer_printf(body, "%s{version=\"" ROLLCALL_VERSION "\",edge=\"", name);
    buffer_add_label(body, config->edge.name);
    buffer_add_string(body, "\"} 1\n");
}

static void print_whole(struct buffer *body, const char *name, const char *help, uint64_t value)
{
    if (value == 0)
        return;
    exposition_begin(body, name, "gauge", help);
    buffer_printf(body, "%s %ju\n", name, (uintmax_t)value);
}

/* Under the names that Prometheus' own clients give them. */
static void print_process(const struct admin_process *process, struct buffer *body)
{
    print_whole(body, "process_resident_memory_bytes", "Resident memory.", process->resident_bytes);
    print_whole(body, "process_open_fds", "Open file descriptors.", process->open_fds);
    print_whole(body, "process_max_fds", "File descriptors that may be open.", process->max_fds);
    exposition_begin(body, "process_cpu_seconds_total", "counter", "Time spent on processors.");
    buffer_printf(body, "process_cpu_seconds_total %.3f\n", process->cpu_seconds);
    if (process->start_time_seconds > 0) {
        exposition_begin(
            body, "process_start_time_seconds", "gauge", "When the process started, since 1970.");
        buffer_printf(body, "process_start_time_seconds %.2f\n", process->start_time_seconds);
    }
}

void admin_metrics_print(const struct admin_sources *sources, const struct config *config,
    const struct admin_process *process, uint64_t now_ms, struct buffer *body)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        print_row(sources, &rows[i], body);
    print_latencies(sources, body);
    print_readiness(sources, body);
    admin_tls_print(sources, config, body);
    print_loops(sources, now_ms, body);
    print_apps(config, body);
    admin_apps_print(sources, config, body);
    print_build(config, body);
    print_process(process, body);
    if (sources->write_metrics)
        sources->write_metrics(sources->context, body);
}
