/* The lines that pusher-js reads from a response. */
#include "edge/pusher/fallback_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_lines(struct buffer *lines, const char *expected)
{
    if (lines->length != strlen(expected) || memcmp(lines->bytes, expected, lines->length) != 0)
        fail_msg("%.*sinstead of\n%s", (int)lines->length, lines->bytes, expected);
    buffer_deinit(lines);
}

static void push(struct outbox *outbox, const char *text)
{
    struct frame *frame = frame_copy(text, strlen(text));
    outbox_push(outbox, frame);
    frame_unref(frame);
}

static void test_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t units;
    } cases[] = {{"", 0}, {"abc\n", 4}, {"\x7f", 1}, {"\xc2\x80\xdf\xbf", 2}, {"\xe2\x80\xa8", 1},
        {"\xef\xbf\xbf", 1}, {"\xf0\x90\x80\x80", 2}, {"\xf4\x8f\xbf\xbf", 2},
        {"a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z", 6}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(fallback_units(cases[i].text, strlen(cases[i].text)), cases[i].units);
}

static void test_open(void **state)
{
    (void)state;
    struct buffer lines = {0};
    fallback_add_open(&lines, "");
    assert_lines(&lines, "o\n");
    fallback_add_open(&lines, "edge-1.example.com");
    assert_lines(&lines, "o{\"hostname\":\"edge-1.example.com\"}\n");
}

static void test_heartbeat_and_close(void **state)
{
    (void)state;
    struct buffer lines = {0};
    fallback_add_heartbeat(&lines);
    fallback_add_close(&lines, 4001, "No \"app\"\n");
    fallback_add_close(&lines, 4200, NULL);
    assert_lines(&lines, "h\nc[4001,\"No \\\"app\\\"\\n\"]\nc[4200,\"\"]\n");
}

static void test_messages(void **state)
{
    (void)state;
    struct buffer lines = {0};
    struct outbox outbox;
    outbox_init(&outbox);
    fallback_add_messages(&lines, &outbox, 100);
    assert_lines(&lines, "a[]\n");
    push(&outbox, "{\"data\":\"a\\nb\"}");
    push(&outbox, "\xc3\xa4\xf0\x9f\x98\x80");
    fallback_add_messages(&lines, &outbox, 100);
    assert_lines(&lines, "a[\"{\\\"data\\\":\\\"a\\\\nb\\\"}\",\"\xc3\xa4\xf0\x9f\x98\x80\"]\n");
    assert_int_equal(outbox.count, 0);
    outbox_deinit(&outbox);
}

/* a["xxxx" has 8 units. The line may be as long as the limit without being over it. */
static void test_a_line_ends_with_the_frame_that_makes_it_too_long(void **state)
{
    (void)state;
    static const struct {
        size_t units, frames;
    } cases[] = {{0, 1}, {7, 1}, {8, 2}, {14, 2}, {15, 3}, {21, 3}, {22, 4}, {100, 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer lines = {0};
        struct outbox outbox;
        outbox_init(&outbox);
        for (int frame = 0; frame < 4; frame++)
            push(&outbox, "xxxx");
        fallback_add_messages(&lines, &outbox, cases[i].units);
        assert_int_equal(4 - outbox.count, cases[i].frames);
        assert_memory_equal(lines.bytes + lines.length - 2, "]\n", 2);
        buffer_deinit(&lines);
        outbox_deinit(&outbox);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_heartbeat_and_close),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_a_line_ends_with_the_frame_that_makes_it_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
