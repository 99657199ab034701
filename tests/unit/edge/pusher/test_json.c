#include "edge/pusher/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads a copy of exactly that size, so that a sanitizer sees the first byte read past the end. */
static int read_exactly(const char *text, size_t length, struct json_field *fields, size_t count)
{
    const char *why = NULL;
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    int error = json_object_read(exact, length, fields, count, &why);
    assert_int_equal(error != 0, why != NULL);
    free(exact);
    return error;
}

static int check(const char *text)
{
    return read_exactly(text, strlen(text), NULL, 0);
}

static void objects_are_accepted(void **state)
{
    static const char *const good[] = {
        "{}", " \t\r\n{ } \n", "{\"\":0}", "{\"a\":-0,\"b\":-0.5e+10,\"c\":1E9,\"d\":0.1,\"e\":10}",
        "{\"a\":[],\"b\":[1 , [2],{}],\"c\":{\"d\":{}}}", "{\"a\":true,\"b\":false,\"c\":null}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00\\ud800\"}",
        ("{\"a\":\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
         "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"}"),
        "{\"same\":1,\"same\":2}", /* nobody asked for it */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (check(good[i]) != 0)
            fail_msg("refused: %s", good[i]);
}

static void everything_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "[]",
        "\"a\"",
        "1",
        "null",
        "{",
        "}",
        "{}{}",
        "{} x",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":-}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":nulll}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":[}",
        "{\"a\":[,1]}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u123\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\\"}",
        "{/**/}",
        "\xef\xbb\xbf{}",
        "{\"a\":\xc2\xa0 1}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (check(bad[i]) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
}

static void what_is_not_utf8_is_told_apart(void **state)
{
    static const char *const bad[] = {
        "{\"a\":\"\x80\"}",
        "{\"a\":\"\xc0\xaf\"}",
        "{\"a\":\"\xc1\xbf\"}",
        "{\"a\":\"\xc2\"}",
        "{\"a\":\"\xe0\x9f\xbf\"}",
        "{\"a\":\"\xed\xa0\x80\"}", /* a surrogate */
        "{\"a\":\"\xf0\x8f\xbf\xbf\"}",
        "{\"a\":\"\xf4\x90\x80\x80\"}",
        "{\"a\":\"\xf5\x80\x80\x80\"}",
        "{\"a\":\"\xff\"}",
        "{\"\xe2\x82\":1}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (check(bad[i]) != -EILSEQ)
            fail_msg("case %zu", i);
}

static void nul_is_no_white_space_and_no_end(void **state)
{
    (void)state;
    assert_int_equal(read_exactly("{}\0", 3, NULL, 0), -EINVAL);
    assert_int_equal(read_exactly("\0{}", 3, NULL, 0), -EINVAL);
    assert_int_equal(read_exactly("{\"a\":\"\0\"}", 9, NULL, 0), -EINVAL);
    assert_int_equal(read_exactly("{\"a\":\"\\\0\"}", 10, NULL, 0), -EINVAL);
}

/* {"a":[[[…]]]} of that depth, the object included. */
static int check_depth(size_t depth)
{
    struct buffer text = {0};
    buffer_add_string(&text, "{\"a\":");
    for (size_t i = 1; i < depth; i++)
        buffer_add(&text, "[", 1);
    for (size_t i = 1; i < depth; i++)
        buffer_add(&text, "]", 1);
    buffer_add(&text, "}", 1);
    int error = read_exactly(text.bytes, text.length, NULL, 0);
    buffer_deinit(&text);
    return error;
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(check_depth(JSON_DEPTH_MAX), 0);
    assert_int_equal(check_depth(JSON_DEPTH_MAX + 1), -EINVAL);
    assert_int_equal(check_depth(100000), -EINVAL);
}

static void every_beginning_of_a_text_is_refused(void **state)
{
    static const char text[] = "{\"a\":\"\\u0041\xe2\x82\xac\",\"b\":[true,-1.5e3,{\"c\":null}]}";
    (void)state;
    for (size_t length = 0; length < sizeof(text) - 1; length++)
        assert_int_not_equal(read_exactly(text, length, NULL, 0), 0);
    assert_int_equal(read_exactly(text, sizeof(text) - 1, NULL, 0), 0);
}

static void assert_raw(const struct json_value *value, enum json_kind kind, const char *raw)
{
    assert_int_equal(value->kind, kind);
    assert_int_equal(value->raw.length, strlen(raw));
    assert_memory_equal(value->raw.bytes, raw, strlen(raw));
}

static void values_are_found_as_they_stand(void **state)
{
    static const char text[] =
        "{ \"other\" : {\"a\":7} , \"a\" : { \"x\" : [ 1 , 2 ] } , \"n\":-1.50 ,\"\\u0073\":\"t\\n\"}";
    struct json_field fields[] = {{.name = "a"}, {.name = "n"}, {.name = "s"}, {.name = "x"}};
    const char *why;
    (void)state;
    assert_int_equal(json_object_read(text, sizeof(text) - 1, fields, 4, &why), 0);
    assert_raw(&fields[0].value, JSON_KIND_OBJECT, "{ \"x\" : [ 1 , 2 ] }");
    assert_raw(&fields[1].value, JSON_KIND_NUMBER, "-1.50");
    assert_raw(&fields[2].value, JSON_KIND_STRING, "\"t\\n\"");
    assert_int_equal(fields[3].value.kind, JSON_KIND_ABSENT);
}

static void a_wanted_key_stands_once(void **state)
{
    struct json_field fields[] = {{.name = "a"}};
    (void)state;
    assert_int_equal(read_exactly("{\"a\":1,\"\\u0061\":2}", 18, fields, 1), -EINVAL);
    assert_int_equal(read_exactly("{\"a\":1,\"\\u0062\":2}", 18, fields, 1), 0);
}

static int decode(const char *raw, struct buffer *scratch, struct json_text *text)
{
    struct json_field fields[] = {{.name = "a"}};
    static char object[256];
    const char *why;
    int length = snprintf(object, sizeof(object), "{\"a\":%s}", raw);
    assert_int_equal(json_object_read(object, (size_t)length, fields, 1, &why), 0);
    return json_string_text(&fields[0].value, scratch, text);
}

static void escapes_are_decoded(void **state)
{
    static const char expected[] = "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.";
    struct buffer scratch = {0};
    struct json_text text;
    (void)state;
    buffer_reserve(&scratch, 256);
    assert_int_equal(
        decode("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\uD83D\\ude00.\"", &scratch, &text), 0);
    assert_int_equal(text.length, sizeof(expected) - 1);
    assert_memory_equal(text.bytes, expected, sizeof(expected) - 1);
    assert_int_equal(decode("\"plain\"", &scratch, &text), 0);
    assert_memory_equal(text.bytes, "plain", 5);
    buffer_deinit(&scratch);
}

static void escapes_without_a_character_are_refused(void **state)
{
    static const char *const bad[] = {
        "\"\\u0000\"",
        "\"\\ud83d\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\n12345\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83d\\ud83d\"",
        "\"\\ude00\"",
    };
    struct buffer scratch = {0};
    struct json_text text;
    (void)state;
    buffer_reserve(&scratch, 256);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(decode(bad[i], &scratch, &text), -EINVAL);
    buffer_deinit(&scratch);
}

static void cuts_end_with_whole_characters(void **state)
{
    struct json_text text = {"a\xe2\x82\xac\xf0\x9f\x98\x80z", 9};
    static const size_t cut[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9};
    (void)state;
    for (size_t max = 0; max < sizeof(cut) / sizeof(cut[0]); max++)
        assert_int_equal(json_text_cut(text, max), cut[max]);
    assert_int_equal(json_text_characters(text), 4);
}

/* ---- arrays of strings ---- */

struct strings {
    char text[256]; /* the raw strings, each behind a space */
    size_t length, max;
};

static bool note_string(void *context, const struct json_value *string)
{
    struct strings *strings = context;
    assert_int_equal(string->kind, JSON_KIND_STRING);
    if (strings->max-- == 0)
        return false;
    strings->length += (size_t)snprintf(strings->text + strings->length,
        sizeof(strings->text) - strings->length, " %.*s", (int)string->raw.length, string->raw.bytes);
    return true;
}

/* From a copy of exactly that size. */
static int read_strings(const char *text, struct strings *strings, const char **why)
{
    size_t length = strlen(text);
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    *why = NULL;
    *strings = (struct strings){.max = strings->max};
    int error = json_strings_read(exact, length, note_string, strings, why);
    assert_int_equal(error != 0, *why != NULL);
    free(exact);
    return error;
}

static void arrays_of_strings_are_gone_through_in_order(void **state)
{
    static const struct {
        const char *text, *strings;
    } good[] = {{"[]", ""}, {" [ ] \n", ""}, {"[\"a\"]", " \"a\""},
        {"\t[ \"a\" ,\"\" , \"\\u0000]\\\"\"]\r", " \"a\" \"\" \"\\u0000]\\\"\""}};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct strings strings = {.max = 9};
        const char *why;
        if (read_strings(good[i].text, &strings, &why) != 0)
            fail_msg("refused: %s", good[i].text);
        assert_string_equal(strings.text, good[i].strings);
    }
}

