/* Parsing a text in a test: what is said about it, or the configuration. */
#pragma once

#include "edge/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* All that is printed about `text`, to be freed; "" for a good one. */
static inline char *problems_in(const char *text, const char *name)
{
    char *said;
    size_t length;
    FILE *errors = open_memstream(&said, &length);
    struct config *config = NULL;
    int result = config_parse(text, strlen(text), name, &config, errors);
    fclose(errors);
    assert_int_equal(result, length > 0 ? -EINVAL : 0);
    assert_int_equal(config == NULL, length > 0);
    config_unref(config);
    return said;
}

static inline void assert_problems_in(const char *text, const char *name, const char *expected)
{
    char *said = problems_in(text, name);
    assert_string_equal(said, expected);
    free(said);
}

static inline void assert_problems(const char *text, const char *expected)
{
    assert_problems_in(text, "x.json", expected);
}

static inline struct config *parse_good(const char *text)
{
    struct config *config = NULL;
    assert_int_equal(config_parse(text, strlen(text), "x.json", &config, stderr), 0);
    assert_non_null(config);
    return config;
}
