/* The names that a certificate is for (RFC 6125). Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct x509_st; /* OpenSSL's X509 */

struct tls_names {
    char **names; /* in lower case; those with a wildcard begin with "*." */
    size_t count;
    char *subject; /* the common name, or else the first name; "" when there is neither */
};

/* The DNS names of subjectAltName, or the common name where there are none. */
void tls_names_read(struct tls_names *names, struct x509_st *certificate);
void tls_names_deinit(struct tls_names *names);

/* True if one of them is `name`, or is it but for a wildcard in place of the first label. */
bool tls_names_match(const struct tls_names *names, const char *name);
