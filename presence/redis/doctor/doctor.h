/* `rollcall doctor`: who claims to be what, what is proven, what disagrees, and what an operator should do. */
#pragma once

#include "presence/redis/store_redis.h"

#include <stdio.h>

/* Asks every Sentinel and every instance, changes nothing, and writes a report. Returns how many things are wrong.
 * Blocks for some seconds when someone does not answer. */
unsigned doctor_examine(const struct store_redis_options *options, FILE *out);
