/* Every way in which a value can be wrong, with the words for it; and a table of the test's own, with lists
 * in lists, which no code but the table knows. */
#include <errno.h>

#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

static void test_numbers(void **state)
{
    (void)state;
    assert_problems("{\"edge\": {\"workers\": -1}}",
        "x.json:1: edge.workers: must be a whole number from 0 to 256, but is -1\n");
    assert_problems("{\"edge\": {\"workers\": 257}}",
        "x.json:1: edge.workers: must be a whole number from 0 to 256, but is 257\n");
    assert_problems("{\"edge\": {\"workers\": 2.0}}",
        "x.json:1: edge.workers: must be a whole number from 0 to 256, but is 2\n");
    assert_problems("{\"edge\": {\"workers\": \"2\"}}",
        "x.json:1: edge.workers: must be a whole number from 0 to 256, but is \"2\"\n");
    assert_problems("{\"edge\": {\"workers\": null}}",
        "x.json:1: edge.workers: must be a whole number from 0 to 256, but is null\n");
    assert_problems("{\"edge\": {\"workers\": 99999999999999999999}}",
        "x.json:1: column 41: must be JSON: too big integer\n");
    config_unref(parse_good("{\"edge\": {\"workers\": 256}}"));
}

static void test_units_and_the_meaning_of_zero(void **state)
{
    (void)state;
    assert_problems("{\"edge\": {\"head_bytes\": 0}}",
        "x.json:1: edge.head_bytes: must be a whole number from 1024 to 65536 (bytes), but is 0\n");
    assert_problems("{\"edge\": {\"message_bytes\": 1}}",
        "x.json:1: edge.message_bytes: must be 0 (what the largest event of any app needs, every byte "
        "escaped; "
        "at least 64 KiB) or a whole number from 1024 to 16777216 (bytes), but is 1\n");
    assert_problems("{\"edge\": {\"activity_timeout_s\": 0}}",
        "x.json:1: edge.activity_timeout_s: must be a whole number from 1 to 3600 (s), but is 0\n");
    config_unref(parse_good("{\"edge\": {\"message_bytes\": 0, \"drain_ms\": 0}}"));
}

static void test_bools_texts_and_choices(void **state)
{
    (void)state;
    assert_problems("{\"edge\": {\"admin\": {\"enabled\": 1}}}",
        "x.json:1: edge.admin.enabled: must be true or false, but is 1\n");
    assert_problems("{\"edge\": {\"name\": true}}",
        "x.json:1: edge.name: must be a text of 0 to 64 bytes, but is true\n");
    assert_problems("{\"edge\": {\"name\": "
                    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}",
        "x.json:1: edge.name: must be a text of 0 to 64 bytes, but is "
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"…\n");
    assert_problems("{\"edge\": {\"name\": \"a\\u001bb é\"}}",
        "x.json:1: edge.name: must consist of letters, digits and - _ . :, but is \"a\\u001Bb \\u00E9\"\n");
    assert_problems("{\"log\": {\"level\": \"verbose\"}}",
        "x.json:1: log.level: must be \"debug\", \"info\", \"warn\" or \"error\", but is \"verbose\"\n");
    assert_problems("{\"log\": {\"level\": 1}}",
        "x.json:1: log.level: must be \"debug\", \"info\", \"warn\" or \"error\", but is 1\n");
    assert_problems("{\"presence\": {\"store\": \"Memory\"}}",
        "x.json:1: presence.store: must be \"memory\" or \"redis\", but is \"Memory\"\n");
    struct config *config = parse_good("{\"log\": {\"level\": \"warn\", \"format\": \"json\"}}");
    assert_int_equal(config->log.level, 2);
    assert_int_equal(config->log.format, 2);
    config_unref(config);
}

static void test_objects_and_lists(void **state)
{
    (void)state;
    assert_problems("{\"edge\": []}", "x.json:1: edge: must be an object, but is a list\n");
    assert_problems(
        "{\"edge\": {\"admin\": \"x\"}}", "x.json:1: edge.admin: must be an object, but is \"x\"\n");
    assert_problems("{\"edge\": {\"listen\": {}}}",
        "x.json:1: edge.listen: must be a list of 1 to 64 objects, but is an object\n");
    assert_problems("{\"edge\": {\"listen\": []}}",
        "x.json:1: edge.listen: must be a list of 1 to 64 objects, but has 0\n");
    assert_problems("{\"edge\": {\"listen\": [\n{},\n6001]}}",
        "x.json:3: edge.listen[1]: must be an object, but is 6001\n");
    assert_problems("{\"apps\": [[]]}", "x.json:1: apps[0]: must be an object, but is a list\n");
}

