#include "edge/process/process_private.h"

#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/service/systemd.h"
#include "presence/base/new.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

enum {
    /* How long the end waits for Redis; what it has not heard by then leaves with the lease. */
    SETTLE_MAX_MS = 2000,
    /* Turns of loops, threads and sockets that end; generously. */
    SPARE_MS = 2000,
};

static void on_settled(void *context)
{
    struct process *process = context;
    uv_stop(process->loop);
}

static void on_worker_finished(struct mail *mail, void *node)
{
    struct process *process = CONTAINER_OF(mail, struct finished_mail, mail)->process;
    (void)node;
    if (--process->leave.running > 0)
        return;
    node_retire(process->node, process->config->presence.retire_grace_ms);
    node_settle(process->node, SETTLE_MAX_MS, on_settled, process);
}

/* others_listen: as in door_stop_accepting(). */
static void drain(struct process *process, uint32_t over_ms, bool others_listen)
{
    process->leave.state = PROCESS_DRAINS;
    process_give_up_place(process);
    uv_timer_stop(&process->leave.timer);
    log_info("process.draining", "closing all connections over %u ms", over_ms);
    node_begin_leaving(process->node);
    process->leave.running = process->worker_count;
    for (unsigned w = 0; w < process->worker_count; w++)
        worker_drain(&process->workers[w], over_ms, others_listen, &process->leave.finished[w].mail);
}

static void on_balancer_told(uv_timer_t *timer)
{
    struct process *process = timer->data;
    drain(process, process->config->edge.drain_ms, false);
}

static void warn(struct process *process, uint32_t wait_ms)
{
    process->leave.state = PROCESS_WARNS;
    log_info("process.unready", "waiting %u ms for the balancer to hear of it", wait_ms);
    uv_timer_start(&process->leave.timer, on_balancer_told, wait_ms, 0);
}

static void hurry(struct process *process)
{
    log_info("process.hurried", "told to stop again: closing all connections at once");
    if (process->leave.state == PROCESS_WARNS)
        drain(process, 0, false);
    for (unsigned w = 0; w < process->worker_count; w++)
        worker_hurry(&process->workers[w]);
}

/* What a supervisor has to wait: also for clients that do not answer, and for Redis. */
static uint64_t longest_ms(const struct process *process, uint32_t wait_ms)
{
    return (uint64_t)wait_ms + process->config->edge.drain_ms + WORKER_DRAIN_GRACE_MS + SETTLE_MAX_MS +
           SPARE_MS;
}

void process_leave(struct process *process, int signal_number)
{
    uint32_t wait_ms = signal_number == SIGINT ? 0 : process->config->edge.balancer_wait_ms;
    if (process->leave.state != PROCESS_SERVES) {
        hurry(process);
        return;
    }
    reload_stop(process->reload.room);
    log_info("process.stopping", "told to stop by SIG%s", sigabbrev_np(signal_number));
    systemd_notify("STOPPING=1\nSTATUS=Sending clients away\nEXTEND_TIMEOUT_USEC=%" PRIu64,
        longest_ms(process, wait_ms) * 1000);
    readiness_set(node_readiness(process->node), READINESS_DRAINING,
        "the process was told to stop, and sends its clients away");
    if (wait_ms > 0)
        warn(process, wait_ms);
    else
        drain(process, process->config->edge.drain_ms, false);
}

void process_leave_to(struct process *process, pid_t successor)
{
    if (process->leave.state == PROCESS_DRAINS)
        return;
    reload_stop(process->reload.room);
    log_info("process.succeeded", "process %d has taken our place", (int)successor);
    /* It is the service's main process from now on. */
    systemd_notify("MAINPID=%d", (int)successor);
    readiness_set(node_readiness(process->node), READINESS_DRAINING,
        "another process has taken this one's place; it sends its clients there");
    if (process->admin)
        admin_stop_accepting(process->admin);
    drain(process, process->config->edge.drain_ms, true);
}

void process_leave_init(struct process *process)
{
    uv_timer_init(process->loop, &process->leave.timer);
    process->leave.timer.data = process;
    process->leave.finished = new_array(process->config->edge.workers, sizeof(*process->leave.finished));
    for (unsigned w = 0; w < process->config->edge.workers; w++)
        process->leave.finished[w] =
            (struct finished_mail){.mail.run = on_worker_finished, .process = process};
}

void process_leave_close(struct process *process)
{
    uv_close((uv_handle_t *)&process->leave.timer, NULL);
    free(process->leave.finished);
}
