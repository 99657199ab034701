#include "edge/node/channel.h"

#include "edge/node/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_kinds_follow_the_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum channel_kind kind;
        bool cache;
    } rows[] = {
        {"news", CHANNEL_PUBLIC, false},
        {"privateer", CHANNEL_PUBLIC, false},
        {"presence", CHANNEL_PUBLIC, false},
        {"cache-news", CHANNEL_PUBLIC, true},
        {"private-x", CHANNEL_PRIVATE, false},
        {"private-encrypted", CHANNEL_PRIVATE, false},
        {"private-cache-x", CHANNEL_PRIVATE, true},
        {"private-encrypted-x", CHANNEL_ENCRYPTED, false},
        {"private-encrypted-cache-x", CHANNEL_ENCRYPTED, true},
        {"presence-x", CHANNEL_PRESENCE, false},
        {"presence-cache-x", CHANNEL_PRESENCE, true},
        {"Presence-x", CHANNEL_PUBLIC, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(channel_kind_of(rows[i].name), rows[i].kind);
        assert_int_equal(channel_is_cache(rows[i].name), rows[i].cache);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "A-z_0=9@,.;", "presence-room.1"};
    static const char *const bad[] = {"", "a b", "a/b", "#server-to-user-1", "\xc3\xa9", "a:b", "a\"", "a\n"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(channel_name_valid(good[i], strlen(good[i]), 200));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(channel_name_valid(bad[i], strlen(bad[i]), 200));
    assert_false(channel_name_valid("a\0b", 3, 200));
    char name[201];
    memset(name, 'x', sizeof(name));
    assert_true(channel_name_valid(name, 200, 200));
    assert_false(channel_name_valid(name, 201, 200));
    assert_true(channel_name_valid(name, 201, 0));
}

static void test_subscribers_come_and_go_in_any_order(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    struct channel *channel = channel_new("x", 2);
    struct subscription *all[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        all[i] = subscription_new("x", 1, NULL, 0);
        channel_attach(channel, 1, all[i]);
    }
    for (unsigned i = 0; i < COUNT; i += 3)
        channel_detach(channel, 1, all[i]);
    assert_int_equal(channel->local[0].count, 0);
    assert_int_equal(channel->local[1].count, COUNT - (COUNT + 2) / 3);
    for (unsigned i = 0; i < COUNT; i++)
        if (i % 3 != 0)
            assert_ptr_equal(channel->local[1].subscribers[all[i]->index], all[i]);
    for (unsigned i = 0; i < COUNT; i++)
        subscription_free(all[i]);
    channel_unref(channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_follow_the_prefix),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_subscribers_come_and_go_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
