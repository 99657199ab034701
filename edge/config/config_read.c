/* From JSON to structs, by the table. */
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

static void *field(const struct config_key *key, void *base)
{
    return (char *)base + key->offset;
}

static void store_number(const struct config_key *key, void *base, uint64_t number)
{
    if (key->bytes == sizeof(uint16_t))
        *(uint16_t *)field(key, base) = (uint16_t)number;
    else if (key->bytes == sizeof(uint32_t))
        *(uint32_t *)field(key, base) = (uint32_t)number;
    else if (key->bytes == sizeof(uint64_t))
        *(uint64_t *)field(key, base) = number;
    else
        abort(); /* a wrong table */
}

static void store_text(const struct config_key *key, void *base, const char *text)
{
    *(char **)field(key, base) = new_text(text ? text : "");
}

static int choice_find(const struct config_key *key, const char *name)
{
    for (int i = 0; key->choices[i]; i++)
        if (strcmp(key->choices[i], name) == 0)
            return i;
    return -1;
}

static void store_default(const struct config_key *key, void *base)
{
    if (key->type == CONFIG_NUMBER)
        store_number(key, base, key->number);
    else if (key->type == CONFIG_BOOL)
        *(bool *)field(key, base) = key->number != 0;
    else if (key->type == CONFIG_TEXT || key->type == CONFIG_SECRET)
        store_text(key, base, key->text);
    else if (key->type == CONFIG_CHOICE)
        *(int *)field(key, base) = choice_find(key, key->text);
}

/* For what was refused: texts are there but empty, all else stays zero. So no check between keys speaks of a
 * value that nobody wrote. */
static void store_nothing(const struct config_key *key, void *base)
{
    if (key->type == CONFIG_TEXT || key->type == CONFIG_SECRET)
        store_text(key, base, "");
    else if (key->type == CONFIG_OBJECT)
        for (const struct config_key *inner = key->keys; inner->name; inner++)
            store_nothing(inner, base);
}

/* "must be …, but is …"; expected is consumed. */
static void complain_of_value(
    struct config_reading *reading, const struct config_place *place, struct buffer *expected, json_t *value)
{
    buffer_add_string(expected, ", but is ");
    config_describe(value, expected);
    config_complain(reading, place, "%.*s", (int)expected->length, expected->bytes);
    buffer_deinit(expected);
}

static bool read_number(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    json_int_t number = json_integer_value(value);
    bool in_range = number >= 0 && (uint64_t)number >= key->min && (uint64_t)number <= key->max;
    if (json_is_integer(value) && (in_range || (number == 0 && key->zero))) {
        store_number(key, base, (uint64_t)number);
        return true;
    }
    struct buffer expected = {0};
    buffer_add_string(&expected, "must be ");
    if (key->zero && key->min > 0)
        buffer_printf(&expected, "0 (%s) or ", key->zero);
    buffer_add_string(&expected, "a whole number");
    buffer_printf(&expected, " from %ju to %ju", (uintmax_t)key->min, (uintmax_t)key->max);
    if (key->unit)
        buffer_printf(&expected, " (%s)", key->unit);
    complain_of_value(reading, place, &expected, value);
    return false;
}

static bool read_bool(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    if (json_is_boolean(value)) {
        *(bool *)field(key, base) = json_is_true(value);
        return true;
    }
    struct buffer expected = {0};
    buffer_add_string(&expected, "must be true or false");
    complain_of_value(reading, place, &expected, value);
    return false;
}

static bool read_text(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    const char *wrong = NULL;
    if (text && length >= key->min && length <= key->max && key->check)
        wrong = key->check(text);
    else if (!text || length < key->min || length > key->max)
        wrong = "";
    if (!wrong) {
        if (key->type != CONFIG_IGNORED)
            store_text(key, base, text);
        return true;
    }
    struct buffer expected = {0};
    if (wrong[0])
        buffer_add_string(&expected, wrong);
    else
        buffer_printf(
            &expected, "must be a text of %ju to %ju bytes", (uintmax_t)key->min, (uintmax_t)key->max);
    complain_of_value(reading, place, &expected, value);
    return false;
}

static bool read_secret(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    char *secret = config_secret_read(reading, key, value, place);
    if (secret)
        *(char **)field(key, base) = secret;
    return secret != NULL;
}

static bool read_choice(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    int choice = json_is_string(value) ? choice_find(key, json_string_value(value)) : -1;
    if (choice >= 0) {
        *(int *)field(key, base) = choice;
        return true;
    }
    struct buffer expected = {0};
    for (int i = 0; key->choices[i]; i++)
        buffer_printf(&expected, "%s\"%s\"",
            i == 0                ? "must be "
            : key->choices[i + 1] ? ", "
                                  : " or ",
            key->choices[i]);
    complain_of_value(reading, place, &expected, value);
    return false;
}

void config_read_object(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    if (!value || json_is_object(value)) {
        config_read(reading, key->keys, value, place, base);
        return;
    }
    struct buffer expected = {0};
    buffer_add_string(&expected, "must be an object");
    complain_of_value(reading, place, &expected, value);
    for (const struct config_key *inner = key->keys; inner->name; inner++)
        store_nothing(inner, base);
}

static bool read_scalar(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base);

static void read_item(struct config_reading *reading, const struct config_key *list, json_t *value,
    const struct config_place *place, void *base)
{
    if (!list->item)
        config_read_object(reading, list, value, place, base);
    else if (!read_scalar(reading, list->item, value, place, base))
        store_nothing(list->item, base);
}

