#include "edge/service/inheritance.h"

#include "edge/base/log.h"
#include "edge/door/address.h"
#include "presence/base/new.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int option_of(int fd, int option, int *value)
{
    socklen_t length = sizeof(*value);
    return getsockopt(fd, SOL_SOCKET, option, value, &length) ? -errno : 0;
}

int inheritance_add(struct inheritance *inheritance, int fd, enum inherited_role role, bool kept)
{
    struct inherited added = {.fd = fd, .role = role, .kept = kept, .address_bytes = sizeof(added.address)};
    int type, listens;
    int error = option_of(fd, SO_TYPE, &type);
    if (!error)
        error = option_of(fd, SO_ACCEPTCONN, &listens);
    if (error)
        return error;
    if (type != SOCK_STREAM || !listens)
        return -EINVAL;
    if (getsockname(fd, (struct sockaddr *)&added.address, &added.address_bytes))
        return -errno;
    inheritance->sockets =
        resized(inheritance->sockets, inheritance->count + 1, sizeof(inheritance->sockets[0]));
    inheritance->sockets[inheritance->count++] = added;
    return 0;
}

/* ---- matching ---- */

uint16_t inherited_port(const struct inherited *socket)
{
    const struct sockaddr *address = (const struct sockaddr *)&socket->address;
    if (address->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    return address->sa_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)address)->sin6_port) : 0;
}

static bool same_host(const struct inherited *socket, const char *text)
{
    unsigned char wanted[16];
    const struct sockaddr_in *in = (const struct sockaddr_in *)&socket->address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&socket->address;
    if (socket->address.ss_family == AF_INET)
        return inet_pton(AF_INET, text, wanted) == 1 && memcmp(wanted, &in->sin_addr, 4) == 0;
    return socket->address.ss_family == AF_INET6 && inet_pton(AF_INET6, text, wanted) == 1 &&
           memcmp(wanted, &in6->sin6_addr, 16) == 0;
}

static bool same_path(const struct inherited *socket, const char *path)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&socket->address;
    return un->sun_family == AF_UNIX && socket->address_bytes > offsetof(struct sockaddr_un, sun_path) &&
           strncmp(un->sun_path, path, sizeof(un->sun_path)) == 0;
}

static bool fits(const struct inherited *socket, enum inherited_role role, const struct config_listen *at)
{
    if (socket->fd < 0 || (socket->role != role && socket->role != INHERITED_ANY))
        return false;
    if (strncmp(at->address, "unix:", 5) == 0)
        return same_path(socket, at->address + 5);
    return (at->port == 0 || at->port == inherited_port(socket)) && same_host(socket, at->address);
}

size_t inheritance_take(struct inheritance *inheritance, enum inherited_role role,
    const struct config_listen *listen_at, struct inherited **taken)
{
    struct config_listen at = *listen_at;
    size_t count = 0;
    *taken = inheritance->count ? new_array(inheritance->count, sizeof(**taken)) : NULL;
    for (size_t i = 0; i < inheritance->count; i++) {
        struct inherited *socket = &inheritance->sockets[i];
        if (!fits(socket, role, &at))
            continue;
        at.port = inherited_port(socket); /* all of one port, also when it was left open */
        (*taken)[count++] = *socket;
        socket->fd = -1;
    }
    return count;
}

void inheritance_deinit(struct inheritance *inheritance)
{
    for (size_t i = 0; i < inheritance->count; i++) {
        struct inherited *socket = &inheritance->sockets[i];
        if (socket->fd < 0)
            continue;
        struct address address = address_from((struct sockaddr *)&socket->address);
        char text[ADDRESS_TEXT_BYTES];
        address_print(&address, text);
        log_warn("inherit.unwanted",
            "a listening socket at %s port %u was passed on, but no listener of the configuration is there",
            text, (unsigned)inherited_port(socket));
        close(socket->fd);
    }
    free(inheritance->sockets);
    *inheritance = (struct inheritance){0};
}
