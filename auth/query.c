#include "auth/query.h"

#include "auth/percent.h"

#include <string.h>

/* name=value as sent. */
struct raw_pair {
    const char *name, *name_end;
    const char *value, *value_end; /* both name_end where there is no '=' */
};

/* The next pair of a query, moving *at; empty ones (a trailing or double '&') are passed over. */
static bool next_pair(const char **at, const char *end, struct raw_pair *pair)
{
    while (*at < end && **at == '&')
        (*at)++;
    if (*at >= end)
        return false;
    const char *pair_end = memchr(*at, '&', (size_t)(end - *at));
    if (!pair_end)
        pair_end = end;
    const char *equals = memchr(*at, '=', (size_t)(pair_end - *at));
    pair->name = *at;
    pair->name_end = equals ? equals : pair_end;
    pair->value = equals ? equals + 1 : pair_end;
    pair->value_end = pair_end;
    *at = pair_end;
    return true;
}

static int to_lower(int byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte;
}

/* Decodes a name or a value to *out and moves it behind what was written. */
static bool decode_into(const char *text, const char *end, enum query_plus plus, bool lower, char **out)
{
    while (text < end) {
        bool space = plus == QUERY_PLUS_IS_SPACE && *text == '+';
        int byte = percent_next(&text, end);
        if (byte <= 0)
            return false;
        *(*out)++ = (char)(space ? ' ' : lower ? to_lower(byte) : byte);
    }
    return true;
}

static int compare_names(const struct query_parameter *a, const struct query_parameter *b)
{
    size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = shorter ? memcmp(a->name, b->name, shorter) : 0;
    return order ? order : (a->name_length > b->name_length) - (a->name_length < b->name_length);
}

/* Keeps the array sorted and equals in their order. SDKs mostly send sorted queries, which cost one
 * comparison each. */
static void insert(struct query_parameters *parameters, struct query_parameter added)
{
    size_t place = parameters->count++;
    for (; place > 0 && compare_names(&parameters->all[place - 1], &added) > 0; place--)
        parameters->all[place] = parameters->all[place - 1];
    parameters->all[place] = added;
}

enum query_result query_parse(const char *query, size_t length, enum query_plus plus, char *scratch,
    struct query_parameters *parameters)
{
    const char *end = length ? query + length : query;
    struct raw_pair pair;
    parameters->count = 0;
    while (next_pair(&query, end, &pair)) {
        if (parameters->count == REQUEST_AUTH_PARAMETERS_MAX)
            return QUERY_TOO_MANY;
        struct query_parameter added = {.name = scratch};
        if (!decode_into(pair.name, pair.name_end, plus, true, &scratch))
            return QUERY_MALFORMED;
        added.name_length = (size_t)(scratch - added.name);
        added.value = scratch;
        if (!decode_into(pair.value, pair.value_end, plus, false, &scratch))
            return QUERY_MALFORMED;
        added.value_length = (size_t)(scratch - added.value);
        insert(parameters, added);
    }
    return QUERY_PARSED;
}

static bool is_named(const struct query_parameter *parameter, const char *name)
{
    size_t length = strlen(name);
    return parameter->name_length == length && memcmp(parameter->name, name, length) == 0;
}

size_t query_find(
    const struct query_parameters *parameters, const char *name, const struct query_parameter **parameter)
{
    size_t found = 0;
    for (size_t i = 0; i < parameters->count; i++) {
        if (is_named(&parameters->all[i], name) && found++ == 0)
            *parameter = &parameters->all[i];
    }
    return found;
}

static char *append(char *at, const char *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

size_t query_write_signed(const struct query_parameters *parameters, char *text)
{
    char *at = text;
    for (size_t i = 0; i < parameters->count; i++) {
        const struct query_parameter *parameter = &parameters->all[i];
        if (is_named(parameter, "auth_signature"))
            continue;
        if (at > text)
            *at++ = '&';
        at = append(at, parameter->name, parameter->name_length);
        *at++ = '=';
        at = append(at, parameter->value, parameter->value_length);
    }
    return (size_t)(at - text);
}

/* Whether a name as sent is this one. */
static bool raw_name_is(const struct raw_pair *pair, const char *name)
{
    const char *at = pair->name;
    while (at < pair->name_end && *name) {
        if (to_lower(percent_next(&at, pair->name_end)) != (unsigned char)*name++)
            return false;
    }
    return at == pair->name_end && !*name;
}

static int decode_value(const struct raw_pair *pair, char *value, size_t size)
{
    const char *at = pair->value;
    size_t length = 0;
    while (at < pair->value_end) {
        int byte = percent_next(&at, pair->value_end);
        if (byte <= 0 || length + 1 >= size)
            return -2;
        value[length++] = (char)byte;
    }
    if (size == 0)
        return -2;
    value[length] = '\0';
    return (int)length;
}

int request_query_get(const char *query, size_t query_length, const char *name, char *value, size_t size)
{
    const char *at = query, *end = query_length ? query + query_length : query;
    struct raw_pair pair;
    while (next_pair(&at, end, &pair)) {
        if (raw_name_is(&pair, name))
            return decode_value(&pair, value, size);
    }
    return -1;
}
