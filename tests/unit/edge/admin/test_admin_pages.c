/* The texts of the pages, from made-up sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/admin/admin_pages.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static struct metrics first, second, node;
static atomic_uint_least64_t turned[2];
static bool is_alive = true;
static struct readiness readiness;

static bool alive(void *context)
{
    assert_ptr_equal(context, &first);
    return is_alive;
}

static struct metrics *const workers[] = {&first, &second};
static const atomic_uint_least64_t *const turns[] = {&turned[0], &turned[1]};
static struct app_metrics_table counted[2];
static const struct app_metrics_table *const tables[] = {&counted[0], &counted[1]};
static const struct admin_sources sources = {
    .apps = tables,
    .port = 6001,
    .workers = workers,
    .worker_count = 2,
    .node = &node,
    .turned_ms = turns,
    .alive = alive,
    .readiness = &readiness,
    .context = &first,
};
static struct app_counters counters[2];
static struct app apps[2] = {
    {.id = "1234", .counters = &counters[0]}, {.id = "a\"b\\c\nd", .counters = &counters[1]}};
static const struct config config = {.edge = {.name = "edge-1"}, .apps = apps, .app_count = 2};

static void assert_text(struct buffer *body, const char *expected)
{
    buffer_add(body, "", 1);
    assert_string_equal(body->bytes, expected);
    buffer_deinit(body);
}

static void test_health(void **state)
{
    (void)state;
    struct buffer body = {0};
    turned[0] = 990;
    turned[1] = 1001; /* its clock was read after ours */
    assert_int_equal(admin_health_print(&sources, 1000, &body), 200);
    assert_text(&body,
        "{\"alive\":true,\"workers\":[{\"worker\":0,\"silent_ms\":10},{\"worker\":1,\"silent_ms\":0}]}\n");
    is_alive = false;
    assert_int_equal(admin_health_print(&sources, 9000, &body), 503);
    assert_text(&body, "{\"alive\":false,\"workers\":[{\"worker\":0,\"silent_ms\":8010},{\"worker\":1,"
                       "\"silent_ms\":7999}]}\n");
    struct admin_sources fewer = sources;
    fewer.turned_ms = NULL;
    assert_int_equal(admin_health_print(&fewer, 9000, &body), 503);
    assert_text(&body, "{\"alive\":false}\n");
    is_alive = true;
}

static void test_readiness(void **state)
{
    (void)state;
    struct buffer body = {0};
    assert_int_equal(admin_readiness_print(&sources, &body), 200);
    assert_text(&body, "{\"ready\":true,\"reasons\":[]}\n");
    readiness_set(&readiness, READINESS_BLIND, "shard \"a\" is away");
    assert_int_equal(admin_readiness_print(&sources, &body), 503);
    assert_text(&body,
        "{\"ready\":false,\"reasons\":[{\"reason\":\"blind\",\"why\":\"shard \\\"a\\\" is away\"}]}\n");
    readiness_set(&readiness, READINESS_BLIND, NULL);
}

static char *metrics_text(const struct admin_process *process)
{
    struct buffer body = {0};
    admin_metrics_print(&sources, &config, process, 3000, &body);
    buffer_add(&body, "", 1);
    return body.bytes;
}

static void test_counters_of_all_threads(void **state)
{
    (void)state;
    metric_add(&first.connections, 3);
    metric_add(&second.connections, 4);
    metric_subtract(&second.connections, 1);
    metric_add(&node.publishes, UINT64_C(18446744073709551615));
    counters[0].connections = 5;
    turned[0] = 2500;
    turned[1] = 3000;
    char *text = metrics_text(&(struct admin_process){0});
    static const char begins[] = "# HELP rollcall_connections Open client connections.\n"
                                 "# TYPE rollcall_connections gauge\n"
                                 "rollcall_connections{worker=\"0\"} 3\n"
                                 "rollcall_connections{worker=\"1\"} 3\n"
                                 "rollcall_connections{worker=\"node\"} 0\n# HELP ";
    assert_int_equal(strncmp(text, begins, strlen(begins)), 0);
    assert_non_null(strstr(text, "\nrollcall_publishes_total{worker=\"node\"} 18446744073709551615\n"));
    assert_non_null(strstr(text, "# TYPE rollcall_loop_silent_seconds gauge\n"
                                 "rollcall_loop_silent_seconds{worker=\"0\"} 0.500\n"
                                 "rollcall_loop_silent_seconds{worker=\"1\"} 0.000\n"));
    assert_non_null(strstr(text, "# TYPE rollcall_app_connections gauge\n"
                                 "rollcall_app_connections{app=\"1234\"} 5\n"
                                 "rollcall_app_connections{app=\"a\\\"b\\\\c\\nd\"} 0\n"));
    assert_non_null(
        strstr(text, "\nrollcall_build_info{version=\"" ROLLCALL_VERSION "\",edge=\"edge-1\"} 1\n"));
    free(text);
}

