/* TLS of a listener: its certificates, which of them a client gets, and what is spoken.
 *
 *   server       the certificates of one listener with their OpenSSL contexts; complete when it is built, immutable
 *                afterwards, counted: a handshake under way outlives the configuration that it began with
 *   certificate  a chain with its key, and the names that the first of the chain is for
 *   session      one connection (session.h)
 *   bridge       one connection that has become a WebSocket (bridge.h)
 *
 * 1.2 and 1.3 with ciphers that have forward secrecy; no compression, no renegotiation, no early data. A client is
 * sent to the first certificate that is for the name it asks for (SNI), else to the first of all.
 */
#pragma once

#include "presence/tls/pem.h"

#include <stddef.h>
#include <stdint.h>

struct ssl_st; /* OpenSSL's SSL */

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

struct tls_server;

struct tls_certificate {
    const char *file;            /* as it was given */
    const char *subject;         /* its common name, or else the first name that it is for */
    int64_t begins_s, expires_s; /* since 1970 */
};

/* A server without certificates, with one reference. Never NULL. */
struct tls_server *tls_server_new(enum tls_version min_version);

/* Any thread. NULL is allowed, and given back. */
struct tls_server *tls_server_ref(struct tls_server *server);
void tls_server_unref(struct tls_server *server);

/* Adds a certificate with its chain, the one for the name first, and the key of it. `file` is copied. 0, or -EINVAL
 * and *problem. Only before the server is used; not thread-safe. */
int tls_server_add(struct tls_server *server, const char *file, struct tls_pem chain, struct tls_pem key,
    struct tls_problem *problem);

/* A chain that clients may not be able to follow: what is odd about it, in the words of tls_problem; NULL when
 * nothing is. Valid as long as the server. */
const char *tls_server_oddity(const struct tls_server *server, size_t index);

size_t tls_server_count(const struct tls_server *server);
const struct tls_certificate *tls_server_certificate(const struct tls_server *server, size_t index);

/* The index of the certificate that a client gets who asks for that name; NULL: for none. Any thread. */
size_t tls_server_choose(const struct tls_server *server, const char *name);

/* OpenSSL's object for one more connection. Any thread. NULL when memory is out. */
struct ssl_st *tls_server_open(struct tls_server *server);
