/* Listening sockets: IPv4, IPv6 and unix. */
#include "edge/base/log.h"
#include "edge/door/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096, /* Linux' own default for net.core.somaxconn, which caps it, since 5.4 */
    /* What the kernel takes of a connection beyond what is on its way to the client. Without it a stalled
     * reader swallows 4.2 MB before its outbox sees a byte; with it, 186 KB. It does not bound what is in
     * flight, as SO_SNDBUF would, so long paths stay fast. Measured on loopback, bare send() of 200 bytes to
     * 1,000 readers, three runs each: 3.7 to 3.9 us without, 3.8 to 4.3 with, 3.7 to 4.2 with SO_SNDBUF: no
     * more than the noise; no partial writes either, also with 20 kB. */
    NOT_SENT_BYTES = 64 * 1024,
};

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* Options that accepted sockets inherit, so that they cost nothing per connection. */
static int set_tcp_options(int fd, int family)
{
    int err = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!err && family == AF_INET6)
        err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (!err)
        err = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (!err)
        err = set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT_BYTES);
    return err;
}

/* Unix sockets have none of the options. */
void door_prepare_listener(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT_BYTES);
}

static bool read_address(const char *text, uint16_t port, struct sockaddr_storage *address, socklen_t *length)
{
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        *length = sizeof(*in);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        *length = sizeof(*in6);
        return true;
    }
    return false;
}

uint16_t door_listener_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &length) || address.ss_family == AF_UNIX)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

/* The kernel asks for SO_REUSEPORT of both sides when the later one is bound: the first of ours is bound without, so that it
 * fails where a process listens already, and has it before the others come. */
static int bind_tcp(
    int fd, const struct sockaddr_storage *address, socklen_t length, enum door_company company)
{
    int err = company == DOOR_NEXT ? set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
    if (!err && bind(fd, (const struct sockaddr *)address, length))
        err = -errno;
    if (!err && company == DOOR_FIRST)
        err = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    return err;
}

/* Of a socket that was bound, or with an error not: the socket, which listens, or the error, and it is closed. */
static int listen_on(int fd, int err)
{
    if (!err && listen(fd, BACKLOG))
        err = -errno;
    if (!err)
        return fd;
    close(fd);
    return err;
}

static int listen_tcp(const struct config_listen *listen_at, enum door_company company, uint16_t *port)
{
    struct sockaddr_storage address;
    socklen_t length;
    if (!read_address(listen_at->address, listen_at->port, &address, &length))
        return -EINVAL;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = set_tcp_options(fd, address.ss_family);
    if (!err)
        err = bind_tcp(fd, &address, length, company);
    int listening = listen_on(fd, err);
    if (listening >= 0)
        *port = door_listener_port(listening);
    return listening;
}

/* True if the path is a socket to which nobody listens any more: what a process leaves that was killed. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    /* A listener whose backlog is full says EAGAIN, and is alive. */
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_unix(int fd, const struct sockaddr_un *address)
{
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return 0;
    if (errno != EADDRINUSE || !is_stale(address))
        return -errno;
    log_info("listen.stale", "%s was left by a process that is gone; taking its place", address->sun_path);
    if (unlink(address->sun_path) || bind(fd, (const struct sockaddr *)address, sizeof(*address)))
        return -errno;
    return 0;
}

static int listen_unix(const char *path, uint16_t *port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0')
        return -EINVAL;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int listening = listen_on(fd, bind_unix(fd, &address));
    if (listening >= 0)
        *port = 0;
    return listening;
}

int door_listen(const struct config_listen *listen_at, enum door_company company, uint16_t *port)
{
    if (strncmp(listen_at->address, "unix:", 5) == 0)
        return listen_unix(listen_at->address + 5, port);
    return listen_tcp(listen_at, company, port);
}
