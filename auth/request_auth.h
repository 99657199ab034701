/* The signature of an HTTP API request (http-api.md, "Authentication"). Pure; the time is an argument; any
 * thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct request_auth_input {
    const char *method; /* "POST" */
    const char *path;   /* as sent, with the prefix if the server has one, before the '?' */
    size_t path_length;
    const char *query; /* as sent, after the '?' */
    size_t query_length;
    const void *body;
    size_t body_length;
    const char *key;    /* the app's */
    const char *secret; /* the app's */
    int64_t now_s;      /* Unix time */
};

enum request_auth_verdict {
    REQUEST_AUTH_DENIED = 0, /* no more precise: never given out */
    REQUEST_AUTH_GRANTED,
    REQUEST_AUTH_MALFORMED_QUERY,
    REQUEST_AUTH_TOO_MANY_PARAMETERS,
    REQUEST_AUTH_NO_KEY,
    REQUEST_AUTH_WRONG_KEY,
    REQUEST_AUTH_NO_TIMESTAMP,
    REQUEST_AUTH_BAD_TIMESTAMP,
    REQUEST_AUTH_OLD_TIMESTAMP, /* more than 600 s away from now; *skew_s says by how much (client minus now)
                                 */
    REQUEST_AUTH_BAD_VERSION,
    REQUEST_AUTH_NO_BODY_MD5,
    REQUEST_AUTH_WRONG_BODY_MD5,
    REQUEST_AUTH_NO_SIGNATURE,
    REQUEST_AUTH_WRONG_SIGNATURE,
};

enum { REQUEST_AUTH_WINDOW_S = 600, REQUEST_AUTH_PARAMETERS_MAX = 64 };

/* skew_s may be NULL; it is written when there is a timestamp to compare. */
enum request_auth_verdict request_auth(const struct request_auth_input *input, int64_t *skew_s);

/* One line for the client, which never holds the expected digest. Static. */
const char *request_auth_words(enum request_auth_verdict verdict);

/* The value of the first query parameter of that name (any case; `name` in lower case), percent-decoded ('+'
 * stays '+'), into value (NUL-terminated). Returns its length, -1 if it is absent, -2 if it is malformed,
 * holds a NUL or does not fit. */
int request_query_get(const char *query, size_t query_length, const char *name, char *value, size_t size);
