/* What the program can do with a fleet's configuration besides serving: look at the fleet's Redis. */
#pragma once

#include "edge/config/config.h"

#include <stdbool.h>

/* Whether there is such a tool: "doctor", "verify". */
bool fleet_tool_known(const char *name);

/* Runs it and writes to standard output. edges: the admin listeners of edges to be asked, as "host:port"; none: that of
 * this configuration. The exit status: 0 when all is well, 1 when something is wrong, 78 when the
 * configuration has no Redis. */
int fleet_tool_run(
    const char *name, const struct config *config, const char *const *edges, size_t edge_count);
