#include "edge/process/process_private.h"

#include "edge/base/log.h"
#include "edge/service/systemd.h"
#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what was passed on ---- */

static int inherit_from_manager(struct process *process)
{
    unsigned count = systemd_listen_fds();
    for (unsigned i = 0; i < count; i++) {
        int fd = (int)(SYSTEMD_LISTEN_FDS_START + i);
        int error = inheritance_add(&process->listening.inherited, fd, INHERITED_ANY, true);
        if (!error)
            continue;
        log_error("inherit.manager",
            "descriptor %d of the service manager is no listening stream socket (%s): its unit must say "
            "ListenStream= and Accept=no",
            fd, strerror(-error));
        return error;
    }
    return 0;
}

static int inherit_from_predecessor(struct process *process, const char *path)
{
    if (!path[0]) {
        log_error("hand_over.path", "--take-over needs edge.hand_over in the configuration");
        return -EINVAL;
    }
    int line = hand_over_take(path, &process->listening.inherited);
    if (line == -ENOENT)
        log_info("hand_over.nobody", "nobody is at %s whose place could be taken", path);
    else if (line < 0)
        return line;
    else
        process->listening.predecessor = line;
    return 0;
}

static int take_path(struct process *process, bool replace);

int process_inherit(struct process *process, bool take_over)
{
    const char *path = process->config->edge.hand_over;
    process->listening.predecessor = -1;
    int error = inherit_from_manager(process);
    if (!error && take_over)
        error = inherit_from_predecessor(process, path);
    /* Before anything listens: a process started by mistake beside another one would take connections and reset them. */
    if (!error && path[0] && process->listening.predecessor < 0)
        error = take_path(process, false);
    return error;
}

/* ---- listening ---- */

static void remember(struct process *process, struct hand_over_socket socket)
{
    size_t count = process->listening.count + 1;
    struct hand_over_socket *sockets = resized(process->listening.sockets, count, sizeof(*sockets));
    sockets[count - 1] = socket;
    process->listening.sockets = sockets;
    process->listening.count = count;
}

/* Each worker gets one at least, and each socket a worker: when there are fewer sockets than workers, some share one. */
static int share_out(
    struct process *process, const struct config_listen *at, const struct inherited *sockets, size_t count)
{
    size_t workers = process->worker_count;
    for (size_t i = 0; i < count || i < workers; i++) {
        const struct inherited *socket = &sockets[i % count];
        int fd = i < count ? socket->fd : dup(socket->fd);
        if (fd < 0)
            return -errno;
        int error = worker_listen(&process->workers[i % workers], fd, at, socket->kept);
        if (error)
            return error;
        if (i < count)
            remember(process, (struct hand_over_socket){fd, INHERITED_LISTENER, socket->kept});
    }
    return 0;
}

/* One socket a worker where the kernel can share the load (SO_REUSEPORT), else one for all. The first bind
 * decides the port, when it was left open. */
static int open_sockets(struct config_listen *at, struct inherited *sockets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum door_company company = count == 1 ? DOOR_ALONE : i == 0 ? DOOR_FIRST : DOOR_NEXT;
        sockets[i] = (struct inherited){.fd = door_listen(at, company, &at->port)};
        if (sockets[i].fd < 0)
            return sockets[i].fd;
    }
    return 0;
}

static void say_where(const struct config_listen *at, bool is_unix, bool was_inherited)
{
    const char *how = was_inherited ? " (taken over)" : "";
    if (is_unix)
        log_info("listen", "listening on %s%s", at->address, how);
    else
        log_info("listen", strchr(at->address, ':') ? "listening on [%s]:%u%s" : "listening on %s:%u%s",
            at->address, (unsigned)at->port, how);
}

static int listen_at(struct process *process, const struct config_listen *wanted)
{
    struct config_listen at = *wanted;
    struct inherited *sockets;
    bool is_unix = strncmp(at.address, "unix:", 5) == 0;
    int error = 0;
    size_t count = inheritance_take(&process->listening.inherited, INHERITED_LISTENER, &at, &sockets);
    bool was_inherited = count > 0;
    if (was_inherited) {
        at.port = inherited_port(&sockets[0]);
        for (size_t i = 0; i < count; i++)
            door_prepare_listener(sockets[i].fd);
    } else {
        count = is_unix ? 1 : process->worker_count;
        sockets = resized(sockets, count, sizeof(*sockets));
        error = open_sockets(&at, sockets, count);
    }
    if (!error)
        error = share_out(process, wanted, sockets, count);
    free(sockets);
    if (error) {
        log_error("listen.failed", "cannot listen on %s port %u: %s%s", at.address, (unsigned)at.port,
            strerror(-error), error == -EADDRINUSE ? " (--take-over takes the place of a Rollcall)" : "");
        return error;
    }
    if (!is_unix && process->port == 0)
        process->port = at.port;
    say_where(&at, is_unix, was_inherited);
    return 0;
}

int process_listen(struct process *process)
{
    for (size_t i = 0; i < process->config->edge.listen_count; i++) {
        int error = listen_at(process, &process->config->edge.listen[i]);
        if (error)
            return error;
    }
    return 0;
}

int process_inherited_admin(struct process *process)
{
    const struct config_listen at = {
        .address = process->config->edge.admin.address, .port = process->config->edge.admin.port};
    struct inherited *sockets;
    size_t count = inheritance_take(&process->listening.inherited, INHERITED_ADMIN, &at, &sockets);
    int fd = count ? sockets[0].fd : 0;
    for (size_t i = 1; i < count; i++)
        close(sockets[i].fd);
    free(sockets);
    return fd;
}

/* ---- our place, and who takes it ---- */

static size_t give_sockets(void *context, const struct hand_over_socket **sockets)
{
    struct process *process = context;
    *sockets = process->listening.sockets;
    log_info("hand_over.asked", "another process asks for our listening sockets");
    return process->listening.count;
}

static void on_taken(void *context, pid_t successor)
{
    process_leave_to(context, successor);
}

static int take_path(struct process *process, bool replace)
{
    static const struct hand_over_handlers handlers = {.sockets = give_sockets, .taken = on_taken};
    return hand_over_new(process->loop, process->config->edge.hand_over, replace, &handlers, process,
        &process->listening.hand_over);
}

void process_take_place(struct process *process)
{
    int predecessor = process->listening.predecessor;
    inheritance_deinit(&process->listening.inherited);
    if (process->admin)
        remember(process, (struct hand_over_socket){admin_listener(process->admin), INHERITED_ADMIN, false});
    process->listening.predecessor = -1;
    if (predecessor < 0)
        return;
    /* The path first: the predecessor takes it away when it leaves, if it is still its own. Without it nobody can follow us in
     * this way, which is in the log; but we serve. */
    (void)take_path(process, true);
    hand_over_finish(predecessor);
}

void process_give_up_place(struct process *process)
{
    hand_over_free(process->listening.hand_over);
    process->listening.hand_over = NULL;
}

void process_listen_deinit(struct process *process)
{
    free(process->listening.sockets);
}
