#include "edge/base/readiness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void expect(const struct readiness *readiness, int status, const char *json)
{
    struct buffer body = {0};
    struct readiness_report report = readiness_read(readiness);
    assert_int_equal(readiness_print(&report, &body), status);
    buffer_add(&body, "", 1);
    assert_string_equal(body.bytes, json);
    buffer_deinit(&body);
}

static void test_reasons_come_and_go(void **state)
{
    (void)state;
    struct readiness readiness = {.why = {NULL}};
    expect(&readiness, 200, "{\"ready\":true,\"reasons\":[]}\n");
    readiness_set(&readiness, READINESS_OVERLOADED, "full");
    expect(&readiness, 503, "{\"ready\":false,\"reasons\":[{\"reason\":\"overloaded\",\"why\":\"full\"}]}\n");
    readiness_set(&readiness, READINESS_DRAINING, "a \"stop\"");
    expect(&readiness, 503,
        "{\"ready\":false,\"reasons\":[{\"reason\":\"draining\",\"why\":\"a \\\"stop\\\"\"},"
        "{\"reason\":\"overloaded\",\"why\":\"full\"}]}\n");
    readiness_set(&readiness, READINESS_OVERLOADED, NULL);
    readiness_set(&readiness, READINESS_DRAINING, NULL);
    expect(&readiness, 200, "{\"ready\":true,\"reasons\":[]}\n");
}

static void test_what_is_tolerated_is_told(void **state)
{
    (void)state;
    struct readiness readiness = {.why = {NULL}};
    readiness_tolerate(&readiness, READINESS_BLIND, true);
    expect(&readiness, 200, "{\"ready\":true,\"reasons\":[]}\n");
    readiness_set(&readiness, READINESS_BLIND, "no Redis");
    expect(&readiness, 200,
        "{\"ready\":true,\"reasons\":[],\"tolerated\":[{\"reason\":\"blind\",\"why\":\"no Redis\"}]}\n");
    readiness_set(&readiness, READINESS_DRAINING, "stop");
    expect(&readiness, 503,
        "{\"ready\":false,\"reasons\":[{\"reason\":\"draining\",\"why\":\"stop\"}],"
        "\"tolerated\":[{\"reason\":\"blind\",\"why\":\"no Redis\"}]}\n");
    readiness_tolerate(&readiness, READINESS_BLIND, false);
    readiness_set(&readiness, READINESS_DRAINING, NULL);
    expect(&readiness, 503, "{\"ready\":false,\"reasons\":[{\"reason\":\"blind\",\"why\":\"no Redis\"}]}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons_come_and_go),
        cmocka_unit_test(test_what_is_tolerated_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
