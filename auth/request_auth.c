#include "auth/request_auth.h"

#include "auth/digest.h"
#include "auth/percent.h"
#include "auth/query.h"

#include <stdlib.h>
#include <string.h>

struct auth_parameters {
    const struct query_parameter *key, *timestamp, *version, *signature, *body_md5; /* NULL: absent */
};

/* Finds what authentication needs. False if one of them is there twice: which one counts would be a guess. */
static bool find_auth_parameters(const struct query_parameters *parameters, struct auth_parameters *found)
{
    *found = (struct auth_parameters){0};
    return query_find(parameters, "auth_key", &found->key) <= 1 &&
           query_find(parameters, "auth_timestamp", &found->timestamp) <= 1 &&
           query_find(parameters, "auth_version", &found->version) <= 1 &&
           query_find(parameters, "auth_signature", &found->signature) <= 1 &&
           query_find(parameters, "body_md5", &found->body_md5) <= 1;
}

static bool value_is(const struct query_parameter *parameter, const char *expected)
{
    return digest_equal(parameter->value, parameter->value_length, expected, strlen(expected));
}

/* Unix seconds in digits; 15 of them cannot overflow and reach beyond any date. */
static bool parse_timestamp(const struct query_parameter *parameter, int64_t *seconds)
{
    *seconds = 0;
    if (parameter->value_length == 0 || parameter->value_length > 15)
        return false;
    for (size_t i = 0; i < parameter->value_length; i++) {
        char digit = parameter->value[i];
        if (digit < '0' || digit > '9')
            return false;
        *seconds = *seconds * 10 + (digit - '0');
    }
    return true;
}

static enum request_auth_verdict check_timestamp(
    const struct query_parameter *timestamp, int64_t now_s, int64_t *skew_s)
{
    int64_t sent_s;
    if (!timestamp)
        return REQUEST_AUTH_NO_TIMESTAMP;
    if (!parse_timestamp(timestamp, &sent_s))
        return REQUEST_AUTH_BAD_TIMESTAMP;
    int64_t skew = sent_s - now_s;
    if (skew_s)
        *skew_s = skew;
    if (skew < -REQUEST_AUTH_WINDOW_S || skew > REQUEST_AUTH_WINDOW_S)
        return REQUEST_AUTH_OLD_TIMESTAMP;
    return REQUEST_AUTH_GRANTED;
}

/* Everything that can be said without a digest. */
static enum request_auth_verdict check_parameters(
    const struct request_auth_input *input, const struct auth_parameters *found, int64_t *skew_s)
{
    if (!found->key)
        return REQUEST_AUTH_NO_KEY;
    if (!value_is(found->key, input->key))
        return REQUEST_AUTH_WRONG_KEY;
    enum request_auth_verdict verdict = check_timestamp(found->timestamp, input->now_s, skew_s);
    if (verdict != REQUEST_AUTH_GRANTED)
        return verdict;
    if (!found->version || !value_is(found->version, "1.0"))
        return REQUEST_AUTH_BAD_VERSION;
    if (!found->signature)
        return REQUEST_AUTH_NO_SIGNATURE;
    if (input->body_length > 0 && !found->body_md5)
        return REQUEST_AUTH_NO_BODY_MD5;
    return REQUEST_AUTH_GRANTED;
}

/* Where the pieces of the strings to sign are put together; one allocation. */
struct workshop {
    char *scratch; /* decoded parameters */
    char *line;    /* the signed query */
    char *path;    /* the path, decoded */
    size_t line_length;
};

static struct workshop open_workshop(const struct request_auth_input *input)
{
    size_t line_bytes = input->query_length + REQUEST_AUTH_PARAMETERS_MAX;
    struct workshop shop;
    shop.scratch = malloc(input->query_length + line_bytes + input->path_length);
    if (!shop.scratch)
        abort();
    shop.line = shop.scratch + input->query_length;
    shop.path = shop.line + line_bytes;
    shop.line_length = 0;
    return shop;
}

static bool signature_fits_path(const struct request_auth_input *input, const char *path, size_t path_length,
    const struct workshop *shop, const struct query_parameter *signature)
{
    const struct digest_piece pieces[] = {
        {input->method, strlen(input->method)},
        {"\n", 1},
        {path, path_length},
        {"\n", 1},
        {shop->line, shop->line_length},
    };
    char hex[SHA256_HEX_CHARS + 1];
    digest_hmac_sha256_hex(
        input->secret, strlen(input->secret), pieces, sizeof(pieces) / sizeof(pieces[0]), hex);
    return digest_equal(signature->value, signature->value_length, hex, SHA256_HEX_CHARS);
}

