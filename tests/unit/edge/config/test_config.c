/* The life of a configuration: defaults, comments, text that is no JSON, files, finding apps. */
#include <errno.h>

#include "tests/unit/edge/config/parse.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#define APP_WITH(limits) "{\"apps\":[{\"id\":\"1\",\"key\":\"k\",\"secret\":\"s\",\"limits\":{" limits "}}]}"

static void test_an_empty_object_is_a_configuration(void **state)
{
    (void)state;
    struct config *config = parse_good("{}");
    assert_int_equal(config->edge.listen_count, 1);
    assert_string_equal(config->edge.listen[0].address, "127.0.0.1");
    assert_int_equal(config->edge.listen[0].port, 6001);
    assert_false(config->edge.listen[0].proxy_protocol);
    assert_true(config->edge.admin.enabled);
    assert_string_equal(config->edge.admin.address, "127.0.0.1");
    assert_int_equal(config->edge.admin.port, 9601);
    assert_string_equal(config->edge.path_prefix, "");
    assert_int_equal(config->edge.activity_timeout_s, 120);
    assert_int_equal(config->edge.ping_after_ms, 30000);
    assert_int_equal(config->edge.pong_timeout_ms, 10000);
    assert_int_equal(config->edge.outbox_bytes, 1 << 20);
    assert_true(config->edge.outbox_worker_bytes == 256 << 20);
    assert_int_equal(config->edge.message_bytes, 64 << 10);
    assert_int_equal(config->edge.body_bytes, 1 << 20);
    assert_int_equal(config->presence.store, PRESENCE_MEMORY);
    assert_int_equal(config->app_count, 0);
    assert_null(config_app_by_key(config, "", 0));
    config_unref(config);
}

static void test_what_the_machine_decides(void **state)
{
    (void)state;
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    struct config *config = parse_good("{}");
    assert_in_range(config->edge.workers, 1, 256);
    assert_string_equal(config->edge.name, host);
    config_unref(config);
    config = parse_good("{\"edge\": {\"workers\": 3, \"name\": \"edge-1\"}}");
    assert_int_equal(config->edge.workers, 3);
    assert_string_equal(config->edge.name, "edge-1");
    config_unref(config);
}

static void test_connections_leave_descriptors_for_the_rest(void **state)
{
    (void)state;
    struct rlimit before, few = {.rlim_cur = 1600};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct config *config = parse_good("{\"edge\": {\"workers\": 2}}");
    assert_int_equal(config->edge.connections, 1600 - 1600 / 16 - 64 - 2 * (16 + 1));
    config_unref(config);
    config = parse_good(
        "{\"edge\": {\"workers\": 200}}"); /* more than there is: refused by the kernel, not by us */
    assert_int_equal(config->edge.connections, 1);
    config_unref(config);
    config = parse_good("{\"edge\": {\"connections\": 4321}}");
    assert_int_equal(config->edge.connections, 4321);
    config_unref(config);
    setrlimit(RLIMIT_NOFILE, &before);
}

static void test_pairs_of_an_app(void **state)
{
    (void)state;
    struct config *config =
        parse_good("{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": \"s\","
                   "\"keys\": [{\"key\": \"l\", \"secret\": \"t\"}, {\"key\": \"m\", \"secret\": \"u\"}]},"
                   "{\"id\": \"2\", \"keys\": [{\"key\": \"n\", \"secret\": \"v\"}]},"
                   "{\"id\": \"3\", \"key\": \"o\", \"secret\": \"w\"}]}");
    static const char *const keys[] = {"k", "l", "m", "n", "o"};
    static const char *const secrets[] = {"s", "t", "u", "v", "w"};
    static const size_t apps[] = {0, 0, 0, 1, 2}, firsts[] = {0, 3, 4};
    for (size_t i = 0; i < 5; i++) {
        const struct app *app;
        const struct app_key *pair = config_key_find(config, keys[i], 1, &app);
        assert_non_null(pair);
        assert_string_equal(pair->key, keys[i]);
        assert_string_equal(pair->secret, secrets[i]);
        assert_ptr_equal(app, &config->apps[apps[i]]);
        assert_ptr_equal(config_app_by_key(config, keys[i], 1), app);
        assert_string_equal(app->key, keys[firsts[apps[i]]]);
        assert_string_equal(app->secret, secrets[firsts[apps[i]]]);
    }
    const struct app *none = &config->apps[0];
    assert_null(config_key_find(config, "kl", 2, &none));
    assert_null(none);
    config_unref(config);
}

