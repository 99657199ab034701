/* The life of a configuration: reading a file, making it whole, freeing. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void config_free(struct config *config)
{
    if (!config)
        return;
    config_index_free(config->index);
    config_release_tls(config);
    for (size_t i = 0; i < config->app_count; i++)
        free(config->apps[i].counters);
    config_release(config_table, config);
    free(config->warnings);
    free(config);
}

static struct config *read_whole(struct config_reading *reading, json_t *root)
{
    const struct config_place file = {0};
    struct config *config = calloc(1, sizeof(*config));
    if (!config)
        abort();
    config_read(reading, config_table, root, &file, config);
    config_include(reading, config);
    config_complete(reading, config);
    config->index = config_index_new(config);
    config_check(reading, config);
    config_check_tls(reading, config);
    buffer_add(&reading->warnings, "", 1);
    config->warnings = reading->warnings.bytes;
    reading->warnings = (struct buffer){0};
    return config;
}

int config_parse(const char *text, size_t length, const char *name, struct config **config, FILE *errors)
{
    struct config_reading *reading = calloc(1, sizeof(*reading));
    if (!reading)
        abort();
    json_t *root = config_file_parse(reading, config_file_add(reading, name, text, length));
    struct config *made = NULL;
    if (json_is_object(root))
        made = read_whole(reading, root);
    else if (root)
        config_complain_at(reading, 0, 1, "must be one JSON object, like {\"edge\": {}}");
    json_decref(root);
    bool good = reading->problem_count == 0;
    if (!good) {
        config_problems_print(reading, errors);
        config_free(made);
        made = NULL;
    }
    *config = made;
    config_reading_free(reading);
    return good ? 0 : -EINVAL;
}

/* Not only of a regular file: a pipe is a good place for a configuration. */
int config_load(const char *path, struct config **config, FILE *errors)
{
    struct buffer text = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result = fd < 0 ? -errno : config_file_read(fd, &text);
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
