/* The configuration: whatever it says, the parser takes it or says why not, and the two do not happen
 * together. */
#include "edge/config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

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
        if (config_app_by_key(config, config->apps[i].key, strlen(config->apps[i].key)) != &config->apps[i])
            abort();
    config_free(config);
    free(said);
    return 0;
}
