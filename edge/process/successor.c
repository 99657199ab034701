/* SIGUSR2: starts the binary that is now where ours was, with our own arguments and --take-over. A service manager keeps
 * counting it as the same service, since it is started from within: it is told MAINPID when the successor has taken over.
 *
 * The successor is our grandchild, and its parent ends at once: so it is a child of systemd by then. Only for its own children
 * does systemd wait; a main process that is still ours would be killed right after the SIGTERM of a stop. */
#include "edge/process/process_private.h"

#include "edge/base/buffer.h"
#include "edge/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 512 };

static const char take_over[] = "--take-over";

/* What stands in /proc/self/cmdline: our arguments, a NUL behind each. */
static bool read_arguments(struct buffer *text)
{
    char bytes[4096];
    ssize_t got;
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while ((got = read(fd, bytes, sizeof(bytes))) > 0)
        buffer_add(text, bytes, (size_t)got);
    close(fd);
    return got == 0 && text->length > 0 && text->bytes[text->length - 1] == '\0';
}

/* The arguments in `text`, and --take-over if it is not among them. */
static bool list_arguments(const struct buffer *text, char *arguments[ARGUMENTS_MAX + 2])
{
    size_t count = 0;
    bool takes_over = false;
    for (char *at = text->bytes; at < text->bytes + text->length; at += strlen(at) + 1) {
        if (count == ARGUMENTS_MAX)
            return false;
        takes_over = takes_over || strcmp(at, take_over) == 0;
        arguments[count++] = at;
    }
    if (!takes_over)
        arguments[count++] = (char *)(uintptr_t)take_over;
    arguments[count] = NULL;
    return true;
}

/* After a fork of a process with threads, so only what is safe in a signal handler. Our handlers must not run here: they
 * would write into pipes that are still ours, too. */
static _Noreturn void become(const char *binary, char *const *arguments, const sigset_t *mask)
{
    for (int number = 1; number < NSIG; number++)
        if (number != SIGPIPE)
            signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execv(binary, arguments);
    _exit(127);
}

/* In the middle process: begins the grandchild and says its number, or the negative errno. */
static _Noreturn void begin_and_leave(
    int tell, const char *binary, char *const *arguments, const sigset_t *mask)
{
    pid_t pid = fork();
    if (pid == 0)
        become(binary, arguments, mask);
    if (pid < 0)
        pid = -errno;
    _exit(write(tell, &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
}

/* The grandchild's process id, or a negative errno. */
static pid_t begin_orphan(const char *binary, char *const *arguments)
{
    int ends[2];
    sigset_t all, before;
    pid_t pid = -EIO;
    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t middle = fork();
    if (middle == 0)
        begin_and_leave(ends[1], binary, arguments, &before);
    if (middle < 0)
        pid = -errno;
    close(ends[1]);
    if (middle > 0 && (read(ends[0], &pid, sizeof(pid)) != sizeof(pid) || waitpid(middle, NULL, 0) < 0))
        pid = -EIO;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[0]);
    return pid;
}

static void on_closed(uv_handle_t *handle)
{
    struct process *process = handle->data;
    close(process->successor.pidfd);
    process->successor.runs = false;
}

/* One that has taken over outlives us, so this one has failed; its own words are in the log. */
static void on_ended(uv_poll_t *handle, int status, int events)
{
    struct process *process = handle->data;
    (void)status;
    (void)events;
    log_error("successor.ended", "the successor (%d) has ended: we go on", (int)process->successor.pid);
    uv_close((uv_handle_t *)handle, on_closed);
}

static int watch(struct process *process, pid_t pid)
{
    process->successor.pid = pid;
    process->successor.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process->successor.pidfd < 0)
        return -errno;
    process->successor.handle.data = process;
    int error = uv_poll_init(process->loop, &process->successor.handle, process->successor.pidfd);
    if (error) {
        close(process->successor.pidfd);
        return error;
    }
    process->successor.runs = true;
    uv_unref((uv_handle_t *)&process->successor.handle); /* it outlives our loop */
    return uv_poll_start(&process->successor.handle, UV_READABLE, on_ended);
}

static int spawn(struct process *process)
{
    char *arguments[ARGUMENTS_MAX + 2];
    struct buffer text = {0};
    bool are_known = read_arguments(&text) && list_arguments(&text, arguments);
    pid_t pid = are_known ? begin_orphan(process->successor.binary, arguments) : -E2BIG;
    buffer_deinit(&text);
    return pid < 0 ? pid : watch(process, pid);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct process *process = handle->data;
    (void)number;
    if (!process->listening.hand_over) {
        log_error("successor.impossible", "SIGUSR2: a successor needs edge.hand_over in the configuration, "
                                          "and one who is not leaving already");
        return;
    }
    if (process->successor.runs) {
        log_warn("successor.started", "SIGUSR2: a successor was started already (%d)",
            (int)process->successor.pid);
        return;
    }
    int error = spawn(process);
    if (error)
        log_error("successor.failed", "cannot start %s: %s", process->successor.binary, uv_strerror(error));
    else
        log_info("successor.started", "started %s as %d, to take our place", process->successor.binary,
            (int)process->successor.pid);
}

void process_successor_init(struct process *process)
{
    /* By its path, from before anybody can have replaced it: that is where the next one will be. */
    ssize_t length =
        readlink("/proc/self/exe", process->successor.binary, sizeof(process->successor.binary) - 1);
    process->successor.binary[length > 0 ? length : 0] = '\0';
    uv_signal_init(process->loop, &process->successor.on_usr2);
    process->successor.on_usr2.data = process;
    uv_signal_start(&process->successor.on_usr2, on_signal, SIGUSR2);
}

void process_successor_close(struct process *process)
{
    uv_close((uv_handle_t *)&process->successor.on_usr2, NULL);
    if (process->successor.runs && !uv_is_closing((uv_handle_t *)&process->successor.handle))
        uv_close((uv_handle_t *)&process->successor.handle, on_closed);
}