static void read_list(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    size_t count = value ? json_array_size(value) : (size_t)key->number;
    if (value && (!json_is_array(value) || count < key->min || count > key->max)) {
        struct buffer expected = {0};
        buffer_printf(&expected, "must be a list of %ju to %ju %s", (uintmax_t)key->min, (uintmax_t)key->max,
            key->item ? "texts" : "objects");
        if (!json_is_array(value)) {
            complain_of_value(reading, place, &expected, value);
        } else {
            config_complain(reading, place, "%.*s, but has %zu", (int)expected.length, expected.bytes, count);
            buffer_deinit(&expected);
        }
        return;
    }
    char *items = count ? new_array(count, key->item_bytes) : NULL;
    *(void **)field(key, base) = items;
    *(size_t *)((char *)base + key->count_offset) = count;
    for (size_t i = 0; i < count; i++) {
        struct config_place item = {.parent = place, .index = i};
        read_item(reading, key, json_array_get(value, i), &item, items + i * key->item_bytes);
    }
}

static bool read_scalar(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    switch (key->type) {
    case CONFIG_NUMBER:
        return read_number(reading, key, value, place, base);
    case CONFIG_BOOL:
        return read_bool(reading, key, value, place, base);
    case CONFIG_TEXT:
    case CONFIG_IGNORED:
        return read_text(reading, key, value, place, base);
    case CONFIG_SECRET:
        return read_secret(reading, key, value, place, base);
    case CONFIG_CHOICE:
        return read_choice(reading, key, value, place, base);
    case CONFIG_OBJECT:
    case CONFIG_LIST:
        break;
    }
    abort();
}

const struct config_key *config_table_find(const struct config_key *keys, const char *name)
{
    for (const struct config_key *key = keys; key->name; key++)
        if (strcmp(key->name, name) == 0)
            return key;
    return NULL;
}

static bool is_missing(const struct config_key *key, json_t *object)
{
    return !json_object_get(object, key->name) &&
           (key->required || (key->unless && !json_object_get(object, key->unless)));
}

/* What the table says of a key and its neighbours. */
static void check_neighbours(struct config_reading *reading, const struct config_key *keys,
    const struct config_key *key, json_t *object, const struct config_place *place)
{
    bool there = json_object_get(object, key->name);
    if (is_missing(key, object)) {
        if (key->required)
            config_complain(reading, place, "is missing; it has no default");
        else
            config_complain(
                reading, place, "is missing, and so is \"%s\"; one of the two is needed", key->unless);
    }
    if (there && key->excludes && json_object_get(object, key->excludes))
        config_complain(reading, place, "cannot stand beside \"%s\"; choose one", key->excludes);
    if (there && key->needs && !json_object_get(object, key->needs) &&
        !is_missing(config_table_find(keys, key->needs), object))
        config_complain(reading, place, "needs \"%s\" beside it", key->needs);
}

static void read_key(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place, void *base)
{
    bool left_out = key->type == CONFIG_OBJECT && key->optional && !value;
    bool refused = false;
    if (key->type == CONFIG_OBJECT && !left_out)
        config_read_object(reading, key, value, place, base);
    else if (key->type == CONFIG_LIST)
        read_list(reading, key, value, place, base);
    else if (value)
        refused = !read_scalar(reading, key, value, place, base);
    else
        store_default(key, base);
    if (left_out || refused)
        store_nothing(key, base);
}

static void complain_of_unknown(struct config_reading *reading, const struct config_key *keys,
    const struct config_place *around, const char *name)
{
    struct config_place place = {.parent = around, .key = name};
    const char *nearest = config_nearest_key(keys, name);
    if (nearest) {
        config_complain(reading, &place, "there is no such key; did you mean \"%s\"?", nearest);
        return;
    }
    struct buffer known = {0};
    for (const struct config_key *key = keys; key->name; key++)
        buffer_printf(&known, "%s%s", key == keys ? "" : ", ", key->name);
    config_complain(
        reading, &place, "there is no such key; here may stand %.*s", (int)known.length, known.bytes);
    buffer_deinit(&known);
}

void config_read(struct config_reading *reading, const struct config_key *keys, json_t *object,
    const struct config_place *place, void *base)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) if (!config_table_find(keys, name))
        complain_of_unknown(reading, keys, place, name);
    for (const struct config_key *key = keys; key->name; key++) {
        struct config_place inner = {.parent = place, .key = key->name};
        read_key(reading, key, json_object_get(object, key->name), &inner, base);
        check_neighbours(reading, keys, key, object, &inner);
    }
}

static void release_text(const struct config_key *key, void *base)
{
    char **text = field(key, base);
    if (*text && key->type == CONFIG_SECRET)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static void release_list(const struct config_key *key, void *base)
{
    char **items = field(key, base);
    size_t *count = (size_t *)((char *)base + key->count_offset);
    for (size_t i = 0; i < *count; i++) {
        void *item = *items + i * key->item_bytes;
        if (!key->item)
            config_release(key->keys, item);
        else
            release_text(key->item, item); /* items are texts */
    }
    free(*items);
    *items = NULL;
    *count = 0;
}

void config_release_key(const struct config_key *key, void *base)
{
    if (key->type == CONFIG_TEXT || key->type == CONFIG_SECRET)
        release_text(key, base);
    else if (key->type == CONFIG_OBJECT)
        config_release(key->keys, base);
    else if (key->type == CONFIG_LIST)
        release_list(key, base);
}

void config_release(const struct config_key *keys, void *base)
{
    for (const struct config_key *key = keys; key->name; key++)
        config_release_key(key, base);
}
