/* Taking sockets from the listeners, also when there is nothing to take them with. */
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/door/door_internal.h"
#include "edge/door/forwarded.h"
#include "edge/door/http_connection.h"
#include "edge/door/pace.h"

#include "presence/base/new.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN =
        32, /* enough to empty a backlog quickly, few enough that open connections get a turn */
    SHED_PER_PAUSE = 32,
    PAUSE_MS = 100,
    SAY_AGAIN_MS = 1000,
    UNIX_SEND_BUFFER_BYTES = 64 * 1024, /* as NOT_SENT_BYTES in listen.c; unix sockets do not inherit it */
};

static void on_listener(uv_poll_t *poll, int status, int events);

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void watch_listeners(struct door *door)
{
    struct door_listener *listener;
    LIST_FOREACH (listener, &door->listeners, entry)
        uv_poll_start(&listener->poll, UV_READABLE, on_listener);
}

static void on_pause_over(struct wheel_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct door *door = CONTAINER_OF(timer, struct door, accept_pause);
    if (door->spare_fd < 0)
        door->spare_fd = open_spare();
    watch_listeners(door);
}

static void pause_accepting(struct door *door)
{
    struct door_listener *listener;
    LIST_FOREACH (listener, &door->listeners, entry)
        uv_poll_stop(&listener->poll);
    wheel_set(door->wheel, &door->accept_pause, door_now_ms(door) + PAUSE_MS);
}

/* No descriptor or no memory is left. New clients are not left waiting in the backlog for an answer that
 * will not come soon: some are accepted with the spare descriptor and closed at once. Then accepting pauses,
 * because a listener whose backlog is not empty would wake the loop for ever. */
static void shed_and_pause(struct door *door, struct door_listener *listener, int error)
{
    unsigned shed = 0;
    while (door->spare_fd >= 0 && shed < SHED_PER_PAUSE) {
        close(door->spare_fd);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        door->spare_fd = open_spare();
        if (fd < 0)
            break;
        shed++;
    }
    metric_add(&door->metrics->accept_paused, 1);
    metric_add(&door->metrics->connections_refused, shed);
    uint64_t now_ms = door_now_ms(door);
    if (!door->said_ms || now_ms >= door->said_ms + SAY_AGAIN_MS) {
        door->said_ms = now_ms;
        log_error("accept.paused", "cannot accept (%s): %u connections shed, next try in %d ms",
            strerror(error), shed, PAUSE_MS);
    }
    pause_accepting(door);
}

/* A proxy's connection has no seat: each of its requests is someone else's. */
bool door_seat_refused(struct door *door, const struct address *address, struct door_seat **seat)
{
    *seat = NULL;
    if (forwarded_is_trusted(door->config, address))
        return false;
    return door_seat_refused_client(door, address, seat);
}

bool door_seat_refused_client(struct door *door, const struct address *address, struct door_seat **seat)
{
    if (door_seat_take(address, door->config, door_now_ms(door), seat))
        return false;
    char text[ADDRESS_TEXT_BYTES];
    address_print(address, text);
    metric_add(&door->metrics->connections_refused, 1);
    log_warn("accept.limit", "a connection from %s is over the limit per address", text);
    return true;
}

static void take_in(struct door_listener *listener, int fd, const struct sockaddr *from)
{
    struct door *door = listener->door;
    struct address address = address_from(from);
    struct door_seat *seat = NULL;
    metric_add(&door->metrics->sockets_accepted, 1);
    if (listener->is_unix) {
        /* The other end of a unix socket is bound to no name, so accept() tells no address. */
        address.family = AF_UNIX;
        int bytes = UNIX_SEND_BUFFER_BYTES;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    }
    /* With the PROXY protocol the limits are for the client it names. */
    if (!listener->proxy_protocol && door_seat_refused(door, &address, &seat)) {
        close(fd);
        return;
    }
    http_connection_open(listener, fd, &address, seat);
}

/* Errors of one connection that died in the backlog, which accept() passes on (accept(2), "Error handling"); EINVAL is
 * of a listener that was shut. */
static bool is_of_one_connection(int error)
{
    return error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM && error != EINVAL;
}

/* The admin listener, which takes no upgrades, is not for clients, and must answer just then. */
static bool is_paced(const struct door *door)
{
    return door->handlers.upgrade && door->config->edge.accepts_per_second > 0;
}

/* Of those who had to wait many have given up meanwhile, and must not cost the others their turn. */
static bool has_hung_up(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
           (info.tcpi_state == TCP_CLOSE_WAIT || info.tcpi_state == TCP_CLOSE);
}

/* 0, -EAGAIN when nobody waits, or what else keeps the next one from being accepted. */
static int accept_one(struct door_listener *listener)
{
    struct sockaddr_storage from = {0};
    socklen_t length = sizeof(from);
    int fd = accept4(listener->fd, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && is_paced(listener->door) && has_hung_up(fd)) {
        close(fd);
        door_pace_give_back(listener->door->config->edge.accepts_per_second);
    } else if (fd >= 0) {
        take_in(listener, fd, (struct sockaddr *)&from);
    } else if (errno == EAGAIN || !is_of_one_connection(errno)) {
        return -errno;
    }
    return 0;
}

