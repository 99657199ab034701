/* What one configuration has that another has not, and what of it has to wait for a restart. */
#include "edge/config/config.h"
#include "edge/config/config_table_parts.h"

#include "edge/base/buffer.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

/* A list in its struct, whose items are objects or single values. */
struct list {
    const char *items;
    size_t count;
};

static const void *field(const struct config_key *key, const void *base)
{
    return (const char *)base + key->offset;
}

static struct list list_of(const struct config_key *key, const void *base)
{
    return (struct list){
        .items = *(char *const *)field(key, base),
        .count = *(const size_t *)(const void *)((const char *)base + key->count_offset),
    };
}

/* ---- comparing values ---- */

static bool same_value(const struct config_key *key, const void *a, const void *b);

static bool same_object(const struct config_key *keys, const void *a, const void *b)
{
    for (const struct config_key *key = keys; key->name; key++)
        if (!same_value(key, a, b))
            return false;
    return true;
}

static bool same_item(const struct config_key *list, const void *a, const void *b)
{
    return list->item ? same_value(list->item, a, b) : same_object(list->keys, a, b);
}

static bool same_list(const struct config_key *key, struct list a, struct list b)
{
    if (a.count != b.count)
        return false;
    for (size_t i = 0; i < a.count; i++)
        if (!same_item(key, a.items + i * key->item_bytes, b.items + i * key->item_bytes))
            return false;
    return true;
}

static bool same_value(const struct config_key *key, const void *a, const void *b)
{
    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_BOOL:
    case CONFIG_CHOICE:
        return memcmp(field(key, a), field(key, b), key->bytes) == 0;
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        return strcmp(*(char *const *)field(key, a), *(char *const *)field(key, b)) == 0;
    case CONFIG_OBJECT:
        return same_object(key->keys, a, b);
    case CONFIG_LIST:
        return same_list(key, list_of(key, a), list_of(key, b));
    case CONFIG_IGNORED:
        break;
    }
    return true;
}

/* ---- copying values ---- */

static void copy_value(const struct config_key *key, void *to, const void *from);

static void copy_list(const struct config_key *key, void *to, struct list from)
{
    char *items = from.count ? new_array(from.count, key->item_bytes) : NULL;
    *(char **)((char *)to + key->offset) = items;
    *(size_t *)(void *)((char *)to + key->count_offset) = from.count;
    for (size_t i = 0; i < from.count * key->item_bytes; i += key->item_bytes) {
        if (key->item)
            copy_value(key->item, items + i, from.items + i);
        else
            for (const struct config_key *inner = key->keys; inner->name; inner++)
                copy_value(inner, items + i, from.items + i);
    }
}

/* Into what is empty. */
static void copy_value(const struct config_key *key, void *to, const void *from)
{
    char **text = (char **)((char *)to + key->offset);
    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_BOOL:
    case CONFIG_CHOICE:
        memcpy((char *)to + key->offset, field(key, from), key->bytes);
        break;
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        *text = new_text(*(char *const *)field(key, from));
        break;
    case CONFIG_OBJECT:
        for (const struct config_key *inner = key->keys; inner->name; inner++)
            copy_value(inner, to, from);
        break;
    case CONFIG_LIST:
        copy_list(key, to, list_of(key, from));
        break;
    case CONFIG_IGNORED:
        break;
    }
}

static void replace(const struct config_key *key, void *to, const void *from)
{
    config_release_key(key, to);
    copy_value(key, to, from);
}

/* ---- noting paths ---- */

struct notes {
    struct config_paths *paths;
    struct buffer path; /* of what is being looked at */
};

static void note(struct notes *notes, const char *word)
{
    if (notes->paths->count++ >= CONFIG_CHANGES_MAX)
        return;
    notes->paths->texts[notes->paths->count - 1] =
        new_printed("%.*s%s", (int)notes->path.length, notes->path.bytes, word);
}

/* Returns the length to go back to. */
static size_t enter(struct notes *notes, const char *name)
{
    size_t length = notes->path.length;
    buffer_printf(&notes->path, "%s%s", length ? "." : "", name);
    return length;
}

static void note_differences(
    struct notes *notes, const struct config_key *keys, const void *a, const void *b);

/* What is written in one list of an app already, as its own key and secret, is not told twice. */
static bool is_told_by_key_and_secret(const struct config_key *key, const void *a, const void *b)
{
    struct list left = list_of(key, a), right = list_of(key, b);
    const size_t first = key->item_bytes;
    if (strcmp(key->name, "keys") != 0 || left.count == 0 || left.count != right.count)
        return false;
    left = (struct list){left.items + first, left.count - 1};
    right = (struct list){right.items + first, right.count - 1};
    return same_list(key, left, right);
}

