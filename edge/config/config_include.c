/* Apps in files of their own: "include" names a folder whose *.json files hold one app or a list of them. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"
#include "presence/base/new.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct config_place main_file = {0};
static const struct config_place include_place = {.parent = &main_file, .key = "include"};

struct inclusion {
    struct config_reading *reading;
    struct config *config;
    const struct config_key *apps; /* the key of the table */
    size_t bytes;                  /* of all files so far */
};

/* Makes room for `more` apps. False after a complaint: they are too many. */
static bool reserve(struct inclusion *inclusion, size_t more)
{
    struct config *config = inclusion->config;
    size_t count = config->app_count + more;
    if (count > inclusion->apps->max) {
        config_complain(inclusion->reading, &include_place, "leads to %zu apps, but at most %ju are served",
            count, (uintmax_t)inclusion->apps->max);
        return false;
    }
    if (more == 0)
        return true;
    config->apps = resized(config->apps, count, sizeof(config->apps[0]));
    struct config_app_place **places = &inclusion->reading->app_places;
    *places = resized(*places, count, sizeof(**places));
    return true;
}

/* Reads one app into the room that there is. */
static void add_app(struct inclusion *inclusion, json_t *value, const struct config_place *place, bool whole)
{
    struct config *config = inclusion->config;
    struct app *app = &config->apps[config->app_count];
    *app = (struct app){0};
    inclusion->reading->app_places[config->app_count] = (struct config_app_place){
        .file = config_place_file(place), .index = place->index, .whole_file = whole};
    config->app_count++;
    config_read_object(inclusion->reading, inclusion->apps, value, place, app);
}

static void add_apps(struct inclusion *inclusion, size_t file, json_t *root)
{
    const struct config_place whole = {.index = file};
    if (json_is_object(root)) {
        if (reserve(inclusion, 1))
            add_app(inclusion, root, &whole, true);
    } else if (json_is_array(root)) {
        size_t count = reserve(inclusion, json_array_size(root)) ? json_array_size(root) : 0;
        for (size_t i = 0; i < count; i++) {
            struct config_place item = {.parent = &whole, .index = i};
            add_app(inclusion, json_array_get(root, i), &item, false);
        }
    } else {
        config_complain_at(
            inclusion->reading, file, 1, "must be an app, like {\"id\": …}, or a list of apps");
    }
}

static int read_file(const char *path, struct buffer *text)
{
    int fd = config_file_open(path);
    if (fd < 0)
        return fd;
    int result = config_file_read(fd, text);
    close(fd);
    return result;
}

static void include_file(struct inclusion *inclusion, const char *folder, const char *name)
{
    struct config_reading *reading = inclusion->reading;
    struct buffer text = {0};
    char *path = new_printed("%s/%s", folder, name);
    int result = read_file(path, &text);
    inclusion->bytes += text.length;
    if (result == 0 && inclusion->bytes > CONFIG_FILE_BYTES_MAX)
        result = -EFBIG;
    if (result == -EFBIG) {
        config_complain(reading, &include_place, "%s is too much: all files together may have 16 MiB", path);
    } else if (result == -EINVAL) {
        config_complain(reading, &include_place, "%s is not a regular file", path);
    } else if (result < 0) {
        config_complain(reading, &include_place, "%s cannot be read: %s", path, strerror(-result));
    } else {
        size_t file = config_file_add(reading, path, text.bytes, text.length);
        json_t *root = config_file_parse(reading, file);
        if (root)
            add_apps(inclusion, file, root);
        json_decref(root);
    }
    if (text.bytes)
        explicit_bzero(text.bytes, text.capacity);
    buffer_deinit(&text);
    free(path);
}

static int is_wanted(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0;
}

/* By bytes, not by the language of whoever starts the process. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void include_folder(struct inclusion *inclusion, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_wanted, by_name);
    if (count < 0) {
        config_complain(inclusion->reading, &include_place, "%s cannot be read: %s", folder, strerror(errno));
        return;
    }
    bool too_many = (uint64_t)count > inclusion->apps->max;
    if (too_many)
        config_complain(inclusion->reading, &include_place,
            "%s has %d files, but at most %ju apps are served", folder, count,
            (uintmax_t)inclusion->apps->max);
    for (int i = 0; i < count; i++) {
        if (!too_many)
            include_file(inclusion, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

void config_include(struct config_reading *reading, struct config *config)
{
    struct inclusion inclusion = {
        .reading = reading,
        .config = config,
        .apps = config_table_find(config_table, "apps"),
    };
    reading->app_places = new_array(config->app_count + 1, sizeof(reading->app_places[0]));
    for (size_t i = 0; i < config->app_count; i++)
        reading->app_places[i].index = i;
    if (!config->include[0])
        return;
    char *folder = config_file_resolve(reading->files[0].name, config->include);
    include_folder(&inclusion, folder);
    free(folder);
}
