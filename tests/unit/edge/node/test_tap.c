/* Events kept for those who watch: bounded in number, length, rate and time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "edge/node/tap.h"

static bool add(struct taps *taps, uint64_t now_ms, const char *app, const char *text)
{
    return taps_add(taps, now_ms, 5, app, TAP_EVENT, "room", text, strlen(text));
}

static const char *written(struct taps *taps, const char *app, uint64_t after)
{
    static struct buffer json;
    json.length = 0;
    taps_write(taps, app, after, &json);
    buffer_add(&json, "", 1);
    return json.bytes;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in %.300s", part, text);
}

static void test_only_what_is_watched_is_kept(void **state)
{
    (void)state;
    struct taps *taps = taps_new();
    assert_false(taps_any(taps));
    assert_false(add(taps, 0, "7", "{}"));
    assert_true(taps_watch(taps, 0, "7"));
    assert_true(taps_any(taps));
    assert_true(add(taps, 0, "7", "{\"a\":1}"));
    assert_false(add(taps, 0, "8", "{}"));
    assert_string_equal(written(taps, "7", 0),
        "{\"next\":1,\"missed\":0,\"events\":[{\"number\":1,\"time_ms\":5,\"kind\":\"event\",\"channel\":"
        "\"room\",\"text\":\"{\\\"a\\\":1}\",\"bytes\":7,\"cut\":false}]}");
    assert_string_equal(written(taps, "7", 1), "{\"next\":1,\"missed\":0,\"events\":[]}");
    assert_string_equal(written(taps, "8", 0), "{\"next\":0,\"missed\":0,\"events\":[]}");
    taps_free(taps);
}

static void test_a_slow_reader_is_told_what_he_missed(void **state)
{
    (void)state;
    struct taps *taps = taps_new();
    taps_watch(taps, 0, "7");
    for (int i = 0; i < TAP_EVENTS + 10; i++)
        assert_true(add(taps, (uint64_t)i * 1000, "7", "{}"));
    assert_has(written(taps, "7", 0), "\"missed\":10,\"events\":[{\"number\":11,");
    assert_has(written(taps, "7", 4), "\"missed\":6,\"events\":[{\"number\":11,");
    assert_has(written(taps, "7", 11), "\"missed\":0,\"events\":[{\"number\":12,");
    taps_free(taps);
}

static void test_a_flood_is_counted_not_kept(void **state)
{
    (void)state;
    struct taps *taps = taps_new();
    taps_watch(taps, 0, "7");
    for (int i = 0; i < TAP_PER_SECOND; i++)
        assert_true(add(taps, 999, "7", "{}"));
    assert_false(add(taps, 999, "7", "{}"));
    assert_true(add(taps, 1000, "7", "{}"));
    assert_int_equal(taps_last(taps, "7"), TAP_PER_SECOND + 2);
    assert_has(written(taps, "7", TAP_PER_SECOND), "\"missed\":1,\"events\":[{\"number\":502,");
    taps_free(taps);
}

static void test_long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    char text[2 * TAP_TEXT_BYTES + 2];
    struct taps *taps = taps_new();
    text[0] = 'x';
    for (size_t i = 1; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "é", 2);
    text[sizeof(text) - 1] = '\0';
    taps_watch(taps, 0, "7");
    add(taps, 0, "7", text);
    assert_has(written(taps, "7", 0), "é\",\"bytes\":4097,\"cut\":true}");
    taps_free(taps);
}

static void test_who_stops_asking_is_forgotten_and_numbers_go_on(void **state)
{
    (void)state;
    struct taps *taps = taps_new();
    taps_watch(taps, 0, "7");
    add(taps, 0, "7", "{}");
    taps_watch(taps, 1000, "7");
    taps_sweep(taps, TAP_FORGOTTEN_MS + 1000);
    assert_true(taps_any(taps));
    taps_sweep(taps, TAP_FORGOTTEN_MS + 1001);
    assert_false(taps_any(taps));
    taps_watch(taps, 0, "7");
    add(taps, 0, "7", "{}");
    assert_int_equal(taps_last(taps, "7"), 2);
    taps_free(taps);
}

static void test_apps_are_watched_up_to_a_bound(void **state)
{
    (void)state;
    char app[16];
    struct taps *taps = taps_new();
    for (int i = 0; i < TAP_APPS; i++) {
        snprintf(app, sizeof(app), "%d", i);
        assert_true(taps_watch(taps, 0, app));
    }
    assert_false(taps_watch(taps, 0, "one more"));
    assert_true(taps_watch(taps, 0, "0"));
    taps_free(taps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_watched_is_kept),
        cmocka_unit_test(test_a_slow_reader_is_told_what_he_missed),
        cmocka_unit_test(test_a_flood_is_counted_not_kept),
        cmocka_unit_test(test_long_texts_are_cut_between_characters),
        cmocka_unit_test(test_who_stops_asking_is_forgotten_and_numbers_go_on),
        cmocka_unit_test(test_apps_are_watched_up_to_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
