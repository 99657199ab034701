#include "edge/tls/session.h"

#include "edge/base/buffer.h"
#include "edge/base/metrics.h"
#include "presence/base/new.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What may wait before reading stops. A handshake is 6 KB; a record and what a client's key updates make us answer
 * stays below. */
enum { WAITING_MAX_BYTES = 4 * TLS_RECORD_BYTES };

struct tls_session {
    SSL *ssl;
    struct tls_server *server;
    int fd;
    bool done;   /* the handshake */
    bool broken; /* neither reading nor writing makes sense any more */
    bool said_end;
    struct buffer ahead; /* fed, and not read yet */
    struct buffer rest;  /* ciphertext that waits for the socket */
    size_t rest_sent;
};

/* ---- OpenSSL's way to the socket ---- */

static int on_bio_read(BIO *bio, char *bytes, int room)
{
    struct tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (session->ahead.length > 0) {
        size_t count = session->ahead.length < (size_t)room ? session->ahead.length : (size_t)room;
        memcpy(bytes, session->ahead.bytes, count);
        buffer_consume(&session->ahead, count);
        if (session->ahead.length == 0)
            buffer_deinit(&session->ahead);
        return (int)count;
    }
    ssize_t count = recv(session->fd, bytes, (size_t)room, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)count;
}

