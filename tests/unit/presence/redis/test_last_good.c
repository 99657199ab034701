#include "presence/redis/last_good.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    char folder[64];
    char *path;
    char why[200]; /* what the last write said; "-" while it has not */
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        abort();
    strcpy(world->folder, "/tmp/rollcall-last-XXXXXX");
    if (!mkdtemp(world->folder))
        abort();
    world->path = last_good_path(world->folder, "cluster", "shard-1");
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    unlink(world->path);
    rmdir(world->folder); /* fails, and so would the next test's folder, if anything else were left */
    int left = access(world->folder, F_OK) == 0;
    free(world->path);
    free(world);
    return left;
}

static void on_written(void *context, const char *why)
{
    struct world *world = context;
    snprintf(world->why, sizeof world->why, "%s", why ? why : "");
}

static void write_and_wait(struct world *world, const char *path, const char *address_text)
{
    struct redis_address address;
    uv_loop_t loop;
    assert_int_equal(redis_address_parse(address_text, &address), 0);
    strcpy(world->why, "-");
    uv_loop_init(&loop);
    last_good_write(&loop, path, &address, on_written, world);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void check_round(struct world *world, const char *text)
{
    struct redis_address address;
    char again[REDIS_ADDRESS_TEXT];
    write_and_wait(world, world->path, text);
    assert_string_equal(world->why, "");
    assert_int_equal(last_good_read(world->path, &address), 0);
    assert_string_equal(redis_address_print(&address, again), text);
}

static void test_what_is_written_is_read(void **state)
{
    check_round(*state, "10.1.2.3:6379");
    check_round(*state, "[fe80::1]:1");
    check_round(*state, "redis-1.example.com:65535");
    check_round(*state, "unix:/run/redis/socket");
}

static void test_nowhere(void **state)
{
    struct redis_address address;
    (void)state;
    assert_null(last_good_path(NULL, "c", "s"));
    assert_null(last_good_path("", "c", "s"));
    assert_int_equal(last_good_read(NULL, &address), -ENOENT);
    assert_int_equal(last_good_read("/nowhere/at/all", &address), -ENOENT);
}

static void test_a_folder_that_is_not_there(void **state)
{
    struct world *world = *state;
    write_and_wait(world, "/nowhere/c.s.master", "10.1.2.3:6379");
    assert_string_equal(world->why, "No such file or directory");
}

static void test_junk_is_refused(void **state)
{
    static const char *const texts[] = {"", "\n", "10.1.2.3\n", "10.1.2.3:0\n", "10.1.2.3:6379 more\n"};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct redis_address address;
        FILE *file = fopen(world->path, "w");
        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        assert_int_equal(last_good_read(world->path, &address), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_written_is_read, setup, teardown),
        cmocka_unit_test(test_nowhere),
        cmocka_unit_test_setup_teardown(test_a_folder_that_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_junk_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
