/* One connection that speaks TLS, over a socket that someone else owns and watches.
 *
 * Reads take from the socket what is there and never block. Writes are encrypted in whole: what the kernel does not
 * take of the ciphertext waits here, and is sent by tls_session_flush() when the socket is writable. So a write has no
 * half: its caller never needs to offer the same bytes again. Who bounds what he writes bounds what waits:
 * tls_session_send() stops at one record (16 KiB).
 *
 * Thread: one at a time; a session may move to another thread with its socket.
 */
#pragma once

#include "edge/tls/server.h"

#include <stdbool.h>
#include <sys/types.h>

struct iovec;
struct tls_session;

/* A record holds so many bytes at most (RFC 8446, 5.1). Reads with room for one leave nothing decrypted behind, so
 * that a socket without anything to read means that there is nothing to read. */
enum { TLS_RECORD_BYTES = 16 * 1024 };

enum tls_handshake { TLS_HANDSHAKE_MORE, TLS_HANDSHAKE_DONE, TLS_HANDSHAKE_FAILED };

/* Why handshakes fail, for metrics; X(name, label). */
#define TLS_FAILURES(X)                                                                                      \
    X(TIMEOUT, "timeout")         /* it took too long; said by the owner of the session */                   \
    X(CLOSED, "closed")           /* the client went away in the middle */                                   \
    X(PLAIN_HTTP, "plain_http")   /* it spoke HTTP, without TLS */                                           \
    X(VERSION, "version")         /* no version in common */                                                 \
    X(CIPHER, "cipher")           /* no cipher, curve or signature in common */                              \
    X(CERTIFICATE, "certificate") /* it does not accept our certificate */                                   \
    X(PROTOCOL, "protocol")       /* anything else: not TLS, or broken */

enum tls_failure {
#define TLS_FAILURE_NAME(name, label) TLS_FAILURE_##name,
    TLS_FAILURES(TLS_FAILURE_NAME)
#undef TLS_FAILURE_NAME
        TLS_FAILURE_COUNT
};

/* The label. Any thread. */
const char *tls_failure_name(enum tls_failure failure);

/* For a connection that begins; keeps a reference of the server, not the socket, which stays open. Never NULL. */
struct tls_session *tls_session_new(struct tls_server *server, int fd);

/* Says nothing to the client. NULL is ignored. */
void tls_session_free(struct tls_session *session);

/* Bytes of the client that were read before TLS was begun; before the first handshake step. */
void tls_session_feed(struct tls_session *session, const char *bytes, size_t length);

/* Goes on with the handshake as far as what came allows. When it fails, *failure says why, and *words (static, or
 * NULL) what OpenSSL says of it. */
enum tls_handshake tls_session_handshake(
    struct tls_session *session, enum tls_failure *failure, const char **words);

/* As recv(): bytes, 0 for the end, -1 with EAGAIN or what has broken. Also EAGAIN while more ciphertext waits than a
 * client that reads could leave: one that makes us answer and does not read is not read either. Room for
 * TLS_RECORD_BYTES at least. */
ssize_t tls_session_read(struct tls_session *session, char *bytes, size_t room);

/* Takes bytes from the pieces until the socket blocks; returns how many, 0 while something waits, -1 when the
 * connection is broken. Also after the handshake only. */
ssize_t tls_session_send(struct tls_session *session, const struct iovec *pieces, size_t count);

/* Takes all of them, whatever waits. The bytes, or -1. */
ssize_t tls_session_send_all(struct tls_session *session, const struct iovec *pieces, size_t count);

/* Sends what waits, as far as the socket takes it. False: broken. */
bool tls_session_flush(struct tls_session *session);

/* Bytes of ciphertext that wait for the socket. */
size_t tls_session_waiting_bytes(const struct tls_session *session);

/* Says that nothing more comes (close_notify), once. */
void tls_session_say_end(struct tls_session *session);
