/* Apps in files of their own. */
#include <errno.h>

#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[32];
static char configuration[64];
static unsigned made; /* numbers the files that were written */
static char paths[64][96];

static int set_up(void **state)
{
    (void)state;
    made = 0;
    strcpy(folder, "/tmp/include-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(configuration, sizeof(configuration), "%s/x.json", folder);
    snprintf(paths[0], sizeof(paths[0]), "%s/apps.d", folder);
    return mkdir(paths[0], 0700);
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = made; i > 0; i--)
        remove(paths[i]);
    rmdir(paths[0]);
    return rmdir(folder);
}

static const char *next_path(const char *name)
{
    snprintf(paths[++made], sizeof(paths[0]), "%s/apps.d/%s", folder, name);
    return paths[made];
}

static void write_app_file(const char *name, const char *text)
{
    FILE *file = fopen(next_path(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct config *parse_here(const char *text)
{
    struct config *config = NULL;
    assert_int_equal(config_parse(text, strlen(text), configuration, &config, stderr), 0);
    return config;
}

/* `expected` with @ for the folder. */
static void assert_problems_here(const char *text, const char *expected)
{
    char full[4096] = "", *end = full;
    for (; *expected; expected++)
        end += *expected == '@' ? sprintf(end, "%s", folder) : sprintf(end, "%c", *expected);
    char *said = problems_in(text, configuration);
    assert_string_equal(said, full);
    free(said);
}

#define INCLUDE "{\"include\": \"apps.d\"}"
#define APP(id, key) "{\"id\": \"" id "\", \"key\": \"" key "\", \"secret\": \"s\"}"

static void test_one_app_or_a_list_sorted_by_name(void **state)
{
    (void)state;
    write_app_file("b.json", "// two\n[" APP("3", "c") ",\n// and\n" APP("4", "d") "]");
    write_app_file("a.json", APP("2", "b"));
    write_app_file("B.json", APP("1.5", "a5"));
    write_app_file("c.json", "[]");
    write_app_file(".hidden.json", "no");
    write_app_file("d.json~", "no");
    write_app_file("README", "no");
    write_app_file(".json", "no");
    struct config *config = parse_here("{\"apps\": [" APP("1", "a") "], \"include\": \"apps.d\"}");
    static const char *const ids[] = {"1", "1.5", "2", "3", "4"};
    assert_int_equal(config->app_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(config->apps[i].id, ids[i]);
        assert_ptr_equal(config_app_by_id(config, ids[i], strlen(ids[i])), &config->apps[i]);
        assert_int_equal(config->apps[i].limits.presence_members, 100);
        assert_non_null(config->apps[i].counters);
    }
    config_unref(config);
    char absolute[128];
    snprintf(absolute, sizeof(absolute), "{\"include\": \"%s/apps.d\"}", folder);
    config = parse_here(absolute);
    assert_int_equal(config->app_count, 4);
    config_unref(config);
    config = parse_here("{\"apps\": [" APP("1", "a") "]}");
    assert_int_equal(config->app_count, 1);
    config_unref(config);
}

static void test_an_empty_folder_has_no_apps(void **state)
{
    (void)state;
    struct config *config = parse_here(INCLUDE);
    assert_int_equal(config->app_count, 0);
    config_unref(config);
}

static void test_problems_name_the_file(void **state)
{
    (void)state;
    write_app_file("a.json", "{\"id\": \"1\",\n\"kye\": \"a\"}");
    write_app_file("b.json", "[" APP("2", "b") ",\n{\"id\": \"3\", \"key\": \"c\",\n\"secret\": 5}, 6]");
    write_app_file("c.json", "{\n");
    write_app_file("d.json", "5");
    write_app_file(
        "e.json", "// x\n{\"id\": \"5\", \"key\": \"e\", \"secret\": {\"env\": \"ROLLCALL_TEST_NONE\"}}");
    write_app_file("f.json", "");
    assert_problems_here("{\n\"log\": 5, \"include\": \"apps.d\"}",
        "@/x.json:2: log: must be an object, but is 5\n"
        "@/apps.d/a.json:1: key: is missing, and so is \"keys\"; one of the two is needed\n"
        "@/apps.d/a.json:2: kye: there is no such key; did you mean \"key\"?\n"
        "@/apps.d/b.json:3: [1].secret: must be a text of 1 to 1024 bytes, {\"env\": \"NAME\"} or {\"file\": "
        "\"path\"}\n"
        "@/apps.d/b.json:3: [2]: must be an object, but is 6\n"
        "@/apps.d/c.json:2: column 1: must be JSON: string or '}' expected\n"
        "@/apps.d/d.json:1: must be an app, like {\"id\": …}, or a list of apps\n"
        "@/apps.d/e.json:2: secret.env: the environment variable ROLLCALL_TEST_NONE is not set\n"
        "@/apps.d/f.json:1: column 1: must be JSON: unexpected token\n");
}

static void test_names_are_unique_over_all_files(void **state)
{
    (void)state;
    write_app_file("a.json", "[" APP("2", "b") ",\n" APP("1", "c") "]");
    write_app_file("b.json",
        "{\"id\": \"2\",\n\"keys\": [{\"key\": \"d\", \"secret\": \"s\"},\n{\"key\": \"c\", \"secret\": "
        "\"s\"}]}");
    write_app_file("c.json", "[" APP("3", "d") ",\n" APP("4", "a") ", " APP("3", "e") "]");
    assert_problems_here("{\"include\": \"apps.d\", \"apps\": [\n" APP("1", "a") "]}",
        "@/apps.d/a.json:2: [1].id: must be unique, but @/x.json:2: apps[0].id is the same\n"
        "@/apps.d/b.json:1: id: must be unique, but @/apps.d/a.json:1: [0].id is the same\n"
        "@/apps.d/b.json:3: keys[1].key: must be unique, but @/apps.d/a.json:2: [1].key is the same\n"
        "@/apps.d/c.json:1: [0].key: must be unique, but @/apps.d/b.json:2: keys[0].key is the same\n"
        "@/apps.d/c.json:2: [1].key: must be unique, but @/x.json:2: apps[0].key is the same\n"
        "@/apps.d/c.json:2: [2].id: must be unique, but [0].id is the same\n");
}

static void test_secrets_lie_beside_the_file_that_names_them(void **state)
{
    (void)state;
    write_app_file("s.txt", "beside the app");
    write_app_file("a.json", "{\"id\": \"1\", \"key\": \"a\", \"secret\": {\"file\": \"s.txt\"}}");
    struct config *config = parse_here(INCLUDE);
    assert_string_equal(config->apps[0].secret, "beside the app");
    config_unref(config);
}

static void test_the_demo_secret_is_found_in_files(void **state)
{
    (void)state;
    write_app_file("a.json", "{\"id\": \"1\", \"key\": \"a\",\n\"secret\": \"app-secret\"}");
    config_unref(parse_here(INCLUDE));
    char *said = problems_in(
        "{\"edge\": {\"listen\": [{\"address\": \"::\"}]}, \"include\": \"apps.d\"}", configuration);
    assert_non_null(
        strstr(said, "/apps.d/a.json:2: secret: \"app-secret\" is the secret of the demonstration"));
    free(said);
}

static void test_what_cannot_be_read(void **state)
{
    (void)state;
    assert_problems_here("{\n\"include\": \"none.d\"}",
        "@/x.json:2: include: @/none.d cannot be read: No such file or directory\n");
    assert_int_equal(symlink("nowhere", next_path("a.json")), 0);
    assert_int_equal(mkdir(next_path("b.json"), 0700), 0);
    assert_int_equal(mkfifo(next_path("c.json"), 0600), 0); /* would hold up the start for ever */
    write_app_file("d.json", APP("1", "a"));
    assert_problems_here("{\n\"include\": \"apps.d\"}",
        "@/x.json:2: include: @/apps.d/a.json cannot be read: No such file or directory\n"
        "@/x.json:2: include: @/apps.d/b.json is not a regular file\n"
        "@/x.json:2: include: @/apps.d/c.json is not a regular file\n");
    assert_problems_here(
        "{\"include\": 5}", "@/x.json:1: include: must be a text of 0 to 1024 bytes, but is 5\n");
    assert_problems_here("{\"include\": \"x.json\"}",
        "@/x.json:1: include: @/x.json cannot be read: No such file or directory\n");
}

static void test_bounds(void **state)
{
    (void)state;
    write_app_file("a.json", "[");
    FILE *file = fopen(paths[made], "a");
    for (int i = 0; i < 9999; i++)
        fprintf(file, "{\"id\": \"%d\", \"key\": \"%d\", \"secret\": \"s\"},\n", i, i);
    fputs(APP("x", "x") "]", file);
    fclose(file);
    struct config *config = parse_here(INCLUDE);
    assert_int_equal(config->app_count, 10000);
    config_unref(config);
    assert_problems_here("{\"apps\": [" APP("y", "y") "],\n\"include\": \"apps.d\"}",
        "@/x.json:2: include: leads to 10001 apps, but at most 10000 are served\n");
    write_app_file("b.json", APP("y", "y"));
    assert_problems_here(INCLUDE, "@/x.json:1: include: leads to 10001 apps, but at most 10000 are served\n");
    assert_int_equal(truncate(paths[made], 16 << 20), 0); /* alone not too much */
    assert_problems_here(
        INCLUDE, "@/x.json:1: include: @/apps.d/b.json is too much: all files together may have 16 MiB\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_app_or_a_list_sorted_by_name),
        TEST(test_an_empty_folder_has_no_apps),
        TEST(test_problems_name_the_file),
        TEST(test_names_are_unique_over_all_files),
        TEST(test_secrets_lie_beside_the_file_that_names_them),
        TEST(test_the_demo_secret_is_found_in_files),
        TEST(test_what_cannot_be_read),
        TEST(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
