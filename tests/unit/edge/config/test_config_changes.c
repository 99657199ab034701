/* One configuration after another: what is taken, what waits for a restart, what is refused. */
#include <errno.h>

#include "edge/base/buffer.h"
#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

#include <unistd.h>

static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(path, "/tmp/reload-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return remove(path);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static char *said;

/* NULL: refused, with `said`. */
static struct config *reload(const struct config *running, const char *text, struct config_changes *changes)
{
    size_t length;
    struct config *config;
    free(said);
    write_file(text);
    FILE *errors = open_memstream(&said, &length);
    int result = config_reload(path, running, &config, changes, errors);
    fclose(errors);
    assert_int_equal(result, config ? 0 : -EINVAL);
    assert_int_equal(config == NULL, length > 0);
    return config;
}

static void assert_paths(const struct config_paths *paths, const char *expected)
{
    char joined[1024] = "";
    for (size_t i = 0; i < paths->count && i < CONFIG_CHANGES_MAX; i++)
        strcat(strcat(joined, i ? " " : ""), paths->texts[i]);
    assert_string_equal(joined, expected);
}

static void assert_changes(const char *before, const char *after, const char *taken, const char *waiting)
{
    struct config_changes changes;
    struct config *running = parse_good(before);
    struct config *config = reload(running, after, &changes);
    if (!config)
        fail_msg("%s", said);
    assert_paths(&changes.taken, taken);
    assert_paths(&changes.waiting, waiting);
    config_changes_free(&changes);
    config_unref(config);
    config_unref(running);
}

#define APP(id, more) "{\"id\":\"" id "\",\"key\":\"k" id "\",\"secret\":\"s" id "\"" more "}"
#define APPS(list) "{\"apps\":[" list "]}"

static void test_what_has_changed(void **state)
{
    (void)state;
    assert_changes("{}", "{}", "", "");
    assert_changes("{}", "{\"log\":{\"level\":\"info\"}}", "", "");
    assert_changes("{}",
        "{\"log\":{\"level\":\"warn\"},\"edge\":{\"outbox_worker_bytes\":70000,\"outbox_bytes\":5000}}",
        "edge.outbox_bytes edge.outbox_worker_bytes log.level", "");
    assert_changes("{\"edge\":{\"path_prefix\":\"/a\",\"ping_after_ms\":200}}", "{}",
        "edge.path_prefix edge.ping_after_ms", "");
    assert_changes("{}", "{\"edge\":{\"admin\":{\"token\":\"12345678\"}}}", "edge.admin.token", "");
}

static void test_apps_are_told_by_their_ids(void **state)
{
    (void)state;
    assert_changes(APPS(APP("1", "") "," APP("2", "")), APPS(APP("2", "") "," APP("1", "")), "", "");
    assert_changes(APPS(APP("1", "") "," APP("2", "")), APPS(APP("2", "") "," APP("3", "")),
        "apps[\"3\"] (new) apps[\"1\"] (removed)", "");
    assert_changes(APPS(APP("1", "")), APPS(APP("1", ",\"limits\":{\"connections\":3},\"enabled\":false")),
        "apps[\"1\"].enabled apps[\"1\"].limits.connections", "");
    assert_changes(APPS(APP("1", ",\"allowed_origins\":[\"a\"]")),
        APPS(APP("1", ",\"allowed_origins\":[\"b\"]")), "apps[\"1\"].allowed_origins", "");
    assert_changes(APPS(APP("1", "")), APPS(APP("1", ",\"webhooks\":[{\"url\":\"http://x/\"}]")),
        "apps[\"1\"].webhooks", "");
}

static void test_pairs_are_told_once(void **state)
{
    (void)state;
    assert_changes(APPS("{\"id\":\"1\",\"key\":\"k\",\"secret\":\"a\"}"),
        APPS("{\"id\":\"1\",\"key\":\"k\",\"secret\":\"b\"}"), "apps[\"1\"].secret", "");
    assert_changes(APPS(APP("1", "")), APPS(APP("1", ",\"keys\":[{\"key\":\"x\",\"secret\":\"y\"}]")),
        "apps[\"1\"].keys", "");
    assert_changes(APPS("{\"id\":\"1\",\"keys\":[{\"key\":\"k\",\"secret\":\"a\"}]}"),
        APPS("{\"id\":\"1\",\"key\":\"k\",\"secret\":\"a\"}"), "", "");
}

static void test_what_needs_a_restart_keeps_its_value(void **state)
{
    (void)state;
    struct config_changes changes;
    struct config *running = parse_good("{\"edge\":{\"workers\":2,\"name\":\"one\"}}");
    struct config *config = reload(running,
        "{\"edge\":{\"workers\":3,\"name\":\"two\",\"drain_ms\":1},\"presence\":{\"scrub_ms\":2000}}",
        &changes);
    assert_paths(&changes.taken, "edge.drain_ms");
    assert_paths(&changes.waiting, "edge.name edge.workers presence.scrub_ms");
    assert_string_equal(config->edge.name, "one");
    assert_ptr_not_equal(config->edge.name, running->edge.name);
    assert_int_equal(config->edge.workers, 2);
    assert_int_equal(config->edge.connections, running->edge.connections);
    assert_int_equal(config->edge.drain_ms, 1);
    assert_int_equal(config->presence.scrub_ms, running->presence.scrub_ms);
    config_changes_free(&changes);
    config_unref(config);
    config_unref(running);
}

#define LISTEN(list) "{\"edge\":{\"listen\":[" list "]}}"

static void test_items_of_which_something_waits_stay_whole(void **state)
{
    (void)state;
    assert_changes(LISTEN("{\"port\":1}"), LISTEN("{\"port\":1},{\"port\":2}"), "", "edge.listen");
    assert_changes(LISTEN("{\"port\":1},{\"port\":2}"),
        LISTEN("{\"port\":1},{\"port\":3,\"proxy_protocol\":true}"), "",
        "edge.listen[1].port edge.listen[1].proxy_protocol");
    struct config_changes changes;
    struct config *running = parse_good(LISTEN("{\"port\":1},{\"port\":2}"));
    struct config *config = reload(running, LISTEN("{\"address\":\"::1\",\"port\":9}"), &changes);
    assert_int_equal(config->edge.listen_count, 2);
    assert_string_equal(config->edge.listen[0].address, "127.0.0.1");
    assert_int_equal(config->edge.listen[1].port, 2);
    config_changes_free(&changes);
    config_unref(running); /* the new one has copies */
    assert_int_equal(config->edge.listen[1].port, 2);
    config_unref(config);
}

static void test_the_mixture_is_checked_too(void **state)
{
    (void)state;
    struct config_changes changes;
    struct config *running = parse_good(LISTEN("{\"address\":\"0.0.0.0\"}"));
    assert_null(reload(
        running, "{\n\"apps\":[\n{\"id\":\"a\",\"key\":\"k\",\n\"secret\":\"app-secret\"}]}", &changes));
    char expected[1024];
    snprintf(expected, sizeof(expected),
        "%s: what needs a restart stays as it is until then (edge.listen[0].address), and beside it:\n"
        "%s:4: apps[0].secret: \"app-secret\" is the secret of the demonstration and known to everyone, so "
        "with it the "
        "edge listens on loopback only (127.0.0.0/8, ::1, unix:), but edge.listen[0].address is 0.0.0.0; "
        "choose a "
        "secret of your own\n",
        path, path);
    assert_string_equal(said, expected);
    assert_int_equal(changes.waiting.count, 0);
    config_unref(running);
}

static void test_what_is_wrong_by_itself_is_said_alone(void **state)
{
    (void)state;
    struct config_changes changes;
    struct config *running = parse_good("{}");
    char expected[256];
    assert_null(reload(running, "{\"edge\":{\"workers\":1000,\"name\":\"x\"}}", &changes));
    snprintf(expected, sizeof(expected),
        "%s:1: edge.workers: must be a whole number from 0 to 256, but is 1000\n", path);
    assert_string_equal(said, expected);
    config_unref(running);
}

static void test_apps_in_both_share_their_counters(void **state)
{
    (void)state;
    struct config_changes changes;
    struct config *running = parse_good(APPS(APP("1", "") "," APP("2", "")));
    atomic_store(&running->apps[0].counters->connections, 7);
    struct config *config = reload(running, APPS(APP("3", "") "," APP("1", ",\"enabled\":false")), &changes);
    assert_ptr_equal(config->apps[1].counters, running->apps[0].counters);
    assert_int_equal(config->apps[0].counters->connections, 0);
    config_changes_free(&changes);
    const struct app *kept = app_ref(&running->apps[0]);
    config_unref(running);
    assert_string_equal(kept->id, "1"); /* with its configuration */
    app_unref(kept);
    assert_int_equal(config->apps[1].counters->connections, 7);
    config_unref(config);
}

static void test_only_so_many_paths_are_kept(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct config_changes changes;
    buffer_add_string(&text, "{\"apps\":[");
    for (int i = 0; i < 150; i++)
        buffer_printf(&text, "%s{\"id\":\"%d\",\"key\":\"%d\",\"secret\":\"x\"}", i ? "," : "", i, i);
    buffer_add(&text, "]}", 3);
    struct config *running = parse_good("{}");
    struct config *config = reload(running, text.bytes, &changes);
    assert_int_equal(changes.taken.count, 150);
    assert_string_equal(changes.taken.texts[CONFIG_CHANGES_MAX - 1], "apps[\"99\"] (new)");
    config_changes_free(&changes);
    config_unref(config);
    config_unref(running);
    buffer_deinit(&text);
}

/* Paths of keys of a kind, one a line. */
static void list_keys(struct buffer *list, const struct config_key *keys, const char *prefix, bool restart)
{
    for (const struct config_key *key = keys; key->name; key++) {
        char here[CONFIG_PATH_BYTES];
        config_explain_path(key, prefix, here, sizeof(here));
        if (key->type != CONFIG_OBJECT && key->type != CONFIG_IGNORED && key->restart == restart)
            buffer_printf(list, "%s\n", here);
        if (key->keys && strcmp(here, "apps[]") != 0)
            list_keys(list, key->keys, here, restart);
    }
}

/* In the order of the table. */
static const char reloaded[] = "edge.listen[].tls.certificates[]\n"
                               "edge.listen[].tls.certificates[].certificate\n"
                               "edge.listen[].tls.certificates[].key\n"
                               "edge.listen[].tls.min_version\n"
                               "edge.trusted_proxies[]\n"
                               "edge.path_prefix\n"
                               "edge.fallback_host\n"
                               "edge.admin.token\n"
                               "edge.admin.allow_changes\n"
                               "edge.admin.peers[]\n"
                               "edge.connections\n"
                               "edge.memory_bytes\n"
                               "edge.accepts_per_second\n"
                               "edge.activity_timeout_s\n"
                               "edge.ping_after_ms\n"
                               "edge.pong_timeout_ms\n"
                               "edge.head_timeout_ms\n"
                               "edge.body_timeout_ms\n"
                               "edge.keep_alive_timeout_ms\n"
                               "edge.head_bytes\n"
                               "edge.body_bytes\n"
                               "edge.message_bytes\n"
                               "edge.messages_per_second\n"
                               "edge.messages_burst\n"
                               "edge.connections_per_address\n"
                               "edge.accepts_per_address_per_second\n"
                               "edge.outbox_bytes\n"
                               "edge.outbox_stall_ms\n"
                               "edge.outbox_worker_bytes\n"
                               "edge.balancer_wait_ms\n"
                               "edge.drain_ms\n"
                               "presence.retire_grace_ms\n"
                               "presence.ready_when_blind\n"
                               "redis.shards[]\n"
                               "redis.shards[].name\n"
                               "redis.shards[].address\n"
                               "redis.shards[].username\n"
                               "redis.shards[].password\n"
                               "redis.shards[].sentinel.master\n"
                               "redis.shards[].sentinel.addresses[]\n"
                               "redis.shards[].sentinel.username\n"
                               "redis.shards[].sentinel.password\n"
                               "redis.shards[].leaving\n"
                               "log.level\n"
                               "log.format\n"
                               "apps[]\n"
                               "include\n";

/* Who adds a key has to think of it: what is here is looked at anew whenever it is used, or handed on by a reload. */
static void test_only_these_keys_are_reloaded(void **state)
{
    (void)state;
    struct buffer list = {0};
    list_keys(&list, config_table, "", false);
    buffer_add(&list, "", 1);
    assert_string_equal(list.bytes, reloaded);
    buffer_deinit(&list);
}

static void test_nothing_of_an_app_needs_a_restart(void **state)
{
    (void)state;
    struct buffer list = {0};
    list_keys(&list, config_table_find(config_table, "apps")->keys, "", true);
    assert_int_equal(list.length, 0);
    buffer_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_has_changed),
        cmocka_unit_test(test_apps_are_told_by_their_ids),
        cmocka_unit_test(test_pairs_are_told_once),
        cmocka_unit_test(test_what_needs_a_restart_keeps_its_value),
        cmocka_unit_test(test_items_of_which_something_waits_stay_whole),
        cmocka_unit_test(test_the_mixture_is_checked_too),
        cmocka_unit_test(test_what_is_wrong_by_itself_is_said_alone),
        cmocka_unit_test(test_apps_in_both_share_their_counters),
        cmocka_unit_test(test_only_so_many_paths_are_kept),
        cmocka_unit_test(test_only_these_keys_are_reloaded),
        cmocka_unit_test(test_nothing_of_an_app_needs_a_restart),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    free(said);
    return failed;
}
