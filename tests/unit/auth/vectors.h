/* tests/vectors.json for the tests of signatures: made by others, recomputed with OpenSSL. */
#pragma once

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline json_t *vectors_load(void)
{
    json_error_t error;
    json_t *vectors = json_load_file(SOURCE_DIR "/tests/vectors.json", 0, &error);
    if (!vectors)
        fail_msg("%s:%d: %s", error.source, error.line, error.text);
    return vectors;
}

/* The string at "a" or at "a.b"; fails the test where there is none. */
static inline const char *vector(const json_t *vectors, const char *group, const char *name)
{
    const json_t *in = group ? json_object_get(vectors, group) : vectors;
    const char *value = json_string_value(json_object_get(in, name));
    assert_non_null(value);
    return value;
}
