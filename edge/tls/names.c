#include "edge/tls/names.h"

#include "presence/base/new.h"

#include <ctype.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A lower-case copy of a name, or NULL for one with a NUL in it, which is a trick and not a name. */
static char *copy_name(const ASN1_STRING *string)
{
    const char *bytes = (const char *)ASN1_STRING_get0_data(string);
    size_t length = (size_t)ASN1_STRING_length(string);
    if (length == 0 || memchr(bytes, '\0', length))
        return NULL;
    char *name = new_copy(bytes, length);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return name;
}

static void add(struct tls_names *names, char *name)
{
    if (!name)
        return;
    names->names = resized(names->names, names->count + 1, sizeof(*names->names));
    names->names[names->count++] = name;
}

static const ASN1_STRING *common_name(X509 *certificate)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int last = -1;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        last = at;
    return last < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last));
}

void tls_names_read(struct tls_names *names, X509 *certificate)
{
    *names = (struct tls_names){0};
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; all && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type == GEN_DNS)
            add(names, copy_name(name->d.dNSName));
    }
    GENERAL_NAMES_free(all);
    const ASN1_STRING *common = common_name(certificate);
    names->subject = common ? copy_name(common) : NULL;
    if (names->count == 0 && names->subject)
        add(names, new_text(names->subject));
    if (!names->subject)
        names->subject = new_text(names->count > 0 ? names->names[0] : "");
}

void tls_names_deinit(struct tls_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    free(names->subject);
    *names = (struct tls_names){0};
}

static bool matches(const char *pattern, const char *name)
{
    if (strncmp(pattern, "*.", 2) != 0)
        return strcasecmp(pattern, name) == 0;
    const char *dot = strchr(name, '.');
    return dot && dot > name && strcasecmp(pattern + 1, dot) == 0;
}

bool tls_names_match(const struct tls_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (matches(names->names[i], name))
            return true;
    return false;
}
