/* Connections of commands that wait for what they ask: no loop, and a limit on each wait. */
#pragma once

#include "presence/redis/address.h"

enum { DIAL_PATIENCE_S = 5 };

/* A TCP socket that is connected to one of the name's addresses and gives up reading and writing after that time; -1. */
int dial(const struct redis_address *address);

struct tls_client;
struct dial_tls;

/* The same for who knows nothing of TLS, as hiredis does not where it is old: a thread carries what is read from and written
 * to *fd, which is the caller's to close, before dial_tls_hang_up(). NULL when there is no connection. */
struct dial_tls *dial_tls(const struct redis_address *address, struct tls_client *client, int *fd);

/* Ends the thread. NULL is ignored. */
void dial_tls_hang_up(struct dial_tls *dialed);