/* Of lists whose items a restart may keep, each item; else it is the list that has changed. */
static void note_list(struct notes *notes, const struct config_key *key, const void *a, const void *b)
{
    struct list left = list_of(key, a), right = list_of(key, b);
    if (same_list(key, left, right) || is_told_by_key_and_secret(key, a, b))
        return;
    if (!key->restart || key->item || left.count != right.count) {
        note(notes, "");
        return;
    }
    size_t length = notes->path.length;
    for (size_t i = 0; i < left.count; i++) {
        buffer_printf(&notes->path, "[%zu]", i);
        note_differences(
            notes, key->keys, left.items + i * key->item_bytes, right.items + i * key->item_bytes);
        notes->path.length = length;
    }
}

static void note_differences(struct notes *notes, const struct config_key *keys, const void *a, const void *b)
{
    for (const struct config_key *key = keys; key->name; key++) {
        if (key->keys == config_app_keys)
            continue; /* by id, in compare_apps() */
        size_t length = enter(notes, key->name);
        if (key->type == CONFIG_OBJECT)
            note_differences(notes, key->keys, a, b);
        else if (key->type == CONFIG_LIST)
            note_list(notes, key, a, b);
        else if (!same_value(key, a, b))
            note(notes, "");
        notes->path.length = length;
    }
}

/* Those of one that the other does not have. */
static void note_missing(
    struct notes *notes, const struct config *of, const struct config *in, const char *word)
{
    for (size_t i = 0; i < of->app_count; i++) {
        const char *id = of->apps[i].id;
        if (config_app_by_id(in, id, strlen(id)))
            continue;
        notes->path.length = 0;
        buffer_printf(&notes->path, "apps[\"%s\"]", id);
        note(notes, word);
    }
}

static void compare_apps(struct notes *notes, const struct config *config, const struct config *running)
{
    for (size_t i = 0; i < config->app_count; i++) {
        const struct app *app = &config->apps[i];
        const struct app *before = config_app_by_id(running, app->id, strlen(app->id));
        if (!before)
            continue;
        notes->path.length = 0;
        buffer_printf(&notes->path, "apps[\"%s\"]", app->id);
        note_differences(notes, config_app_keys, app, before);
    }
    note_missing(notes, config, running, " (new)");
    note_missing(notes, running, config, " (removed)");
}

void config_compare(const struct config *config, const struct config *running, struct config_changes *changes)
{
    struct notes notes = {.paths = &changes->taken};
    note_differences(&notes, config_table, config, running);
    compare_apps(&notes, config, running);
    buffer_deinit(&notes.path);
}

/* ---- what waits for a restart ---- */

static bool has_to_wait(const struct config_key *keys, const void *fresh, const void *running)
{
    for (const struct config_key *key = keys; key->name; key++) {
        bool waits = key->type == CONFIG_OBJECT ? has_to_wait(key->keys, fresh, running)
                                                : key->restart && !same_value(key, fresh, running);
        if (waits)
            return true;
    }
    return false;
}

static void keep_item(
    struct notes *notes, const struct config_key *list, size_t index, void *fresh, const void *running)
{
    size_t length = notes->path.length;
    if (!has_to_wait(list->keys, fresh, running))
        return;
    buffer_printf(&notes->path, "[%zu]", index);
    note_differences(notes, list->keys, fresh, running);
    for (const struct config_key *key = list->keys; key->name; key++)
        replace(key, fresh, running);
    notes->path.length = length;
}

static void keep_list(struct notes *notes, const struct config_key *key, void *fresh, const void *running)
{
    struct list list = list_of(key, fresh), other = list_of(key, running);
    if (list.count != other.count || key->item) {
        if (!same_list(key, list, other)) {
            note(notes, "");
            replace(key, fresh, running);
        }
        return;
    }
    for (size_t i = 0; i < list.count; i++)
        keep_item(notes, key, i, *(char **)((char *)fresh + key->offset) + i * key->item_bytes,
            other.items + i * key->item_bytes);
}

static void keep(struct notes *notes, const struct config_key *keys, void *fresh, const void *running)
{
    for (const struct config_key *key = keys; key->name; key++) {
        size_t length = enter(notes, key->name);
        if (key->type == CONFIG_OBJECT) {
            keep(notes, key->keys, fresh, running);
        } else if (key->restart && key->type == CONFIG_LIST) {
            keep_list(notes, key, fresh, running);
        } else if (key->restart && !same_value(key, fresh, running)) {
            note(notes, "");
            replace(key, fresh, running);
        }
        notes->path.length = length;
    }
}

void config_keep(struct config *config, const struct config *running, struct config_changes *changes)
{
    struct notes notes = {.paths = &changes->waiting};
    config_release_tls(config);
    keep(&notes, config_table, config, running);
    buffer_deinit(&notes.path);
}

static void free_paths(struct config_paths *paths)
{
    for (size_t i = 0; i < CONFIG_CHANGES_MAX; i++)
        free(paths->texts[i]);
}

void config_changes_free(struct config_changes *changes)
{
    free_paths(&changes->taken);
    free_paths(&changes->waiting);
    *changes = (struct config_changes){0};
}
