#include "edge/process.h"

#include "edge/admin/admin.h"
#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/node/facts.h"
#include "edge/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* A worker's loop that has not ticked for so long hangs: /healthz says so. */
    HEARTBEAT_MAX_MS = 5000,
    /* How long the end waits for Redis; what it has not heard by then leaves with the lease. */
    SETTLE_MAX_MS = 2000,
};

struct process {
    const struct config *config;
    uv_loop_t *loop;
    uv_signal_t on_term, on_int;
    struct node *node;
    struct admin *admin;
    struct worker *workers;
    unsigned worker_count;
    struct finished_mail {
        struct mail mail;
        struct process *process;
    } * finished;
    unsigned running;
    bool draining;
};

/* ---- stopping ---- */

static void on_settled(void *context)
{
    struct process *process = context;
    uv_stop(process->loop);
}

static void on_worker_finished(struct mail *mail, void *node)
{
    struct process *process = CONTAINER_OF(mail, struct finished_mail, mail)->process;
    (void)node;
    if (--process->running == 0)
        node_settle(process->node, SETTLE_MAX_MS, on_settled, process);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    struct process *process = handle->data;
    if (process->draining)
        return;
    process->draining = true;
    readiness_set(node_readiness(process->node), READINESS_DRAINING,
        "the process was told to stop, and is closing its connections");
    log_info("process.draining", "signal %d: closing all connections over %u ms", number,
        process->config->edge.drain_ms);
    node_retire(process->node, process->config->edge.drain_ms + process->config->presence.retire_grace_ms);
    for (unsigned w = 0; w < process->worker_count; w++)
        worker_drain(&process->workers[w], process->config->edge.drain_ms, &process->finished[w].mail);
}

/* ---- health ---- */

static bool alive(void *context)
{
    struct process *process = context;
    uint64_t now_ms = clock_monotonic_ms();
    for (unsigned w = 0; w < process->worker_count; w++) {
        uint64_t turned_ms = atomic_load_explicit(&process->workers[w].turned_ms, memory_order_relaxed);
        if (now_ms > turned_ms + HEARTBEAT_MAX_MS)
            return false;
    }
    return true;
}

static void write_metrics(void *context, struct buffer *out)
{
    struct process *process = context;
    node_write_metrics(process->node, out);
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
        process->running++;
    }
    return 0;
}

/* One socket a worker where the kernel can share the load (SO_REUSEPORT), else one for all. The first bind
 * decides the port, when it was left open. */
static int listen_at(struct process *process, const struct config_listen *wanted)
{
    struct config_listen at = *wanted;
    bool is_unix = strncmp(at.address, "unix:", 5) == 0;
    int shared = -1;
    for (unsigned w = 0; w < process->worker_count; w++) {
        int fd = is_unix && shared >= 0 ? dup(shared) : door_listen(&at, !is_unix, &at.port);
        if (fd < 0) {
            log_error("listen.failed", "cannot listen on %s port %u: %s", at.address, (unsigned)at.port,
                strerror(fd == -1 ? errno : -fd));
            return fd;
        }
        shared = fd;
        int error = worker_listen(&process->workers[w], fd, wanted);
        if (error)
            return error;
    }
    if (is_unix)
        log_info("listen", "listening on %s", at.address);
    else
        log_info("listen", strchr(at.address, ':') ? "listening on [%s]:%u" : "listening on %s:%u",
            at.address, (unsigned)at.port);
    return 0;
}

static int start_admin(struct process *process)
{
    if (!process->config->edge.admin.enabled)
        return 0;
    struct metrics **blocks = calloc(process->worker_count, sizeof(*blocks));
    const atomic_uint_least64_t **turned_ms = calloc(process->worker_count, sizeof(*turned_ms));
    if (!blocks || !turned_ms)
        abort();
    for (unsigned w = 0; w < process->worker_count; w++) {
        blocks[w] = &process->workers[w].metrics;
        turned_ms[w] = &process->workers[w].turned_ms;
    }
    struct admin_sources sources = {
        .workers = blocks,
        .turned_ms = turned_ms,
        .worker_count = process->worker_count,
        .node = node_metrics(process->node),
        .alive = alive,
        .readiness = node_readiness(process->node),
        .write_metrics = write_metrics,
        .write_facts = write_facts,
        .context = process,
    };
    int error =
        admin_new(process->loop, node_wheel(process->node), process->config, &sources, &process->admin);
    free(blocks);
    free(turned_ms);
    return error;
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

static int start(struct process *process)
{
    unsigned count = process->config->edge.workers;
    process->workers = calloc(count, sizeof(*process->workers));
    process->finished = calloc(count, sizeof(*process->finished));
    if (!process->workers || !process->finished)
        abort();
    int error = node_new(process->loop, process->config, count, &process->node);
    if (error)
        return error;
    for (unsigned w = 0; w < count; w++) {
        error = worker_init(&process->workers[w], w, count, process->config, process->node);
        if (error)
            return error;
        process->finished[w].mail.run = on_worker_finished;
        process->finished[w].process = process;
        process->worker_count = w + 1;
    }
    for (size_t i = 0; i < process->config->edge.listen_count; i++) {
        error = listen_at(process, &process->config->edge.listen[i]);
        if (error)
            return error;
    }
    error = start_admin(process);
    return error ? error : start_workers(process);
}

static void stop(struct process *process)
{
    for (unsigned w = 0; w < process->worker_count; w++)
        worker_join(&process->workers[w]);
    if (process->admin)
        admin_free(process->admin);
    node_close(process->node);
    uv_close((uv_handle_t *)&process->on_term, NULL);
    uv_close((uv_handle_t *)&process->on_int, NULL);
    uv_run(process->loop, UV_RUN_DEFAULT);
    node_free(process->node);
    uv_loop_close(process->loop);
    free(process->workers);
    free(process->finished);
}

int process_serve(const struct config *config)
{
    struct process process = {.config = config, .loop = uv_default_loop()};
    start_signals(&process);
    int error = start(&process);
    if (error) {
        /* Nothing was served yet: the process ends at once and the kernel takes everything back. */
        log_error("process.start", "cannot start: %s", uv_strerror(error));
        return 1;
    }
    log_info("process.ready", "ready: %u workers, presence in %s", process.worker_count,
        config->presence.store == PRESENCE_REDIS ? "Redis" : "memory");
    uv_run(process.loop, UV_RUN_DEFAULT);
    stop(&process);
    log_info("process.stopped", "stopped");
    return 0;
}
