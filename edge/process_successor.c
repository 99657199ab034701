/* SIGUSR2: starts the binary that is now where ours was, with our own arguments and --take-over. A service manager keeps
 * counting it as the same service, since it is started from within: it is told MAINPID when the successor has taken over. */
#include "edge/process_private.h"

#include "edge/base/buffer.h"
#include "edge/base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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

static void on_closed(uv_handle_t *handle)
{
    struct process *process = handle->data;
    process->successor.runs = false;
}

/* One that has taken over outlives us, so this one has failed; its own words are in the log. */
static void on_exit_(uv_process_t *successor, int64_t status, int signal_number)
{
    log_error("successor.ended", "the successor (%d) has ended with %d, signal %d: we go on", successor->pid,
        (int)status, signal_number);
    uv_close((uv_handle_t *)successor, on_closed);
}

static int spawn(struct process *process)
{
    char *arguments[ARGUMENTS_MAX + 2];
    uv_stdio_container_t inherited[3] = {{.flags = UV_INHERIT_FD, .data.fd = 0},
        {.flags = UV_INHERIT_FD, .data.fd = 1}, {.flags = UV_INHERIT_FD, .data.fd = 2}};
    struct buffer text = {0};
    if (!read_arguments(&text) || !list_arguments(&text, arguments)) {
        buffer_deinit(&text);
        return UV_E2BIG;
    }
    uv_process_options_t options = {.file = process->successor.binary,
        .args = arguments,
        .exit_cb = on_exit_,
        .stdio = inherited,
        .stdio_count = 3};
    process->successor.handle.data = process;
    int error = uv_spawn(process->loop, &process->successor.handle, &options);
    buffer_deinit(&text);
    process->successor.runs = true; /* also after a failure its handle is to be closed */
    if (error)
        uv_close((uv_handle_t *)&process->successor.handle, on_closed);
    return error;
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
            process->successor.handle.pid);
        return;
    }
    int error = spawn(process);
    if (error)
        log_error("successor.failed", "cannot start %s: %s", process->successor.binary, uv_strerror(error));
    else
        log_info("successor.started", "started %s as %d, to take our place", process->successor.binary,
            process->successor.handle.pid);
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
        uv_close((uv_handle_t *)&process->successor.handle, NULL);
}
