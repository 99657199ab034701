/* The query of a request, taken apart as its signature wants it. Private to auth. */
#pragma once

#include "auth/request_auth.h"

#include <stdbool.h>

struct query_parameter {
    const char *name;  /* decoded, lower case */
    const char *value; /* decoded */
    size_t name_length, value_length;
};

struct query_parameters {
    struct query_parameter all[REQUEST_AUTH_PARAMETERS_MAX];
    size_t count;
};

enum query_result { QUERY_PARSED, QUERY_MALFORMED, QUERY_TOO_MANY };

/* What a '+' in a value stands for: some SDKs write their query like a form, where it is a space (Go,
 * Python), others leave it as it is (node). */
enum query_plus { QUERY_PLUS_IS_PLUS, QUERY_PLUS_IS_SPACE };

/* Decodes every parameter into `scratch`, which has room for `length` bytes and outlives the result, and
 * sorts them by name; those of one name keep their order. A NUL, or a '%' without two digits, is malformed.
 */
enum query_result query_parse(const char *query, size_t length, enum query_plus plus, char *scratch,
    struct query_parameters *parameters);

/* How many parameters have this name (lower case); the first one goes to *parameter. */
size_t query_find(
    const struct query_parameters *parameters, const char *name, const struct query_parameter **parameter);

/* Writes k=v&k=v… of all but auth_signature into text, which has room for the query's length and one byte
 * more per parameter. Returns the length. */
size_t query_write_signed(const struct query_parameters *parameters, char *text);