static void test_half_a_pair(void **state)
{
    (void)state;
    assert_problems("{\"apps\": [{\"id\": \"1\", \"key\": \"k\"}]}",
        "x.json:1: apps[0].key: needs \"secret\" beside it\n");
    assert_problems("{\"apps\": [{\"id\": \"1\", \"secret\": \"s\"}]}",
        "x.json:1: apps[0].key: is missing, and so is \"keys\"; one of the two is needed\n");
    assert_problems(
        "{\"apps\": [{\"id\": \"1\", \"secret\": \"s\", \"keys\": [{\"key\": \"k\", \"secret\": \"s\"}]}]}",
        "x.json:1: apps[0].secret: needs \"key\" beside it\n");
    assert_problems("{\"apps\": [{\"id\": \"1\", \"keys\": [{\"key\": \"k\"}]}]}",
        "x.json:1: apps[0].keys[0].secret: is missing; it has no default\n");
    assert_problems("{\"apps\": [{\"id\": \"1\", \"keys\": []}]}",
        "x.json:1: apps[0].keys: must be a list of 1 to 16 objects, but has 0\n");
    assert_problems("{\"apps\": [{\"id\": \"1\", \"key\": 1, \"secret\": \"s\"}]}",
        "x.json:1: apps[0].key: must be a text of 1 to 128 bytes, but is 1\n");
}

static void test_switches_of_an_app(void **state)
{
    (void)state;
    struct config *config = parse_good(
        "{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": \"s\"},"
        "{\"id\": \"2\", \"key\": \"l\", \"secret\": \"t\", \"subscription_counts\": true,"
        "\"user_authentication\": false, \"require_authorization\": true, \"authorization_timeout_ms\": 500,"
        "\"allowed_origins\": [\"https://a.example\", \"*.b.example\"]}]}");
    const struct app *first = &config->apps[0], *second = &config->apps[1];
    assert_true(first->user_authentication && !first->subscription_counts && !first->require_authorization);
    assert_int_equal(first->authorization_timeout_ms, 10000);
    assert_int_equal(first->allowed_origin_count, 0);
    assert_true(!second->user_authentication && second->subscription_counts && second->require_authorization);
    assert_int_equal(second->authorization_timeout_ms, 500);
    assert_int_equal(second->allowed_origin_count, 2);
    assert_string_equal(second->allowed_origins[1], "*.b.example");
    config_unref(config);
    assert_problems(APP_WITH("\"cache_ttl_s\": 0"),
        "x.json:1: apps[0].limits.cache_ttl_s: must be a whole number from 1 to 604800 (s), but is 0\n");
}

static void test_limits_of_an_app(void **state)
{
    (void)state;
    struct config *config =
        parse_good("{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": \"s\"},"
                   "{\"id\": \"2\", \"key\": \"l\", \"secret\": \"t\", \"enabled\": false,"
                   "\"client_events\": true, \"limits\": {\"presence_members\": 0}}]}");
    const struct app *first = &config->apps[0], *second = &config->apps[1];
    assert_true(first->enabled && !first->client_events);
    assert_int_equal(first->limits.connections, 0);
    assert_int_equal(first->limits.presence_members, 100);
    assert_int_equal(first->limits.client_events_per_second, 10);
    assert_int_equal(first->limits.event_bytes, 10240);
    assert_int_equal(first->limits.user_id_chars, 128);
    assert_int_equal(first->limits.user_info_bytes, 1024);
    assert_int_equal(first->limits.event_name_chars, 200);
    assert_int_equal(first->limits.channel_name_chars, 200);
    assert_int_equal(first->limits.channels_per_publish, 100);
    assert_int_equal(first->limits.batch_events, 10);
    assert_int_equal(first->limits.watchlist_users, 100);
    assert_int_equal(first->limits.cache_ttl_s, 1800);
    assert_true(!second->enabled && second->client_events);
    assert_int_equal(second->limits.presence_members, 0);
    assert_int_equal(second->limits.event_bytes, 10240);
    assert_int_equal(atomic_load(&second->counters->connections), 0);
    config_unref(config);
}

