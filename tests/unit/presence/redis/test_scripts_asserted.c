/* What webhooks hear when an owner asserts what a dataset has lost: nothing of those who never left, all of the others. */
#include "tests/unit/presence/redis/scripts_world.h"

#define OUTBOX(test) CALL(test, &(test)->a, SCRIPT_OUTBOX, "50", "", "0", "")

/* How often this was told of that user since the dataset began. */
static int told(struct test *test, const char *kind, const char *user)
{
    const redisReply *reply = OUTBOX(test);
    int count = 0;
    ANSWERS(reply, "OK");
    for (size_t at = 1; at + 5 <= reply->elements; at += 5)
        count += is(reply, at + 1, kind) && is(reply, at + 3, user);
    return count;
}

/* The owners have said hello to a dataset that knows nothing, and are others now; these are the former ones. */
static void lose_all(struct test *test, char *a, char *b)
{
    strcpy(a, test->a.number);
    strcpy(b, test->b.number);
    redis_server_just(&test->redis, "FLUSHALL");
    hello(test, &test->a);
    hello(test, &test->b);
    assert_string_not_equal(a, test->a.number);
}

static void test_who_never_left_is_not_told(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->a, SCRIPT_ASSERT, "1", a, "1", "j", CHANNEL, "anna", "{}", "0");
    CALL(test, &test->b, SCRIPT_ASSERT, "1", b, "1", "j", CHANNEL, "bert", "{}", "0");
    assert_int_equal(2, users(test));
    assert_int_equal(1, OUTBOX(test)->elements);
}

/* Without a former owner, or with one that this dataset may have condemned, others may have told that they left. */
static void test_who_may_have_been_told_as_gone_is_told(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->a, SCRIPT_ASSERT, "1", "1", "1", "j", CHANNEL, "anna", "{}", "0");
    assert_int_equal(1, told(test, "member_added", "anna"));
    char condemned[24];
    strcpy(condemned, test->b.number);
    redis_server_just(&test->redis, "DEL " BASE ":o:%s", condemned);
    hello(test, &test->b);
    assert_string_not_equal(condemned, test->b.number);
    CALL(test, &test->b, SCRIPT_ASSERT, "1", condemned, "1", "j", CHANNEL, "bert", "{}", "0");
    assert_int_equal(1, told(test, "member_added", "bert"));
}

static void test_one_who_left_one_of_two_owners_is_told_again(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->b, SCRIPT_ASSERT, "1", b, "0", CHANNEL, "anna"); /* he left there lately */
    assert_int_equal(1, told(test, "member_removed", "anna"));
    assert_int_equal(0, told(test, "member_added", "anna"));
    CALL(test, &test->a, SCRIPT_ASSERT, "1", a, "1", "j", CHANNEL, "anna", "{}", "0");
    assert_int_equal(1, told(test, "member_added", "anna"));
    assert_int_equal(1, told(test, "channel_occupied", ""));
    CALL(test, &test->a, SCRIPT_ASSERT, "2", test->a.number, "1", "j", CHANNEL, "anna", "{}", "0");
    assert_int_equal(1, told(test, "member_added", "anna"));
}

/* The same where his departure was told after its three seconds. */
static void test_a_departure_within_the_wait_is_taken_back(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->b, SCRIPT_ASSERT, "1", b, "0");
    join(test, &test->b, "2", "anna");
    leave(test, &test->b, "3", "anna");
    redis_server_just(&test->redis, "HINCRBY " BASE " c 3000001");
    redis_server_just(
        &test->redis, "HINCRBY " BASE " m 3000001"); /* the wait of tests is shorter than that */
    assert_int_equal(1, told(test, "member_removed", "anna"));
    CALL(test, &test->a, SCRIPT_ASSERT, "1", a, "1", "j", CHANNEL, "anna", "{}", "0");
    assert_int_equal(2, told(test, "member_added", "anna"));
}

static void test_who_came_and_went_often_is_restated_once(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->a, SCRIPT_ASSERT, "1", a, "1", "j", CHANNEL, "anna", "{}", "0", CHANNEL, "anna",
        CHANNEL, "bert", CHANNEL, "anna");
    assert_int_equal(1, told(test, "member_added", "anna"));
    assert_int_equal(1, told(test, "member_removed", "bert"));
    assert_int_equal(1, told(test, "channel_occupied", ""));
    CALL(test, &test->a, SCRIPT_ASSERT, "2", "1", "1", "j", CHANNEL, "carl", "{}", "0", CHANNEL, "carl");
    assert_int_equal(1, told(test, "member_added", "carl")); /* by the join or as restated, not by both */
}

