/* Connections of apps that have a limit: each edge says its own with its heartbeats, and hears what the others have. An
 * app is counted in one partition, chosen by its id, so that a heartbeat carries a few apps only. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

static struct usage *usage_new(struct engine *engine, const char *app_id)
{
    size_t bytes = strlen(app_id);
    struct usage *usage = new_zeroed(sizeof *usage + bytes + 1);
    struct partition *partition = &engine->partitions[wire_partition(app_id, "", engine->options.partitions)];
    memcpy(usage->app_id, app_id, bytes);
    HASH_ADD_STR(engine->usages, app_id, usage);
    STAILQ_INSERT_TAIL(&partition->usages, usage, link);
    return usage;
}

void usage_set(struct store *store, const char *app_id, uint32_t connections)
{
    struct engine *engine = engine_of_store(store);
    struct usage *usage;
    HASH_FIND_STR(engine->usages, app_id, usage);
    if (!usage)
        usage = usage_new(engine, app_id);
    usage->connections = connections;
}

void usage_add(struct partition *partition, struct command *heartbeat)
{
    struct usage *usage;
    STAILQ_FOREACH (usage, &partition->usages, link) {
        args_string(&heartbeat->args, usage->app_id);
        args_number(&heartbeat->args, usage->connections);
        heartbeat->usages++;
    }
}

/* Those that came after the heartbeat was sent stand behind the others. */
void usage_take(
    struct partition *partition, const struct command *heartbeat, const struct reply *reply, size_t at)
{
    const struct store *store = &partition->engine->store;
    struct usage *usage = STAILQ_FIRST(&partition->usages);
    for (uint32_t i = 0; i < heartbeat->usages; i++, usage = STAILQ_NEXT(usage, link)) {
        uint64_t elsewhere = reply_number(reply, at + i);
        if (elsewhere == usage->elsewhere)
            continue;
        usage->elsewhere = elsewhere;
        if (store->observer.usage)
            store->observer.usage(store->observer_context, usage->app_id, elsewhere);
    }
}

void usage_deinit(struct engine *engine)
{
    struct usage *usage, *next;
    HASH_ITER (hh, engine->usages, usage, next) {
        HASH_DEL(engine->usages, usage);
        free(usage);
    }
}
