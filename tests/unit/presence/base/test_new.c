#include "presence/base/new.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A number that the compiler does not know, so that it does not warn of what is done on purpose. */
static size_t half_of_all(void)
{
    volatile size_t half = SIZE_MAX / 2 + 1;
    return half;
}

/* A compiler that sees that memory is not used asks for none. */
static void drop(void *memory)
{
    void *volatile used = memory;
    free(used);
}

/* How a child ends that does this: as wait() says, 0 when it came to the end. The sanitizers end it in their own way. */
static int end_of(void (*what)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka catches it */
        what();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void ask_for_nothing_special(void)
{
    drop(new_zeroed(1));
    drop(new_array(1, 1));
    drop(resized(NULL, 1, 1));
    drop(must_have(malloc(1)));
    must(true);
}

static void ask_for_too_much(void)
{
    drop(new_zeroed(half_of_all()));
}

static void ask_for_too_many(void)
{
    drop(new_array(half_of_all(), 4)); /* four times half of all is nothing, without its carry */
}

static void resize_to_too_many(void)
{
    drop(resized(NULL, half_of_all(), 4));
}

static void grow_to_too_many(void)
{
    size_t capacity = 0;
    drop(grown(NULL, &capacity, half_of_all() + 2, 4));
}

static void copy_all_there_is(void)
{
    drop(new_copy("", half_of_all() - 1 + half_of_all())); /* with its NUL: none */
}

static void have_nothing(void)
{
    drop(must_have(NULL));
}

static void fail_to_work(void)
{
    must(false);
}

static void test_out_of_memory_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(end_of(ask_for_nothing_special), 0);
    assert_int_not_equal(end_of(ask_for_too_much), 0);
    assert_int_not_equal(end_of(ask_for_too_many), 0);
    assert_int_not_equal(end_of(resize_to_too_many), 0);
    assert_int_not_equal(end_of(grow_to_too_many), 0);
    assert_int_not_equal(end_of(copy_all_there_is), 0);
}

static void test_what_must_be_is_or_the_process_ends(void **state)
{
    (void)state;
    int here;
    assert_ptr_equal(must_have(&here), &here);
    must(true);
    int ends[] = {end_of(have_nothing), end_of(fail_to_work)};
    for (int i = 0; i < 2; i++)
        assert_true(WIFSIGNALED(ends[i]) && WTERMSIG(ends[i]) == SIGABRT);
}

static void test_is_zeroed(void **state)
{
    (void)state;
    static const char zeroes[640];
    for (int round = 0; round < 100; round++) { /* what was used and freed comes back */
        char *one = new_zeroed(sizeof(zeroes)), *many = new_array(10, 64);
        assert_memory_equal(one, zeroes, sizeof(zeroes));
        assert_memory_equal(many, zeroes, sizeof(zeroes));
        memset(one, 0xa5, sizeof(zeroes));
        memset(many, 0xa5, sizeof(zeroes));
        free(one);
        free(many);
    }
    free(new_array(0, 64));
}

static void test_copies(void **state)
{
    (void)state;
    char *bytes = new_copy("a\0b!", 3), *none = new_copy(NULL, 0), *text = new_text("héllo"),
         *empty = new_text("");
    assert_memory_equal(bytes, "a\0b", 4);
    assert_string_equal(none, "");
    assert_string_equal(text, "héllo");
    assert_string_equal(empty, "");
    assert_null(new_text(NULL));
    free(bytes);
    free(none);
    free(text);
    free(empty);
}

static void test_prints(void **state)
{
    (void)state;
    char *printed = new_printed("%s has %d%%", "it", 42), *nothing = new_printed("%s", "");
    char *longer = new_printed("%5000d", 7);
    assert_string_equal(printed, "it has 42%");
    assert_string_equal(nothing, "");
    assert_int_equal(strlen(longer), 5000);
    assert_string_equal(longer + 4998, " 7");
    free(printed);
    free(nothing);
    free(longer);
}

static void test_resizes_to_exactly_so_many(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    for (uint32_t i = 0; i < 100; i++) {
        items = resized(items, i + 1, sizeof(*items));
        items[i] = i;
    }
    items = resized(items, 50, sizeof(*items));
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(items[i], i);
    free(items);
}

static void test_grows_by_doubling(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    size_t capacity = 0, times = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        size_t before = capacity;
        items = grown(items, &capacity, i + 1, sizeof(*items));
        times += capacity != before;
        assert_true(capacity > i);
        items[i] = i;
    }
    assert_int_equal(times, 9); /* 4, 8, … 1024 */
    assert_int_equal(capacity, 1024);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_ptr_equal(grown(items, &capacity, 1024, sizeof(*items)), items);
    assert_int_equal(capacity, 1024);
    items = grown(items, &capacity, 5000, sizeof(*items));
    assert_int_equal(capacity, 8192);
    assert_int_equal(items[999], 999);
    free(items);
}

static void test_growing_to_nothing_is_nothing(void **state)
{
    (void)state;
    size_t capacity = 0;
    assert_null(grown(NULL, &capacity, 0, 8));
    assert_int_equal(capacity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_memory_ends_the_process),
        cmocka_unit_test(test_what_must_be_is_or_the_process_ends),
        cmocka_unit_test(test_is_zeroed),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_prints),
        cmocka_unit_test(test_resizes_to_exactly_so_many),
        cmocka_unit_test(test_grows_by_doubling),
        cmocka_unit_test(test_growing_to_nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
