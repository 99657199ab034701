/* The timeline of what went wrong and was put right, for people who look back: a ring that forgets the oldest.
 *
 * What happens in many partitions of a shard at about the same time, for the same reason, is one entry that grows. So
 * every change of an entry gets a number of its own, and whoever has seen up to some number asks for what follows.
 *
 * Pure of input and output; the time is an argument. Thread: its owner's. */
#pragma once

#include "edge/base/buffer.h"
#include "presence/engine/engine.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    HEALED_ENTRIES = 300,
    HEALED_TOGETHER_MS = 3000, /* a heartbeat's length: partitions notice one after the other */
    HEALED_PARTITIONS = 4096,  /* as presence.partitions at most */
    HEALED_TEXT_BYTES = 256,
};

struct healed;

/* Never NULL. */
struct healed *healed_new(void);
void healed_free(struct healed *healed);

/* wall_ms: since 1970. shard: its name, copied. */
void healed_add(struct healed *healed, int64_t wall_ms, const char *shard, const struct engine_note *note);

/* The number of the last change; 0: nothing was ever healed. */
uint64_t healed_last(const struct healed *healed);

/* {"next":…,"missed":…,"entries":[{"id":…,"time_ms":…,"until_ms":…,"kind":…,"shard":…,"partitions":[…],"count":…,
 * "channel":…,"words":…},…]}: those changed after that number, oldest first. missed: how many entries were forgotten
 * that it had not seen. */
void healed_write(const struct healed *healed, uint64_t after, struct buffer *json);
