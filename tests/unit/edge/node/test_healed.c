/* The timeline of what was healed: what belongs together is one entry, and the oldest are forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "edge/node/healed.h"

static void note(struct healed *healed, int64_t at_ms, const char *shard, enum engine_note_kind kind,
    int partition, uint64_t number, const char *why)
{
    healed_add(healed, at_ms, shard,
        &(struct engine_note){.kind = kind, .partition = partition, .number = number, .why = why});
}

/* The answer, NUL-terminated, until the next call. */
static const char *written(const struct healed *healed, uint64_t after)
{
    static struct buffer json;
    json.length = 0;
    healed_write(healed, after, &json);
    buffer_add(&json, "", 1);
    return json.bytes;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in %s", part, text);
}

static void test_nothing_was_healed(void **state)
{
    (void)state;
    struct healed *healed = healed_new();
    assert_int_equal(healed_last(healed), 0);
    assert_string_equal(written(healed, 0), "{\"next\":0,\"missed\":0,\"entries\":[]}");
    healed_free(healed);
}

static void test_partitions_of_one_moment_are_one_entry(void **state)
{
    (void)state;
    struct healed *healed = healed_new();
    for (int p = 0; p < 8; p += 2) {
        note(healed, 1000 + p, "a", NOTE_GAP, p, 0, NULL);
        note(healed, 1000 + p, "a", NOTE_ASSERTED, p, 5, NULL);
    }
    const char *text = written(healed, 0);
    assert_has(text,
        "{\"next\":8,\"missed\":0,\"entries\":[{\"id\":1,\"time_ms\":1000,\"until_ms\":1006,"
        "\"kind\":\"gap\",\"count\":4,\"shard\":\"a\",\"partitions\":[0,2,4,6],\"channel\":null,");
    assert_has(text, "\"id\":2,");
    assert_has(text, "This edge wrote again all that it holds (facts: 20).");
    assert_null(strstr(text, "\"id\":3,"));
    healed_free(healed);
}

static void test_another_shard_reason_or_time_is_another_entry(void **state)
{
    (void)state;
    struct healed *healed = healed_new();
    note(healed, 1000, "a", NOTE_REFUSED, 1, 0, "a replica");
    note(healed, 1001, "b", NOTE_REFUSED, 1, 0, "a replica");
    note(healed, 1002, "a", NOTE_REFUSED, 1, 0, "a wrong shard");
    note(healed, 1003, "a", NOTE_REFUSED, 3, 0, "a replica");
    note(healed, 1003 + HEALED_TOGETHER_MS + 1, "a", NOTE_REFUSED, 1, 0, "a replica");
    const char *text = written(healed, 0);
    assert_has(text, "\"id\":1,\"time_ms\":1000,\"until_ms\":1003");
    assert_has(text, "\"partitions\":[1,3]");
    assert_has(text, "refused what this edge wrote: a wrong shard.");
    assert_has(text, "\"id\":4,");
    assert_null(strstr(text, "\"id\":5,"));
    healed_free(healed);
}

static void test_who_has_seen_some_is_told_what_changed(void **state)
{
    (void)state;
    struct healed *healed = healed_new();
    note(healed, 1000, "a", NOTE_FROZEN, -1, 0, "closed \"by\" the other side");
    note(healed, 2000, "b", NOTE_FROZEN, -1, 0, NULL);
    assert_int_equal(healed_last(healed), 2);
    assert_string_equal(written(healed, 2), "{\"next\":2,\"missed\":0,\"entries\":[]}");
    note(healed, 2500, "a", NOTE_FROZEN, -1, 0, "closed \"by\" the other side");
    const char *text = written(healed, 2);
    assert_has(text, "{\"next\":3,\"missed\":0,\"entries\":[{\"id\":1,\"time_ms\":1000,\"until_ms\":2500");
    assert_has(text, "(closed \\\"by\\\" the other side)");
    assert_has(text, "\"partitions\":[]");
    assert_null(strstr(text, "\"id\":2"));
    healed_free(healed);
}

static void test_the_oldest_are_forgotten_and_counted(void **state)
{
    (void)state;
    struct healed *healed = healed_new();
    for (int i = 0; i < HEALED_ENTRIES + 7; i++)
        note(healed, (int64_t)i * 10000, "a", NOTE_REAPED, 4095, (uint64_t)i, "edge-x");
    const char *text = written(healed, 0);
    assert_has(text, "\"missed\":7,\"entries\":[{\"id\":8,");
    assert_has(text, "\"partitions\":[4095]");
    assert_has(text, "The lease of edge edge-x had run out.");
    assert_has(written(healed, 3), "\"missed\":4,");
    assert_has(written(healed, 20), "\"missed\":0,");
    healed_free(healed);
}

static void test_long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    char why[2 * HEALED_TEXT_BYTES];
    struct healed *healed = healed_new();
    for (size_t i = 0; i + 2 < sizeof(why); i += 2)
        memcpy(why + i, "é", 2);
    why[sizeof(why) - 2] = '\0';
    note(healed, 1, "a", NOTE_REFUSED, 0, 0, why);
    note(healed, 2, "a", NOTE_REFUSED, 2, 0, why);
    const char *text = written(healed, 0);
    assert_has(text, "\"count\":2");
    assert_has(text, "é. Nothing was changed");
    healed_free(healed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_was_healed),
        cmocka_unit_test(test_partitions_of_one_moment_are_one_entry),
        cmocka_unit_test(test_another_shard_reason_or_time_is_another_entry),
        cmocka_unit_test(test_who_has_seen_some_is_told_what_changed),
        cmocka_unit_test(test_the_oldest_are_forgotten_and_counted),
        cmocka_unit_test(test_long_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