static void test_missing_and_unknown(void **state)
{
    (void)state;
    assert_problems("{\"apps\": [\n{\"id\": \"1\"}]}",
        "x.json:2: apps[0].key: is missing, and so is \"keys\"; one of the two is needed\n");
    assert_problems("{\"apps\": [\n{\"key\": \"k\", \"secret\": \"s\"}]}",
        "x.json:2: apps[0].id: is missing; it has no default\n");
    assert_problems("{\"egde\": {}}", "x.json:1: egde: there is no such key; did you mean \"edge\"?\n");
    assert_problems("{\"edge\": {\"listen\": [{\"Port\": 1}]}}",
        "x.json:1: edge.listen[0].Port: there is no such key; did you mean \"port\"?\n");
    assert_problems("{\"edge\": {\"ping_timeout_ms\": 1}}",
        "x.json:1: edge.ping_timeout_ms: there is no such key; did you mean \"pong_timeout_ms\"?\n");
    assert_problems("{\"presence\": {\"a\\n.b\": 1}}",
        "x.json:1: presence[\"a\\n.b\"]: there is no such key; here may stand store, partitions, "
        "heartbeat_ms, lease_ms, scrub_ms, data_ttl_ms, retire_grace_ms, ready_when_blind\n");
    assert_problems("{\"\": 1}", "x.json:1: [\"\"]: there is no such key; here may stand $schema, edge, "
                                 "presence, redis, log, apps, include\n");
}

static void test_all_problems_are_said_in_the_order_of_the_file(void **state)
{
    (void)state;
    assert_problems(
        "{\"log\": {\"level\": 5},\n\"apps\": [{\"key\": 1,\n\"secret\": 2}],\n\"edge\": {\"workers\": -1}}",
        "x.json:1: log.level: must be \"debug\", \"info\", \"warn\" or \"error\", but is 5\n"
        "x.json:2: apps[0].id: is missing; it has no default\n"
        "x.json:2: apps[0].key: must be a text of 1 to 128 bytes, but is 1\n"
        "x.json:3: apps[0].secret: must be a text of 1 to 1024 bytes, {\"env\": \"NAME\"} or {\"file\": "
        "\"path\"}\n"
        "x.json:4: edge.workers: must be a whole number from 0 to 256, but is -1\n");
}

static void test_a_flood_of_problems_is_counted(void **state)
{
    (void)state;
    char text[8192] = "{", *end = text + 1;
    for (int i = 0; i < 250; i++)
        end += sprintf(end, "\"key-number-%d\": 0,\n", i);
    strcpy(end, "\"edge\": {}}");
    char *said = problems_in(text, "x.json");
    size_t lines = 0;
    for (const char *c = said; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, CONFIG_PROBLEMS_MAX + 1);
    assert_non_null(strstr(said, "\nx.json: and 150 more problems\n"));
    free(said);
}

/* ---- a table of its own ---- */

struct sentinel {
    char *address;
    uint16_t port;
};

struct shard {
    char *name, *password;
    uint64_t bytes;
    struct {
        char *master;
        struct sentinel *addresses;
        size_t address_count;
    } sentinel;
};

struct fleet {
    struct shard *shards;
    size_t shard_count;
};

#define AT(type, member) .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)

static const struct config_key address_keys[] = {
    {.name = "address",
        .type = CONFIG_TEXT,
        AT(struct sentinel, address),
        .min = 1,
        .max = 9,
        .required = true},
    {.name = "port", .type = CONFIG_NUMBER, AT(struct sentinel, port), .max = 65535, .number = 26379},
    {0},
};

static const struct config_key sentinel_keys[] = {
    {.name = "master", .type = CONFIG_TEXT, AT(struct shard, sentinel.master), .max = 9, .text = "m"},
    {.name = "addresses",
        .type = CONFIG_LIST,
        AT(struct shard, sentinel.addresses),
        .count_offset = offsetof(struct shard, sentinel.address_count),
        .item_bytes = sizeof(struct sentinel),
        .number = 2,
        .max = 3,
        .keys = address_keys},
    {0},
};

