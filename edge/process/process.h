/* The process: reads the configuration, puts node and workers together, listens, and takes them apart again
 * when it is told to stop. Main thread. */
#pragma once

#include "edge/config/config.h"

#include <stdbool.h>

/* Serves until SIGTERM or SIGINT, then leaves in an orderly way; on SIGHUP the file, from which `config` was loaded, is read
 * again (edge/process/process_private.h). With take_over it takes the place of the process at edge.hand_over, if there is one.
 * Takes over the reference to `config`. The exit status. */
int process_serve(const struct config *config, const char *path, bool take_over);
