/* What becomes of those who wait in a listener's queue when the door stops. */
#include "door_world.h"

#include "edge/door/door_internal.h"

static struct sockaddr_in address_of(const struct world *world)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(world->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

/* Connects, and asks; nobody has accepted yet. */
static int join_queue(const struct world *world)
{
    static const char request[] = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n";
    struct sockaddr_in to = address_of(world);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(send(fd, request, sizeof(request) - 1, 0), sizeof(request) - 1);
    return fd;
}

static int listener_of(const struct world *world)
{
    return LIST_FIRST(&world->door->listeners)->fd;
}

static void test_whoever_waits_is_accepted(void **state)
{
    (void)state;
    struct world *world = world_new();
    char text[1024];
    int fds[40];
    for (int i = 0; i < 40; i++) /* more than a turn takes */
        fds[i] = join_queue(world);
    door_stop_accepting(world->door, false);
    WAIT_UNTIL(world, world->requests == 40);
    for (int i = 0; i < 40; i++) {
        assert_true(recv(fds[i], text, sizeof(text), 0) > 0);
        close(fds[i]);
    }
    world_free(world);
}

static void test_what_others_hold_is_left_to_them(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct world *world = world_new();
        int other = dup(listener_of(world));
        int early = join_queue(world);
        if (kept)
            door_keep_listener(world->door, listener_of(world));
        door_stop_accepting(world->door, !kept);
        int late = join_queue(world);
        turn(world, 10);
        assert_int_equal(world->requests, 0);
        for (int i = 0; i < 2; i++) {
            int accepted = accept(other, NULL, NULL);
            assert_true(accepted >= 0);
            close(accepted);
        }
        close(early), close(late), close(other);
        world_free(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whoever_waits_is_accepted),
        cmocka_unit_test(test_what_others_hold_is_left_to_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
