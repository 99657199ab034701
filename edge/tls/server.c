#include "edge/tls/server.h"

#include "edge/tls/names.h"
#include "edge/tls/tickets.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Mozilla's intermediate list (wiki.mozilla.org/Security/Server_Side_TLS, 5.7) without DHE: whoever can do DHE of
 * that strength can do ECDHE, and DHE lets a stranger buy our CPU time cheaply. Those of 1.3 are all good. */
#define CIPHERS_1_2                                                                                          \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                             \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                             \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

enum { CHAIN_MAX = 16 };

struct entry {
    struct tls_certificate certificate;
    struct tls_names names;
    SSL_CTX *context;
    const char *oddity;
};

struct tls_server {
    atomic_uint references;
    enum tls_version min_version;
    struct entry *entries;
    size_t count;
};

/* ---- what a client gets ---- */

size_t tls_server_choose(const struct tls_server *server, const char *name)
{
    for (size_t i = 0; name && i < server->count; i++)
        if (tls_names_match(&server->entries[i].names, name))
            return i;
    return 0;
}

static int on_server_name(SSL *ssl, int *alert, void *context)
{
    const struct tls_server *server = context;
    size_t index = tls_server_choose(server, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    (void)alert;
    SSL_set_SSL_CTX(ssl, server->entries[index].context);
    return SSL_TLSEXT_ERR_OK;
}

/* HTTP/1.1 is what is spoken behind it; who offers protocols but not this one would misunderstand us. */
static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
    const unsigned char *offered, unsigned offered_length, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found;
    (void)ssl, (void)context;
    if (SSL_select_next_proto(&found, chosen_length, ours, sizeof(ours) - 1, offered, offered_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context_new(struct tls_server *server)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        abort();
    int least = server->min_version == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (!SSL_CTX_set_min_proto_version(context, least) || !SSL_CTX_set_cipher_list(context, CIPHERS_1_2))
        abort(); /* an OpenSSL without TLS 1.2 */
    /* What ends without a goodbye is told by HTTP and by WebSocket frames, which know how long they are. */
    SSL_CTX_set_options(
        context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* 34 KiB less for a connection that is silent. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"rollcall", 8);
    SSL_CTX_set_num_tickets(context, 1); /* a client keeps one connection */
    tls_tickets_use(context);
    SSL_CTX_set_alpn_select_cb(context, on_protocols, NULL);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, server);
    return context;
}

/* ---- reading certificates ---- */

__attribute__((format(printf, 3, 4))) static int refuse(
    struct tls_problem *problem, enum tls_part part, const char *format, ...)
{
    va_list arguments;
    problem->part = part;
    va_start(arguments, format);
    vsnprintf(problem->words, sizeof(problem->words), format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return -EINVAL;
}

/* What OpenSSL found, in its words. */
static const char *found(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "no reason given";
}

static bool holds(struct tls_pem pem, const char *text)
{
    return memmem(pem.bytes, pem.length, text, strlen(text)) != NULL;
}

static BIO *open_pem(struct tls_pem pem)
{
    BIO *bio = BIO_new_mem_buf(pem.bytes, (int)pem.length);
    if (!bio)
        abort();
    return bio;
}

static int refuse_chain(struct tls_pem pem, size_t index, struct tls_problem *problem)
{
    if (index > 0)
        return refuse(problem, TLS_PART_CERTIFICATE,
            "holds a certificate that cannot be read, number %zu (%s)", index + 1, found());
    if (holds(pem, "-----BEGIN CERTIFICATE-----") || holds(pem, "-----BEGIN TRUSTED CERTIFICATE-----"))
        return refuse(problem, TLS_PART_CERTIFICATE, "holds a certificate that cannot be read (%s)", found());
    return refuse(problem, TLS_PART_CERTIFICATE,
        holds(pem, "PRIVATE KEY-----") ? "holds a key, but no certificate"
                                       : "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
}

/* Gives the certificates of the file to the context. Returns the first (borrowed), or NULL and *problem. */
static X509 *read_chain(
    SSL_CTX *context, struct tls_pem pem, const char **oddity, struct tls_problem *problem)
{
    BIO *bio = open_pem(pem);
    X509 *first = NULL, *last = NULL, *next;
    size_t index = 0;
    int err = 0;
    while (!err && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (index == CHAIN_MAX)
            err = refuse(problem, TLS_PART_CERTIFICATE, "holds more than %d certificates", CHAIN_MAX);
        else if (index == 0 ? !SSL_CTX_use_certificate(context, next)
                            : !SSL_CTX_add1_chain_cert(context, next))
            err = refuse(problem, TLS_PART_CERTIFICATE, "cannot be used (%s)", found());
        if (last && X509_check_issued(next, last) != X509_V_OK)
            *oddity =
                "has certificates that do not follow from each other; the order is the server's own, then "
                "each one's issuer";
        X509_free(next); /* the context has references of its own */
        if (!err && index++ == 0)
            first = SSL_CTX_get0_certificate(context);
        last = err ? NULL : next;
    }
    unsigned long end = ERR_peek_last_error();
    if (!err && (ERR_GET_LIB(end) != ERR_LIB_PEM || ERR_GET_REASON(end) != PEM_R_NO_START_LINE || index == 0))
        err = refuse_chain(pem, index, problem);
    ERR_clear_error();
    BIO_free(bio);
    return err ? NULL : first;
}

static int on_passphrase(char *buffer, int size, int writes, void *was_asked)
{
    (void)buffer, (void)size, (void)writes;
    *(bool *)was_asked = true;
    return -1;
}

static int refuse_key(struct tls_pem pem, bool was_asked, struct tls_problem *problem)
{
    if (was_asked)
        return refuse(problem, TLS_PART_KEY,
            "is protected by a passphrase, which cannot be given here; write it anew without one "
            "(openssl pkey -in FILE -out NEW)");
    if (holds(pem, "PRIVATE KEY-----"))
        return refuse(problem, TLS_PART_KEY, "holds a key that cannot be read (%s)", found());
    return refuse(problem, TLS_PART_KEY,
        holds(pem, "-----BEGIN CERTIFICATE-----") ? "holds a certificate, but no key"
                                                  : "holds no key in PEM (-----BEGIN PRIVATE KEY-----)");
}

static int read_key(SSL_CTX *context, X509 *certificate, struct tls_pem pem, struct tls_problem *problem)
{
    bool was_asked = false;
    BIO *bio = open_pem(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &was_asked);
    int err = 0;
    if (!key)
        err = refuse_key(pem, was_asked, problem);
    else if (!X509_check_private_key(certificate, key))
        err = refuse(problem, TLS_PART_KEY, "holds the key of another certificate");
    else if (!SSL_CTX_use_PrivateKey(context, key))
        err = refuse(problem, TLS_PART_KEY, "cannot be used (%s)", found());
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return err;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) ? (int64_t)timegm(&parts) : 0;
}

static char *copy(const char *text)
{
    char *copied = strdup(text);
    if (!copied)
        abort();
    return copied;
}

static void keep(
    struct tls_server *server, const char *file, X509 *certificate, SSL_CTX *context, const char *oddity)
{
    server->entries = realloc(server->entries, (server->count + 1) * sizeof(*server->entries));
    if (!server->entries)
        abort();
    struct entry *entry = &server->entries[server->count++];
    *entry = (struct entry){.context = context, .oddity = oddity};
    tls_names_read(&entry->names, certificate);
    entry->certificate = (struct tls_certificate){
        .file = copy(file),
        .subject = entry->names.subject,
        .begins_s = seconds_of(X509_get0_notBefore(certificate)),
        .expires_s = seconds_of(X509_get0_notAfter(certificate)),
    };
}

int tls_server_add(struct tls_server *server, const char *file, struct tls_pem chain, struct tls_pem key,
    struct tls_problem *problem)
{
    SSL_CTX *context = context_new(server);
    const char *oddity = NULL;
    ERR_clear_error();
    X509 *certificate = read_chain(context, chain, &oddity, problem);
    if (!certificate || read_key(context, certificate, key, problem) != 0) {
        SSL_CTX_free(context);
        return -EINVAL;
    }
    keep(server, file, certificate, context, oddity);
    return 0;
}

/* ---- life ---- */

struct tls_server *tls_server_new(enum tls_version min_version)
{
    struct tls_server *server = calloc(1, sizeof(*server));
    if (!server)
        abort();
    atomic_init(&server->references, 1);
    server->min_version = min_version;
    return server;
}

struct tls_server *tls_server_ref(struct tls_server *server)
{
    if (server)
        atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
    return server;
}

void tls_server_unref(struct tls_server *server)
{
    if (!server || atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < server->count; i++) {
        SSL_CTX_free(server->entries[i].context);
        free((char *)(uintptr_t)server->entries[i].certificate.file);
        tls_names_deinit(&server->entries[i].names);
    }
    free(server->entries);
    free(server);
}

const char *tls_server_oddity(const struct tls_server *server, size_t index)
{
    return server->entries[index].oddity;
}

size_t tls_server_count(const struct tls_server *server)
{
    return server->count;
}

const struct tls_certificate *tls_server_certificate(const struct tls_server *server, size_t index)
{
    return &server->entries[index].certificate;
}

SSL *tls_server_open(struct tls_server *server)
{
    return SSL_new(server->entries[0].context);
}
