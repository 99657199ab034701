/* What a fleet shares: times of presence, shards, Sentinels; and conf/fleet.json. */
#include <errno.h>

#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

#define FLEET(shards) "{\"presence\": {\"store\": \"redis\"}, \"redis\": {\"shards\": [" shards "]}}"
#define SHARD(name, more) "{\"name\": \"" name "\", " more "}"
#define AT(address) "\"address\": \"" address "\""
#define UNDER(master, addresses) "\"sentinel\": {\"master\": \"" master "\", \"addresses\": [" addresses "]}"

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = parse_good("{}");
    assert_int_equal(config->presence.partitions, 64);
    assert_int_equal(config->presence.heartbeat_ms, 2500);
    assert_int_equal(config->presence.lease_ms, 10000);
    assert_int_equal(config->presence.scrub_ms, 60000);
    assert_int_equal(config->presence.data_ttl_ms, 600000);
    assert_string_equal(config->redis.cluster, "rollcall");
    assert_string_equal(config->redis.prefix, "rollcall");
    assert_int_equal(config->redis.shard_count, 0);
    config_unref(config);
}

static void test_times_that_contradict(void **state)
{
    (void)state;
    assert_problems("{\"presence\": {\"heartbeat_ms\": 2501}}",
        "x.json:1: presence.lease_ms: must be at least 10004 (4 times presence.heartbeat_ms), or a few late "
        "heartbeats make members leave who are there\n");
    assert_problems("{\"presence\": {\"scrub_ms\": 150001}}",
        "x.json:1: presence.data_ttl_ms: must be at least 600004 (4 times presence.scrub_ms), or rosters at "
        "rest expire before they are renewed\n");
    assert_problems("{\"presence\": {\"scrub_ms\": 1000, \"lease_ms\": 150001}}",
        "x.json:1: presence.data_ttl_ms: must be at least 600004 (4 times presence.lease_ms), or what a dead "
        "edge held is forgotten before others have told that it left\n");
    config_unref(parse_good("{\"presence\": {\"heartbeat_ms\": 500, \"lease_ms\": 2000, \"scrub_ms\": 2000,"
                            "\"data_ttl_ms\": 8000, \"partitions\": 1}}"));
    assert_problems("{\"presence\": {\"heartbeat_ms\": 499, \"lease_ms\": 2000}}",
        "x.json:1: presence.heartbeat_ms: must be a whole number from 500 to 60000 (ms), but is 499\n");
    assert_problems("{\"presence\": {\"partitions\": 4097}}",
        "x.json:1: presence.partitions: must be a whole number from 1 to 4096, but is 4097\n");
}

