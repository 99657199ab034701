/* Preloaded into a redis-server: its clock is CLOCK_SHIFT_S seconds ahead. (libfaketime does the same, but calls malloc
 * before jemalloc, which asks for the time, is ready.) The monotonic clock stays as it is. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift_s(void)
{
    static long shift;
    static int is_read;
    const char *text = is_read ? NULL : getenv("CLOCK_SHIFT_S");
    if (text)
        shift = atol(text);
    is_read = 1;
    return shift;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int error = (int)syscall(SYS_clock_gettime, clock, at);
    if (!error && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += shift_s();
    return error;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
