/* What this edge holds in a fleet's store, for those who compare. The node's thread. */
#pragma once

#include "edge/base/buffer.h"

#include <stdbool.h>

struct node;

/* A line for each fact; false where there is no such store:
 *   <partition> <owner> <= settled, ~ on its way> <app>:<channel> u <user>
 *   …                                                             n <number of subscriptions>
 * In users, % and what is not visible ASCII stand as %XX. */
bool node_write_facts(struct node *node, struct buffer *out);
