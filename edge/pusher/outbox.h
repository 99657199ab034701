/* The outbox of a connection: whole frames that wait to be written, oldest first.
 *
 * Holds references. Small outboxes live inside the struct: most connections never have more than a few frames
 * waiting. Not thread-safe.
 */
#pragma once

#include "presence/frame.h"

enum { OUTBOX_INLINE = 2 };

struct outbox {
    struct frame **more; /* a ring, when the inline places do not suffice */
    struct frame *few[OUTBOX_INLINE];
    uint32_t head, count, capacity; /* capacity of `more`; 0 while inline */
    uint32_t bytes;                 /* on the wire, of all that waits */
};

void outbox_init(struct outbox *outbox);
void outbox_deinit(struct outbox *outbox);

/* Takes a reference of its own. */
void outbox_push(struct outbox *outbox, struct frame *frame);

/* The i-th oldest (borrowed), i < count. */
struct frame *outbox_at(const struct outbox *outbox, uint32_t i);

/* Drops the oldest. */
void outbox_pop(struct outbox *outbox);
