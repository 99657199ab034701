/* What the tables are written with, and how they hang together. Only for the config_table*.c. */
#pragma once

#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include <stddef.h>

#define AT(type, member) .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)
#define ITEMS(type, list, count, item)                                                                       \
    .offset = offsetof(type, list), .count_offset = offsetof(type, count), .item_bytes = sizeof(item)

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MINUTES (60 * UINT64_C(1000)) /* in ms */
#define HOURS (60 * MINUTES)

/* The rates are kept in thousandths of a token in 32 bits (edge/base/rate.h). */
#define RATE_MAX 1000000

extern const struct config_key config_app_keys[], config_presence_keys[], config_redis_keys[];
