/* What is made from the table: the schema, the reference; and the files in conf/ that must agree with it. */
#include <errno.h>

#include "edge/config/config_table.h"
#include "tests/unit/edge/config/parse.h"

static char *printed(void (*print)(FILE *))
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    print(out);
    fclose(out);
    return text;
}

static char *content(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_in_range(fread(text, 1, (1 << 20) - 1, file), 1, (1 << 20) - 2);
    fclose(file);
    return text;
}

/* ---- as much of JSON Schema as ours uses ---- */

static bool fits(json_t *schema, json_t *value);

static bool fits_type(json_t *schema, json_t *value)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    return !type || (!strcmp(type, "object") && json_is_object(value)) ||
           (!strcmp(type, "array") && json_is_array(value)) ||
           (!strcmp(type, "string") && json_is_string(value)) ||
           (!strcmp(type, "integer") && json_is_integer(value)) ||
           (!strcmp(type, "boolean") && json_is_boolean(value));
}

static bool between(json_t *schema, const char *least, const char *most, json_int_t value)
{
    json_t *low = json_object_get(schema, least), *high = json_object_get(schema, most);
    return (!low || value >= json_integer_value(low)) && (!high || value <= json_integer_value(high));
}

static size_t fitting(json_t *schemas, json_t *value)
{
    size_t i, count = 0;
    json_t *schema;
    json_array_foreach(schemas, i, schema) count += fits(schema, value);
    return count;
}

static bool has_all(json_t *names, json_t *object)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name) if (!json_object_get(object, json_string_value(name))) return false;
    return true;
}

static bool has_dependent(json_t *schema, json_t *value)
{
    const char *name;
    json_t *names;
    json_object_foreach(json_object_get(schema, "dependentRequired"), name, names)
    {
        if (json_object_get(value, name) && !has_all(names, value))
            return false;
    }
    return true;
}

static bool fits_object(json_t *schema, json_t *value)
{
    const char *name;
    json_t *inner, *properties = json_object_get(schema, "properties");
    json_object_foreach(value, name, inner)
    {
        json_t *known = json_object_get(properties, name);
        if (known ? !fits(known, inner) : json_is_false(json_object_get(schema, "additionalProperties")))
            return false;
    }
    return has_all(json_object_get(schema, "required"), value) && has_dependent(schema, value);
}

static bool fits_array(json_t *schema, json_t *value)
{
    size_t i;
    json_t *item, *items = json_object_get(schema, "items");
    json_array_foreach(value, i, item) if (items && !fits(items, item)) return false;
    return between(schema, "minItems", "maxItems", (json_int_t)json_array_size(value));
}

static bool is_one_of(json_t *names, json_t *value)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name) if (json_equal(name, value)) return true;
    return !names;
}

static bool fits(json_t *schema, json_t *value)
{
    json_t *constant = json_object_get(schema, "const");
    json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf");
    if (!fits_type(schema, value) || !is_one_of(json_object_get(schema, "enum"), value))
        return false;
    json_t *all = json_object_get(schema, "allOf"), *no = json_object_get(schema, "not");
    if (fitting(all, value) != json_array_size(all) || (no && fits(no, value)))
        return false;
    if ((constant && !json_equal(constant, value)) || (any && fitting(any, value) == 0) ||
        (one && fitting(one, value) != 1))
        return false;
    if (json_is_object(value))
        return fits_object(schema, value);
    if (json_is_array(value))
        return fits_array(schema, value);
    if (json_is_string(value))
        return between(schema, "minLength", "maxLength", (json_int_t)json_string_length(value));
    return !json_is_integer(value) || between(schema, "minimum", "maximum", json_integer_value(value));
}

/* ---- tests ---- */

static json_t *load_without_comments(const char *path)
{
    char *text = content(path);
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        char *first = line + strspn(line, " \t");
        if (strncmp(first, "//", 2) == 0)
            memset(first, ' ', strcspn(first, "\n"));
    }
    json_t *value = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(value);
    return value;
}

