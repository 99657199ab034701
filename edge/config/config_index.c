/* Apps by their names. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

/* A name is looked up for every connection and every request, also for the wrong ones of strangers. */
#define HASH_NONFATAL_OOM 0
#include <uthash.h>

struct config_name {
    UT_hash_handle hh;
    const struct app *app;
    const struct app_key *pair; /* of keys */
};

struct config_index {
    struct config_name *by_key, *by_id;
    struct config_name names[]; /* one an id and one a key */
};

/* The first with a name has it: config_check() complains of the others. */
static void add(struct config_name **table, struct config_name *name, const char *text)
{
    struct config_name *taken;
    HASH_FIND_STR(*table, text, taken);
    if (!taken)
        HASH_ADD_KEYPTR(hh, *table, text, strlen(text), name);
}

struct config_index *config_index_new(const struct config *config)
{
    size_t count = config->app_count;
    for (size_t i = 0; i < config->app_count; i++)
        count += config->apps[i].key_count;
    struct config_index *index = new_zeroed(sizeof(*index) + count * sizeof(index->names[0]));
    struct config_name *name = index->names;
    for (size_t i = 0; i < config->app_count; i++) {
        const struct app *app = &config->apps[i];
        name->app = app;
        add(&index->by_id, name++, app->id);
        for (size_t j = 0; j < app->key_count; j++) {
            *name = (struct config_name){.app = app, .pair = &app->keys[j]};
            add(&index->by_key, name++, app->keys[j].key);
        }
    }
    return index;
}

void config_index_free(struct config_index *index)
{
    if (!index)
        return;
    HASH_CLEAR(hh, index->by_key);
    HASH_CLEAR(hh, index->by_id);
    free(index);
}

static const struct config_name *find(const struct config_name *table, const char *text, size_t length)
{
    const struct config_name *found;
    HASH_FIND(hh, table, text, length, found);
    return found;
}

const struct app *config_app_by_key(const struct config *config, const char *key, size_t length)
{
    const struct config_name *found = find(config->index->by_key, key, length);
    return found ? found->app : NULL;
}

const struct app_key *config_key_find(
    const struct config *config, const char *key, size_t length, const struct app **app)
{
    const struct config_name *found = find(config->index->by_key, key, length);
    *app = found ? found->app : NULL;
    return found ? found->pair : NULL;
}

const struct app *config_app_by_id(const struct config *config, const char *id, size_t length)
{
    const struct config_name *found = find(config->index->by_id, id, length);
    return found ? found->app : NULL;
}
