/* The door's sockets: listeners of every kind, upgrades, PROXY headers, limits, exhausted descriptors. */
#include "door_world.h"

#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define UPGRADE                                                                                              \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"           \
    "Sec-WebSocket-Version: 13\r\n"

static const struct door_handlers handlers = {.request = on_request, .upgrade = on_upgrade};

static struct world *world_on(const char *address, bool proxy_protocol)
{
    struct world *world = world_new_with(&handlers, NULL);
    world_listen(world, address, proxy_protocol);
    return world;
}

/* ---- listeners ---- */

static void test_ipv6(void **state)
{
    (void)state;
    struct world *world = world_on("::1", false);
    struct sockaddr_in6 to = {
        .sin6_family = AF_INET6, .sin6_port = htons(world->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    struct client client = client_of(world, fd);
    say(&client, "GET /six HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /six ? [] ::1");
    client_free(&client);
    world_free(world);
}

/* An IPv6 listener leaves the port to an IPv4 one. */
static void test_v6only(void **state)
{
    (void)state;
    struct config_listen six = {.address = (char *)"::1"}, four = {.address = (char *)"127.0.0.1"};
    uint16_t port, same;
    int fd = door_listen(&six, DOOR_ALONE, &port), only = 0;
    socklen_t length = sizeof(only);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length), 0);
    assert_int_equal(only, 1);
    four.port = port;
    int other = door_listen(&four, DOOR_ALONE, &same);
    assert_true(other >= 0);
    assert_int_equal(same, port);
    close(fd);
    close(other);
}

static void test_reuse_port(void **state)
{
    (void)state;
    struct config_listen at = {.address = (char *)"127.0.0.1"};
    uint16_t port, again;
    int first = door_listen(&at, DOOR_FIRST, &port);
    assert_true(first >= 0);
    at.port = port;
    assert_int_equal(door_listen(&at, DOOR_FIRST, &again), -EADDRINUSE); /* another process */
    int second = door_listen(&at, DOOR_NEXT, &again);
    assert_true(second >= 0);
    assert_int_equal(again, port);
    close(first);
    close(second);
    first = door_listen(&at, DOOR_ALONE, &port);
    assert_true(first >= 0);
    assert_int_equal(door_listen(&at, DOOR_ALONE, &port), -EADDRINUSE);
    close(first);
}

static void test_bad_addresses(void **state)
{
    (void)state;
    static const char *const addresses[] = {"localhost", "127.0.0.256", "", "::1%lo", "unix:"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        uint16_t port;
        struct config_listen at = {.address = (char *)(uintptr_t)addresses[i]};
        assert_int_equal(door_listen(&at, DOOR_ALONE, &port), -EINVAL);
    }
}

static int connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void test_unix(void **state)
{
    (void)state;
    char folder[] = "/tmp/rollcall-door-XXXXXX", address[128], *path = address + strlen("unix:");
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof(address), "unix:%s/edge.sock", folder);
    struct world *world = world_on(address, false);
    struct client client = client_of(world, connect_unix(path));
    say(&client, "GET /local HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /local ? [] unix");
    uint16_t port;
    /* somebody listens there: his place is not taken */
    assert_int_equal(door_listen(&world->listen_at, DOOR_ALONE, &port), -EADDRINUSE);
    client_free(&client);
    world_free(world);
    /* nobody listens any more, but the file is still there */
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    world = world_on(address, false);
    client = client_of(world, connect_unix(path));
    say(&client, "GET /again HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /again ");
    client_free(&client);
    world_free(world);
    unlink(path);
    /* a file that is no socket is not ours to remove */
    close(open(path, O_CREAT | O_WRONLY, 0600));
    struct config_listen at = {.address = address};
    assert_int_equal(door_listen(&at, DOOR_ALONE, &port), -EADDRINUSE);
    assert_int_equal(unlink(path), 0);
    memset(path + strlen(path), 'x', sizeof(address) - strlen(address) - 1);
    address[sizeof(address) - 1] = '\0';
    assert_int_equal(door_listen(&at, DOOR_ALONE, &port), -ENAMETOOLONG);
    rmdir(folder);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);
    assert_int_equal(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

/* ---- upgrades ---- */

static void test_upgrade(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "GET /app/key?protocol=7 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    WAIT_UNTIL(world, world->upgrades == 1);
    assert_string_equal(world->last, "upgrade /app/key 127.0.0.1");
    assert_int_equal(door_connections(world->door), 0);
    int fd = world->upgraded_fd;
    assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 65536);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    turn(world, 3);
    assert_int_equal(send(fd, "frames", 6, 0), 6); /* the socket is alive, and ours alone */
    hear(&client, "frames");
    client_free(&client);
    world_free(world);
}

static void on_frame(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    char byte;
    *(ssize_t *)poll->data = recv(poll->u.fd, &byte, 1, MSG_DONTWAIT);
    uv_poll_stop(poll);
}

