/* Words and columns for a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "edge/tools/text.h"

static void assert_safe(const char *text, const char *expected)
{
    struct buffer out = {0};
    text_add_safe(&out, text);
    buffer_add(&out, "", 1);
    assert_string_equal(out.bytes, expected);
    buffer_deinit(&out);
}

static void test_nothing_commands_the_terminal(void **state)
{
    (void)state;
    assert_safe("plain, größer, 日本", "plain, größer, 日本");
    assert_safe("\x1b[31mred\x07\r\n\t", "?[31mred????");
    assert_safe("\xc2\x9b"
                "31m", /* CSI of the second set */
        "?31m");
    assert_safe("a\xe2\x80\xae"
                "b", /* turns the direction of writing */
        "a?b");
    assert_safe("\xff\xc3", "??"); /* no UTF-8, and the beginning of some */
    assert_safe(NULL, "");
}

static void test_columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    struct text_table table = {.columns = 3, .right = 1u << 1};
    struct buffer out = {0};
    static const char *const cells[] = {"NAME", "N", "LAST", "größer", "1", "x", "a", "12345", "yy"};
    for (size_t i = 0; i < 9; i++)
        text_table_cell(&table, cells[i]);
    text_table_write(&table, &out);
    buffer_add(&out, "", 1);
    assert_string_equal(out.bytes, "NAME        N  LAST\n"
                                   "größer      1  x\n"
                                   "a       12345  yy\n");
    assert_int_equal(table.count, 0);
    out.length = 0;
    table.right = 7;
    for (size_t i = 0; i < 6; i++)
        text_table_cell(&table, (const char *const[]){"A", "B", "C", "1", "", ""}[i]);
    text_table_write(&table, &out);
    buffer_add(&out, "", 1);
    assert_string_equal(out.bytes, "A  B  C\n1     \n"); /* no blanks for an empty cell at the end */
    buffer_deinit(&out);
}

static void test_times(void **state)
{
    (void)state;
    char text[TEXT_TIME_BYTES];
    assert_string_equal(text_lasting(-5, text), "0 s");
    assert_string_equal(text_lasting(59999, text), "59 s");
    assert_string_equal(text_lasting(60000, text), "1 min");
    assert_string_equal(text_lasting(7500000, text), "2 h 5 min");
    assert_string_equal(text_lasting(INT64_C(3) * 86400000, text), "3 days");
}

static void test_members_that_are_not_there(void **state)
{
    (void)state;
    json_t *object = json_pack("{s:s, s:i, s:n}", "text", "a", "number", 5, "nothing");
    assert_string_equal(json_text_of(object, "text", "-"), "a");
    assert_string_equal(json_text_of(object, "number", "-"), "-");
    assert_int_equal(json_number_of(object, "number", -1), 5);
    assert_int_equal(json_number_of(object, "nothing", -1), -1);
    assert_int_equal(json_number_of(NULL, "number", -1), -1);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_commands_the_terminal),
        cmocka_unit_test(test_columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_members_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
