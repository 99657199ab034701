/* Secrets from the environment and from files. */
#include <errno.h>

#include "tests/unit/edge/config/parse.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/secret-XXXXXX";
static char configuration[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(configuration, sizeof(configuration), "%s/x.json", mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void path_of(const char *name, char path[64])
{
    snprintf(path, 64, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *bytes, size_t length)
{
    char path[64];
    path_of(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fwrite(bytes, 1, length, file);
    fclose(file);
}

static void remove_file(const char *name)
{
    char path[64];
    path_of(name, path);
    unlink(path);
}

static char *app_with(const char *secret)
{
    static char text[8192];
    snprintf(text, sizeof(text), "{\"apps\": [{\"id\": \"1\", \"key\": \"k\",\n\"secret\": %s}]}", secret);
    return text;
}

static void assert_secret(const char *secret, const char *expected)
{
    struct config *config = NULL;
    char *text = app_with(secret);
    assert_int_equal(config_parse(text, strlen(text), configuration, &config, stderr), 0);
    assert_string_equal(config->apps[0].secret, expected);
    config_unref(config);
}

/* expected: after "file:2: " */
static void assert_refused(const char *secret, const char *format, const char *inserted)
{
    char expected[512], words[400];
    snprintf(words, sizeof(words), format, inserted);
    snprintf(expected, sizeof(expected), "%s:2: %s\n", configuration, words);
    char *said = problems_in(app_with(secret), configuration);
    assert_string_equal(said, expected);
    free(said);
}

static void test_in_the_file(void **state)
{
    (void)state;
    assert_secret("\"hush\"", "hush");
    assert_refused("\"\"", "apps[0].secret: must be a text of 1 to 1024 bytes, but it has 0%s", "");
}

static void test_forms(void **state)
{
    (void)state;
    static const char *const wrong[] = {"1", "null", "[]", "{}", "{\"env\": 1}", "{\"env\": \"\"}",
        "{\"env\": \"A\", \"file\": \"b\"}", "{\"path\": \"a\"}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_refused(wrong[i],
            "apps[0].secret: must be a text of 1 to 1024 bytes, {\"env\": \"NAME\"} or {\"file\": "
            "\"path\"}%s",
            "");
}

static void test_environment(void **state)
{
    (void)state;
    setenv("ROLLCALL_TEST_SECRET", "from the environment", 1);
    assert_secret("{\"env\": \"ROLLCALL_TEST_SECRET\"}", "from the environment");
    setenv("ROLLCALL_TEST_SECRET", "", 1);
    assert_refused("{\"env\": \"ROLLCALL_TEST_SECRET\"}",
        "apps[0].secret.env: must be a text of 1 to 1024 bytes, but %s has 0", "ROLLCALL_TEST_SECRET");
    unsetenv("ROLLCALL_TEST_SECRET");
    assert_refused("{\"env\": \"ROLLCALL_TEST_SECRET\"}",
        "apps[0].secret.env: the environment variable ROLLCALL_TEST_SECRET is not set%s", "");
}

static void test_one_newline_at_the_end_does_not_count(void **state)
{
    (void)state;
    write_file("s", "plain", 5);
    assert_secret("{\"file\": \"s\"}", "plain");
    write_file("s", "line\n", 5);
    assert_secret("{\"file\": \"s\"}", "line");
    write_file("s", "dos\r\n", 5);
    assert_secret("{\"file\": \"s\"}", "dos");
    write_file("s", "two\n\n", 5);
    assert_secret("{\"file\": \"s\"}", "two\n");
    char absolute[128];
    snprintf(absolute, sizeof(absolute), "{\"file\": \"%s/s\"}", folder);
    assert_secret(absolute, "two\n");
    remove_file("s");
}

static void test_files_that_hold_no_secret(void **state)
{
    (void)state;
    char long_one[5000], path[64];
    memset(long_one, 'x', sizeof(long_one));
    path_of("s", path);
    assert_refused(
        "{\"file\": \"s\"}", "apps[0].secret.file: %s cannot be read: No such file or directory", path);
    write_file("s", "\n", 1);
    assert_refused(
        "{\"file\": \"s\"}", "apps[0].secret.file: must be a text of 1 to 1024 bytes, but %s has 0", path);
    write_file("s", long_one, sizeof(long_one));
    assert_refused(
        "{\"file\": \"s\"}", "apps[0].secret.file: must be a text of 1 to 1024 bytes, but %s has 4096", path);
    write_file("s", "a\0b", 3);
    assert_refused("{\"file\": \"s\"}", "apps[0].secret.file: %s holds a NUL byte; a secret is text", path);
    remove_file("s");
    assert_refused("{\"file\": \"/\"}", "apps[0].secret.file: %s is not a regular file", "/");
}

/* A pipe that nobody writes to would hold up the start for ever. */
static void test_a_pipe_does_not_block(void **state)
{
    (void)state;
    char path[64];
    path_of("p", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused("{\"file\": \"p\"}", "apps[0].secret.file: %s is not a regular file", path);
    remove_file("p");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_the_file),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_one_newline_at_the_end_does_not_count),
        cmocka_unit_test(test_files_that_hold_no_secret),
        cmocka_unit_test(test_a_pipe_does_not_block),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
