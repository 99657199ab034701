/* A client's bytes on the wire, as they are or through TLS. As send() and recv(): -1 with errno EAGAIN when not now. */
#pragma once

#include "tests/bench/client.h"

#include <sys/types.h>

/* With --tls: what all clients speak; certificates are not looked at. */
struct ssl_ctx_st *wire_tls_new(void);

/* The socket is connected. */
void wire_begin(const struct driver *driver, struct client *client);
void wire_end(struct client *client);

ssize_t wire_send(struct client *client, const void *bytes, size_t length);

/* Room for a record (16 KiB) at least, so that nothing stays behind that epoll does not know of. */
ssize_t wire_receive(struct client *client, void *bytes, size_t room);

/* What it waits for when a send found no room: EPOLLIN while the handshake is under way, else EPOLLOUT as well. */
uint32_t wire_wants(const struct client *client);