static void test_the_schema_in_conf_is_the_tables(void **state)
{
    (void)state;
    char *made = printed(config_schema), *kept = content(SOURCE_DIR "/conf/rollcall.schema.json");
    if (strcmp(made, kept) != 0)
        fail_msg(
            "conf/rollcall.schema.json is old; make it with: rollcall --schema > conf/rollcall.schema.json");
    free(made);
    free(kept);
}

static void test_the_default_configuration_is_good(void **state)
{
    (void)state;
    struct config *config = NULL;
    assert_int_equal(config_load(SOURCE_DIR "/conf/rollcall.json", &config, stderr), 0);
    assert_int_equal(config->edge.listen[0].port, 6001);
    assert_int_equal(config->edge.admin.port, 9601);
    const struct app *app = config_app_by_key(config, "app-key", 7);
    assert_non_null(app);
    assert_string_equal(app->id, "app-id");
    assert_string_equal(app->secret, "app-secret");
    assert_true(app->client_events);
    config_unref(config);
}

#define APP(keys) "{\"apps\": [{\"id\": \"1\", " keys "}]}"

static void test_the_schema_takes_and_refuses_what_we_do(void **state)
{
    (void)state;
    char *text = printed(config_schema);
    json_t *schema = json_loads(text, 0, NULL),
           *good = load_without_comments(SOURCE_DIR "/conf/rollcall.json");
    assert_true(fits(schema, good));
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"{}", true},
        {"{\"edge\": {\"workers\": 256, \"message_bytes\": 0}}", true},
        {"{\"edge\": {\"message_bytes\": 1024}}", true},
        {"{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": \"s\", \"limits\": {\"connections\": 0}}]}",
            true},
        {"{\"edge\": {\"workers\": 257}}", false},
        {"{\"edge\": {\"workers\": \"1\"}}", false},
        {"{\"edge\": {\"wrokers\": 1}}", false},
        {"{\"edge\": {\"message_bytes\": 1}}", false},
        {"{\"edge\": {\"listen\": []}}", false},
        {"{\"edge\": {\"admin\": {\"enabled\": 1}}}", false},
        {"{\"log\": {\"level\": \"verbose\"}}", false},
        {"{\"apps\": [{\"id\": \"1\", \"key\": \"k\"}]}", false},
        {"{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": {}}]}", false},
        {"{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": \"\"}]}", false},
        {APP("\"key\": \"k\", \"secret\": \"s\", \"allowed_origins\": [\"*\"]"), true},
        {APP("\"keys\": [{\"key\": \"k\", \"secret\": \"s\"}]"), true},
        {APP("\"keys\": [{\"key\": \"k\", \"secret\": \"s\"}], \"key\": \"l\", \"secret\": \"s\""), true},
        {APP("\"keys\": [{\"key\": \"k\", \"secret\": \"s\"}], \"key\": \"l\""), false},
        {APP("\"keys\": [{\"key\": \"k\", \"secret\": \"s\"}], \"secret\": \"l\""), false},
        {APP("\"keys\": [{\"key\": \"k\"}]"), false},
        {APP("\"keys\": []"), false},
        {APP("\"enabled\": true"), false},
        {APP("\"key\": \"k\", \"secret\": \"s\", \"allowed_origins\": [1]"), false},
        {APP("\"key\": \"k\", \"secret\": \"s\", \"allowed_origins\": [\"\"]"), false},
        {"{\"redis\": {\"shards\": []}}", false},
        {"{\"redis\": {\"shards\": [{\"name\": \"a\"}]}}", false},
        {"{\"redis\": {\"shards\": [{\"name\": \"a\", \"address\": \"x:1\", \"sentinel\":"
         "{\"master\": \"m\", \"addresses\": [\"y:1\"]}}]}}",
            false},
        {"{\"redis\": {\"shards\": [{\"name\": \"a\", \"sentinel\": {\"master\": \"m\"}}]}}", false},
        {"[]", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *value = json_loads(cases[i].text, 0, NULL);
        char *said = problems_in(cases[i].text, "x.json");
        assert_int_equal(fits(schema, value), cases[i].good);
        assert_int_equal(said[0] == '\0', cases[i].good);
        free(said);
        json_decref(value);
    }
    json_decref(good);
    json_decref(schema);
    free(text);
}

