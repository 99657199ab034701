#include "edge/service/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* The variable as a number; 0 when it is not there, or none. */
static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (!text || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    return *end || errno ? 0 : number;
}

unsigned systemd_listen_fds(void)
{
    bool ours = number_of("LISTEN_PID") == (uint64_t)getpid();
    uint64_t count = ours ? number_of("LISTEN_FDS") : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (count > 4096) /* no one has so many addresses: it is garbage */
        return 0;
    for (unsigned i = 0; i < count; i++)
        if (fcntl((int)(SYSTEMD_LISTEN_FDS_START + i), F_SETFD, FD_CLOEXEC) < 0)
            return i;
    return (unsigned)count;
}

/* NOTIFY_SOCKET is a path, or with @ in front the name of an abstract socket. */
static socklen_t address_of(const char *where, struct sockaddr_un *address)
{
    size_t length = strlen(where);
    if ((where[0] != '/' && where[0] != '@') || length < 2 || length >= sizeof(address->sun_path))
        return 0;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, where, length);
    if (where[0] == '@')
        address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void notify(const char *text, size_t length)
{
    const char *where = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t address_length = where ? address_of(where, &address) : 0;
    if (address_length == 0)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text, length, MSG_NOSIGNAL, (struct sockaddr *)&address, address_length);
    close(fd);
}

void systemd_notify(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length > 0)
        notify(text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

void systemd_notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    systemd_notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reading the configuration", usec);
}

void systemd_notify_ready(void)
{
    systemd_notify("READY=1\nSTATUS=Serving");
}

/* A successor that we start has another id, and the same watchdog. */
uint64_t systemd_watchdog_ms(void)
{
    uint64_t usec = number_of("WATCHDOG_USEC"), pid = number_of("WATCHDOG_PID");
    unsetenv("WATCHDOG_PID");
    if (usec == 0 || (pid != 0 && pid != (uint64_t)getpid()))
        return 0;
    unsetenv("WATCHDOG_PID"); /* a successor that we start is who the watchdog is for then */
    return usec / 2000 ? usec / 2000 : 1;
}
