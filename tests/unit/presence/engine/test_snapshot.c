/* What the script read answers, taken apart. */
#include "presence/engine/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 32 };

static struct reply elements[MAX];

/* An answer of these texts. */
static struct reply answer(size_t count, const char *const *texts)
{
    for (size_t i = 0; i < count; i++)
        elements[i] = (struct reply){.type = REPLY_TEXT, .text = texts[i], .bytes = strlen(texts[i])};
    return (struct reply){.type = REPLY_ARRAY, .elements = elements, .count = count};
}

#define ANSWER(...)                                                                                          \
    answer(sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *), (const char *[]){__VA_ARGS__})

static void test_a_roster(void **state)
{
    (void)state;
    struct snapshot snapshot;
    struct reply reply = ANSWER(
        "OK", "90", "80", "3", "", "0", "v", "70", "uanna", "1,2|{}", "b", "60", "ubert", "2|", "uv", "1|");
    assert_true(snapshot_parse(&reply, &snapshot));
    assert_int_equal(snapshot.last_version, 90);
    assert_int_equal(snapshot.clock, 80);
    assert_int_equal(snapshot.version, 70);
    assert_int_equal(snapshot.birth, 60);
    assert_int_equal(snapshot.subscriptions, 3 + 2 + 1 + 1);
    assert_int_equal(snapshot.cached->bytes, 0);
    size_t at = 0;
    struct snapshot_user user;
    assert_true(snapshot_next(&snapshot, &at, &user));
    assert_memory_equal(user.id, "anna", user.id_bytes);
    assert_memory_equal(user.is.info, "{}", user.is.info_bytes);
    assert_true(snapshot_next(&snapshot, &at, &user));
    assert_memory_equal(user.id, "bert", user.id_bytes);
    assert_true(snapshot_next(&snapshot, &at, &user));
    assert_memory_equal(user.id, "v", user.id_bytes);
    assert_false(snapshot_next(&snapshot, &at, &user));
}

static void test_no_roster(void **state)
{
    (void)state;
    struct snapshot snapshot;
    struct reply reply = ANSWER("OK", "90", "80", "2", "1e m", "17");
    assert_true(snapshot_parse(&reply, &snapshot));
    assert_int_equal(snapshot.version, 0);
    assert_int_equal(snapshot.birth, 0);
    assert_int_equal(snapshot.subscriptions, 2);
    assert_memory_equal(snapshot.cached->text, "1e m", snapshot.cached->bytes);
    assert_int_equal(snapshot.cached_ttl_ms, 17);
    size_t at = 0;
    assert_false(snapshot_next(&snapshot, &at, &(struct snapshot_user){0}));
    reply.count = 5;
    assert_false(snapshot_parse(&reply, &snapshot));
}

/* Somebody who is listed in words that nobody understands is not missing, and scrub finds him. */
static void test_junk(void **state)
{
    (void)state;
    struct snapshot snapshot;
    struct snapshot_user user;
    size_t at = 0;
    struct reply reply =
        ANSWER("OK", "90", "80", "0", "", "0", "v", "x", "", "1|", "w", "1|", "uanna", "nonsense", "ubert");
    assert_true(snapshot_parse(&reply, &snapshot));
    assert_int_equal(snapshot.version, 0);
    assert_int_equal(snapshot.subscriptions, 1);
    assert_true(snapshot_next(&snapshot, &at, &user));
    assert_memory_equal(user.id, "anna", user.id_bytes);
    assert_true(user.is_junk);
    assert_false(snapshot_next(&snapshot, &at, &user));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_roster),
        cmocka_unit_test(test_no_roster),
        cmocka_unit_test(test_junk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
