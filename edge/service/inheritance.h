/* Listening sockets that were opened by another process: by the service manager, or by the process whose place this one
 * takes. They are matched with the listeners of the configuration by their addresses.
 *
 * All sockets of one address are taken together, however many workers there were and are: each has a queue of its own in
 * the kernel, and nobody who waits in one may be forgotten. Thread: main.
 */
#pragma once

#include "edge/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum inherited_role {
    INHERITED_LISTENER,
    INHERITED_ADMIN,
    INHERITED_ANY, /* the service manager does not say */
};

struct inherited {
    int fd; /* -1: taken */
    enum inherited_role role;
    bool kept; /* whoever passed it on keeps it open: its queue goes on when we close it */
    struct sockaddr_storage address;
    socklen_t address_bytes;
};

struct inheritance { /* all zero: nothing */
    struct inherited *sockets;
    size_t count;
};

/* Adds a socket, which is the inheritance's from now on. Returns 0, or a negative errno when it is no listening stream
 * socket; then it is still the caller's. */
int inheritance_add(struct inheritance *inheritance, int fd, enum inherited_role role, bool kept);

/* Takes all sockets out that fit a listener of the configuration (port 0: those of the first port that was not taken yet).
 * Returns how many; they go to *taken, an array that the caller frees, and their descriptors are the caller's. */
size_t inheritance_take(struct inheritance *inheritance, enum inherited_role role,
    const struct config_listen *listen_at, struct inherited **taken);

/* Its port; 0 for a unix socket. */
uint16_t inherited_port(const struct inherited *socket);

/* Closes what nobody took, with a line in the log for each, and frees the list. */
void inheritance_deinit(struct inheritance *inheritance);