static void test_messages_and_bodies_have_room_for_the_largest_event(void **state)
{
    (void)state;
    struct config *config = parse_good(APP_WITH("\"event_bytes\":102400"));
    assert_int_equal(config->edge.message_bytes, 6 * 102400 + 4096);
    assert_int_equal(config->edge.body_bytes, 10 * (6 * 102400 + 4096));
    config_unref(config);
    config = parse_good(APP_WITH("\"event_bytes\":0"));
    assert_int_equal(config->edge.message_bytes, 16 << 20);
    assert_int_equal(config->edge.body_bytes, 64 << 20);
    config_unref(config);
    config = parse_good(APP_WITH("\"watchlist_users\":1000,\"user_id_chars\":100"));
    assert_int_equal(config->edge.message_bytes, 1000 * 105 + 4096);
    config_unref(config);
    config = parse_good("{\"edge\":{\"message_bytes\":2048,\"body_bytes\":4096}}");
    assert_int_equal(config->edge.message_bytes, 2048);
    assert_int_equal(config->edge.body_bytes, 4096);
    config_unref(config);
}

static void test_comments_keep_the_lines(void **state)
{
    (void)state;
    config_unref(parse_good("// first\n{\n \t// \"edge\": 5,\n}\n//last"));
    assert_problems(
        "// one\n{\n  // three\n  \"edge\": 5\n}", "x.json:4: edge: must be an object, but is 5\n");
    /* only whole lines: an address keeps its slashes, and what follows a value is no comment */
    config_unref(parse_good("{\"$schema\":\n\"https://example.org//x\"}"));
    assert_problems("{} // no", "x.json:1: column 4: must be JSON: end of file expected\n");
    assert_problems("{\n/ / no\n}", "x.json:2: column 1: must be JSON: string or '}' expected\n");
}

static void test_text_that_is_no_json(void **state)
{
    (void)state;
    assert_problems("", "x.json:1: column 1: must be JSON: unexpected token\n");
    assert_problems("[]", "x.json:1: must be one JSON object, like {\"edge\": {}}\n");
    assert_problems("{\n\"edge\": {},\n}", "x.json:3: column 1: must be JSON: string or '}' expected\n");
    assert_problems("{\"log\": {}, \n\"log\": {}}",
        "x.json:2: column 5: must be JSON: duplicate object key near '\"log\"'\n");
    assert_problems("{\"log\": {\"level\": \"debug\", \"level\": \"info\"}}",
        "x.json:1: column 34: must be JSON: duplicate object key near '\"level\"'\n");
}

static void test_a_broken_secret_is_not_repeated(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"apps\":[{\"secret\":\"hunter2",
        "{\"apps\":[{\"secret\":\"hunter2\n\"", "{\"apps\":[{\"secret\":\"hunter2\" 5}]}",
        "{\"apps\":[{\"secret\":[\"hunter2\"]}]}", "{\"apps\":[{\"secret\":{\"text\":\"hunter2\"}}]}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *said = problems_in(texts[i], "x.json");
        assert_string_not_equal(said, "");
        assert_null(strstr(said, "hunter"));
        free(said);
    }
}