/* The path as sent, and where it is escaped also decoded: some SDKs sign before they escape. */
static bool signature_fits(const struct request_auth_input *input, const struct query_parameters *parameters,
    struct workshop *shop, const struct query_parameter *signature)
{
    shop->line_length = query_write_signed(parameters, shop->line);
    if (signature_fits_path(input, input->path, input->path_length, shop, signature))
        return true;
    if (!memchr(input->path, '%', input->path_length))
        return false;
    ptrdiff_t decoded = percent_decode(input->path, input->path_length, shop->path);
    return decoded >= 0 && signature_fits_path(input, shop->path, (size_t)decoded, shop, signature);
}

static bool body_fits(const struct request_auth_input *input, const struct query_parameter *body_md5)
{
    char hex[MD5_HEX_CHARS + 1];
    if (!body_md5)
        return true; /* there is no body: check_parameters() */
    digest_md5_hex(input->body, input->body_length, hex);
    return digest_equal(body_md5->value, body_md5->value_length, hex, MD5_HEX_CHARS);
}

/* One reading of the query. The digest over the body comes last: a stranger cannot have large ones computed.
 */
static enum request_auth_verdict check(
    const struct request_auth_input *input, enum query_plus plus, struct workshop *shop, int64_t *skew_s)
{
    struct query_parameters parameters;
    struct auth_parameters found;
    enum query_result parsed =
        query_parse(input->query, input->query_length, plus, shop->scratch, &parameters);
    if (parsed == QUERY_TOO_MANY)
        return REQUEST_AUTH_TOO_MANY_PARAMETERS;
    if (parsed == QUERY_MALFORMED || !find_auth_parameters(&parameters, &found))
        return REQUEST_AUTH_MALFORMED_QUERY;
    enum request_auth_verdict verdict = check_parameters(input, &found, skew_s);
    if (verdict != REQUEST_AUTH_GRANTED)
        return verdict;
    if (!signature_fits(input, &parameters, shop, found.signature))
        return REQUEST_AUTH_WRONG_SIGNATURE;
    return body_fits(input, found.body_md5) ? REQUEST_AUTH_GRANTED : REQUEST_AUTH_WRONG_BODY_MD5;
}

enum request_auth_verdict request_auth(const struct request_auth_input *input, int64_t *skew_s)
{
    struct workshop shop = open_workshop(input);
    enum request_auth_verdict verdict = check(input, QUERY_PLUS_IS_PLUS, &shop, skew_s);
    if (verdict == REQUEST_AUTH_WRONG_SIGNATURE && memchr(input->query, '+', input->query_length)) {
        enum request_auth_verdict as_form = check(input, QUERY_PLUS_IS_SPACE, &shop, skew_s);
        if (as_form == REQUEST_AUTH_GRANTED || as_form == REQUEST_AUTH_WRONG_BODY_MD5)
            verdict = as_form;
    }
    free(shop.scratch);
    return verdict;
}

const char *request_auth_words(enum request_auth_verdict verdict)
{
    _Static_assert(REQUEST_AUTH_WINDOW_S == 600 && REQUEST_AUTH_PARAMETERS_MAX == 64, "said in words below");
    static const char *const words[] = {
        [REQUEST_AUTH_DENIED] = "the request is not authenticated",
        [REQUEST_AUTH_GRANTED] = "the request is authenticated",
        [REQUEST_AUTH_MALFORMED_QUERY] = "the query must be name=value pairs joined by '&', percent-encoded, "
                                         "with each auth_ parameter and body_md5 once",
        [REQUEST_AUTH_TOO_MANY_PARAMETERS] = "the query must have at most 64 parameters",
        [REQUEST_AUTH_NO_KEY] = "auth_key is missing: it must be the app's key",
        [REQUEST_AUTH_WRONG_KEY] = "auth_key is not the key of this app",
        [REQUEST_AUTH_NO_TIMESTAMP] = "auth_timestamp is missing: it must be the Unix time in seconds",
        [REQUEST_AUTH_BAD_TIMESTAMP] = "auth_timestamp must be the Unix time in seconds, in digits",
        [REQUEST_AUTH_OLD_TIMESTAMP] =
            "auth_timestamp must be within 600 seconds of this server's time: compare the two clocks",
        [REQUEST_AUTH_BAD_VERSION] = "auth_version must be 1.0",
        [REQUEST_AUTH_NO_BODY_MD5] =
            "body_md5 is missing: a request with a body must have its MD5 digest, in "
            "lower-case hexadecimal",
        [REQUEST_AUTH_WRONG_BODY_MD5] = "body_md5 is not the MD5 digest of the body as it arrived, in "
                                        "lower-case hexadecimal",
        [REQUEST_AUTH_NO_SIGNATURE] = "auth_signature is missing",
        [REQUEST_AUTH_WRONG_SIGNATURE] = "auth_signature is not the HMAC-SHA256, in lower-case hexadecimal, "
                                         "of the method, the path and the "
                                         "sorted query of this request with the app's secret",
    };
    return words[verdict];
}
