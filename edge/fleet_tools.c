#include "edge/fleet_tools.h"

#include "edge/node/fleet_options.h"
#include "presence/redis/doctor/doctor.h"
#include "presence/redis/doctor/verify.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_CONFIG = 78 };

static const struct tool {
    const char *name;
    unsigned (*run)(const struct store_redis_options *options, FILE *out);
} tools[] = {{"doctor", doctor_examine}, {"verify", verify_compare}};

static const struct tool *find(const char *name)
{
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        if (strcmp(tools[i].name, name) == 0)
            return &tools[i];
    return NULL;
}

bool fleet_tool_known(const char *name)
{
    return find(name) != NULL;
}

int fleet_tool_run(const char *name, const struct config *config)
{
    struct store_redis_options options;
    if (config->presence.store != PRESENCE_REDIS) {
        fprintf(stderr, "rollcall: presence.store is \"memory\": there is no Redis to look at\n");
        return EXIT_CONFIG;
    }
    signal(SIGPIPE, SIG_IGN); /* connections that end are told otherwise */
    struct store_redis_shard *shards = fleet_options(config, &options);
    unsigned wrong = find(name)->run(&options, stdout);
    free(shards);
    return wrong ? 1 : 0;
}