static void test_every_prefix_of_a_file_is_refused_or_taken(void **state)
{
    (void)state;
    static const char text[] =
        "// c\n{\"edge\": {\"listen\": [{\"port\": 1}, {\"port\": 2, \"address\": \"::1\"}]},\n"
        "\"apps\": [{\"id\": \"1\", \"key\": \"k\\u00e9\", \"secret\": {\"env\": \"X\"}}]}\n";
    for (size_t length = 0; length < sizeof(text); length++) {
        char *exact = malloc(length + 1);
        memcpy(exact, text, length);
        exact[length] = '\0';
        free(problems_in(exact, "x.json"));
        free(exact);
    }
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/config-XXXXXX", path[64], *said;
    size_t length;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/x.json", folder);
    FILE *errors = open_memstream(&said, &length);
    struct config *config = NULL;
    assert_int_equal(config_load(path, &config, errors), -ENOENT);
    assert_int_equal(config_load(folder, &config, errors), -EISDIR);
    FILE *file = fopen(path, "w");
    fputs("{\"edge\": {\"port\": 1}}", file);
    fclose(file);
    assert_int_equal(config_load(path, &config, errors), -EINVAL);
    fclose(errors);
    char expected[512];
    snprintf(expected, sizeof(expected),
        "%s: cannot be read: No such file or directory\n%s: cannot be read: Is a directory\n"
        "%s:1: edge.port: there is no such key; here may stand name, ",
        path, folder, path);
    assert_int_equal(strncmp(said, expected, strlen(expected)), 0);
    free(said);
    file = fopen(path, "w");
    fputs("{\"edge\": {\"workers\": 7}}", file);
    fclose(file);
    assert_int_equal(config_load(path, &config, stderr), 0);
    assert_int_equal(config->edge.workers, 7);
    config_unref(config);
    unlink(path);
    rmdir(folder);
}

static void test_a_file_without_end_is_refused(void **state)
{
    (void)state;
    char *said;
    size_t length;
    FILE *errors = open_memstream(&said, &length);
    struct config *config = NULL;
    assert_int_equal(config_load("/dev/zero", &config, errors), -EFBIG);
    fclose(errors);
    assert_string_equal(said, "/dev/zero: cannot be read: File too large\n");
    free(said);
}

static void test_apps_are_found_by_whole_names(void **state)
{
    (void)state;
    struct config *config = parse_good("{\"apps\": [{\"id\": \"1\", \"key\": \"one\", \"secret\": \"s\"},"
                                       "{\"id\": \"12\", \"key\": \"1\", \"secret\": \"s\"}]}");
    const struct app *one = &config->apps[0], *two = &config->apps[1];
    assert_ptr_equal(config_app_by_key(config, "one", 3), one);
    assert_ptr_equal(config_app_by_key(config, "1?protocol", 1), two);
    assert_ptr_equal(config_app_by_id(config, "1", 1), one);
    assert_ptr_equal(config_app_by_id(config, "12", 2), two);
    assert_null(config_app_by_key(config, "one", 2));
    assert_null(config_app_by_key(config, "ones", 4));
    assert_null(config_app_by_key(config, "One", 3));
    assert_null(config_app_by_key(config, "12", 2));
    assert_null(config_app_by_id(config, "", 0));
    assert_null(config_app_by_id(config, "1\0", 2));
    config_unref(config);
    config_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_object_is_a_configuration),
        cmocka_unit_test(test_what_the_machine_decides),
        cmocka_unit_test(test_connections_leave_descriptors_for_the_rest),
        cmocka_unit_test(test_pairs_of_an_app),
        cmocka_unit_test(test_half_a_pair),
        cmocka_unit_test(test_switches_of_an_app),
        cmocka_unit_test(test_limits_of_an_app),
        cmocka_unit_test(test_messages_and_bodies_have_room_for_the_largest_event),
        cmocka_unit_test(test_comments_keep_the_lines),
        cmocka_unit_test(test_text_that_is_no_json),
        cmocka_unit_test(test_a_broken_secret_is_not_repeated),
        cmocka_unit_test(test_every_prefix_of_a_file_is_refused_or_taken),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_a_file_without_end_is_refused),
        cmocka_unit_test(test_apps_are_found_by_whole_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
