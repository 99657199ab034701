#include "edge/process_private.h"

#include "edge/base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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
    if (!is_unix && process->port == 0)
        process->port = at.port;
    if (is_unix)
        log_info("listen", "listening on %s", at.address);
    else
        log_info("listen", strchr(at.address, ':') ? "listening on [%s]:%u" : "listening on %s:%u",
            at.address, (unsigned)at.port);
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