static void test_secrets_from_elsewhere_fit_the_schema(void **state)
{
    (void)state;
    char *text = printed(config_schema);
    json_t *schema = json_loads(text, 0, NULL);
    static const char *const secrets[] = {
        "{\"env\": \"N\"}", "{\"file\": \"f\"}", "{\"env\": \"N\", \"file\": \"f\"}"};
    for (size_t i = 0; i < 3; i++) {
        char file[256];
        snprintf(
            file, sizeof(file), "{\"apps\": [{\"id\": \"1\", \"key\": \"k\", \"secret\": %s}]}", secrets[i]);
        json_t *value = json_loads(file, 0, NULL);
        assert_int_equal(fits(schema, value), i < 2);
        json_decref(value);
    }
    json_decref(schema);
    free(text);
}

/* Every key is explained under its path, has a sentence, and is where it says in the schema. */
static void check_keys(const struct config_key *keys, const char *prefix, const char *text, json_t *schema)
{
    for (const struct config_key *key = keys; key->name; key++) {
        char path[256], heading[300];
        snprintf(path, sizeof(path), "%s%s%s%s", prefix, prefix[0] ? "." : "", key->name,
            key->type == CONFIG_LIST ? "[]" : "");
        snprintf(heading, sizeof(heading), "\n\n%s\n    ", path);
        assert_non_null(strstr(text, heading));
        size_t length = strlen(key->sentence);
        assert_true(length > 5 && key->sentence[length - 1] == '.');
        json_t *inner = json_object_get(json_object_get(schema, "properties"), key->name);
        assert_non_null(json_object_get(inner, "description"));
        if (key->keys)
            check_keys(
                key->keys, path, text, key->type == CONFIG_LIST ? json_object_get(inner, "items") : inner);
    }
}

static void test_every_key_is_explained(void **state)
{
    (void)state;
    char *text = printed(config_explain), *schema_text = printed(config_schema);
    json_t *schema = json_loads(schema_text, 0, NULL);
    check_keys(config_table, "", text, schema);
    assert_non_null(
        strstr(text, "edge.workers\n    Threads that serve connections.\n"
                     "    whole number from 0 to 256; 0: one a core; default 0; a change needs a restart\n"));
    assert_non_null(strstr(text, "apps[].secret\n"));
    assert_non_null(strstr(text, "apps[].keys[].secret\n    Like apps[].secret.\n"
                                 "    secret of 1 to 1024 bytes; required\n"));
    for (const char *line = text; line; line = strchr(line + 1, '\n'))
        assert_in_range(strcspn(line + 1, "\n"), 0, 140);
    json_decref(schema);
    free(schema_text);
    free(text);
}

static bool fits_text(const char *schema_text, const char *text)
{
    json_t *schema = json_loads(schema_text, 0, NULL), *value = json_loads(text, 0, NULL);
    bool good = fits(schema, value);
    json_decref(schema);
    json_decref(value);
    return good;
}

/* Shards cannot be given in a good configuration of this version, so the schema is asked alone. */
static void test_shards_fit_the_schema(void **state)
{
    (void)state;
    char *schema = printed(config_schema);
    assert_true(fits_text(schema, "{\"redis\": {\"shards\": [{\"name\": \"a\", \"address\": \"x:1\"}]}}"));
    assert_true(fits_text(schema,
        "{\"redis\": {\"shards\": [{\"name\": \"a\", \"username\": \"u\", \"password\":"
        "{\"env\": \"P\"}, \"sentinel\": {\"master\": \"m\", \"addresses\": [\"y:1\"]}}]}}"));
    assert_false(fits_text(
        schema, "{\"redis\": {\"shards\": [{\"name\": \"a\", \"address\": \"x:1\", \"username\": \"u\"}]}}"));
    free(schema);
}

