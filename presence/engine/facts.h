/* What an edge holds, for those who compare it with Redis. */
#pragma once

#include "presence/engine/engine.h"

/* A fact of this edge, as it was last sent. */
struct engine_fact {
    unsigned partition;
    uint64_t owner;
    const char *channel; /* as in keys_and_scripts.h: "<app>:<name>" */
    const char *user;    /* NULL: the number of subscriptions */
    size_t user_bytes;
    uint32_t number;
    bool is_settled; /* Redis has acknowledged exactly this, and nothing is on its way */
};
typedef void engine_fact_each(void *context, const struct engine_fact *fact);

/* Every fact that this edge holds or is about to change. Nothing else may be called from within. */
void engine_each_fact(struct engine *engine, engine_fact_each *each, void *context);
