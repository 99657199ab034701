#include "presence/engine/facts.h"

#include "presence/engine/engine_internal.h"

static void tell(const struct partition *partition, const struct channel *channel, const struct fact *fact,
    engine_fact_each *each, void *context)
{
    bool moves = fact->dirty || fact->in_batches || fact->sent != fact->acknowledged;
    if (!fact->wanted && !moves)
        return;
    struct engine_fact told = {
        .partition = partition->index,
        .owner = partition->owner,
        .channel = channel->key,
        .user = fact->id,
        .user_bytes = fact->id_bytes,
        .number = fact->sent,
        .is_settled = !moves && partition->state == PARTITION_READY,
    };
    each(context, &told);
}

void engine_each_fact(struct engine *engine, engine_fact_each *each, void *context)
{
    for (unsigned i = 0; i < engine->options.partitions; i++) {
        const struct partition *partition = &engine->partitions[i];
        struct channel *channel;
        TAILQ_FOREACH (channel, &partition->channels, of_partition) {
            struct fact *fact, *next;
            HASH_ITER (hh, channel->facts, fact, next) {
                tell(partition, channel, fact, each, context);
            }
            tell(partition, channel, &channel->number, each, context);
        }
    }
}