/* One of each kind, as a reader sees it. */
static void test_the_shape_of_the_reference(void **state)
{
    (void)state;
    static const char *const entries[] = {
        "\nedge.activity_timeout_s\n"
        "    Told to clients: after so long a silence they send a ping of their own.\n"
        "    whole number from 1 to 3600 s; default 120\n\n",
        "\napps[].enabled\n"
        "    A disabled app is refused with 4003, and 403 by the HTTP API.\n"
        "    true or false; default true\n\n",
        "\napps[].key\n"
        "    Public: what clients connect with. Unique over all apps.\n"
        "    text of 1 to 128 bytes; required unless \"keys\" is there; together with \"secret\"\n\n",
        "\npresence.store\n"
        "    Where channels and members are kept: in this process, or in Redis for a\n    fleet.\n"
        "    \"memory\" or \"redis\"; default \"memory\"; a change needs a restart\n\n",
        "\nredis.shards[].username\n"
        "    Empty: the default user. Give each shard a user of its own: it then cannot\n"
        "    be mistaken for another.\n"
        "    text of 0 to 128 bytes; default \"\"; together with \"password\"\n\n",
        "\nredis.shards[].password\n"
        "    Written like apps[].secret. Not the same for two shards.\n"
        "    secret of 1 to 1024 bytes; default: none\n\n",
        "\nredis.shards[].sentinel\n"
        "    In place of address: who knows where the master is.\n"
        "    object; default: none\n\n",
        "\nedge.listen[]\n"
        "    Where clients and back ends connect.\n"
        "    list of 1 to 64 objects; default: one, of defaults; a change needs a restart\n\n",
        "    list of 1 to 16 texts, each of 1 to 300 bytes; required\n\nredis.shards[].sentinel.username\n",
    };
    char *text = printed(config_explain);
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        if (!strstr(text, entries[i]))
            fail_msg("not in the reference: %s", entries[i]);
    free(text);
}

/* Every default lies in its range, every choice is one of its names. */
static void check_defaults(const struct config_key *keys)
{
    for (const struct config_key *key = keys; key->name; key++) {
        bool zero = key->number == 0 && key->zero;
        if (key->type == CONFIG_NUMBER)
            assert_true(zero || (key->number >= key->min && key->number <= key->max));
        if (key->type == CONFIG_NUMBER && key->bytes < 8)
            assert_true(key->max < UINT64_C(1) << (8 * key->bytes));
        if (key->type == CONFIG_TEXT && key->text && strlen(key->text) >= key->min)
            assert_true(strlen(key->text) <= key->max && !(key->check && key->check(key->text)));
        bool listed = key->type != CONFIG_CHOICE;
        for (int i = 0; !listed && key->choices[i]; i++)
            listed = strcmp(key->choices[i], key->text) == 0;
        assert_true(listed);
        if (key->keys)
            check_defaults(key->keys);
    }
}

static void test_defaults_are_in_range(void **state)
{
    (void)state;
    check_defaults(config_table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_schema_in_conf_is_the_tables),
        cmocka_unit_test(test_the_default_configuration_is_good),
        cmocka_unit_test(test_the_schema_takes_and_refuses_what_we_do),
        cmocka_unit_test(test_secrets_from_elsewhere_fit_the_schema),
        cmocka_unit_test(test_every_key_is_explained),
        cmocka_unit_test(test_shards_fit_the_schema),
        cmocka_unit_test(test_the_shape_of_the_reference),
        cmocka_unit_test(test_defaults_are_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
