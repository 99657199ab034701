#include "presence/redis/doctor/dial.h"

#include "presence/base/new.h"
#include "presence/tls/client.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PIECE_BYTES = 16 * 1024 };

int dial(const struct redis_address *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    const struct timeval patience = {.tv_sec = DIAL_PATIENCE_S};
    char port[8];
    int fd = -1;
    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    if (getaddrinfo(address->host, port, &hints, &found))
        return -1;
    for (const struct addrinfo *to = found; to && fd < 0; to = to->ai_next) {
        fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(fd, to->ai_addr, to->ai_addrlen)) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

/* ---- through TLS ---- */

struct dial_tls {
    pthread_t thread;
    struct tls_stream *stream;
    int server, caller;
};

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

static bool send_encrypted(struct dial_tls *dialed)
{
    char *bytes;
    size_t length = tls_stream_take(dialed->stream, &bytes);
    bool good = write_all(dialed->server, bytes, length);
    free(bytes);
    return good;
}

static bool carry_answer(struct dial_tls *dialed)
{
    char bytes[PIECE_BYTES];
    ssize_t count = recv(dialed->server, bytes, sizeof bytes, 0);
    if (count <= 0)
        return false;
    tls_stream_feed(dialed->stream, bytes, (size_t)count);
    while ((count = tls_stream_read(dialed->stream, bytes, sizeof bytes)) > 0)
        if (!write_all(dialed->caller, bytes, (size_t)count))
            return false;
    return send_encrypted(dialed) && count == 0;
}

static bool carry_question(struct dial_tls *dialed)
{
    char bytes[PIECE_BYTES];
    ssize_t count = recv(dialed->caller, bytes, sizeof bytes, 0);
    return count > 0 && tls_stream_write(dialed->stream, bytes, (size_t)count) == 0 && send_encrypted(dialed);
}

/* Until either side ends. What is asked before the handshake is done waits in its socket. */
static void *carry(void *context)
{
    struct dial_tls *dialed = context;
    bool good = send_encrypted(dialed);
    while (good) {
        bool open = tls_stream_is_open(dialed->stream);
        struct pollfd fds[] = {
            {.fd = dialed->server, .events = POLLIN}, {.fd = dialed->caller, .events = open ? POLLIN : 0}};
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents)
            good = carry_answer(dialed);
        if (good && fds[1].revents)
            good = open && carry_question(dialed);
    }
    shutdown(dialed->caller, SHUT_RDWR);
    shutdown(dialed->server, SHUT_RDWR);
    return NULL;
}

struct dial_tls *dial_tls(const struct redis_address *address, struct tls_client *client, int *fd)
{
    int ends[2];
    struct dial_tls *dialed = new_zeroed(sizeof *dialed);
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    *fd = ends[0];
    dialed->caller = ends[1];
    dialed->server = dial(address);
    dialed->stream = tls_stream_new(client, address->host);
    if (dialed->server >= 0 && pthread_create(&dialed->thread, NULL, carry, dialed) == 0)
        return dialed;
    close(*fd);
    close(dialed->caller);
    if (dialed->server >= 0)
        close(dialed->server);
    tls_stream_free(dialed->stream);
    free(dialed);
    return NULL;
}

void dial_tls_hang_up(struct dial_tls *dialed)
{
    if (!dialed)
        return;
    shutdown(dialed->caller, SHUT_RDWR);
    pthread_join(dialed->thread, NULL);
    close(dialed->caller);
    close(dialed->server);
    tls_stream_free(dialed->stream);
    free(dialed);
}
