/* How far publishers' clocks are off: what is measured, warned of, and forgotten. */
#include "tests/unit/edge/api/api_world.h"

static void send_at(int64_t offset_s, int status)
{
    clock_offset_s = offset_s;
    get("/apps/1/channels", "");
    clock_offset_s = 0;
    if (status == 200)
        answer_query(NODE_OK, "{}", STORE_FRESH);
    assert_int_equal(exchange.status, status);
}

static void expect_skew(uint64_t at_least_s)
{
    /* a second may pass between signing and checking */
    assert_in_range(worker.metrics.publisher_clock_skew_seconds, at_least_s, at_least_s + 5);
}

static void test_clock_skew(void **state)
{
    (void)state;
    send_at(-100, 200);
    expect_skew(100);
    assert_true(worker.clocks.warned);
    send_at(-40, 200);
    expect_skew(100);
    assert_false(worker.clocks.refused);
    assert_int_equal(worker.metrics.publisher_clocks_off, 1);
    send_at(-700, 401);
    expect_skew(700);
    assert_int_equal(worker.metrics.publisher_clocks_off, 2);
    assert_true(worker.clocks.refused);
}

static void test_clock_skew_ahead(void **state)
{
    (void)state;
    send_at(50, 200);
    assert_in_range(worker.metrics.publisher_clock_skew_seconds, 45, 50);
    assert_false(worker.clocks.warned);
    send_at(590, 200);
    assert_in_range(worker.metrics.publisher_clock_skew_seconds, 585, 590);
    assert_true(worker.clocks.warned);
}

/* Strangers cannot make the clocks look wrong. */
static void test_clock_skew_of_unsigned_requests(void **state)
{
    (void)state;
    expect("GET", "/apps/1/channels?auth_key=key&auth_timestamp=1&auth_version=1.0&auth_signature=00", NULL,
        401);
    assert_int_equal(worker.metrics.publisher_clock_skew_seconds, 0);
    assert_int_equal(worker.metrics.publisher_clocks_off, 0);
    assert_false(worker.clocks.refused);
}

static void test_clock_skew_is_forgotten(void **state)
{
    (void)state;
    send_at(-100, 200);
    wheel_run(&worker.wheel, 299000);
    expect_skew(100);
    assert_true(worker.clocks.warned);
    wheel_run(&worker.wheel, 301000);
    expect_skew(100);
    assert_false(worker.clocks.warned);
    send_at(-20, 200);
    wheel_run(&worker.wheel, 602000);
    expect_skew(20);
    wheel_run(&worker.wheel, 903000);
    assert_int_equal(worker.metrics.publisher_clock_skew_seconds, 0);
    assert_int_equal(worker.clocks.window.due_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_clock_skew),
        API_TEST(test_clock_skew_ahead),
        API_TEST(test_clock_skew_of_unsigned_requests),
        API_TEST(test_clock_skew_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
