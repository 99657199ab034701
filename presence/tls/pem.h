/* Certificates and keys in PEM, given to OpenSSL, and in words what is wrong with them. Any thread. */
#pragma once

#include <stddef.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

struct tls_pem { /* text of a file; not NUL-terminated */
    const char *bytes;
    size_t length;
};

/* What is wrong, as the end of a sentence that begins with the file. */
struct tls_problem {
    enum tls_part { TLS_PART_CERTIFICATE, TLS_PART_KEY, TLS_PART_AUTHORITIES } part;
    char words[320];
};

/* Gives the context a certificate with its chain, the one for the name first, and the key of it. *oddity: NULL, or what
 * is odd about the chain though it is accepted (static). 0, or -EINVAL and *problem. */
int tls_pem_use(struct ssl_ctx_st *context, struct tls_pem chain, struct tls_pem key, const char **oddity,
    struct tls_problem *problem);

/* The context trusts the certificates of that file, at least one. As above. */
int tls_pem_trust(struct ssl_ctx_st *context, struct tls_pem authorities, struct tls_problem *problem);
