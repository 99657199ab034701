/* Both sides of a hand-over in one process: the new one, which blocks, is a thread. */
#include "edge/service/hand_over.h"

#include "edge/base/log.h"
#include "edge/door/door.h"
#include "edge/service/hand_over_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { MANY = 150 }; /* more than two messages take */

struct world {
    uv_loop_t loop;
    char path[64];
    struct hand_over *old;
    struct hand_over_socket sockets[MANY];
    size_t count;
    pid_t successor;
    /* of the new one's thread */
    pthread_t thread;
    struct inheritance inherited;
    int line, finished;
    bool dies;
};

static size_t give(void *context, const struct hand_over_socket **sockets)
{
    struct world *world = context;
    *sockets = world->sockets;
    return world->count;
}

static void taken(void *context, pid_t successor)
{
    struct world *world = context;
    world->successor = successor;
}

static const struct hand_over_handlers handlers = {.sockets = give, .taken = taken};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    uv_loop_init(&world->loop);
    snprintf(world->path, sizeof(world->path), "/tmp/rollcall-hand-over-%d", (int)getpid());
    assert_int_equal(hand_over_new(&world->loop, world->path, false, &handlers, world, &world->old), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    hand_over_free(world->old);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    assert_int_not_equal(access(world->path, F_OK), 0);
    for (size_t i = 0; i < world->count; i++)
        close(world->sockets[i].fd);
    inheritance_deinit(&world->inherited);
    free(world);
    return 0;
}

static void add(struct world *world, enum inherited_role role, bool kept, uint16_t *port)
{
    struct config_listen at = {.address = "127.0.0.1", .port = *port};
    int fd = door_listen(&at, *port ? DOOR_NEXT : DOOR_FIRST, port);
    assert_true(fd >= 0);
    world->sockets[world->count++] = (struct hand_over_socket){fd, role, kept};
}

static void *be_new(void *context)
{
    struct world *world = context;
    world->line = hand_over_take(world->path, &world->inherited);
    if (world->line >= 0 && world->dies)
        close(world->line);
    else if (world->line >= 0)
        world->finished = hand_over_finish(world->line);
    return NULL;
}

static bool thread_has_ended(struct world *world)
{
    return pthread_tryjoin_np(world->thread, NULL) == 0;
}

static void let_new_take(struct world *world)
{
    assert_int_equal(pthread_create(&world->thread, NULL, be_new, world), 0);
    while (!thread_has_ended(world))
        uv_run(&world->loop, UV_RUN_NOWAIT);
    for (int i = 0; i < 10; i++) /* what it has said last */
        uv_run(&world->loop, UV_RUN_NOWAIT);
}

static void test_many_sockets_go_over_with_what_they_are(void **state)
{
    struct world *world = *state;
    uint16_t port = 0, admin = 0;
    for (int i = 0; i < MANY - 2; i++)
        add(world, INHERITED_LISTENER, false, &port);
    add(world, INHERITED_LISTENER, true, &port);
    add(world, INHERITED_ADMIN, false, &admin);
    let_new_take(world);
    assert_true(world->line >= 0);
    assert_int_equal(world->finished, 0);
    assert_int_equal(world->successor, getpid());
    assert_int_equal(world->inherited.count, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(world->inherited.sockets[i].role, world->sockets[i].role);
        assert_int_equal(world->inherited.sockets[i].kept, world->sockets[i].kept);
        assert_int_equal(fcntl(world->inherited.sockets[i].fd, F_GETFD), FD_CLOEXEC);
    }
}

static void test_one_that_dies_has_taken_nothing_and_the_next_one_can(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    add(world, INHERITED_LISTENER, false, &port);
    world->dies = true;
    let_new_take(world);
    assert_int_equal(world->successor, 0);
    world->dies = false;
    let_new_take(world);
    assert_int_equal(world->successor, getpid());
}

static void test_the_path_is_private_and_taken_once(void **state)
{
    struct world *world = *state;
    struct stat status;
    struct hand_over *second = NULL;
    assert_int_equal(stat(world->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(hand_over_new(&world->loop, world->path, false, &handlers, world, &second), -EADDRINUSE);
    assert_null(second);
}

/* The old one leaves the path to whoever has taken it. */
static void test_a_successor_keeps_the_path(void **state)
{
    struct world *world = *state;
    struct hand_over *second;
    assert_int_equal(hand_over_new(&world->loop, world->path, true, &handlers, world, &second), 0);
    hand_over_free(world->old);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(access(world->path, F_OK), 0);
    world->old = second;
    let_new_take(world);
    assert_int_equal(world->successor, getpid());
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct inheritance inherited = {0};
    assert_int_equal(hand_over_take("/tmp/rollcall-nobody-is-here", &inherited), -ENOENT);
    char longest[200];
    memset(longest, 'x', sizeof(longest));
    longest[199] = '\0';
    assert_int_equal(hand_over_take(longest, &inherited), -ENAMETOOLONG);
}

/* ---- what is not as it should be ---- */

static int stranger(const struct world *world)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, world->path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void test_other_words_than_serving_change_nothing(void **state)
{
    struct world *world = *state;
    static const char *const words[] = {
        "", "servin", "serving ", "SERVING", "leaving", "sockets listener own"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        int fd = stranger(world);
        for (int turn = 0; turn < 5; turn++)
            uv_run(&world->loop, UV_RUN_NOWAIT);
        send(fd, words[i], strlen(words[i]), MSG_NOSIGNAL);
        for (int turn = 0; turn < 5; turn++)
            uv_run(&world->loop, UV_RUN_NOWAIT);
        assert_int_equal(world->successor, 0);
        close(fd);
    }
    let_new_take(world);
    assert_int_equal(world->successor, getpid());
}

static int sent_as(const char *text, int fd)
{
    int pair[2];
    struct hand_over_message message = {.fd_count = fd >= 0}, got;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    if (strlen(text) < sizeof(message.text)) {
        strcpy(message.text, text);
        message.fds[0] = fd;
        assert_int_equal(hand_over_send(pair[0], &message), 0);
    } else {
        assert_true(send(pair[0], text, strlen(text), 0) > 0);
    }
    close(pair[0]);
    int result = hand_over_receive(pair[1], &got);
    for (size_t i = 0; i < got.fd_count; i++)
        close(got.fds[i]);
    if (result == 0)
        assert_string_equal(got.text, text);
    close(pair[1]);
    return result;
}

static void test_messages(void **state)
{
    (void)state;
    char longest[HAND_OVER_TEXT_BYTES + 10];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(sent_as("end", -1), 0);
    assert_int_equal(sent_as("sockets admin own", STDERR_FILENO), 0);
    assert_int_equal(sent_as(longest, -1), -EBADMSG);
    assert_int_equal(sent_as("", -1), -EPIPE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_many_sockets_go_over_with_what_they_are),
        TEST(test_one_that_dies_has_taken_nothing_and_the_next_one_can),
        TEST(test_the_path_is_private_and_taken_once),
        TEST(test_a_successor_keeps_the_path),
        TEST(test_other_words_than_serving_change_nothing),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_messages),
    };
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