static bool is_too_soon(struct door *door)
{
    if (!is_paced(door) || door_pace_take(door->config->edge.accepts_per_second, door_now_ms(door)))
        return false;
    metric_add(&door->metrics->accepts_paced, 1);
    return true;
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct door_listener *listener = CONTAINER_OF(poll, struct door_listener, poll);
    (void)events;
    if (status < 0)
        log_error("accept.broken", "a listener cannot be watched: %s", uv_strerror(status));
    for (int i = 0; i < ACCEPTS_PER_TURN && !listener->door->stopped; i++) {
        if (is_too_soon(listener->door)) {
            pause_accepting(listener->door);
            return;
        }
        int error = accept_one(listener);
        if (error && is_paced(listener->door))
            door_pace_give_back(listener->door->config->edge.accepts_per_second);
        if (error == -EAGAIN)
            return;
        if (error) {
            shed_and_pause(listener->door, listener, -error);
            return;
        }
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct door_listener *listener = CONTAINER_OF((uv_poll_t *)handle, struct door_listener, poll);
    struct door *door = listener->door;
    tls_server_unref(listener->tls);
    free(listener);
    door_handle_closed(door);
}

void door_accept_init(struct door *door)
{
    door->accept_pause = (struct wheel_timer){.expired = on_pause_over};
    door->spare_fd = open_spare();
}

static size_t index_of(const struct config *config, const struct config_listen *listen_at)
{
    for (size_t i = 0; i < config->edge.listen_count; i++)
        if (&config->edge.listen[i] == listen_at)
            return i;
    return SIZE_MAX;
}

/* A reload changes neither their number nor their addresses. */
static void reload_listener(struct door_listener *listener, const struct config *config)
{
    if (listener->index >= config->edge.listen_count)
        return;
    const struct config_listen *listen_at = &config->edge.listen[listener->index];
    struct tls_server *before = listener->tls;
    listener->tls = tls_server_ref(listen_at->tls.server);
    tls_server_unref(before);
}

void door_reload(struct door *door, const struct config *config)
{
    struct door_listener *listener;
    door->config = config;
    LIST_FOREACH (listener, &door->listeners, entry)
        reload_listener(listener, config);
}

int door_add_listener(struct door *door, int fd, const struct config_listen *listen_at)
{
    struct door_listener *listener = new_zeroed(sizeof(*listener));
    int err = uv_poll_init_socket(door->loop, &listener->poll, fd);
    if (err) {
        free(listener);
        close(fd);
        return err;
    }
    listener->door = door;
    listener->fd = fd;
    listener->index = index_of(door->config, listen_at);
    listener->proxy_protocol = listen_at->proxy_protocol;
    listener->tls = tls_server_ref(listen_at->tls.server);
    listener->is_unix = strncmp(listen_at->address, "unix:", 5) == 0;
    door->handles++;
    LIST_INSERT_HEAD(&door->listeners, listener, entry);
    return uv_poll_start(&listener->poll, UV_READABLE, on_listener);
}

void door_keep_listener(struct door *door, int fd)
{
    struct door_listener *listener;
    LIST_FOREACH (listener, &door->listeners, entry)
        if (listener->fd == fd)
            listener->kept = true;
}

/* Lets nobody join the queue any more. On TCP by a filter that drops SYNs, so that who comes late asks again and is then
 * refused, or finds another that listens there; shutdown() would reset who waits. */
static void shut_queue(const struct door_listener *listener)
{
    enum {
        FLAGS_AT = 13,
        SYN = 0x02,
        SYN_ACK = 0x12
    }; /* of the TCP header, where a socket's filter begins to read */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    if (listener->is_unix)
        shutdown(listener->fd, SHUT_RD); /* those who wait are not touched (unix(7) sockets have no RST) */
    else if (setsockopt(listener->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
        log_warn("accept.filter", "who connects in this moment is reset: %s", strerror(errno));
}

static void accept_who_waits(struct door_listener *listener)
{
    shut_queue(listener);
    while (accept_one(listener) == 0)
        ;
}

void door_stop_accepting(struct door *door, bool others_listen)
{
    struct door_listener *listener;
    wheel_cancel(&door->accept_pause);
    while ((listener = LIST_FIRST(&door->listeners))) {
        LIST_REMOVE(listener, entry);
        if (!others_listen && !listener->kept)
            accept_who_waits(listener);
        uv_poll_stop(&listener->poll);
        uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
        close(listener->fd);
    }
    door->stopped = true;
}

void door_accept_close(struct door *door)
{
    if (door->spare_fd >= 0)
        close(door->spare_fd);
}
