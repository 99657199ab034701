/* Whether the process is at one of its limits. Connections are counted where they are admitted, and accepts where they are
 * taken; here they are only told of. Memory is measured here.
 *
 * It is the resident memory, because that is what the kernel kills for. Accounts of our own would miss libwebsockets',
 * OpenSSL's and what the allocator keeps. */
#include "edge/process/process_private.h"

#include "edge/base/log.h"
#include "edge/base/resident.h"

#include <malloc.h>

enum {
    LOOK_EVERY_MS = 250,
    /* What is over a limit is below it again at so many hundredths: no flapping. */
    ENOUGH_PERCENT = 95,
    /* A second of pacing is a crowd; one look of it is chance. */
    PACED_LOOKS = 4,
    /* The allocator keeps what was freed, so that a process that was over its limit once would stay there. Giving it back
     * takes some milliseconds. */
    TRIM_EVERY_LOOKS = 20,
};

static bool is_over(uint64_t value, uint64_t limit, bool was_over)
{
    return limit > 0 && value >= (was_over ? (limit * ENOUGH_PERCENT + 99) / 100 : limit);
}

static void look_at_memory(struct process *process)
{
    uint64_t limit = process->config->edge.memory_bytes, bytes = limit ? resident_bytes() : 0;
    bool was_over = process->overload.memory;
    process->overload.memory = is_over(bytes, limit, was_over);
    atomic_store_explicit(node_is_full(process->node), process->overload.memory, memory_order_relaxed);
    if (process->overload.memory && process->overload.looks % TRIM_EVERY_LOOKS == 0)
        malloc_trim(0);
    if (process->overload.memory && !was_over)
        log_warn("overload.memory", "%ju MiB are resident, and edge.memory_bytes is %ju MiB: no new clients",
            (uintmax_t)(bytes >> 20), (uintmax_t)(limit >> 20));
    else if (was_over && !process->overload.memory)
        log_info("overload.memory_over", "%ju MiB are resident: new clients are taken again",
            (uintmax_t)(bytes >> 20));
}

static void look_at_connections(struct process *process)
{
    uint64_t open = atomic_load_explicit(node_connections(process->node), memory_order_relaxed);
    process->overload.connections =
        is_over(open, process->config->edge.connections, process->overload.connections);
}

static void look_at_accepts(struct process *process)
{
    uint64_t paced = 0;
    for (unsigned w = 0; w < process->worker_count; w++)
        paced += atomic_load_explicit(&process->workers[w].metrics.accepts_paced, memory_order_relaxed);
    bool is_paced = paced != process->overload.paced;
    process->overload.paced = paced;
    if (is_paced == process->overload.accepts)
        process->overload.paced_looks = 0;
    else if (++process->overload.paced_looks >= PACED_LOOKS)
        process->overload.accepts = is_paced;
}

static void on_look(uv_timer_t *timer)
{
    struct process *process = timer->data;
    look_at_memory(process);
    look_at_connections(process);
    look_at_accepts(process);
    process->overload.looks++;
    const char *why = process->overload.memory        ? "edge.memory_bytes is reached"
                      : process->overload.connections ? "edge.connections is reached"
                      : process->overload.accepts     ? "more connections come than edge.accepts_per_second"
                                                      : NULL;
    readiness_set(node_readiness(process->node), READINESS_OVERLOADED, why);
}

void process_overload_start(struct process *process)
{
    uv_timer_start(&process->overload.timer, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
}

void process_overload_init(struct process *process)
{
    uv_timer_init(process->loop, &process->overload.timer);
    process->overload.timer.data = process;
}

void process_overload_close(struct process *process)
{
    uv_close((uv_handle_t *)&process->overload.timer, NULL);
}
