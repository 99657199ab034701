/* The query of a stranger's API request. Input: the path, a newline, the query, a newline, the body. */
#include "auth/percent.h"
#include "auth/request_auth.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(int holds)
{
    if (!holds)
        abort();
}

/* The bytes up to a newline, in memory of exactly that size; moves *at behind it. */
static char *take_line(const uint8_t **at, const uint8_t *end, size_t *length)
{
    size_t left = (size_t)(end - *at);
    const uint8_t *newline = left ? memchr(*at, '\n', left) : NULL;
    *length = newline ? (size_t)(newline - *at) : left;
    char *line = malloc(*length + 1);
    check(line != NULL);
    memcpy(line, *at, *length);
    line = realloc(line, *length ? *length : 1);
    check(line != NULL);
    *at = newline ? newline + 1 : end;
    return line;
}

static void fuzz_parameter(const char *query, size_t length, const char *name)
{
    char value[32];
    int result = request_query_get(query, length, name, value, sizeof(value));
    check(result >= -2 && result < (int)sizeof(value));
    if (result >= 0)
        check(strlen(value) == (size_t)result);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const uint8_t *end = bytes + length;
    struct request_auth_input input = {.method = "POST", .key = "278d425bdf160c739803", .now_s = 1353088179};
    char *path = take_line(&bytes, end, &input.path_length);
    char *query = take_line(&bytes, end, &input.query_length);
    input.path = path;
    input.query = query;
    input.body = bytes;
    input.body_length = (size_t)(end - bytes);

    /* No request is good for two secrets. */
    input.secret = "7ad3773142a6692b25b8";
    enum request_auth_verdict with_one = request_auth(&input, NULL);
    input.secret = "another";
    enum request_auth_verdict with_another = request_auth(&input, NULL);
    check(with_one != REQUEST_AUTH_GRANTED || with_another == REQUEST_AUTH_WRONG_SIGNATURE);
    check(with_one != REQUEST_AUTH_DENIED && request_auth_words(with_one) != NULL);

    fuzz_parameter(query, input.query_length, "info");
    fuzz_parameter(query, input.query_length, "auth_key");
    ptrdiff_t decoded = percent_decode(path, input.path_length, path);
    check(decoded >= -1 && decoded <= (ptrdiff_t)input.path_length);
    free(path);
    free(query);
    return 0;
}
