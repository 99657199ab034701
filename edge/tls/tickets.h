/* The keys of session tickets, with which a client that comes back is spared the costly part of a handshake.
 *
 * One set for the process: all workers and all listeners, whatever configuration they are of, so that a reload costs
 * nobody his ticket. A key seals tickets for 12 hours and opens them for 12 more; then it is gone, and with it what
 * was recorded of connections that its tickets began (those of TLS 1.2 have no forward secrecy beyond it).
 */
#pragma once

#include <stdint.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

enum { TLS_TICKET_KEY_S = 12 * 3600 };

/* Tickets of that context are sealed with these keys. */
void tls_tickets_use(struct ssl_ctx_st *context);

/* For tests: as if so many seconds more had passed. */
void tls_tickets_age(uint64_t seconds);
