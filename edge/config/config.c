/* The life of a configuration: reading a file, finding apps, freeing. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A name is looked up for every connection and every request, also for the wrong ones of strangers. */
#define HASH_NONFATAL_OOM 0
#include <uthash.h>

enum { FILE_BYTES_MAX = 16 << 20 };

struct config_name {
    UT_hash_handle hh;
    const struct app *app;
};

struct config_index {
    struct config_name *by_key, *by_id;
    struct config_name names[]; /* two an app */
};

/* The first with a name has it: config_check() complains of the others. */
static void index_add(struct config_name **table, struct config_name *name, const struct app *app, char *text)
{
    struct config_name *taken;
    HASH_FIND_STR(*table, text, taken);
    if (taken)
        return;
    name->app = app;
    HASH_ADD_KEYPTR(hh, *table, text, strlen(text), name);
}

static struct config_index *index_new(const struct config *config)
{
    struct config_index *index = calloc(1, sizeof(*index) + 2 * config->app_count * sizeof(index->names[0]));
    if (!index)
        abort();
    for (size_t i = 0; i < config->app_count; i++) {
        const struct app *app = &config->apps[i];
        index_add(&index->by_key, &index->names[2 * i], app, app->key);
        index_add(&index->by_id, &index->names[2 * i + 1], app, app->id);
    }
    return index;
}

static void index_free(struct config_index *index)
{
    if (!index)
        return;
    HASH_CLEAR(hh, index->by_key);
    HASH_CLEAR(hh, index->by_id);
    free(index);
}

static const struct app *index_find(const struct config_name *table, const char *text, size_t length)
{
    const struct config_name *found;
    HASH_FIND(hh, table, text, length, found);
    return found ? found->app : NULL;
}

const struct app *config_app_by_key(const struct config *config, const char *key, size_t length)
{
    return index_find(config->index->by_key, key, length);
}

const struct app *config_app_by_id(const struct config *config, const char *id, size_t length)
{
    return index_find(config->index->by_id, id, length);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    index_free(config->index);
    for (size_t i = 0; i < config->app_count; i++)
        free(config->apps[i].counters);
    config_release(config_table, config);
    free(config);
}

/* Lines whose first characters after white space are // become blank; the others keep their numbers. */
static void blank_comments(char *text, size_t length)
{
    char *end = text + length;
    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *line_end = newline ? newline : end;
        char *c = text;
        while (c < line_end && (*c == ' ' || *c == '\t'))
            c++;
        if (line_end - c >= 2 && c[0] == '/' && c[1] == '/')
            memset(c, ' ', (size_t)(line_end - c));
        text = line_end + 1;
    }
}

/* jansson ends its words with "near '…'", which may be half a secret: only the name of a key is let through.
 */
static int length_without_quote(const json_error_t *error)
{
    const char *near = strstr(error->text, " near ");
    bool keep = !near || json_error_code(error) == json_error_duplicate_key;
    return keep ? JSON_ERROR_TEXT_LENGTH : (int)(near - error->text);
}

/* The file's text as JSON, or NULL, and what is wrong is printed. */
static json_t *parse(const struct config_reading *reading, FILE *errors)
{
    json_error_t error;
    json_t *root =
        json_loadb(reading->text, reading->length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        fprintf(errors, "%s:%d: column %d: must be JSON: %.*s\n", reading->name,
            error.line > 0 ? error.line : 1, error.column > 0 ? error.column : 1,
            length_without_quote(&error), error.text);
        return NULL;
    }
    if (!json_is_object(root)) {
        fprintf(errors, "%s:1: must be one JSON object, like {\"edge\": {}}\n", reading->name);
        json_decref(root);
        return NULL;
    }
    return root;
}

static struct config *read_whole(struct config_reading *reading, json_t *root)
{
    const struct config_place file = {0};
    struct config *config = calloc(1, sizeof(*config));
    if (!config)
        abort();
    config_read(reading, config_table, root, &file, config);
    config_complete(config);
    config->index = index_new(config);
    config_check(reading, config);
    return config;
}

int config_parse(const char *text, size_t length, const char *name, struct config **config, FILE *errors)
{
    char *blanked = malloc(length + 1);
    struct config_reading *reading = calloc(1, sizeof(*reading));
    if (!blanked || !reading)
        abort();
    memcpy(blanked, text, length);
    blanked[length] = '\0';
    blank_comments(blanked, length);
    *reading = (struct config_reading){.name = name, .text = blanked, .length = length};
    int result = -EINVAL;
    json_t *root = parse(reading, errors);
    if (!root)
        goto out;
    *config = read_whole(reading, root);
    if (reading->problem_count == 0) {
        result = 0;
        goto out;
    }
    config_problems_print(reading, errors);
    config_free(*config);
    *config = NULL;
out:
    json_decref(root);
    explicit_bzero(blanked, length); /* it may hold secrets */
    free(blanked);
    free(reading);
    return result;
}

/* Reads the whole file. Not only a regular one: a pipe is a good place for a configuration. */
static int read_file(int fd, struct buffer *text)
{
    for (;;) {
        buffer_reserve(text, 64 * 1024);
        ssize_t got = read(fd, text->bytes + text->length, 64 * 1024);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        text->length += got > 0 ? (size_t)got : 0;
        if (text->length > FILE_BYTES_MAX)
            return -EFBIG;
    }
}

int config_load(const char *path, struct config **config, FILE *errors)
{
    struct buffer text = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result = fd < 0 ? -errno : read_file(fd, &text);
    if (fd >= 0)
        close(fd);
    if (result < 0)
        fprintf(errors, "%s: cannot be read: %s\n", path, strerror(-result));
    else
        result = config_parse(text.bytes, text.length, path, config, errors);
    if (text.bytes)
        explicit_bzero(text.bytes, text.capacity);
    buffer_deinit(&text);
    return result;
}
