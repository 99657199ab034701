#include "presence/tls/pem.h"

#include "presence/base/new.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHAIN_MAX = 16,
    AUTHORITIES_MAX = 1024, /* the system's own list has 150 */
};

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
    return pem.length > 0 && memmem(pem.bytes, pem.length, text, strlen(text)) != NULL;
}

static BIO *open_pem(struct tls_pem pem)
{
    return must_have(BIO_new_mem_buf(pem.bytes ? pem.bytes : "", (int)pem.length));
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

int tls_pem_use(SSL_CTX *context, struct tls_pem chain, struct tls_pem key, const char **oddity,
    struct tls_problem *problem)
{
    *oddity = NULL;
    ERR_clear_error();
    X509 *certificate = read_chain(context, chain, oddity, problem);
    return certificate ? read_key(context, certificate, key, problem) : -EINVAL;
}

int tls_pem_trust(SSL_CTX *context, struct tls_pem authorities, struct tls_problem *problem)
{
    BIO *bio = open_pem(authorities);
    X509 *next;
    size_t count = 0;
    bool good = true;
    ERR_clear_error();
    while (good && count < AUTHORITIES_MAX && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        good = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), next);
        X509_free(next);
        count++;
    }
    BIO_free(bio);
    unsigned long end = ERR_peek_last_error();
    bool is_end = ERR_GET_LIB(end) == ERR_LIB_PEM && ERR_GET_REASON(end) == PEM_R_NO_START_LINE;
    if (good && count > 0 && is_end) {
        ERR_clear_error();
        return 0;
    }
    if (count == 0 && is_end)
        return refuse(
            problem, TLS_PART_AUTHORITIES, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    return refuse(problem, TLS_PART_AUTHORITIES, "holds a certificate that cannot be read, number %zu (%s)",
        count + good, found());
}
