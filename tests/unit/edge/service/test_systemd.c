/* What systemd passes on and wants to hear, without systemd. */
#include "edge/service/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void set_listen(const char *pid, const char *fds)
{
    char own[16];
    snprintf(own, sizeof(own), "%d", (int)getpid());
    setenv("LISTEN_PID", strcmp(pid, "own") == 0 ? own : pid, 1);
    setenv("LISTEN_FDS", fds, 1);
    setenv("LISTEN_FDNAMES", "a:b", 1);
}

static void test_descriptors_are_taken_once(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    if (fd != SYSTEMD_LISTEN_FDS_START)
        assert_int_equal(dup2(fd, SYSTEMD_LISTEN_FDS_START), SYSTEMD_LISTEN_FDS_START);
    set_listen("own", "1");
    assert_int_equal(systemd_listen_fds(), 1);
    assert_int_equal(fcntl(SYSTEMD_LISTEN_FDS_START, F_GETFD), FD_CLOEXEC);
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_int_equal(systemd_listen_fds(), 0);
    close(SYSTEMD_LISTEN_FDS_START);
}

static void test_those_of_another_process_are_not_ours(void **state)
{
    (void)state;
    static const char *const garbage[] = {"", "x", "-1", "1x", " 1", "99999999999999999999999"};
    set_listen("1", "2");
    assert_int_equal(systemd_listen_fds(), 0);
    assert_null(getenv("LISTEN_FDS"));
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        set_listen("own", garbage[i]);
        assert_int_equal(systemd_listen_fds(), 0);
    }
    set_listen("own", "4097");
    assert_int_equal(systemd_listen_fds(), 0);
}

/* A socket where NOTIFY_SOCKET says, and what was sent there. */
static int open_manager(const char *variable, const char *name, size_t name_bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, name, name_bytes);
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_bytes)),
        0);
    setenv("NOTIFY_SOCKET", variable, 1);
    return fd;
}

static const char *told(int fd)
{
    static char text[2048];
    ssize_t got = recv(fd, text, sizeof(text) - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void test_words_reach_the_manager(void **state)
{
    (void)state;
    char path[64], abstract[64];
    snprintf(path, sizeof(path), "/tmp/rollcall-notify-%d", (int)getpid());
    int fd = open_manager(path, path, strlen(path));
    systemd_notify_ready();
    assert_string_equal(told(fd), "READY=1\nSTATUS=Serving");
    systemd_notify_reloading();
    const char *reloading = told(fd);
    assert_memory_equal(reloading, "RELOADING=1\nMONOTONIC_USEC=", 27);
    assert_true(strtoull(reloading + 27, NULL, 10) > 0);
    systemd_notify("MAINPID=%d", 7);
    assert_string_equal(told(fd), "MAINPID=7");
    close(fd);
    unlink(path);
    systemd_notify_ready(); /* nobody listens: nothing happens */
    int length = snprintf(abstract, sizeof(abstract), "@rollcall-notify-%d", (int)getpid());
    char name[64] = "";
    memcpy(name + 1, abstract + 1, (size_t)length - 1);
    fd = open_manager(abstract, name, (size_t)length);
    systemd_notify("STOPPING=1");
    assert_string_equal(told(fd), "STOPPING=1");
    close(fd);
}

static void test_without_a_manager_nothing_is_sent(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "relative", "@", "/"};
    unsetenv("NOTIFY_SOCKET");
    systemd_notify_ready();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        systemd_notify_ready();
    }
    char longest[300];
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    longest[299] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    systemd_notify_ready();
}

static void test_the_watchdog_is_told_twice_as_often_as_it_wants(void **state)
{
    (void)state;
    char own[16];
    snprintf(own, sizeof(own), "%d", (int)getpid());
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(systemd_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "10000000", 1);
    assert_int_equal(systemd_watchdog_ms(), 5000);
    setenv("WATCHDOG_PID", own, 1);
    assert_int_equal(systemd_watchdog_ms(), 5000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(systemd_watchdog_ms(), 0);
    setenv("WATCHDOG_PID", own, 1);
    setenv("WATCHDOG_USEC", "1", 1);
    assert_int_equal(systemd_watchdog_ms(), 1);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(systemd_watchdog_ms(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors_are_taken_once),
        cmocka_unit_test(test_those_of_another_process_are_not_ours),
        cmocka_unit_test(test_words_reach_the_manager),
        cmocka_unit_test(test_without_a_manager_nothing_is_sent),
        cmocka_unit_test(test_the_watchdog_is_told_twice_as_often_as_it_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
