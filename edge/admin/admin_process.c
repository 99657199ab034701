/* What /proc says of this process. */
#include "edge/admin/admin_pages.h"

#include "edge/base/resident.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The beginning of a file, NUL-terminated; "" when it cannot be read. */
static void read_start(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, size - 1) : -1;
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

/* Linux 6.2 and newer say the number of entries as the size; before that they must be counted, which takes
 * some milliseconds when there are ten thousands. */
static uint64_t count_open_fds(void)
{
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        return (uint64_t)status.st_size;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    uint64_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - 1; /* without the one that reads */
}

static double seconds(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Field 22 of proc(5): ticks since boot. Field 2 may hold any character, so fields are counted from the last
 * parenthesis, which ends it. */
static double read_start_time(void)
{
    char text[1024];
    uint64_t ticks;
    read_start("/proc/self/stat", text, sizeof(text));
    const char *field = strrchr(text, ')');
    for (int i = 2; field && i < 22; i++)
        field = strchr(field + 1, ' ');
    if (!field || sscanf(field, "%" SCNu64, &ticks) != 1)
        return 0;
    struct timespec now, since_boot;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    return seconds(now) - seconds(since_boot) + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void admin_process_read(struct admin_process *process)
{
    struct timespec cpu = {0};
    struct rlimit files;
    *process = (struct admin_process){0};
    process->resident_bytes = resident_bytes();
    process->open_fds = count_open_fds();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        process->max_fds = files.rlim_cur;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    process->cpu_seconds = seconds(cpu);
    process->start_time_seconds = read_start_time();
}
