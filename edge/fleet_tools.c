#include "edge/fleet_tools.h"

#include "edge/node/fleet_options.h"
#include "presence/redis/doctor/doctor.h"
#include "presence/redis/doctor/verify.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_CONFIG = 78 };

static unsigned examine(const struct store_redis_options *options, const struct edges_asked *edges, FILE *out)
{
    (void)edges; /* it looks at Redis only */
    return doctor_examine(options, out);
}

static const struct tool {
    const char *name;
    unsigned (*run)(const struct store_redis_options *options, const struct edges_asked *edges, FILE *out);
} tools[] = {{"doctor", examine}, {"verify", verify_compare}};

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

/* The admin listener of the configuration's own edge; "": it has none that can be known. */
static void print_own(const struct config *config, char *text, size_t bytes)
{
    const char *address = config->edge.admin.address;
    text[0] = '\0';
    if (config->edge.admin.enabled && config->edge.admin.port)
        snprintf(text, bytes, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address,
            (unsigned)config->edge.admin.port);
}

int fleet_tool_run(const char *name, const struct config *config, const char *const *edges, size_t edge_count)
{
    struct store_redis_options options;
    char own[160];
    const char *const only_own = own;
    if (config->presence.store != PRESENCE_REDIS) {
        fprintf(stderr, "rollcall: presence.store is \"memory\": there is no Redis to look at\n");
        return EXIT_CONFIG;
    }
    signal(SIGPIPE, SIG_IGN); /* connections that end are told otherwise */
    struct store_redis_shard *shards = fleet_options(config, &options);
    print_own(config, own, sizeof(own));
    if (!edge_count && own[0]) {
        edges = &only_own;
        edge_count = 1;
    }
    const struct edges_asked asked = {edges, edge_count, config->edge.admin.token};
    unsigned wrong = find(name)->run(&options, &asked, stdout);
    free(shards);
    return wrong ? 1 : 0;
}