static void other_arrays_are_refused(void **state)
{
    static const char *const bad[] = {"", " ", "{}", "\"a\"", "null", "[", "]", "[\"a\"", "[\"a\",]",
        "[,\"a\"]", "[,]", "[\"a\" \"b\"]", "[\"a\"]]", "[\"a\"] x", "[1]", "[null]", "[[\"a\"]]", "[{}]",
        "[\"a\",true]", "[\"\n\"]", "[\"\\x\"]", "[\"\xff\"]"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct strings strings = {.max = 9};
        const char *why;
        int error = read_strings(bad[i], &strings, &why);
        if (error != (strchr(bad[i], '\xff') ? -EILSEQ : -EINVAL))
            fail_msg("%d for %s", error, bad[i]);
    }
}

static void going_through_an_array_can_be_ended(void **state)
{
    struct strings strings = {.max = 1};
    const char *why;
    (void)state;
    assert_int_equal(read_strings("[\"a\",\"b\",\"c\"]", &strings, &why), -EINVAL);
    assert_string_equal(strings.text, " \"a\"");
    assert_string_equal(why, "has a string that cannot be taken");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_accepted),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(what_is_not_utf8_is_told_apart),
        cmocka_unit_test(nul_is_no_white_space_and_no_end),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(every_beginning_of_a_text_is_refused),
        cmocka_unit_test(values_are_found_as_they_stand),
        cmocka_unit_test(a_wanted_key_stands_once),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(escapes_without_a_character_are_refused),
        cmocka_unit_test(cuts_end_with_whole_characters),
        cmocka_unit_test(arrays_of_strings_are_gone_through_in_order),
        cmocka_unit_test(other_arrays_are_refused),
        cmocka_unit_test(going_through_an_array_can_be_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
