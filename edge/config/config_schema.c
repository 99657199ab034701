/* The JSON Schema of the configuration, from the table. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "presence/base/new.h"

#include <string.h>

static json_t *describe_keys(const struct config_key *keys);
static void describe_type(const struct config_key *key, json_t *schema);

static void describe_number(const struct config_key *key, json_t *schema)
{
    json_object_set_new(schema, "type", must_have(json_string("integer")));
    if (key->zero && key->min > 0) {
        json_object_set_new(schema, "anyOf",
            must_have(json_pack("[{s:i}, {s:I}]", "const", 0, "minimum", (json_int_t)key->min)));
        json_object_set_new(schema, "minimum", must_have(json_integer(0)));
    } else {
        json_object_set_new(schema, "minimum", must_have(json_integer((json_int_t)key->min)));
    }
    json_object_set_new(schema, "maximum", must_have(json_integer((json_int_t)key->max)));
    json_object_set_new(schema, "default", must_have(json_integer((json_int_t)key->number)));
}

/* The table counts bytes, the schema characters, of which there may be fewer: it never refuses what we take.
 */
static void describe_text(const struct config_key *key, json_t *schema)
{
    json_object_set_new(schema, "type", must_have(json_string("string")));
    if (key->min > 0)
        json_object_set_new(schema, "minLength", must_have(json_integer(1)));
    json_object_set_new(schema, "maxLength", must_have(json_integer((json_int_t)key->max)));
    if (key->text && strlen(key->text) >= key->min)
        json_object_set_new(schema, "default", must_have(json_string(key->text)));
}

static json_t *describe_source(const char *name)
{
    return must_have(json_pack("{s:s, s:b, s:[s], s:{s:{s:s, s:i}}}", "type", "object",
        "additionalProperties", 0, "required", name, "properties", name, "type", "string", "minLength", 1));
}

static void describe_secret(const struct config_key *key, json_t *schema)
{
    json_t *plain = must_have(json_object());
    describe_text(key, plain);
    json_object_set_new(schema, "oneOf",
        must_have(json_pack("[o, o, o]", plain, describe_source("env"), describe_source("file"))));
}

static void describe_choice(const struct config_key *key, json_t *schema)
{
    json_t *names = must_have(json_array());
    for (int i = 0; key->choices[i]; i++)
        json_array_append_new(names, must_have(json_string(key->choices[i])));
    json_object_set_new(schema, "enum", names);
    json_object_set_new(schema, "default", must_have(json_string(key->text)));
}

static void describe_list(const struct config_key *key, json_t *schema)
{
    json_object_set_new(schema, "type", must_have(json_string("array")));
    json_object_set_new(schema, "minItems", must_have(json_integer((json_int_t)key->min)));
    json_object_set_new(schema, "maxItems", must_have(json_integer((json_int_t)key->max)));
    json_t *items = key->item ? must_have(json_object()) : describe_keys(key->keys);
    if (key->item)
        describe_type(key->item, items);
    json_object_set_new(schema, "items", items);
}

static json_t *description(const struct config_key *key)
{
    const char *restart = key->restart ? " A change needs a restart." : "";
    if (!key->unit && !key->zero)
        return must_have(json_sprintf("%s%s", key->sentence, restart));
    return must_have(json_sprintf("%s (%s%s%s%s)%s", key->sentence, key->unit ? key->unit : "",
        key->unit && key->zero ? "; " : "", key->zero ? "0: " : "", key->zero ? key->zero : "", restart));
}

static void describe_type(const struct config_key *key, json_t *schema)
{
    switch (key->type) {
    case CONFIG_NUMBER:
        describe_number(key, schema);
        break;
    case CONFIG_BOOL:
        json_object_set_new(schema, "type", must_have(json_string("boolean")));
        json_object_set_new(schema, "default", must_have(json_boolean(key->number != 0)));
        break;
    case CONFIG_TEXT:
    case CONFIG_IGNORED:
        describe_text(key, schema);
        break;
    case CONFIG_SECRET:
        describe_secret(key, schema);
        break;
    case CONFIG_CHOICE:
        describe_choice(key, schema);
        break;
    case CONFIG_LIST:
        describe_list(key, schema);
        break;
    case CONFIG_OBJECT:
        break;
    }
}

static json_t *describe_key(const struct config_key *key)
{
    json_t *schema = key->type == CONFIG_OBJECT ? describe_keys(key->keys) : must_have(json_object());
    json_object_set_new(schema, "description", description(key));
    describe_type(key, schema);
    return schema;
}

/* What holds between the keys of one object. */
struct rules {
    json_t *required, *all_of, *dependent;
};

static void add_rules(const struct config_key *key, struct rules *rules)
{
    if (key->required)
        json_array_append_new(rules->required, must_have(json_string(key->name)));
    if (key->unless)
        json_array_append_new(rules->all_of, must_have(json_pack("{s:[{s:[s]}, {s:[s]}]}", "anyOf",
                                                 "required", key->name, "required", key->unless)));
    if (key->excludes)
        json_array_append_new(rules->all_of,
            must_have(json_pack("{s:{s:[s, s]}}", "not", "required", key->name, key->excludes)));
    if (key->needs)
        json_object_set_new(rules->dependent, key->name, must_have(json_pack("[s]", key->needs)));
}

/* Takes the rule over. */
static void set_rule(json_t *schema, const char *name, json_t *rule, size_t size)
{
    if (size > 0)
        json_object_set_new(schema, name, rule);
    else
        json_decref(rule);
}

static json_t *describe_keys(const struct config_key *keys)
{
    json_t *properties = must_have(json_object());
    struct rules rules = {must_have(json_array()), must_have(json_array()), must_have(json_object())};
    for (const struct config_key *key = keys; key->name; key++) {
        json_object_set_new(properties, key->name, describe_key(key));
        add_rules(key, &rules);
    }
    json_t *schema = must_have(json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0));
    set_rule(schema, "required", rules.required, json_array_size(rules.required));
    set_rule(schema, "allOf", rules.all_of, json_array_size(rules.all_of));
    set_rule(schema, "dependentRequired", rules.dependent, json_object_size(rules.dependent));
    json_object_set_new(schema, "properties", properties);
    return schema;
}

void config_schema(FILE *out)
{
    json_t *schema = must_have(json_pack("{s:s, s:s, s:s}", "$schema",
        "https://json-schema.org/draft/2020-12/schema", "title", "Rollcall's configuration", "description",
        "Made by rollcall --schema from the tables in edge/config; comment lines are taken out "
        "before checking."));
    json_t *keys = describe_keys(config_table);
    json_object_update(schema, keys);
    json_decref(keys);
    if (json_dumpf(schema, out, JSON_INDENT(2)) == 0)
        fputc('\n', out);
    json_decref(schema);
}
