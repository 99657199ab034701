/* What the files of the process share.
 *
 *   process.c       start and end
 *   listen.c        the listening sockets: opened, inherited, handed over to a successor
 *   successor.c     starting the process that takes our place
 *   overload.c      whether it is at one of its limits
 *   leave.c         from the order to stop to the last connection
 *   reload.c        from one configuration to the next (edge/reload.h)
 *   certificates.c  when certificates expire
 *
 * Main thread, but for what is said otherwise.
 */
#pragma once

#include "edge/admin/admin.h"
#include "edge/console/console.h"
#include "edge/process/process.h"
#include "edge/reload.h"
#include "edge/service/hand_over.h"
#include "edge/worker.h"

struct process {
    const struct config *config; /* with a reference */
    uv_loop_t *loop;
    uv_signal_t on_term, on_int;
    uv_timer_t watchdog;
    struct { /* overload.c */
        uv_timer_t timer;
        unsigned looks, paced_looks;
        uint64_t paced;
        bool memory, connections, accepts; /* over the limit */
    } overload;
    uv_timer_t look_at_certificates;
    struct node *node;
    struct admin *admin;
    struct console *console;
    struct worker *workers;
    unsigned worker_count;
    uint16_t port; /* of the first listener that has one; 0: none has */
    struct {       /* listen.c */
        struct inheritance inherited;
        int predecessor; /* the line to it, while we take over; -1: none */
        struct hand_over *hand_over;
        struct hand_over_socket *sockets; /* all that we listen at; those of the workers are their doors' */
        size_t count;
    } listening;
    struct { /* successor.c */
        uv_signal_t on_usr2;
        uv_poll_t handle;
        int pidfd;
        pid_t pid;
        bool runs;
        char binary[4096]; /* PATH_MAX */
    } successor;
    struct { /* leave.c */
        enum process_leaving { PROCESS_SERVES, PROCESS_WARNS, PROCESS_DRAINS } state;
        uv_timer_t timer;
        struct finished_mail {
            struct mail mail;
            struct process *process;
        } * finished; /* one a worker */
        unsigned running;
    } leave;
    struct { /* reload.c */
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

/* ---- listen.c ---- */

/* Finds out what was passed on: by the service manager, and with `take_over` by the process at edge.hand_over, if there is
 * one. If there is none, that place is ours from now on. 0, or a negative errno that is in the log: another one is there,
 * and we were not told to take over. */
int process_inherit(struct process *process, bool take_over);

/* Gives each worker its share of every listener of the configuration. 0, or a negative errno that is in the log. Before
 * the workers run. */
int process_listen(struct process *process);

/* The socket for the admin listener that was passed on; 0: none was. */
int process_inherited_admin(struct process *process);

/* Everything runs: tells the predecessor, if there is one; he leaves, and we take his place at edge.hand_over. */
void process_take_place(struct process *process);

/* Nobody takes our place any more. */
void process_give_up_place(struct process *process);

/* After all else. */
void process_listen_deinit(struct process *process);

/* ---- successor.c ---- */

/* Before and after: a handle of the loop, and one for the successor. */
void process_successor_init(struct process *process);
void process_successor_close(struct process *process);

/* ---- overload.c ---- */

/* Before and after: the timer is a handle of the loop. It runs from _start(), when node and workers are there. */
void process_overload_init(struct process *process);
void process_overload_start(struct process *process);
void process_overload_close(struct process *process);

/* ---- leave.c ----
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

/* Another process has our listening sockets, and serves: drains at once. */
void process_leave_to(struct process *process, pid_t successor);

/* ---- reload.c ---- */

/* Before the start, and after it for SIGHUP; then, when the loop has run out, free. `path` is where the configuration was
 * loaded from. */
void process_reload_init(struct process *process, const char *path);
void process_reload_close(struct process *process);
void process_reload_free(struct process *process);

/* Adds what the admin listener asks for. */
void process_reload_sources(struct admin_sources *sources);

/* ---- certificates.c ---- */

/* From the first turn of the loop on the log is told, twice a day, of certificates that expire soon. */
void process_certificates_init(struct process *process);
void process_certificates_close(struct process *process);

/* The same now. */
void process_certificates_look(struct process *process);
