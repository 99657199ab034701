/* Looking into a file for where its server can be asked, whatever else is wrong with it. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"
#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* {"edge": {"admin": …}} of what there is. */
static json_t *pick(json_t *root)
{
    json_t *admin = json_object_get(json_object_get(root, "edge"), "admin");
    return must_have(json_pack("{s:{s:O*}}", "edge", "admin", json_is_object(admin) ? admin : NULL));
}

/* False after a complaint: it is no JSON. */
static bool read_admin(struct config_reading *reading, struct config *config)
{
    const struct config_place file = {0};
    json_t *root = config_file_parse(reading, 0);
    if (!root)
        return false;
    json_t *picked = pick(root);
    config_read(reading, config_table, picked, &file, config);
    json_decref(picked);
    json_decref(root);
    for (size_t i = 0; i < reading->problem_count && i < CONFIG_PROBLEMS_MAX; i++)
        free(reading->problems[i].words);
    reading->problem_count = 0;
    return true;
}

static int read_text(const char *path, struct buffer *text)
{
    if (!path) {
        buffer_add_string(text, "{}");
        return 0;
    }
    int fd = config_file_open(path);
    int result = fd < 0 ? fd : config_file_read(fd, text);
    if (fd >= 0)
        close(fd);
    return result;
}

int config_peek(const char *path, struct config **config, FILE *errors)
{
    struct buffer text = {0};
    *config = NULL;
    int result = read_text(path, &text);
    if (result < 0) {
        fprintf(errors, "%s: cannot be read: %s\n", path, strerror(-result));
    } else {
        struct config_reading *reading = new_zeroed(sizeof(*reading));
        struct config *made = config_new();
        config_file_add(reading, path ? path : "", text.bytes, text.length);
        if (read_admin(reading, made)) {
            *config = made;
        } else {
            config_problems_print(reading, errors);
            config_unref(made);
            result = -EINVAL;
        }
        config_reading_free(reading);
    }
    if (text.bytes)
        explicit_bzero(text.bytes, text.capacity);
    buffer_deinit(&text);
    return result;
}
