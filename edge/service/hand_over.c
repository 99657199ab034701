/* The side of the old process. */
#include "edge/service/hand_over.h"

#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/service/hand_over_private.h"
#include "presence/base/new.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct hand_over {
    struct hand_over_handlers handlers;
    void *context;
    int listener, line; /* line: to the one that takes over; -1: there is none */
    uv_poll_t on_listener, on_line;
    unsigned handles;
    struct stat bound; /* what is ours at the path */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- the line ---- */

static void on_closed(uv_handle_t *handle)
{
    struct hand_over *hand_over = handle->data;
    if (--hand_over->handles == 0 && hand_over->listener < 0)
        free(hand_over);
}

static void on_listener(uv_poll_t *poll, int status, int events);

/* The next one, who waits in the queue. */
static void on_line_closed(uv_handle_t *handle)
{
    struct hand_over *hand_over = handle->data;
    if (hand_over->listener >= 0)
        uv_poll_start(&hand_over->on_listener, UV_READABLE, on_listener);
    on_closed(handle);
}

static void close_line(struct hand_over *hand_over)
{
    uv_close((uv_handle_t *)&hand_over->on_line, on_line_closed);
    close(hand_over->line);
    hand_over->line = -1;
}

static void on_line(uv_poll_t *poll, int status, int events)
{
    struct hand_over *hand_over = poll->data;
    static const struct hand_over_message leaving = {.text = "leaving"};
    struct hand_over_message message;
    struct ucred peer = {0};
    socklen_t length = sizeof(peer);
    (void)events;
    int error = status < 0 ? status : hand_over_receive(hand_over->line, &message);
    if (error == -EAGAIN)
        return;
    for (size_t i = 0; !error && i < message.fd_count; i++)
        close(message.fds[i]);
    if (!error && strcmp(message.text, "serving") == 0) {
        (void)getsockopt(hand_over->line, SOL_SOCKET, SO_PEERCRED, &peer, &length);
        hand_over_send(hand_over->line, &leaving);
        close_line(hand_over);
        hand_over->handlers.taken(hand_over->context, peer.pid);
        return;
    }
    log_warn("hand_over.given_up", "a process that was given our listening sockets does not serve: we go on");
    close_line(hand_over);
}

/* ---- giving ---- */

static const char *words_for(const struct hand_over_socket *socket)
{
    if (socket->role == INHERITED_ADMIN)
        return socket->kept ? "sockets admin kept" : "sockets admin own";
    return socket->kept ? "sockets listener kept" : "sockets listener own";
}

/* Those from the first on that are of the same kind, as many as one message takes. */
static size_t send_some(int line, const struct hand_over_socket *sockets, size_t count, int *error)
{
    struct hand_over_message message = {0};
    snprintf(message.text, sizeof(message.text), "%s", words_for(&sockets[0]));
    while (message.fd_count < count && message.fd_count < HAND_OVER_FDS_MAX &&
           words_for(&sockets[message.fd_count]) == words_for(&sockets[0])) {
        message.fds[message.fd_count] = sockets[message.fd_count].fd;
        message.fd_count++;
    }
    *error = hand_over_send(line, &message);
    return message.fd_count;
}

static int give_all(struct hand_over *hand_over)
{
    static const struct hand_over_message end = {.text = "end"};
    const struct hand_over_socket *sockets;
    size_t count = hand_over->handlers.sockets(hand_over->context, &sockets);
    int error = 0;
    for (size_t given = 0; given < count && !error;)
        given += send_some(hand_over->line, sockets + given, count - given, &error);
    return error ? error : hand_over_send(hand_over->line, &end);
}

static bool is_allowed(int fd)
{
    struct ucred peer = {0};
    socklen_t length = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* One at a time; others wait in the queue, and find nobody when the first has taken all. */
static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct hand_over *hand_over = poll->data;
    (void)status, (void)events;
    int line = accept4(hand_over->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (line < 0)
        return;
    if (!is_allowed(line)) {
        log_warn("hand_over.refused", "a process of another user asked for our listening sockets");
        close(line);
        return;
    }
    uv_poll_stop(poll);
    hand_over->line = line;
    hand_over->on_line.data = hand_over;
    hand_over->handles++;
    uv_poll_init(poll->loop, &hand_over->on_line, line);
    uv_poll_start(&hand_over->on_line, UV_READABLE, on_line);
    int error = give_all(hand_over);
    if (error) {
        log_error("hand_over.give", "cannot give our listening sockets away: %s", strerror(-error));
        close_line(hand_over);
    }
}

/* ---- the path ---- */

static bool somebody_listens(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool there = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
    close(fd);
    return there;
}

/* Bound under another name first and then moved: at every moment somebody is at the path. */
static int bind_over(int fd, const char *path, struct stat *bound)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s.%d", path, (int)getpid());
    if (length < 0 || (size_t)length >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    unlink(address.sun_path);
    mode_t mask = umask(0077); /* no threads run yet, or none that makes files */
    int error = bind(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
    umask(mask);
    if (error)
        return error;
    if (listen(fd, 4) || lstat(address.sun_path, bound) || rename(address.sun_path, path)) {
        error = -errno;
        unlink(address.sun_path);
    }
    return error;
}

static int open_listener(const char *path, bool replace, struct stat *bound)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    if (!replace && somebody_listens(&address))
        return -EADDRINUSE;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = bind_over(fd, path, bound);
    if (error)
        close(fd);
    return error ? error : fd;
}

int hand_over_new(uv_loop_t *loop, const char *path, bool replace, const struct hand_over_handlers *handlers,
    void *context, struct hand_over **created)
{
    struct stat bound;
    int fd = open_listener(path, replace, &bound);
    if (fd == -EADDRINUSE)
        log_error("hand_over.path",
            "another process listens at edge.hand_over, %s: start with --take-over to take its place", path);
    else if (fd < 0)
        log_error("hand_over.path", "cannot listen at edge.hand_over, %s: %s", path, strerror(-fd));
    if (fd < 0)
        return fd;
    struct hand_over *hand_over = new_zeroed(sizeof(*hand_over));
    hand_over->handlers = *handlers;
    hand_over->context = context;
    hand_over->listener = fd;
    hand_over->line = -1;
    hand_over->bound = bound;
    hand_over->handles = 1;
    strcpy(hand_over->path, path);
    uv_poll_init(loop, &hand_over->on_listener, fd);
    hand_over->on_listener.data = hand_over;
    uv_poll_start(&hand_over->on_listener, UV_READABLE, on_listener);
    *created = hand_over;
    return 0;
}

void hand_over_free(struct hand_over *hand_over)
{
    struct stat now;
    if (!hand_over)
        return;
    if (hand_over->line >= 0)
        close_line(hand_over);
    if (lstat(hand_over->path, &now) == 0 && now.st_ino == hand_over->bound.st_ino &&
        now.st_dev == hand_over->bound.st_dev)
        unlink(hand_over->path);
    uv_close((uv_handle_t *)&hand_over->on_listener, on_closed);
    close(hand_over->listener);
    hand_over->listener = -1;
}
