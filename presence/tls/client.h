/* TLS towards servers: whom to trust, who we are, and one connection's bytes on both sides of the encryption.
 *
 *   what the socket brought ─feed─▶ ┌────────┐ ─read──▶ plain
 *   what the socket is to get ◀take─ │ stream │ ◀─write─ plain
 *                                    └────────┘
 *
 * A stream knows no socket: hiredis' own TLS (from its release 1.0 on) wants one, and ours are libuv's. So this works with
 * every hiredis. Thread: one at a time for a stream; a client is immutable and may be used by several.
 */
#pragma once

#include "presence/tls/pem.h"

#include <stdbool.h>
#include <sys/types.h>

struct tls_client;
struct tls_stream;

struct tls_client_options {
    struct tls_pem authorities; /* whom to trust; no bytes: whom the system trusts */
    struct tls_pem chain, key;  /* who we are; no bytes: nobody in particular */
    const char *server_name;    /* whom certificates have to be for; "": the host that is connected to */
};

/* With one reference; copies what it needs. NULL: *problem. */
struct tls_client *tls_client_new(const struct tls_client_options *options, struct tls_problem *problem);
struct tls_client *tls_client_ref(struct tls_client *client); /* NULL is allowed, and given back */
void tls_client_unref(struct tls_client *client);

/* A connection to that host (a name or an address), whose handshake begins: there is something to take. Keeps a reference.
 * Never NULL. */
struct tls_stream *tls_stream_new(struct tls_client *client, const char *host);
void tls_stream_free(struct tls_stream *stream); /* NULL is ignored */

/* Takes over what came from the server. */
void tls_stream_feed(struct tls_stream *stream, const char *bytes, size_t length);

/* Goes on with what was fed: plain bytes, or 0 when there are none yet, -EPIPE for the end, -EPROTO when it failed. */
ssize_t tls_stream_read(struct tls_stream *stream, char *bytes, size_t room);

/* True from the end of the handshake on: the server is who it should be. */
bool tls_stream_is_open(const struct tls_stream *stream);

/* Only while open. 0 or -EPROTO. */
int tls_stream_write(struct tls_stream *stream, const char *bytes, size_t length);

/* What is to be sent to the server since the last call; *bytes is the caller's to free. 0: nothing. */
size_t tls_stream_take(struct tls_stream *stream, char **bytes);

/* Why it failed, in words; "" while it has not. */
const char *tls_stream_why(const struct tls_stream *stream);
