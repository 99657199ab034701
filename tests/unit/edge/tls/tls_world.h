/* Certificates made on the spot, and a client that speaks TLS over one end of a pair of sockets. */
#pragma once

#include "edge/base/clock.h"
#include "edge/tls/session.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

enum { HANG_MS = 20000, DAY_S = 86400 };

/* A certificate with its key, signed by itself, or by the one that is its `issuer`. */
struct made {
    X509 *certificate;
    EVP_PKEY *key;
    char *certificate_pem, *key_pem;
};

static inline char *text_of(BIO *bio)
{
    char *bytes;
    long length = BIO_get_mem_data(bio, &bytes);
    char *text = strndup(bytes, (size_t)length);
    BIO_free(bio);
    return text;
}

static inline void set_names(X509 *certificate, const char *common, const char *alternatives)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    if (common)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common, -1, -1, 0);
    if (!alternatives)
        return;
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternatives);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* `alternatives` as openssl writes them ("DNS:a,DNS:b"), or NULL. */
static inline struct made make(
    const char *common, const char *alternatives, long from_s, long to_s, const struct made *issuer)
{
    struct made made = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), to_s);
    X509_set_pubkey(made.certificate, made.key);
    set_names(made.certificate, common, alternatives);
    X509_set_issuer_name(
        made.certificate, X509_get_subject_name(issuer ? issuer->certificate : made.certificate));
    assert_true(X509_sign(made.certificate, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, made.certificate);
    made.certificate_pem = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, made.key, NULL, NULL, 0, NULL, NULL);
    made.key_pem = text_of(bio);
    return made;
}

static inline void made_free(struct made *made)
{
    X509_free(made->certificate);
    EVP_PKEY_free(made->key);
    free(made->certificate_pem);
    free(made->key_pem);
}

static inline struct tls_pem pem_of(const char *text)
{
    return (struct tls_pem){text, strlen(text)};
}

/* Adds, and says what was wrong; "" when nothing was. */
static inline struct tls_problem add(struct tls_server *server, const char *chain, const char *key)
{
    struct tls_problem problem = {0};
    int err = tls_server_add(server, "a.pem", pem_of(chain), pem_of(key), &problem);
    assert_int_equal(err, problem.words[0] ? -EINVAL : 0);
    return problem;
}

static inline struct tls_server *server_with(const char *common, const char *alternatives)
{
    struct made made = make(common, alternatives, -DAY_S, DAY_S, NULL);
    struct tls_server *server = tls_server_new(TLS_VERSION_1_2);
    assert_string_equal(add(server, made.certificate_pem, made.key_pem).words, "");
    made_free(&made);
    return server;
}

/* ---- a client ---- */

struct tls_client {
    SSL_CTX *context;
    SSL *ssl;
    SSL_SESSION *ticket; /* the last one it got */
    int fd;
};

static inline int on_client_ticket(SSL *ssl, SSL_SESSION *ticket)
{
    struct tls_client *client = SSL_get_app_data(ssl);
    SSL_SESSION_free(client->ticket);
    client->ticket = ticket;
    return 1;
}

/* Not to be moved: OpenSSL keeps a pointer to it. */
static inline void client_init(struct tls_client *client, int fd)
{
    *client = (struct tls_client){.context = SSL_CTX_new(TLS_client_method()), .fd = fd};
    SSL_CTX_set_session_cache_mode(client->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->context, on_client_ticket);
    client->ssl = SSL_new(client->context);
    SSL_set_app_data(client->ssl, client);
    SSL_set_fd(client->ssl, fd);
    SSL_set_connect_state(client->ssl);
    SSL_set_mode(client->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static inline void client_deinit(struct tls_client *client)
{
    SSL_set_shutdown(
        client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or its ticket would be void */
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    SSL_SESSION_free(client->ticket);
    close(client->fd);
}

/* Both sides, turn by turn. */
static inline enum tls_handshake shake_hands(struct tls_client *client, struct tls_session *session)
{
    enum tls_failure failure;
    const char *words;
    enum tls_handshake here = TLS_HANDSHAKE_MORE;
    for (int turn = 0; turn < 20 && here == TLS_HANDSHAKE_MORE; turn++) {
        ERR_clear_error();
        SSL_do_handshake(client->ssl);
        here = tls_session_handshake(session, &failure, &words);
    }
    char nothing;
    ERR_clear_error();
    SSL_read(client->ssl, &nothing, 0); /* takes the ticket */
    SSL_peek(client->ssl, &nothing, 1);
    return here;
}

static inline void socket_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}
