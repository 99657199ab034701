/* The life of a configuration: reading a file, making it whole, freeing. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"
#include "presence/base/new.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void let_counters_go(struct app_counters *counters)
{
    if (counters && atomic_fetch_sub(&counters->references, 1) == 1)
        free(counters);
}

static atomic_uint alive;

unsigned config_count(void)
{
    return atomic_load_explicit(&alive, memory_order_relaxed);
}

struct config *config_new(void)
{
    struct config *config = new_zeroed(sizeof(*config));
    atomic_init(&config->references, 1);
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    return config;
}

static void free_config(struct config *config)
{
    atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
    config_index_free(config->index);
    config_release_tls(config);
    for (size_t i = 0; i < config->app_count; i++)
        let_counters_go(config->apps[i].counters);
    free(config->edge.trusted_networks);
    config_release(config_table, config);
    free(config->warnings);
    free(config);
}

const struct config *config_ref(const struct config *config)
{
    if (config)
        atomic_fetch_add_explicit(&((struct config *)(uintptr_t)config)->references, 1, memory_order_relaxed);
    return config;
}

void config_unref(const struct config *counted)
{
    struct config *config = (struct config *)(uintptr_t)counted;
    if (config && atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) == 1)
        free_config(config);
}

const struct app *app_ref(const struct app *app)
{
    if (app)
        config_ref(app->config);
    return app;
}

void app_unref(const struct app *app)
{
    if (app)
        config_unref(app->config);
}

static struct config *read_whole(struct config_reading *reading, json_t *root)
{
    const struct config_place file = {0};
    struct config *config = config_new();
    config_read(reading, config_table, root, &file, config);
    config_include(reading, config);
    config_complete(reading, config);
    config->index = config_index_new(config);
    config_check(reading, config);
    config_check_tls(reading, config);
    return config;
}

static void keep_warnings(struct config_reading *reading, struct config *config)
{
    buffer_add(&reading->warnings, "", 1);
    config->warnings = reading->warnings.bytes;
    reading->warnings = (struct buffer){0};
}

/* Only of what is good by itself: what waits is named beside what is wrong with the mixture. */
static void mix(struct config_reading *reading, struct config *config, const struct config *running,
    struct config_changes *changes, FILE *errors)
{
    config_keep(config, running, changes);
    reading->warnings.length = 0;
    if (changes->waiting.count > 0)
        config_complete_kept(reading, config);
    config_check(reading, config);
    config_check_tls(reading, config); /* config_keep() lets go of what was made of the certificates */
    if (reading->problem_count == 0 || changes->waiting.count == 0)
        return;
    fprintf(errors, "%s: what needs a restart stays as it is until then (%s%s), and beside it:\n",
        reading->files[0].name, changes->waiting.texts[0], changes->waiting.count > 1 ? ", …" : "");
}

static void share_counters(struct config *config, const struct config *running)
{
    for (size_t i = 0; i < config->app_count; i++) {
        struct app *app = &config->apps[i];
        const struct app *before = config_app_by_id(running, app->id, strlen(app->id));
        if (!before)
            continue;
        let_counters_go(app->counters);
        app->counters = before->counters;
        atomic_fetch_add(&app->counters->references, 1);
    }
}

static void take_over(struct config_reading *reading, struct config *config, const struct config *running,
    struct config_changes *changes, FILE *errors)
{
    mix(reading, config, running, changes, errors);
    if (reading->problem_count > 0)
        return;
    config_compare(config, running, changes);
    share_counters(config, running);
}

/* running NULL: there is none. */
static int parse(const char *text, size_t length, const char *name, const struct config *running,
    struct config **config, struct config_changes *changes, FILE *errors)
{
    struct config_reading *reading = new_zeroed(sizeof(*reading));
    json_t *root = config_file_parse(reading, config_file_add(reading, name, text, length));
    struct config *made = NULL;
    if (json_is_object(root))
        made = read_whole(reading, root);
    else if (root)
        config_complain_at(reading, 0, 1, "must be one JSON object, like {\"edge\": {}}");
    json_decref(root);
    if (running && reading->problem_count == 0)
        take_over(reading, made, running, changes, errors);
    if (made)
        keep_warnings(reading, made);
    bool good = reading->problem_count == 0;
    if (!good) {
        config_problems_print(reading, errors);
        config_unref(made);
        made = NULL;
    }
    *config = made;
    config_reading_free(reading);
    return good ? 0 : -EINVAL;
}

int config_parse(const char *text, size_t length, const char *name, struct config **config, FILE *errors)
{
    return parse(text, length, name, NULL, config, NULL, errors);
}

/* At the start not only of a regular file: a pipe is a good place for a configuration. But it gives it only once. */
static int load(const char *path, const struct config *running, struct config **config,
    struct config_changes *changes, FILE *errors)
{
    struct buffer text = {0};
    int fd = running ? config_file_open(path) : open(path, O_RDONLY | O_CLOEXEC);
    int error = running ? -fd : errno;
    int result = fd < 0 ? -error : config_file_read(fd, &text);
    if (fd >= 0)
        close(fd);
    if (result == -EINVAL)
        fprintf(errors, "%s: is no regular file, so it cannot be read again\n", path);
    else if (result < 0)
        fprintf(errors, "%s: cannot be read: %s\n", path, strerror(-result));
    else
        result = parse(text.bytes, text.length, path, running, config, changes, errors);
    if (text.bytes)
        explicit_bzero(text.bytes, text.capacity);
    buffer_deinit(&text);
    return result;
}

int config_load(const char *path, struct config **config, FILE *errors)
{
    return load(path, NULL, config, NULL, errors);
}

int config_reload(const char *path, const struct config *running, struct config **config,
    struct config_changes *changes, FILE *errors)
{
    *changes = (struct config_changes){0};
    *config = NULL;
    int result = load(path, running, config, changes, errors);
    if (result < 0)
        config_changes_free(changes);
    return result;
}
