#include "edge/base/app_metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void test_one_block_an_app(void **state)
{
    (void)state;
    struct app_metrics_table table = {0};
    assert_null(app_metrics_first(&table));
    struct app_metrics *one = app_metrics_of(&table, "1"), *two = app_metrics_of(&table, "2");
    assert_ptr_not_equal(one, two);
    assert_ptr_equal(app_metrics_of(&table, "1"), one);
    assert_string_equal(one->app_id, "1");
    assert_ptr_equal(app_metrics_first(&table), two);
    assert_ptr_equal(two->next, one);
    assert_null(one->next);
    app_metrics_deinit(&table);
    assert_null(app_metrics_first(&table));
}

/* The id is copied: a configuration may go while its counters stay. */
static void test_many_apps(void **state)
{
    (void)state;
    struct app_metrics_table table = {0};
    char id[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "app-%u", i * 7919 % 1000);
        metric_add(&app_metrics_of(&table, id)->connections, 1);
    }
    unsigned count = 0;
    for (const struct app_metrics *block = app_metrics_first(&table); block; block = block->next, count++)
        assert_int_equal(block->connections, 1);
    assert_int_equal(count, 1000);
    app_metrics_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_block_an_app),
        cmocka_unit_test(test_many_apps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
