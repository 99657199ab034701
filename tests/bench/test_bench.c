/* The measuring tools themselves: a wrong percentile or a misread option would be believed. */
#include "tests/bench/command.h"
#include "tests/bench/histogram.h"
#include "tests/bench/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(uint64_t value, uint64_t wanted)
{
    assert_in_range(value, wanted - wanted / 32, wanted + wanted / 32);
}

static void percentiles_are_at_most_3_percent_off(void **state)
{
    (void)state;
    struct histogram *histogram = calloc(1, sizeof *histogram);
    for (uint64_t i = 1; i <= 100000; i++)
        histogram_add(histogram, i * 1000);
    assert_near(histogram_percentile(histogram, 0.5), 50000000);
    assert_near(histogram_percentile(histogram, 0.99), 99000000);
    assert_near(histogram_percentile(histogram, 0.999), 99900000);
    assert_int_equal(histogram_percentile(histogram, 1.0), 100000000);
    free(histogram);
}

static void one_outlier_is_the_last_percentile_only(void **state)
{
    (void)state;
    struct histogram *histogram = calloc(1, sizeof *histogram);
    assert_int_equal(histogram_percentile(histogram, 0.99), 0);
    for (int i = 0; i < 999; i++)
        histogram_add(histogram, 7);
    histogram_add(histogram, UINT64_MAX);
    assert_int_equal(histogram_percentile(histogram, 0.999), 7);
    assert_int_equal(histogram_percentile(histogram, 1.0), UINT64_MAX);
    free(histogram);
}

static void a_command_is_its_verb_and_options(void **state)
{
    (void)state;
    char line[] = "open n=12 channel=presence-a\n";
    struct command command;
    assert_null(command_parse(line, &command));
    assert_string_equal(command.verb, "open");
    assert_int_equal(command_number(&command, "n", 1), 12);
    assert_int_equal(command_number(&command, "members", 10), 10);
    assert_string_equal(command_text(&command, "channel", ""), "presence-a");
    assert_null(command_text(&command, "chan", NULL));
}

static void a_command_that_is_none_is_refused(void **state)
{
    (void)state;
    struct command command;
    char empty[] = " \n", option[] = "open n", many[256] = "open";
    for (int i = 0; i <= COMMAND_OPTIONS_MAX; i++)
        strcat(many, " a=1");
    assert_non_null(command_parse(empty, &command));
    assert_non_null(command_parse(option, &command));
    assert_non_null(command_parse(many, &command));
}

static void a_user_info_is_as_long_as_was_asked(void **state)
{
    (void)state;
    char text[1024];
    message_channel_data(42, 100, text, sizeof text);
    const char *info = strstr(text, "\"user_info\":");
    assert_non_null(info);
    assert_int_equal(strlen(info + strlen("\"user_info\":")) - 1, 100);
    message_channel_data(42, 0, text, sizeof text);
    assert_string_equal(text, "{\"user_id\":\"u0000042\"}");
}

static void channel_data_travels_as_an_escaped_string(void **state)
{
    (void)state;
    char text[512];
    message_subscribe("presence-a", "k:s", "{\"user_id\":\"u\\\\1\"}", text, sizeof text);
    assert_string_equal(text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-a\",\"auth\":"
                              "\"k:s\",\"channel_data\":\"{\\\"user_id\\\":\\\"u\\\\\\\\1\\\"}\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_at_most_3_percent_off),
        cmocka_unit_test(one_outlier_is_the_last_percentile_only),
        cmocka_unit_test(a_command_is_its_verb_and_options),
        cmocka_unit_test(a_command_that_is_none_is_refused),
        cmocka_unit_test(a_user_info_is_as_long_as_was_asked),
        cmocka_unit_test(channel_data_travels_as_an_escaped_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
