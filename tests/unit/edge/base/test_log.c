/* The log, read back through a pipe. */
#include "edge/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int ends[2];

static int set_up(void **state)
{
    (void)state;
    if (pipe(ends) < 0)
        return -1;
    log_to_fd(ends[1]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_to_fd(STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* What was written since; the pipe holds 64 KiB. */
static const char *written(void)
{
    static char text[65536];
    assert_int_equal(write(ends[1], "", 1), 1); /* so that the read does not wait */
    ssize_t got = read(ends[0], text, sizeof(text));
    assert_true(got > 0 && text[got - 1] == '\0');
    return text;
}

/* Checks the time at the start, and returns what follows it. */
static const char *after_time(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    for (size_t i = 0; form[i]; i++, text++) {
        if (form[i] == '0')
            assert_in_range(*text, '0', '9');
        else
            assert_int_equal(*text, form[i]);
    }
    return text;
}

static void say(enum log_level level, const char *message)
{
    struct log_site site = {0};
    log_write(level, &site, "test.event", "%s", message);
}

static void test_text(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    log_warn("redis.unreachable", "shard %s does not answer for %d s", "a", 3);
    assert_string_equal(after_time(written()), " WARN  redis.unreachable: shard a does not answer for 3 s\n");
    log_info("x", "\"quoted\" é 😀");
    assert_string_equal(after_time(written()), " INFO  x: \"quoted\" é 😀\n");
}

static void test_json(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    log_error("x.y", "\"%s\" é", "\\");
    const char *text = written();
    assert_int_equal(strncmp(text, "{\"time\":\"", 9), 0);
    assert_string_equal(
        after_time(text + 9), "\",\"level\":\"error\",\"event\":\"x.y\",\"message\":\"\\\"\\\\\\\" é\"}\n");
}

/* A pipe is no terminal. */
static void test_auto_is_json_where_nobody_watches(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_AUTO);
    log_info("x", "y");
    assert_int_equal(written()[0], '{');
}

static void test_levels(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    assert_false(log_enabled(LOG_LEVEL_INFO));
    log_debug("x", "no");
    log_info("x", "no");
    log_warn("x", "yes");
    log_error("x", "yes");
    const char *text = written();
    assert_null(strstr(text, "no"));
    assert_non_null(strstr(text, "WARN  x: yes\n"));
    assert_non_null(strstr(text, "ERROR x: yes\n"));
}

static void test_nothing_breaks_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *said, *as_text, *as_json;
    } cases[] = {
        {"a\nb\r\t", "a\\u000ab\\u000d\\u0009", "a\\u000ab\\u000d\\u0009"},
        {"\033[2J\177", "\\u001b[2J\\u007f", "\\u001b[2J\\u007f"},
        {"\xc2\x85 \xc2\xa0", "\\u0085 \xc2\xa0", "\\u0085 \xc2\xa0"},
        {"\xe2\x80\xa8 \xe2\x80\xae", "\\u2028 \\u202e", "\\u2028 \\u202e"},
        {"\\n", "\\\\n", "\\\\n"},
        {"\xff\xc3", "\\xff\\xc3", "\\ufffd\\ufffd"},
        {"\xc0\x80", "\\xc0\\x80", "\\ufffd\\ufffd"},
        {"\xed\xa0\x80!", "\\xed\\xa0\\x80!", "\\ufffd\\ufffd\\ufffd!"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xe2\x82", "\\xe2\\x82", "\\ufffd\\ufffd"},
        {"\",\"level\":\"", "\",\"level\":\"", "\\\",\\\"level\\\":\\\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[128];
        log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        say(LOG_LEVEL_INFO, cases[i].said);
        snprintf(expected, sizeof(expected), " INFO  test.event: %s\n", cases[i].as_text);
        assert_string_equal(after_time(written()), expected);
        log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        say(LOG_LEVEL_INFO, cases[i].said);
        snprintf(expected, sizeof(expected), "\"message\":\"%s\"}\n", cases[i].as_json);
        assert_non_null(strstr(written(), expected));
    }
}

static void test_long_lines_are_cut_and_whole(void **state)
{
    (void)state;
    static char huge[20000];
    static const char filler[] = "é\n\"";
    for (size_t i = 0; i + 4 < sizeof(huge); i += 4)
        memcpy(huge + i, filler, 4);
    for (int shift = 0; shift < 4; shift++) {
        log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        say(LOG_LEVEL_INFO, huge + shift);
        const char *text = written();
        size_t length = strlen(text);
        assert_in_range(length, 3900, 4096);
        assert_string_equal(text + length - 6, "…\"}\n");
        assert_ptr_equal(strchr(text, '\n'), text + length - 1);
    }
}

static void test_a_place_has_an_allowance(void **state)
{
    (void)state;
    struct log_site site = {0}, other = {0};
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (int i = 0; i < 100; i++)
        log_write(LOG_LEVEL_INFO, &site, "flood", "x");
    size_t lines = 0;
    for (const char *c = written(); *c; c++)
        lines += *c == '\n';
    /* twenty when a second turned meanwhile */
    assert_true(lines == 10 || lines == 20);
    assert_int_equal(atomic_load(&site.suppressed) > 0, 1);
    log_write(LOG_LEVEL_INFO, &other, "other", "y");
    assert_string_equal(after_time(written()), " INFO  other: y\n");
}

static void test_what_was_swallowed_is_said_next(void **state)
{
    (void)state;
    struct log_site site = {.second = 1, .lines = 10, .suppressed = 7}; /* full in a second long past */
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_write(LOG_LEVEL_INFO, &site, "x", "y");
    assert_string_equal(after_time(written()), " INFO  x: y (suppressed 7)\n");
    log_write(LOG_LEVEL_INFO, &site, "x", "y");
    assert_string_equal(after_time(written()), " INFO  x: y\n");
    site.suppressed = 7;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_write(LOG_LEVEL_INFO, &site, "x", "y");
    assert_non_null(strstr(written(), "\"message\":\"y\",\"suppressed\":7}\n"));
}

static void test_errno_is_kept_and_can_be_said(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    errno = ENOENT;
    log_info("x", "failed: %m");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(after_time(written()), " INFO  x: failed: No such file or directory\n");
    log_to_fd(-1); /* nowhere to write: nothing happens */
    errno = EPERM;
    log_info("x", "y");
    assert_int_equal(errno, EPERM);
}

enum { THREADS = 4, LINES = 40 };

static void *talk(void *name)
{
    for (int i = 0; i < LINES; i++)
        say(LOG_LEVEL_INFO, name);
    return NULL;
}

/* Every line is one thread's; the pipe has room for all. */
static void test_threads_do_not_mix(void **state)
{
    (void)state;
    static char names[THREADS][301];
    pthread_t threads[THREADS];
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (int i = 0; i < THREADS; i++) {
        memset(names[i], 'a' + i, 300);
        assert_int_equal(pthread_create(&threads[i], NULL, talk, names[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    size_t count = 0;
    for (const char *line = written(); *line; line = strchr(line, '\n') + 1, count++) {
        const char *message = after_time(line) + strlen(" INFO  test.event: ");
        assert_int_equal(strncmp(message, names[message[0] - 'a'], 300), 0);
        assert_int_equal(message[300], '\n');
    }
    assert_int_equal(count, THREADS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auto_is_json_where_nobody_watches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_breaks_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_lines_are_cut_and_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_place_has_an_allowance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_swallowed_is_said_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errno_is_kept_and_can_be_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads_do_not_mix, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
