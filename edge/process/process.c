#include "edge/process/process_private.h"

#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/node/facts.h"
#include "edge/service/systemd.h"
#include "presence/base/new.h"

#include <signal.h>
#include <stdlib.h>

/* A worker's loop that has not ticked for so long hangs: /healthz says so. */
enum { HEARTBEAT_MAX_MS = 5000 };

/* ---- health ---- */

bool process_is_alive(const struct process *process)
{
    uint64_t now_ms = clock_monotonic_ms();
    for (unsigned w = 0; w < process->worker_count; w++) {
        uint64_t turned_ms = atomic_load_explicit(&process->workers[w].turned_ms, memory_order_relaxed);
        if (now_ms > turned_ms + HEARTBEAT_MAX_MS)
            return false;
    }
    return true;
}

static bool alive(void *context)
{
    return process_is_alive(context);
}

static void write_metrics(void *context, struct buffer *out)
{
    struct process *process = context;
    node_write_metrics(process->node, out);
    reload_write_metrics(process->reload.room, out);
}

static bool write_facts(void *context, struct buffer *out)
{
    struct process *process = context;
    return node_write_facts(process->node, out);
}

/* ---- starting ---- */

static int start_workers(struct process *process)
{
    for (unsigned w = 0; w < process->worker_count; w++) {
        int error = worker_start(&process->workers[w]);
        if (error) {
            log_error("worker.start", "cannot start worker %u: %s", w, uv_strerror(error));
            return error;
        }
    }
    return 0;
}

static int start_admin(struct process *process)
{
    if (!process->config->edge.admin.enabled)
        return 0;
    struct metrics **blocks = new_array(process->worker_count, sizeof(*blocks));
    const atomic_uint_least64_t **turned_ms = new_array(process->worker_count, sizeof(*turned_ms));
    const struct app_metrics_table **apps = new_array(process->worker_count, sizeof(*apps));
    for (unsigned w = 0; w < process->worker_count; w++) {
        blocks[w] = &process->workers[w].metrics;
        turned_ms[w] = &process->workers[w].turned_ms;
        apps[w] = &process->workers[w].apps;
    }
    process->console = console_new(&(struct console_sources){.config = process->config,
        .node = process->node,
        .loop = process->loop,
        .wheel = node_wheel(process->node),
        .readiness = node_readiness(process->node),
        .workers = blocks,
        .turned_ms = turned_ms,
        .worker_count = process->worker_count});
    struct admin_sources sources = {
        .workers = blocks,
        .turned_ms = turned_ms,
        .apps = apps,
        .port = process->port,
        .worker_count = process->worker_count,
        .node = node_metrics(process->node),
        .alive = alive,
        .readiness = node_readiness(process->node),
        .write_metrics = write_metrics,
        .write_facts = write_facts,
        .request = console_request,
        .request_context = process->console,
        .context = process,
        .listener = process_inherited_admin(process),
    };
    process_reload_sources(&sources);
    int error =
        admin_new(process->loop, node_wheel(process->node), process->config, &sources, &process->admin);
    free(blocks);
    free(turned_ms);
    free(apps);
    return error;
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    process_leave(handle->data, number);
}

/* This thread's loop runs the timer, and it looks at the others'. */
static void on_watchdog(uv_timer_t *timer)
{
    if (process_is_alive(timer->data))
        systemd_notify("WATCHDOG=1");
}

static void start_watchdog(struct process *process)
{
    uint64_t every_ms = systemd_watchdog_ms();
    uv_timer_init(process->loop, &process->watchdog);
    process->watchdog.data = process;
    if (every_ms > 0)
        uv_timer_start(&process->watchdog, on_watchdog, 0, every_ms);
}

static void start_signals(struct process *process)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(process->loop, &process->on_term);
    uv_signal_init(process->loop, &process->on_int);
    process->on_term.data = process;
    process->on_int.data = process;
    uv_signal_start(&process->on_term, on_stop_signal, SIGTERM);
    uv_signal_start(&process->on_int, on_stop_signal, SIGINT);
}

static int start(struct process *process, bool take_over)
{
    int error = process_inherit(process, take_over);
    if (error)
        return error;
    unsigned count = process->config->edge.workers;
    process->workers = new_array(count, sizeof(*process->workers));
    error = node_new(process->loop, process->config, count, &process->node);
    if (error)
        return error;
    for (unsigned w = 0; w < count; w++) {
        error = worker_init(&process->workers[w], w, count, process->config, process->node);
        if (error)
            return error;
        process->worker_count = w + 1;
    }
    error = process_listen(process);
    if (!error)
        error = start_admin(process);
    if (!error)
        error = start_workers(process);
    if (!error)
        process_take_place(process);
    return error;
}

static void stop(struct process *process)
{
    for (unsigned w = 0; w < process->worker_count; w++)
        worker_join(&process->workers[w]);
    if (process->console)
        console_free(process->console);
    if (process->admin)
        admin_free(process->admin);
    node_close(process->node);
    uv_close((uv_handle_t *)&process->on_term, NULL);
    uv_close((uv_handle_t *)&process->on_int, NULL);
    uv_close((uv_handle_t *)&process->watchdog, NULL);
    process_leave_close(process);
    process_overload_close(process);
    process_successor_close(process);
    process_reload_close(process);
    process_give_up_place(process);
    process_certificates_close(process);
    uv_run(process->loop, UV_RUN_DEFAULT);
    node_free(process->node);
    uv_loop_close(process->loop);
    free(process->workers);
    process_reload_free(process);
    process_listen_deinit(process);
    config_unref(process->config);
}

int process_serve(const struct config *config, const char *path, bool take_over)
{
    struct process process = {.config = config, .loop = uv_default_loop()};
    start_signals(&process);
    start_watchdog(&process);
    process_leave_init(&process);
    process_overload_init(&process);
    process_successor_init(&process);
    process_reload_init(&process, path);
    process_certificates_init(&process);
    int error = start(&process, take_over);
    if (error) {
        /* Nothing was served yet: the process ends at once and the kernel takes everything back. */
        log_error("process.start", "cannot start: %s", uv_strerror(error));
        config_unref(config);
        return 1;
    }
    log_info("process.ready", "ready: %u workers, presence in %s", process.worker_count,
        config->presence.store == PRESENCE_REDIS ? "Redis" : "memory");
    process_overload_start(&process);
    systemd_notify_ready();
    uv_run(process.loop, UV_RUN_DEFAULT);
    stop(&process);
    log_info("process.stopped", "stopped");
    return 0;
}
