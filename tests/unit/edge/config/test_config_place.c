/* Lines of places in awkward texts. */
#include <errno.h>

#include "edge/base/buffer.h"
#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

static const char text[] = "\n"                                   /* 1 */
                           "{ \"a\": \"}{\\\"][,\", \"b\" :\n"    /* 2 */
                           "  [ 1, {\"x\": [[], {}]},\n"          /* 3 */
                           "  \"two\",\n"                         /* 4 */
                           "  [true, {\"c\\u0064\": null ,\n"     /* 5 */
                           "     \"e\\\\\": -1.5e3}]],\n"         /* 6 */
                           "  \"empty\": [ ], \"nothing\": {},\n" /* 7 */
                           "  \"last\": 1\n"                      /* 8 */
                           "}\n";

static const struct config_place file = {0};

static unsigned line_of(const struct config_place *place)
{
    return config_place_line(place, text, strlen(text));
}

static void test_keys_and_items(void **state)
{
    (void)state;
    struct config_place a = {&file, "a", 0}, b = {&file, "b", 0}, last = {&file, "last", 0};
    assert_int_equal(line_of(&file), 2);
    assert_int_equal(line_of(&a), 2);
    assert_int_equal(line_of(&b), 2);
    assert_int_equal(line_of(&last), 8);
    for (unsigned i = 0; i < 4; i++) {
        struct config_place item = {&b, NULL, i};
        assert_int_equal(line_of(&item), i == 0 ? 3 : i + 2);
    }
}

static void test_escaped_keys(void **state)
{
    (void)state;
    struct config_place b = {&file, "b", 0}, list = {&b, NULL, 3}, object = {&list, NULL, 1};
    struct config_place cd = {&object, "cd", 0}, e = {&object, "e\\", 0};
    assert_int_equal(line_of(&cd), 5);
    assert_int_equal(line_of(&e), 6);
}

static void test_what_is_not_there_has_the_line_around_it(void **state)
{
    (void)state;
    struct config_place b = {&file, "b", 0}, beyond = {&b, NULL, 4}, deeper = {&beyond, "x", 0};
    struct config_place empty = {&file, "empty", 0}, none = {&empty, NULL, 0};
    struct config_place nothing = {&file, "nothing", 0}, no_key = {&nothing, "x", 0};
    struct config_place last = {&file, "last", 0}, in_a_number = {&last, "x", 0};
    assert_int_equal(line_of(&beyond), 2);
    assert_int_equal(line_of(&deeper), 2);
    assert_int_equal(line_of(&none), 7);
    assert_int_equal(line_of(&no_key), 7);
    assert_int_equal(line_of(&in_a_number), 8);
}

static void test_paths_in_words(void **state)
{
    (void)state;
    struct config_place edge = {&file, "edge", 0}, listen = {&edge, "listen", 0}, item = {&listen, NULL, 12};
    struct config_place port = {&item, "port", 0}, odd = {&item, "a.b\"", 0};
    struct buffer words = {0};
    config_place_print(&port, &words);
    buffer_add_string(&words, " ");
    config_place_print(&odd, &words);
    config_place_print(&file, &words);
    buffer_add(&words, "", 1);
    assert_string_equal(words.bytes, "edge.listen[12].port edge.listen[12][\"a.b\\\"\"]");
    buffer_deinit(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_and_items),
        cmocka_unit_test(test_escaped_keys),
        cmocka_unit_test(test_what_is_not_there_has_the_line_around_it),
        cmocka_unit_test(test_paths_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