static void test_good_shards(void **state)
{
    (void)state;
    static const char *const good[] = {
        FLEET(SHARD("a", AT("127.0.0.1:6379"))),
        FLEET(SHARD("a", AT("redis.example:1")) ", " SHARD("b", AT("[::1]:65535"))),
        FLEET(SHARD("a", AT("unix:/run/a.sock") ", \"password\": \"p\"")),
        FLEET(SHARD("a", AT("x:1") ", \"username\": \"u\", \"password\": \"p\"")),
        FLEET(SHARD("a", UNDER("m", "\"s1:26379\", \"s2:26379\"")) ", " SHARD(
            "b", UNDER("n", "\"s1:26379\", \"s2:26379\""))),
        FLEET(SHARD("a", UNDER("m", "\"s1:26379\"")) ", " SHARD("b", UNDER("m", "\"s2:26379\""))),
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_problems_in(good[i], "x.json", "");
}

static void test_one_shard_stays(void **state)
{
    (void)state;
    assert_problems_in(
        FLEET(SHARD("a", AT("x:1") ", \"leaving\": true") ", " SHARD("b", AT("x:2"))), "x.json", "");
    assert_problems_in(
        FLEET(SHARD("a", AT("x:1") ", \"leaving\": true") ", " SHARD("b", AT("x:2") ", \"leaving\": true")),
        "x.json", "x.json:1: redis.shards: are all leaving; one at least has to stay, for the partitions\n");
}

static void test_address_or_sentinel(void **state)
{
    (void)state;
    assert_problems_in("{\"presence\": {\"store\": \"redis\"}, \"redis\": {\"shards\": [{\"name\": \"a\"}]}}",
        "x.json",
        "x.json:1: redis.shards[0].address: is missing, and so is \"sentinel\"; one of the two is needed\n");
    assert_problems_in(FLEET(SHARD("a", AT("x:1") ", " UNDER("m", "\"s:1\""))), "x.json",
        "x.json:1: redis.shards[0].address: cannot stand beside \"sentinel\"; choose one\n");
    assert_problems_in(FLEET(SHARD("a", AT("x:1") ", \"username\": \"u\"")), "x.json",
        "x.json:1: redis.shards[0].username: needs \"password\" beside it\n");
    assert_problems_in(FLEET(SHARD("a", "\"sentinel\": {}")), "x.json",
        "x.json:1: redis.shards[0].sentinel.master: is missing; it has no default\n"
        "x.json:1: redis.shards[0].sentinel.addresses: is missing; it has no default\n");
    assert_problems_in(FLEET(SHARD("a", UNDER("m", ""))), "x.json",
        "x.json:1: redis.shards[0].sentinel.addresses: must be a list of 1 to 16 texts, but has 0\n");
    assert_problems_in(FLEET(SHARD("a", UNDER("m:1", "\"s:1\", 5, \"s\""))), "x.json",
        "x.json:1: redis.shards[0].sentinel.master: must consist of letters, digits and - _ ., but is "
        "\"m:1\"\n"
        "x.json:1: redis.shards[0].sentinel.addresses[1]: must be a text of 1 to 300 bytes, but is 5\n"
        "x.json:1: redis.shards[0].sentinel.addresses[2]: must be host:port, [IPv6]:port, or unix: and an "
        "absolute path of at most 107 bytes, but is \"s\"\n");
    assert_problems_in(
        FLEET(SHARD("a b", AT("x:1") ", \"username\": \"u v\", \"password\": {\"env\": \"\"}")), "x.json",
        "x.json:1: redis.shards[0].name: must consist of letters, digits and - _ . :, but is \"a b\"\n"
        "x.json:1: redis.shards[0].username: must be a text without spaces and control characters, but is "
        "\"u v\"\n"
        "x.json:1: redis.shards[0].password: must be a text of 1 to 1024 bytes, {\"env\": \"NAME\"} or "
        "{\"file\": "
        "\"path\"}\n");
}

static void test_shards_differ(void **state)
{
    (void)state;
    assert_problems_in(FLEET(SHARD("a", AT("x:1")) ",\n" SHARD("b", AT("X:1")) ",\n" SHARD(
                           "a", AT("x:2")) "," SHARD("c", AT("unix:/a")) "," SHARD("d", AT("unix:/A"))),
        "x.json",
        "x.json:2: redis.shards[1].address: is the address of redis.shards[0], too; each shard has a Redis "
        "of its own\n"
        "x.json:3: redis.shards[2].name: must be unique, but redis.shards[0].name is the same\n");
    assert_problems_in(
        FLEET(SHARD("a", UNDER("m", "\"s1:1\", \"s2:1\"")) ",\n" SHARD("b", UNDER("m", "\"s2:1\""))),
        "x.json",
        "x.json:2: redis.shards[1].sentinel.master: is the master of redis.shards[0], too; each shard has "
        "one of its "
        "own\n");
    assert_problems_in(FLEET(SHARD("a", UNDER("m", "\"s1:1\", \"s2:1\",\n\"S1:1\""))), "x.json",
        "x.json:2: redis.shards[0].sentinel.addresses[2]: is the same as "
        "redis.shards[0].sentinel.addresses[0]; a "
        "Sentinel has one vote\n");
}

static void test_store_and_shards_go_together(void **state)
{
    (void)state;
    assert_problems_in("{\"presence\": {\"store\": \"redis\"},\n\"redis\": {}}", "x.json",
        "x.json:2: redis.shards: is missing; with presence.store \"redis\" there is at least one shard\n");
    assert_problems_in("{\"presence\": {\"store\": \"redis\"},\n\"redis\": {\"shards\": []}}", "x.json",
        "x.json:2: redis.shards: must be a list of 1 to 64 objects, but has 0\n");
    assert_problems("{\"redis\":\n{\"shards\": [" SHARD("a", AT("x:1")) "]}}",
        "x.json:2: redis.shards: is not used while presence.store is \"memory\", and each edge would know "
        "its own "
        "members only; say \"redis\" there, or take this out\n");
    assert_problems(
        "{\"presence\": {\"store\": \"Redis\"}, \"redis\": {\"shards\": [" SHARD("a", AT("x:1")) "]}}",
        "x.json:1: presence.store: must be \"memory\" or \"redis\", but is \"Redis\"\n");
    assert_problems("{\"redis\": {\"prefix\": \"a{b}\", \"cluster\": \"\"}}",
        "x.json:1: redis.cluster: must be a text of 1 to 64 bytes, but is \"\"\n"
        "x.json:1: redis.prefix: must consist of letters, digits and - _ . :, but is \"a{b}\"\n");
}

static void test_endpoints(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {
        {"127.0.0.1:6379", "127.0.0.1", 6379},
        {"redis-1.internal:1", "redis-1.internal", 1},
        {"[2001:db8::1]:65535", "2001:db8::1", 65535},
        {"unix:/run/redis.sock", "/run/redis.sock", 0},
    };
    static const char *const bad[] = {"", ":", "redis", "redis:", "redis:0", "redis:65536", "redis:06379",
        "redis:6379x", "redis:+1", "redis: 1", ":6379", "::1:6379", "[::1]", "[]:1", "[redis]:1",
        "[127.0.0.1]:1", "[::1:1", "::1]:1", "re dis:1", "redis/0:1", "-h:1", "unix:", "unix:redis", "unix:/",
        "redis://x:1", "a@b:1", "größe:1"};
    struct config_endpoint endpoint;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(config_endpoint_split(good[i].text, &endpoint));
        assert_string_equal(endpoint.host, good[i].host);
        assert_int_equal(endpoint.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (config_endpoint_split(bad[i], &endpoint))
            fail_msg("taken: %s", bad[i]);
    char longest[270], too_long[270];
    memset(longest, 'x', sizeof(longest));
    memset(too_long, 'x', sizeof(too_long));
    strcpy(longest + 253, ":1");
    strcpy(too_long + 254, ":1");
    assert_true(config_endpoint_split(longest, &endpoint));
    assert_false(config_endpoint_split(too_long, &endpoint));
}

static void test_the_example_is_good(void **state)
{
    (void)state;
    setenv("ROLLCALL_SHARD_1_PASSWORD", "one", 1);
    setenv("ROLLCALL_SHARD_2_PASSWORD", "two", 1);
    setenv("ROLLCALL_APP_SECRET", "three", 1);
    static char text[1 << 16];
    FILE *file = fopen(SOURCE_DIR "/conf/fleet.json", "r");
    assert_non_null(file);
    assert_in_range(fread(text, 1, sizeof(text) - 1, file), 1000, sizeof(text) - 2);
    fclose(file);
    assert_problems_in(text, "fleet.json", "");
    char *shard = strstr(text, "\"shard-2\",");
    assert_non_null(shard);
    shard[7] = '1';
    unsetenv("ROLLCALL_APP_SECRET");
    char *said = problems_in(text, "fleet.json");
    assert_non_null(
        strstr(said, "redis.shards[1].name: must be unique, but redis.shards[0].name is the same\n"));
    assert_non_null(strstr(
        said, "apps[0].keys[0].secret.env: the environment variable ROLLCALL_APP_SECRET is not set\n"));
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_times_that_contradict),
        cmocka_unit_test(test_good_shards),
        cmocka_unit_test(test_one_shard_stays),
        cmocka_unit_test(test_address_or_sentinel),
        cmocka_unit_test(test_shards_differ),
        cmocka_unit_test(test_store_and_shards_go_together),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_the_example_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
