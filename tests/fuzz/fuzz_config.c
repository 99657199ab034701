/* The configuration: whatever it says, the parser takes it or says why not, and the two do not happen
 * together. */
#include "edge/config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_pairs(const struct config *config, const struct app *app)
{
    if (app->key_count == 0 || strcmp(app->key, app->keys[0].key) != 0)
        abort();
    for (size_t i = 0; i < app->key_count; i++) {
        const struct app *found;
        const char *key = app->keys[i].key;
        if (config_key_find(config, key, strlen(key), &found) != &app->keys[i] || found != app)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *said;
    size_t said_length;
    struct config *config = NULL;
    FILE *errors = open_memstream(&said, &said_length);
    int result = config_parse((const char *)bytes, length, "fuzz.json", &config, errors);
    fclose(errors);
    if ((result == 0) != (config != NULL) || (result == 0) != (said_length == 0))
        abort();
    for (size_t i = 0; config && i < config->app_count; i++)
        check_pairs(config, &config->apps[i]);
    config_unref(config);
    free(said);
    return 0;
}
