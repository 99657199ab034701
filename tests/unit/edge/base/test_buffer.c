#include "edge/base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_holds(const struct buffer *buffer, const char *expected)
{
    assert_int_equal(buffer->length, strlen(expected));
    assert_memory_equal(buffer->bytes, expected, buffer->length);
}

static void test_adds_and_consumes(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_add_string(&buffer, "hello ");
    buffer_add(&buffer, "world!", 5);
    buffer_printf(&buffer, " %d%s", 42, "!");
    assert_holds(&buffer, "hello world 42!");
    buffer_consume(&buffer, 6);
    assert_holds(&buffer, "world 42!");
    buffer_consume(&buffer, buffer.length);
    assert_int_equal(buffer.length, 0);
    buffer_deinit(&buffer);
    assert_null(buffer.bytes);
}

static void test_grows_without_losing_bytes(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    for (int i = 0; i < 10000; i++)
        buffer_printf(&buffer, "%04d", i);
    assert_int_equal(buffer.length, 40000);
    assert_memory_equal(buffer.bytes + 4 * 777, "0777", 4);
    assert_memory_equal(buffer.bytes + 4 * 9999, "9999", 4);
    buffer_deinit(&buffer);
}

static void test_escapes_json(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *escaped;
    } rows[] = {
        {"plain", "plain"},
        {"", ""},
        {"a\"b\\c", "a\\\"b\\\\c"},
        {"\b\t\n\f\r", "\\b\\t\\n\\f\\r"},
        {"\x01\x1f", "\\u0001\\u001f"},
        {"/ is left alone", "/ is left alone"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\x7f", "\x7f"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer buffer = {0};
        buffer_add_json_escaped(&buffer, rows[i].raw, strlen(rows[i].raw));
        assert_holds(&buffer, rows[i].escaped);
        buffer_deinit(&buffer);
    }
}

static void test_a_json_string_may_hold_nul_and_a_text_ends_there(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_add_json_string(&buffer, "a\0b", 3);
    assert_holds(&buffer, "\"a\\u0000b\"");
    buffer_deinit(&buffer);
    buffer_add_json_text(&buffer, "a\"\0b");
    assert_holds(&buffer, "\"a\\\"\"");
    buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adds_and_consumes),
        cmocka_unit_test(test_grows_without_losing_bytes),
        cmocka_unit_test(test_escapes_json),
        cmocka_unit_test(test_a_json_string_may_hold_nul_and_a_text_ends_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
