#include "edge/tls/server.h"

#include "edge/tls/names.h"
#include "edge/tls/tickets.h"
#include "presence/base/new.h"

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Mozilla's intermediate list (wiki.mozilla.org/Security/Server_Side_TLS, 5.7) without DHE: whoever can do DHE of
 * that strength can do ECDHE, and DHE lets a stranger buy our CPU time cheaply. Those of 1.3 are all good. */
#define CIPHERS_1_2                                                                                          \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                             \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                             \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

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
    SSL_CTX *context = must_have(SSL_CTX_new(TLS_server_method()));
    int least = server->min_version == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    /* An OpenSSL without TLS 1.2 is none. */
    must(SSL_CTX_set_min_proto_version(context, least) && SSL_CTX_set_cipher_list(context, CIPHERS_1_2));
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

/* ---- certificates ---- */

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) ? (int64_t)timegm(&parts) : 0;
}

static void keep(
    struct tls_server *server, const char *file, X509 *certificate, SSL_CTX *context, const char *oddity)
{
    server->entries = resized(server->entries, server->count + 1, sizeof(*server->entries));
    struct entry *entry = &server->entries[server->count++];
    *entry = (struct entry){.context = context, .oddity = oddity};
    tls_names_read(&entry->names, certificate);
    entry->certificate = (struct tls_certificate){
        .file = new_text(file),
        .subject = entry->names.subject,
        .begins_s = seconds_of(X509_get0_notBefore(certificate)),
        .expires_s = seconds_of(X509_get0_notAfter(certificate)),
    };
}

int tls_server_add(struct tls_server *server, const char *file, struct tls_pem chain, struct tls_pem key,
    struct tls_problem *problem)
{
    SSL_CTX *context = context_new(server);
    const char *oddity;
    int err = tls_pem_use(context, chain, key, &oddity, problem);
    if (err)
        SSL_CTX_free(context);
    else
        keep(server, file, SSL_CTX_get0_certificate(context), context, oddity);
    return err;
}

/* ---- life ---- */

struct tls_server *tls_server_new(enum tls_version min_version)
{
    struct tls_server *server = new_zeroed(sizeof(*server));
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
