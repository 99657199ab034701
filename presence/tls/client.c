#include "presence/tls/client.h"

#include "presence/base/new.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_client {
    atomic_uint references;
    SSL_CTX *context;
    char *server_name;
};

struct tls_stream {
    struct tls_client *client;
    SSL *ssl;
    BIO *in, *out; /* the SSL's: ciphertext that came, and that is to go */
    bool open;
    char why[200];
};

/* ---- clients ---- */

struct tls_client *tls_client_new(const struct tls_client_options *options, struct tls_problem *problem)
{
    struct tls_client *client = new_zeroed(sizeof *client);
    const char *oddity;
    int err = 0;
    client->context = must_have(SSL_CTX_new(TLS_client_method()));
    atomic_init(&client->references, 1);
    client->server_name = new_text(options->server_name ? options->server_name : "");
    must(SSL_CTX_set_min_proto_version(client->context, TLS1_2_VERSION));
    SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(client->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (options->authorities.bytes)
        err = tls_pem_trust(client->context, options->authorities, problem);
    else
        SSL_CTX_set_default_verify_paths(client->context);
    if (!err && options->chain.bytes)
        err = tls_pem_use(client->context, options->chain, options->key, &oddity, problem);
    if (!err)
        return client;
    tls_client_unref(client);
    return NULL;
}

struct tls_client *tls_client_ref(struct tls_client *client)
{
    if (client)
        atomic_fetch_add_explicit(&client->references, 1, memory_order_relaxed);
    return client;
}

void tls_client_unref(struct tls_client *client)
{
    if (!client || atomic_fetch_sub_explicit(&client->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(client->context);
    free(client->server_name);
    free(client);
}

/* ---- streams ---- */

/* Whom the certificate has to be for; false for nobody, which OpenSSL would take for anybody. A name is also told (SNI), an
 * address never is (RFC 6066, 3). */
static bool expect(SSL *ssl, const char *whom)
{
    unsigned char address[16];
    if (inet_pton(AF_INET, whom, address) == 1 || inet_pton(AF_INET6, whom, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), whom);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return whom[0] && SSL_set1_host(ssl, whom) && SSL_set_tlsext_host_name(ssl, whom);
}

static void go_on(struct tls_stream *stream);

struct tls_stream *tls_stream_new(struct tls_client *client, const char *host)
{
    struct tls_stream *stream = new_zeroed(sizeof *stream);
    stream->client = tls_client_ref(client);
    stream->ssl = must_have(SSL_new(client->context));
    stream->in = must_have(BIO_new(BIO_s_mem()));
    stream->out = must_have(BIO_new(BIO_s_mem()));
    SSL_set_bio(stream->ssl, stream->in, stream->out);
    SSL_set_connect_state(stream->ssl);
    if (expect(stream->ssl, client->server_name[0] ? client->server_name : host))
        go_on(stream);
    else
        snprintf(stream->why, sizeof stream->why, "TLS: no certificate can be for such a name");
    return stream;
}

void tls_stream_free(struct tls_stream *stream)
{
    if (!stream)
        return;
    SSL_free(stream->ssl);
    tls_client_unref(stream->client);
    free(stream);
}

/* What went wrong: of a certificate what is wrong with it, else OpenSSL's reason. */
static void fail(struct tls_stream *stream)
{
    long verdict = SSL_get_verify_result(stream->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    if (stream->why[0])
        return;
    if (verdict != X509_V_OK)
        snprintf(stream->why, sizeof stream->why, "TLS: its certificate is not good (%s)",
            X509_verify_cert_error_string(verdict));
    else
        snprintf(stream->why, sizeof stream->why, "TLS: %s", reason ? reason : "broken");
    ERR_clear_error();
}

static void go_on(struct tls_stream *stream)
{
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    if (result == 1)
        stream->open = true;
    else if (SSL_get_error(stream->ssl, result) != SSL_ERROR_WANT_READ)
        fail(stream);
}

void tls_stream_feed(struct tls_stream *stream, const char *bytes, size_t length)
{
    must(length == 0 || BIO_write(stream->in, bytes, (int)length) == (int)length);
}

ssize_t tls_stream_read(struct tls_stream *stream, char *bytes, size_t room)
{
    if (!stream->open && !stream->why[0])
        go_on(stream);
    if (stream->why[0])
        return -EPROTO;
    if (!stream->open)
        return 0;
    ERR_clear_error();
    int count = SSL_read(stream->ssl, bytes, (int)room);
    if (count > 0)
        return count;
    int error = SSL_get_error(stream->ssl, count);
    if (error == SSL_ERROR_WANT_READ)
        return 0;
    if (error == SSL_ERROR_ZERO_RETURN)
        return -EPIPE;
    fail(stream);
    return -EPROTO;
}

bool tls_stream_is_open(const struct tls_stream *stream)
{
    return stream->open;
}

int tls_stream_write(struct tls_stream *stream, const char *bytes, size_t length)
{
    ERR_clear_error();
    if (length == 0 || SSL_write(stream->ssl, bytes, (int)length) == (int)length)
        return 0;
    fail(stream);
    return -EPROTO;
}

size_t tls_stream_take(struct tls_stream *stream, char **bytes)
{
    char *waiting;
    long length = BIO_get_mem_data(stream->out, &waiting);
    *bytes = NULL;
    if (length <= 0)
        return 0;
    *bytes = must_have(malloc((size_t)length));
    memcpy(*bytes, waiting, (size_t)length);
    (void)BIO_reset(stream->out);
    return (size_t)length;
}

const char *tls_stream_why(const struct tls_stream *stream)
{
    return stream->why;
}