#define PUBLIC "app:news"

static void pass_wait(struct test *test)
{
    redis_server_just(&test->redis, "HINCRBY " BASE " c 9100"); /* L + H of these tests, and a little */
}

/* What was told of a public channel's number since the dataset began, the last of several; -1: nothing. */
static long long told_count(struct test *test)
{
    const redisReply *reply = OUTBOX(test);
    long long last = -1;
    ANSWERS(reply, "OK");
    for (size_t at = 1; at + 5 <= reply->elements; at += 5) {
        const char *tail = reply->element[at + 4]->str; /* timeline, reason, count, payload */
        if (is(reply, at + 1, "subscription_count") && is(reply, at + 2, PUBLIC))
            last = atoll(strchr(strchr(tail, ' ') + 1, ' ') + 1);
    }
    return last;
}

/* Two of one owner and three of the other: after a loss they are five again, and nobody is told anything. */
static void test_numbers_that_are_as_before_are_not_told(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->a, SCRIPT_ASSERT, "1", a, "1", "n", PUBLIC, "2", "5", "-");
    CALL(test, &test->b, SCRIPT_ASSERT, "1", b, "1", "n", PUBLIC, "3", "2", "-"); /* it has heard of two */
    assert_int_equal(1, OUTBOX(test)->elements);
    pass_wait(test);
    assert_int_equal(1, OUTBOX(test)->elements);
    CALL(test, &test->b, SCRIPT_ASSERT, "2", test->b.number, "1", "n", PUBLIC, "3", "5",
        "-"); /* nothing was lost */
    pass_wait(test);
    assert_int_equal(1, OUTBOX(test)->elements);
    CALL(test, &test->b, SCRIPT_WRITE, "3", "1", "n", PUBLIC, "4", "1", "0", "1"); /* somebody comes */
    assert_int_equal(6, told_count(test));
}

/* Somebody left meanwhile, or somebody came whom not all had heard of: they add up to something else. */
static void test_a_number_that_has_changed_is_told_when_all_are_back(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->a, SCRIPT_ASSERT, "1", a, "1", "n", PUBLIC, "1", "5", "-");
    CALL(test, &test->b, SCRIPT_ASSERT, "1", b, "1", "n", PUBLIC, "3", "1", "-");
    assert_int_equal(-1, told_count(test));
    pass_wait(test);
    assert_int_equal(4, told_count(test));
    assert_int_equal(0, told(test, "channel_occupied", ""));
}

/* The first who is back is new, and makes others hear of one; so the sum is told in the end. */
static void test_numbers_among_new_ones_are_told(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->a, SCRIPT_ASSERT, "1", "1", "1", "n", PUBLIC, "1", "0", "-");
    assert_int_equal(1, told_count(test));
    CALL(test, &test->b, SCRIPT_ASSERT, "1", b, "1", "n", PUBLIC, "3", "4", "-");
    pass_wait(test);
    assert_int_equal(4, told_count(test));
}

/* The last one left just before the loss, which has taken the word of it away. */
static void test_a_vacated_channel_is_restated(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->a, SCRIPT_ASSERT, "1", a, "0", PUBLIC, "");
    assert_int_equal(0, told(test, "channel_vacated", ""));
    pass_wait(test);
    assert_int_equal(1, told(test, "channel_vacated", ""));
    assert_int_equal(0, told_count(test));
}

/* The same, and another owner still has some: it was never vacated. */
static void test_a_channel_that_another_holds_is_not_vacated(void **state)
{
    struct test *test = *state;
    char a[24], b[24];
    lose_all(test, a, b);
    CALL(test, &test->a, SCRIPT_ASSERT, "1", a, "0", PUBLIC, "");
    CALL(test, &test->b, SCRIPT_ASSERT, "1", b, "1", "n", PUBLIC, "3", "4", "-");
    pass_wait(test);
    assert_int_equal(0, told(test, "channel_vacated", ""));
    assert_int_equal(0, told(test, "channel_occupied", ""));
    assert_int_equal(3, told_count(test));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_never_left_is_not_told),
        TEST(test_who_may_have_been_told_as_gone_is_told),
        TEST(test_one_who_left_one_of_two_owners_is_told_again),
        TEST(test_a_departure_within_the_wait_is_taken_back),
        TEST(test_who_came_and_went_often_is_restated_once),
        TEST(test_numbers_that_are_as_before_are_not_told),
        TEST(test_a_number_that_has_changed_is_told_when_all_are_back),
        TEST(test_numbers_among_new_ones_are_told),
        TEST(test_a_vacated_channel_is_restated),
        TEST(test_a_channel_that_another_holds_is_not_vacated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