static const struct config_key shard_keys[] = {
    {.name = "name", .type = CONFIG_TEXT, AT(struct shard, name), .max = 9, .text = "s"},
    {.name = "password", .type = CONFIG_SECRET, AT(struct shard, password), .max = 9, .text = ""},
    {.name = "bytes", .type = CONFIG_NUMBER, AT(struct shard, bytes), .max = UINT64_C(1) << 40, .number = 7},
    {.name = "sentinel", .type = CONFIG_OBJECT, .keys = sentinel_keys},
    {0},
};

static const struct config_key fleet_keys[] = {
    {.name = "shards",
        .type = CONFIG_LIST,
        AT(struct fleet, shards),
        .count_offset = offsetof(struct fleet, shard_count),
        .item_bytes = sizeof(struct shard),
        .max = 4,
        .keys = shard_keys},
    {0},
};

static char *read_fleet(const char *text, struct fleet *fleet)
{
    struct config_reading *reading = calloc(1, sizeof(*reading));
    char *said;
    size_t length;
    FILE *errors = open_memstream(&said, &length);
    json_t *root = json_loads(text, 0, NULL);
    const struct config_place file = {0};
    config_file_add(reading, "f", text, strlen(text));
    config_read(reading, fleet_keys, root, &file, fleet);
    config_problems_print(reading, errors);
    config_reading_free(reading);
    json_decref(root);
    fclose(errors);
    return said;
}

static void test_lists_in_objects_in_lists(void **state)
{
    (void)state;
    struct fleet fleet = {0};
    char *said = read_fleet(
        "{\"shards\": [{\"name\": \"a\", \"password\": \"p\", \"bytes\": 1099511627776,"
        "\"sentinel\": {\"addresses\": [{\"address\": \"x\"}, {\"address\": \"y\", \"port\": 1}]}},"
        "{\"sentinel\": {\"addresses\": []}}]}",
        &fleet);
    assert_string_equal(said, "");
    free(said);
    assert_int_equal(fleet.shard_count, 2);
    assert_string_equal(fleet.shards[0].name, "a");
    assert_string_equal(fleet.shards[0].password, "p");
    assert_true(fleet.shards[0].bytes == UINT64_C(1099511627776));
    assert_int_equal(fleet.shards[0].sentinel.address_count, 2);
    assert_string_equal(fleet.shards[0].sentinel.addresses[1].address, "y");
    assert_int_equal(fleet.shards[0].sentinel.addresses[0].port, 26379);
    assert_int_equal(fleet.shards[0].sentinel.addresses[1].port, 1);
    assert_string_equal(fleet.shards[1].sentinel.master, "m");
    assert_string_equal(fleet.shards[1].password, "");
    assert_int_equal(fleet.shards[1].sentinel.address_count, 0);
    config_release(fleet_keys, &fleet);
    assert_null(fleet.shards);
}

static void test_problems_deep_inside(void **state)
{
    (void)state;
    struct fleet fleet = {0};
    char *said = read_fleet("{\"shards\": [{},\n{\"sentinel\":\n{\"addresses\": [{\"address\": \"x\"},\n"
                            "{\"address\": \"y\", \"port\": 65536}]}},\n{\"sentinel\": 1}]}",
        &fleet);
    assert_string_equal(said,
        "f:1: shards[0].sentinel.addresses[0].address: is missing; it has no default\n"
        "f:1: shards[0].sentinel.addresses[1].address: is missing; it has no default\n"
        "f:4: shards[1].sentinel.addresses[1].port: must be a whole number from 0 to 65535, "
        "but is 65536\n"
        "f:5: shards[2].sentinel: must be an object, but is 1\n");
    free(said);
    config_release(fleet_keys, &fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_units_and_the_meaning_of_zero),
        cmocka_unit_test(test_bools_texts_and_choices),
        cmocka_unit_test(test_objects_and_lists),
        cmocka_unit_test(test_missing_and_unknown),
        cmocka_unit_test(test_all_problems_are_said_in_the_order_of_the_file),
        cmocka_unit_test(test_a_flood_of_problems_is_counted),
        cmocka_unit_test(test_lists_in_objects_in_lists),
        cmocka_unit_test(test_problems_deep_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