static uv_poll_t second_poll;
static ssize_t second_poll_read;

static void on_upgrade_poll(void *context, int fd, const struct http_request *request)
{
    struct world *world = context;
    on_upgrade(context, fd, request);
    assert_int_equal(uv_poll_init_socket(&world->loop, &second_poll, fd), 0);
    second_poll.u.fd = fd;
    second_poll.data = &second_poll_read;
    assert_int_equal(uv_poll_start(&second_poll, UV_READABLE, on_frame), 0);
}

/* Whoever takes the socket over may watch it at once, also when the door had been watching it. */
static void test_upgrade_after_keep_alive(void **state)
{
    (void)state;
    static const struct door_handlers polling = {.request = on_request, .upgrade = on_upgrade_poll};
    struct world *world = world_new_with(&polling, NULL);
    world_listen(world, "127.0.0.1", false);
    struct client client = client_new(world);
    turn(world, 3);
    say(&client, "GET /page HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /page ");
    say(&client, "GET /app/key HTTP/1.1\r\n" HOST UPGRADE);
    turn(world, 3);
    say(&client, "\r\n");
    WAIT_UNTIL(world, world->upgrades == 1);
    turn(world, 3);
    say(&client, "f");
    WAIT_UNTIL(world, second_poll_read == 1);
    uv_close((uv_handle_t *)&second_poll, NULL);
    client_free(&client);
    world_free(world);
}

/* CVE-2025-11677 began so: a keep-alive GET, then an upgrade to something else. Here that is a GET. */
static void test_other_upgrades(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /1 ");
    say(&client, "GET /2 HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n");
    hear(&client, "GET /2 ");
    say(&client, "GET /3 HTTP/1.1\r\n" HOST "Upgrade: other\r\nConnection: Upgrade\r\n\r\n");
    hear(&client, "GET /3 ");
    assert_int_equal(world->upgrades, 0);
    client_free(&client);
    world_free(world);
}

