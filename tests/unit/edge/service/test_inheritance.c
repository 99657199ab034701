/* Which passed on sockets are whose. */
#include "edge/service/inheritance.h"

#include "edge/door/door.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int listen_on(const char *address, uint16_t *port)
{
    struct config_listen at = {.address = (char *)address, .port = *port};
    int fd = door_listen(&at, *port ? DOOR_NEXT : DOOR_FIRST, port);
    assert_true(fd >= 0);
    return fd;
}

static size_t take(
    struct inheritance *inheritance, enum inherited_role role, const char *address, uint16_t port, int *first)
{
    struct config_listen at = {.address = (char *)address, .port = port};
    struct inherited *taken;
    size_t count = inheritance_take(inheritance, role, &at, &taken);
    *first = count ? taken[0].fd : -1;
    for (size_t i = 0; i < count; i++)
        close(taken[i].fd);
    free(taken);
    return count;
}

static bool is_open(int fd)
{
    int type;
    socklen_t length = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
}

static void test_all_sockets_of_one_address_go_together(void **state)
{
    (void)state;
    struct inheritance inheritance = {0};
    uint16_t port = 0, other = 0;
    int first, fds[4];
    for (int i = 0; i < 3; i++) {
        fds[i] = listen_on("127.0.0.1", &port);
        assert_int_equal(inheritance_add(&inheritance, fds[i], INHERITED_LISTENER, false), 0);
    }
    fds[3] = listen_on("127.0.0.1", &other);
    assert_int_equal(inheritance_add(&inheritance, fds[3], INHERITED_LISTENER, true), 0);
    assert_int_equal(take(&inheritance, INHERITED_LISTENER, "127.0.0.2", port, &first), 0);
    assert_int_equal(take(&inheritance, INHERITED_ADMIN, "127.0.0.1", port, &first), 0);
    assert_int_equal(take(&inheritance, INHERITED_LISTENER, "127.0.0.1", port, &first), 3);
    assert_int_equal(first, fds[0]);
    assert_int_equal(take(&inheritance, INHERITED_LISTENER, "127.0.0.1", port, &first), 0);
    inheritance_deinit(&inheritance);
    assert_false(is_open(fds[3]));
}

static void test_an_open_port_takes_the_first_that_is_left(void **state)
{
    (void)state;
    struct inheritance inheritance = {0};
    uint16_t ports[2] = {0};
    int first, fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = listen_on("127.0.0.1", &ports[i % 2]);
        inheritance_add(&inheritance, fds[i], INHERITED_LISTENER, false);
    }
    assert_int_equal(take(&inheritance, INHERITED_LISTENER, "127.0.0.1", 0, &first), 2);
    assert_int_equal(first, fds[0]);
    assert_int_equal(take(&inheritance, INHERITED_LISTENER, "127.0.0.1", 0, &first), 2);
    assert_int_equal(first, fds[1]);
    inheritance_deinit(&inheritance);
}

static void test_the_managers_sockets_are_anyones(void **state)
{
    (void)state;
    struct inheritance inheritance = {0};
    uint16_t port = 0;
    int first;
    inheritance_add(&inheritance, listen_on("127.0.0.1", &port), INHERITED_ANY, true);
    assert_int_equal(take(&inheritance, INHERITED_ADMIN, "127.0.0.1", port, &first), 1);
    uint16_t six = 0;
    struct config_listen at = {.address = "::1", .port = 0};
    int fd = door_listen(&at, DOOR_FIRST, &six);
    if (fd >= 0) { /* where there is IPv6 */
        inheritance_add(&inheritance, fd, INHERITED_ANY, true);
        assert_int_equal(take(&inheritance, INHERITED_LISTENER, "127.0.0.1", six, &first), 0);
        assert_int_equal(take(&inheritance, INHERITED_LISTENER, "0:0:0:0:0:0:0:1", six, &first), 1);
    }
    inheritance_deinit(&inheritance);
}

static void test_unix_sockets_by_their_path(void **state)
{
    (void)state;
    struct inheritance inheritance = {0};
    char address[64], longer[70];
    int first;
    uint16_t port;
    snprintf(address, sizeof(address), "unix:/tmp/rollcall-inherit-%d", (int)getpid());
    snprintf(longer, sizeof(longer), "%sx", address);
    struct config_listen at = {.address = address};
    inheritance_add(&inheritance, door_listen(&at, DOOR_ALONE, &port), INHERITED_LISTENER, false);
    assert_int_equal(take(&inheritance, INHERITED_LISTENER, longer, 0, &first), 0);
    assert_int_equal(take(&inheritance, INHERITED_LISTENER, "127.0.0.1", 0, &first), 0);
    assert_int_equal(take(&inheritance, INHERITED_LISTENER, address, 0, &first), 1);
    inheritance_deinit(&inheritance);
    unlink(address + 5);
}

static void test_what_does_not_listen_is_refused(void **state)
{
    (void)state;
    struct inheritance inheritance = {0};
    int pair[2], datagram = socket(AF_INET, SOCK_DGRAM, 0), idle = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(inheritance_add(&inheritance, pair[0], INHERITED_ANY, true), -ENOTSOCK);
    assert_int_equal(inheritance_add(&inheritance, datagram, INHERITED_ANY, true), -EINVAL);
    assert_int_equal(inheritance_add(&inheritance, idle, INHERITED_ANY, true), -EINVAL);
    assert_int_equal(inheritance_add(&inheritance, 9999, INHERITED_ANY, true), -EBADF);
    assert_int_equal(inheritance.count, 0);
    close(pair[0]), close(pair[1]), close(datagram), close(idle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sockets_of_one_address_go_together),
        cmocka_unit_test(test_an_open_port_takes_the_first_that_is_left),
        cmocka_unit_test(test_the_managers_sockets_are_anyones),
        cmocka_unit_test(test_unix_sockets_by_their_path),
        cmocka_unit_test(test_what_does_not_listen_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
