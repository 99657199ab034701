/* What the files of the process share.
 *
 *   process.c         start and end
 *   process_listen.c  the listening sockets
 *   process_leave.c   from the order to stop to the last connection
 *   process_reload.c  from one configuration to the next
 *
 * Main thread, but for what is said otherwise.
 */
#pragma once

#include "edge/admin/admin.h"
#include "edge/process.h"
#include "edge/reload.h"
#include "edge/worker.h"

struct process {
    const struct config *config; /* with a reference */
    uv_loop_t *loop;
    uv_signal_t on_term, on_int;
    struct node *node;
    struct admin *admin;
    struct worker *workers;
    unsigned worker_count;
    uint16_t port; /* of the first listener that has one; 0: none has */
    struct {       /* process_leave.c */
        enum process_leaving { PROCESS_SERVES, PROCESS_WARNS, PROCESS_DRAINS } state;
        uv_timer_t timer;
        struct finished_mail {
            struct mail mail;
            struct process *process;
        } * finished; /* one a worker */
        unsigned running;
    } leave;
    struct { /* process_reload.c */
        struct reload *room;
        uv_signal_t on_hup;
        struct taken_mail {
            struct mail mail;
            struct process *process;
        } * taken;           /* one a worker */
        unsigned going_over; /* workers */
    } reload;
};

/* False when a worker's loop has not turned for so long that the process had better be restarted. */
bool process_is_alive(const struct process *process);

/* ---- process_listen.c ---- */

/* Gives each worker its share of every listener of the configuration. 0, or a negative errno that is in the log. Before
 * the workers run. */
int process_listen(struct process *process);

/* ---- process_leave.c ----
 *
 *   SERVES ─SIGTERM─▶ WARNS ─edge.balancer_wait_ms─▶ DRAINS ─edge.drain_ms─▶ the end
 *
 * In WARNS /readyz says 503, and everything else goes on: the balancer hears of it and sends nobody new. In DRAINS
 * nobody new is accepted, and connections are closed with 4200, evenly over the time. SIGINT, from a terminal, leaves
 * WARNS out; a second signal of either kind leaves out what is left of both times.
 */

/* Before and after: the timer is a handle of the loop. */
void process_leave_init(struct process *process);
void process_leave_close(struct process *process);

/* A signal to stop. */
void process_leave(struct process *process, int signal_number);

/* ---- process_reload.c ---- */

/* Before the start, and after it for SIGHUP; then, when the loop has run out, free. `path` is where the configuration was
 * loaded from. */
void process_reload_init(struct process *process, const char *path);
void process_reload_close(struct process *process);
void process_reload_free(struct process *process);

/* Adds what the admin listener asks for. */
void process_reload_sources(struct admin_sources *sources);