static void test_refused_upgrades(void **state)
{
    (void)state;
    struct world *world = world_new();
    assert_answer(world, "POST / HTTP/1.1\r\n" HOST UPGRADE "Content-Length: 0\r\n\r\n", 400);
    struct client client = client_new(world), eager = client_new(world);
    say(&client, "GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 12\r\n\r\n");
    hear(&client, "HTTP/1.1 426 Upgrade Required\r\n");
    assert_non_null(strstr(client.text, "\r\nSec-WebSocket-Version: 13\r\n"));
    say(&eager, "GET / HTTP/1.1\r\n" HOST UPGRADE "\r\n\x81\x01x");
    hear(&eager, "HTTP/1.1 400 ");
    assert_int_equal(world->upgrades, 0);
    client_free(&client);
    client_free(&eager);
    world_free(world);
    static const struct door_handlers without = {.request = on_request};
    world = world_new_with(&without, NULL);
    world_listen(world, "127.0.0.1", false);
    client = client_new(world);
    say(&client, "GET / HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    hear(&client, "HTTP/1.1 400 ");
    client_free(&client);
    world_free(world);
}

static void test_path_prefix(void **state)
{
    (void)state;
    static char prefix[] = "/edge";
    struct world *world = world_new_with(&handlers, prefix);
    world_listen(world, "127.0.0.1", false);
    struct client client = client_new(world);
    say(&client, "GET /edge/apps?x HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /apps ?x ");
    say(&client, "GET /edge HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET / ? ");
    say(&client, "GET /edges HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "HTTP/1.1 404 ");
    say(&client, "GET /apps HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, count_of(&client, "HTTP/1.1 404 ") == 2);
    say(&client, "GET /app/key HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    WAIT_UNTIL(world, count_of(&client, "HTTP/1.1 404 ") == 3);
    say(&client, "GET /edge/app/key HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    WAIT_UNTIL(world, world->upgrades == 1);
    assert_string_equal(world->last, "upgrade /app/key 127.0.0.1");
    client_free(&client);
    world_free(world);
    static const struct door_handlers admin = {.request = on_request, .no_path_prefix = true};
    world = world_new_with(&admin, prefix);
    world_listen(world, "127.0.0.1", false);
    assert_answer(world, "GET /healthz HTTP/1.1\r\n" HOST CLOSE "\r\n", 200);
    world_free(world);
}

/* ---- PROXY ---- */

static void test_proxy_v1(void **state)
{
    (void)state;
    struct world *world = world_on("127.0.0.1", true);
    struct client client = client_new(world);
    static const char text[] = "PROXY TCP4 192.0.2.7 127.0.0.1 4000 80\r\nGET /p HTTP/1.1\r\n" HOST "\r\n";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        say_bytes(&client, text + i, 1);
        turn(world, 2);
    }
    hear(&client, "GET /p ? [] 192.0.2.7");
    client_free(&client);
    world_free(world);
}

static void test_proxy_v2(void **state)
{
    (void)state;
    struct world *world = world_on("127.0.0.1", true);
    struct client client = client_new(world), local = client_new(world);
    static const char header[] =
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x14\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04"
        "\x01\xbb\x20\x00\x05\x01\0\0\0\0";
    say_bytes(&client, header, sizeof(header) - 1);
    say(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /1 ? [] 192.0.2.7 secure");
    hear(&client, "GET /2 ? [] 192.0.2.7 secure");
    say_bytes(&local, "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16);
    say(&local, "GET /l HTTP/1.1\r\n" HOST "\r\n");
    hear(&local, "GET /l ? [] 127.0.0.1");
    client_free(&client);
    client_free(&local);
    world_free(world);
}

static void test_proxy_refused(void **state)
{
    (void)state;
    struct world *world = world_on("127.0.0.1", true), *plain = world_new();
    world->config.edge.head_timeout_ms = 200;
    struct client without = client_new(world), silent = client_new(world), unexpected = client_new(plain);
    say(&without, "GET / HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, has_ended(&without) && has_ended(&silent));
    assert_int_equal(without.length + silent.length, 0); /* a port scanner learns nothing */
    say(&unexpected, "PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    hear(&unexpected, "HTTP/1.1 400 ");
    assert_int_equal(world->requests + plain->requests, 0);
    client_free(&without);
    client_free(&silent);
    client_free(&unexpected);
    world_free(world);
    world_free(plain);
}

/* ---- limits per address ---- */

static void test_connections_per_address(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.edge.connections_per_address = 2;
    struct client first = client_new(world), second = client_new(world), third = client_new(world);
    WAIT_UNTIL(world, has_ended(&third));
    struct client other = client_of(world, connect_from(world->port, INADDR_LOOPBACK + 1));
    say(&other, "GET /other HTTP/1.1\r\n" HOST "\r\n");
    hear(&other, "GET /other ? [] 127.0.0.2");
    client_free(&first);
    WAIT_UNTIL(world, door_connections(world->door) == 2);
    struct client fourth = client_new(world);
    say(&fourth, "GET /fourth HTTP/1.1\r\n" HOST "\r\n");
    hear(&fourth, "GET /fourth ");
    assert_int_equal(atomic_load(&world->metrics.connections_refused), 1);
    client_free(&second);
    client_free(&third);
    client_free(&other);
    client_free(&fourth);
    world_free(world);
}

/* A connection that was handed over counts until its seat is left, and never twice. */
static void test_seats_of_upgrades(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.edge.connections_per_address = 1;
    struct client dropped = client_new(world);
    say(&dropped, "GET / HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    WAIT_UNTIL(world, world->upgrades == 1);
    close(world->upgraded_fd);
    world->keep_seats = true;
    struct client kept = client_new(world);
    say(&kept, "GET / HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    WAIT_UNTIL(world, world->upgrades == 2);
    struct client refused = client_new(world);
    WAIT_UNTIL(world, has_ended(&refused));
    door_seat_leave(world->kept_seat);
    world->kept_seat = NULL;
    struct client taken = client_new(world);
    say(&taken, "GET /taken HTTP/1.1\r\n" HOST "\r\n");
    hear(&taken, "GET /taken ");
    struct client *const all[] = {&dropped, &kept, &refused, &taken};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        client_free(all[i]);
    world_free(world);
}

static void test_accepts_per_address(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.edge.accepts_per_address_per_second = 2;
    struct client clients[3];
    for (size_t i = 0; i < 3; i++)
        clients[i] = client_of(world, connect_from(world->port, INADDR_LOOPBACK + 7));
    WAIT_UNTIL(world, has_ended(&clients[2]));
    assert_false(has_ended(&clients[0]) || has_ended(&clients[1]));
    uint64_t again_ms = clock_monotonic_ms() + 600;
    WAIT_UNTIL(world, clock_monotonic_ms() > again_ms);
    struct client later = client_of(world, connect_from(world->port, INADDR_LOOPBACK + 7));
    say(&later, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    hear(&later, "GET /later ");
    for (size_t i = 0; i < 3; i++)
        client_free(&clients[i]);
    client_free(&later);
    world_free(world);
}

/* Behind a balancer it is the client in the PROXY header who is counted, not the balancer. */
static void test_limits_behind_a_balancer(void **state)
{
    (void)state;
    struct world *world = world_on("127.0.0.1", true);
    world->config.edge.connections_per_address = 1;
    struct client one = client_new(world), two = client_new(world), same = client_new(world);
    say(&one, "PROXY TCP6 2001:db8::1 ::1 1 1\r\nGET /one HTTP/1.1\r\n" HOST "\r\n");
    hear(&one, "GET /one ");
    say(&two, "PROXY TCP6 2001:db8:0:1::1 ::1 1 1\r\nGET /two HTTP/1.1\r\n" HOST "\r\n");
    hear(&two, "GET /two ");
    say(&same, "PROXY TCP6 2001:db8::ffff ::1 1 1\r\nGET /same HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, has_ended(&same)); /* the same /64 as the first */
    assert_int_equal(same.length, 0);
    client_free(&one);
    client_free(&two);
    client_free(&same);
    world_free(world);
}

/* ---- the end of accepting ---- */

static void test_stop_accepting(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client client = client_new(world);
    say(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /1 ");
    door_stop_accepting(world->door, false);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(world->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    say(&client, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /2 ");
    assert_non_null(strstr(client.text, "\r\nConnection: close\r\n"));
    WAIT_UNTIL(world, has_ended(&client));
    client_free(&client);
    world_free(world);
}

static void test_close_idle(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client idle = client_new(world), begun = client_new(world), due = client_new(world);
    say(&idle, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    hear(&idle, "GET /1 ");
    say(&begun, "GET /2 HT");
    say(&due, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(world, world->late_count == 1);
    turn(world, 50);
    door_close_idle(world->door);
    WAIT_UNTIL(world, has_ended(&idle));
    say(&begun, "TP/1.1\r\n" HOST "\r\n");
    hear(&begun, "GET /2 ");
    http_answer(world->late[0], &(struct http_answer){.status = 204});
    hear(&due, "HTTP/1.1 204 No Content\r\n");
    client_free(&idle);
    client_free(&begun);
    client_free(&due);
    world_free(world);
}

/* ---- exhausted descriptors ---- */

/* In a process of its own: 200 clients come while 30 descriptors are left. Some get in, many are told at once
 * that they do not, nobody is left in the dark for ever, and the processor stays cool. */
enum { CROWD = 200, SPARE_DESCRIPTORS = 30 };

static int open_descriptors(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

/* In the child process; the clients end with it, and it with the test. */
static void be_crowd(uint16_t port, int told)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < CROWD; i++)
        (void)connect_from(port, INADDR_LOOPBACK);
    char byte = 'c';
    if (write(told, &byte, 1) == 1)
        pause();
}

static double cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static void on_stop(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run_for(struct world *world, uint64_t ms)
{
    uv_timer_t stop;
    uv_timer_init(&world->loop, &stop);
    uv_timer_start(&stop, on_stop, ms, 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&stop, NULL);
    turn(world, 1);
}

static void be_exhausted(struct world *world, pid_t crowd, int told)
{
    char byte;
    assert_int_equal(read(told, &byte, 1), 1);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)open_descriptors() + SPARE_DESCRIPTORS;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    double before_ms = cpu_ms();
    run_for(world, 1000);
    double cost_ms = cpu_ms() - before_ms;
    assert_true(cost_ms < 500); /* of 1000, were it spinning */
    assert_int_equal(door_connections(world->door), SPARE_DESCRIPTORS);
    assert_true(atomic_load(&world->metrics.accept_paused) >= 2);
    WAIT_UNTIL(world, atomic_load(&world->metrics.connections_refused) == CROWD - SPARE_DESCRIPTORS);
    kill(crowd, SIGKILL);
    waitpid(crowd, NULL, 0);
    WAIT_UNTIL(world, door_connections(world->door) == 0);
}

static void test_exhausted_descriptors(void **state)
{
    (void)state;
    struct world *world = world_new();
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t crowd = fork();
    assert_true(crowd >= 0);
    if (crowd == 0) {
        be_crowd(world->port, told[1]);
        _exit(0);
    }
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    be_exhausted(world, crowd, told[0]);
    /* afterwards everything is as it was, also the spare descriptor */
    setrlimit(RLIMIT_NOFILE, &before);
    assert_answer(world, "GET /after HTTP/1.1\r\n" HOST CLOSE "\r\n", 200);
    close(told[0]);
    close(told[1]);
    world_free(world);
}

int main(void)
{
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_v6only),
        cmocka_unit_test(test_reuse_port),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_upgrade_after_keep_alive),
        cmocka_unit_test(test_other_upgrades),
        cmocka_unit_test(test_refused_upgrades),
        cmocka_unit_test(test_path_prefix),
        cmocka_unit_test(test_proxy_v1),
        cmocka_unit_test(test_proxy_v2),
        cmocka_unit_test(test_proxy_refused),
        cmocka_unit_test(test_connections_per_address),
        cmocka_unit_test(test_seats_of_upgrades),
        cmocka_unit_test(test_accepts_per_address),
        cmocka_unit_test(test_limits_behind_a_balancer),
        cmocka_unit_test(test_stop_accepting),
        cmocka_unit_test(test_close_idle),
        cmocka_unit_test(test_exhausted_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