static ssize_t send_some(struct tls_session *session, const char *bytes, size_t length)
{
    ssize_t sent;
    do {
        sent = send(session->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
        return 0;
    session->broken |= sent < 0;
    return sent;
}

/* Takes everything, so that OpenSSL never has a write to repeat. */
static int on_bio_write(BIO *bio, const char *bytes, int length)
{
    struct tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (session->broken)
        return -1;
    ssize_t sent = session->rest.length > 0 ? 0 : send_some(session, bytes, (size_t)length);
    if (sent < 0)
        return -1;
    if (sent < length)
        buffer_add(&session->rest, bytes + sent, (size_t)(length - sent));
    return length;
}

static long on_bio_control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    /* Whether a read that gave nothing was the end. It is only asked then. */
    if (what == BIO_CTRL_EOF)
        return 1;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = must_have(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rollcall socket"));
    BIO_meth_set_read(method, on_bio_read);
    BIO_meth_set_write(method, on_bio_write);
    BIO_meth_set_ctrl(method, on_bio_control);
}

static BIO *bio_new(struct tls_session *session)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = must_have(BIO_new(method));
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- life ---- */

struct tls_session *tls_session_new(struct tls_server *server, int fd)
{
    struct tls_session *session = new_zeroed(sizeof(*session));
    SSL *ssl = must_have(tls_server_open(server));
    *session = (struct tls_session){.ssl = ssl, .server = tls_server_ref(server), .fd = fd};
    BIO *bio = bio_new(session);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return session;
}

void tls_session_free(struct tls_session *session)
{
    if (!session)
        return;
    SSL_free(session->ssl);
    tls_server_unref(session->server);
    buffer_deinit(&session->ahead);
    buffer_deinit(&session->rest);
    free(session);
}

void tls_session_feed(struct tls_session *session, const char *bytes, size_t length)
{
    if (length > 0)
        buffer_add(&session->ahead, bytes, length);
}

/* ---- the handshake ---- */

_Static_assert((int)TLS_FAILURE_COUNT == METRICS_TLS_FAILURES, "metrics.h has one for each");

const char *tls_failure_name(enum tls_failure failure)
{
    static const char *const names[] = {
#define TLS_FAILURE_LABEL(name, label) label,
        TLS_FAILURES(TLS_FAILURE_LABEL)
#undef TLS_FAILURE_LABEL
    };
    return names[failure];
}

static enum tls_failure failure_of(int reason)
{
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return TLS_FAILURE_PLAIN_HTTP;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_INAPPROPRIATE_FALLBACK:
        return TLS_FAILURE_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return TLS_FAILURE_CIPHER;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        return TLS_FAILURE_CERTIFICATE;
    default:
        return TLS_FAILURE_PROTOCOL;
    }
}

enum tls_handshake tls_session_handshake(
    struct tls_session *session, enum tls_failure *failure, const char **words)
{
    *words = NULL;
    ERR_clear_error();
    int result = SSL_do_handshake(session->ssl);
    if (result == 1) {
        session->done = true;
        return TLS_HANDSHAKE_DONE;
    }
    int error = SSL_get_error(session->ssl, result);
    if (error == SSL_ERROR_WANT_READ)
        return TLS_HANDSHAKE_MORE;
    unsigned long why = ERR_peek_error();
    bool went = error != SSL_ERROR_SSL || !why;
    *failure = went ? TLS_FAILURE_CLOSED : failure_of(ERR_GET_REASON(why));
    *words = went ? NULL : ERR_reason_error_string(why);
    session->broken = true;
    ERR_clear_error();
    return TLS_HANDSHAKE_FAILED;
}

/* ---- data ---- */

ssize_t tls_session_read(struct tls_session *session, char *bytes, size_t room)
{
    size_t total = 0;
    int result = 1;
    if (tls_session_waiting_bytes(session) > WAITING_MAX_BYTES) {
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    while (room - total >= TLS_RECORD_BYTES) {
        result = SSL_read(session->ssl, bytes + total, (int)(room - total));
        if (result <= 0)
            break;
        total += (size_t)result;
    }
    if (total > 0)
        return (ssize_t)total; /* what else there is to say is said again */
    int error = SSL_get_error(session->ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ ? EAGAIN : EPROTO;
    session->broken |= error != SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return -1;
}

static bool encrypt(struct tls_session *session, const char *bytes, size_t length)
{
    if (session->broken || !session->done || session->said_end)
        return false;
    if (SSL_write(session->ssl, bytes, (int)length) == (int)length)
        return true;
    session->broken = true;
    ERR_clear_error();
    return false;
}

/* Where a walk over the pieces stands. */
struct walk {
    const struct iovec *pieces;
    size_t count, offset; /* of the first one */
};

static void skip(struct walk *walk, size_t length)
{
    walk->offset += length;
    while (walk->count > 0 && walk->offset >= walk->pieces->iov_len) {
        walk->offset -= walk->pieces->iov_len;
        walk->pieces++;
        walk->count--;
    }
}

/* The next bytes, a record's worth at most: in place if one piece has enough of them, otherwise joined in `joined`. */
static const char *next_record(struct walk *walk, char joined[TLS_RECORD_BYTES], size_t *length)
{
    size_t here = walk->pieces->iov_len - walk->offset;
    const char *bytes = (const char *)walk->pieces->iov_base + walk->offset;
    if (here >= TLS_RECORD_BYTES || walk->count == 1) {
        *length = here < TLS_RECORD_BYTES ? here : TLS_RECORD_BYTES;
        skip(walk, *length);
        return bytes;
    }
    *length = 0;
    while (walk->count > 0 && *length < TLS_RECORD_BYTES) {
        size_t room = TLS_RECORD_BYTES - *length;
        here = walk->pieces->iov_len - walk->offset;
        size_t taken = here < room ? here : room;
        memcpy(joined + *length, (const char *)walk->pieces->iov_base + walk->offset, taken);
        *length += taken;
        skip(walk, taken);
    }
    return joined;
}

static ssize_t send_pieces(
    struct tls_session *session, const struct iovec *pieces, size_t count, bool whatever_waits)
{
    char joined[TLS_RECORD_BYTES];
    struct walk walk = {pieces, count, 0};
    size_t total = 0;
    ERR_clear_error();
    skip(&walk, 0);
    while (walk.count > 0 && (whatever_waits || session->rest.length == 0)) {
        size_t length;
        const char *bytes = next_record(&walk, joined, &length);
        if (!encrypt(session, bytes, length))
            return -1;
        total += length;
    }
    return session->broken ? -1 : (ssize_t)total;
}

ssize_t tls_session_send(struct tls_session *session, const struct iovec *pieces, size_t count)
{
    return tls_session_flush(session) ? send_pieces(session, pieces, count, false) : -1;
}

ssize_t tls_session_send_all(struct tls_session *session, const struct iovec *pieces, size_t count)
{
    return send_pieces(session, pieces, count, true);
}

bool tls_session_flush(struct tls_session *session)
{
    size_t waiting = tls_session_waiting_bytes(session);
    if (waiting == 0 || session->broken)
        return !session->broken;
    ssize_t sent = send_some(session, session->rest.bytes + session->rest_sent, waiting);
    session->rest_sent += sent > 0 ? (size_t)sent : 0;
    if (tls_session_waiting_bytes(session) == 0) {
        buffer_deinit(&session->rest);
        session->rest_sent = 0;
    }
    return !session->broken;
}

size_t tls_session_waiting_bytes(const struct tls_session *session)
{
    return session->rest.length - session->rest_sent;
}

void tls_session_say_end(struct tls_session *session)
{
    if (!session->done || session->broken || session->said_end)
        return;
    session->said_end = true;
    ERR_clear_error();
    SSL_shutdown(session->ssl);
    ERR_clear_error();
}