static void test_the_process(void **state)
{
    (void)state;
    const struct admin_process process = {.resident_bytes = 1048576,
        .open_fds = 12,
        .max_fds = 20000,
        .cpu_seconds = 1.5,
        .start_time_seconds = 1700000000.25};
    char *text = metrics_text(&process);
    assert_non_null(
        strstr(text, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 1048576\n"));
    assert_non_null(strstr(text, "\nprocess_open_fds 12\n"));
    assert_non_null(strstr(text, "\nprocess_max_fds 20000\n"));
    assert_non_null(
        strstr(text, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.500\n"));
    assert_non_null(strstr(text, "\nprocess_start_time_seconds 1700000000.25\n"));
    free(text);
    text = metrics_text(&(struct admin_process){0}); /* what is not known is not said */
    assert_null(strstr(text, "process_resident_memory_bytes"));
    assert_null(strstr(text, "process_start_time_seconds"));
    free(text);
}

static void test_apps_under_soketis_names(void **state)
{
    (void)state;
    app_metrics_of(&counted[0], "1234")->connected = 2;
    app_metrics_of(&counted[1], "1234")->connected = 3;
    app_metrics_of(&counted[1], "gone")->messages_sent = 7; /* not in the configuration any more */
    char *text = metrics_text(&(struct admin_process){0});
    assert_non_null(strstr(text, "# TYPE soketi_connected gauge\n"
                                 "soketi_connected{app_id=\"1234\",port=\"6001\"} 5\n"
                                 "soketi_connected{app_id=\"a\\\"b\\\\c\\nd\",port=\"6001\"} 0\n"
                                 "soketi_connected{app_id=\"gone\",port=\"6001\"} 0\n# HELP "));
    assert_non_null(strstr(text, "\nsoketi_ws_messages_sent_total{app_id=\"gone\",port=\"6001\"} 7\n"));
    free(text);
    app_metrics_deinit(&counted[0]);
    app_metrics_deinit(&counted[1]);
}

static void test_histograms(void **state)
{
    (void)state;
    latency_add(&second.join_latency, 50);
    latency_add(&second.join_latency, 51);
    latency_add(&second.join_latency, 20000000);
    char *text = metrics_text(&(struct admin_process){0});
    assert_non_null(strstr(text, "# TYPE rollcall_join_seconds histogram\n"
                                 "rollcall_join_seconds_bucket{worker=\"0\",le=\"5e-05\"} 0\n"));
    assert_non_null(strstr(text, "rollcall_join_seconds_bucket{worker=\"1\",le=\"5e-05\"} 1\n"
                                 "rollcall_join_seconds_bucket{worker=\"1\",le=\"0.0001\"} 2\n"));
    assert_non_null(strstr(text, "rollcall_join_seconds_bucket{worker=\"1\",le=\"10\"} 2\n"
                                 "rollcall_join_seconds_bucket{worker=\"1\",le=\"+Inf\"} 3\n"
                                 "rollcall_join_seconds_sum{worker=\"1\"} 20.000101\n"
                                 "rollcall_join_seconds_count{worker=\"1\"} 3\n"));
    free(text);
}

static void test_reasons_as_metrics(void **state)
{
    (void)state;
    readiness_set(&readiness, READINESS_OVERLOADED, "full");
    char *text = metrics_text(&(struct admin_process){0});
    readiness_set(&readiness, READINESS_OVERLOADED, NULL);
    assert_non_null(strstr(text, "\nrollcall_unready{reason=\"draining\"} 0\n"
                                 "rollcall_unready{reason=\"overloaded\"} 1\n"));
    free(text);
}

/* Reads the text as a scraper does: each name once, HELP then TYPE then its samples, values that are numbers.
 */
static void test_the_format(void **state)
{
    (void)state;
    struct admin_process process;
    admin_process_read(&process);
    char *text = metrics_text(&process), seen[8192] = "\n", family[128] = "";
    size_t length = strlen(text);
    assert_int_equal(text[length - 1], '\n');
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char name[128], type[16], mark[160];
        if (sscanf(line, "# HELP %127s", family) == 1) {
            snprintf(mark, sizeof(mark), "\n%s\n", family);
            assert_null(strstr(seen, mark));
            strcat(seen, mark + 1);
            line = strtok(NULL, "\n");
            assert_int_equal(sscanf(line, "# TYPE %127s %15s", name, type), 2);
            assert_string_equal(name, family);
            bool counter = strcmp(type, "counter") == 0;
            assert_true(counter || strcmp(type, "gauge") == 0 || strcmp(type, "histogram") == 0);
            if (strncmp(name, "soketi_", 7) == 0)
                continue; /* their counters of bytes have no _total */
            bool total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
            assert_int_equal(counter, total);
            continue;
        }
        assert_int_equal(strncmp(line, family, strlen(family)), 0);
        assert_non_null(strchr(" {_", line[strlen(family)]));
        char *value = strrchr(line, ' '), *end;
        strtod(value + 1, &end);
        assert_true(end > value + 1 && *end == '\0');
    }
    free(text);
}

static void test_what_the_kernel_says(void **state)
{
    (void)state;
    struct admin_process before, after;
    admin_process_read(&before);
    int fd = open("/dev/null", O_RDONLY);
    admin_process_read(&after);
    close(fd);
    assert_int_equal(after.open_fds, before.open_fds + 1);
    assert_in_range(after.resident_bytes, 1 << 20, UINT64_C(1) << 40);
    assert_in_range(after.max_fds, 16, UINT64_C(1) << 40);
    assert_true(after.cpu_seconds >= before.cpu_seconds && after.cpu_seconds > 0);
    double now = (double)time(NULL);
    assert_true(after.start_time_seconds < now + 1 && after.start_time_seconds > now - 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_counters_of_all_threads),
        cmocka_unit_test(test_apps_under_soketis_names),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_reasons_as_metrics),
        cmocka_unit_test(test_the_process),
        cmocka_unit_test(test_the_format),
        cmocka_unit_test(test_what_the_kernel_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
