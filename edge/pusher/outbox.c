#include "edge/pusher/outbox.h"

#include "presence/base/new.h"

#include <stdlib.h>

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){0};
}

void outbox_deinit(struct outbox *outbox)
{
    while (outbox->count > 0)
        outbox_pop(outbox);
}

static uint32_t room(const struct outbox *outbox)
{
    return outbox->capacity ? outbox->capacity : OUTBOX_INLINE;
}

/* room() is a power of two. */
static struct frame **place(const struct outbox *outbox, uint32_t i)
{
    struct frame **places = outbox->capacity ? outbox->more : (struct frame **)outbox->few;
    return &places[(outbox->head + i) & (room(outbox) - 1)];
}

static void grow(struct outbox *outbox)
{
    _Static_assert((OUTBOX_INLINE & (OUTBOX_INLINE - 1)) == 0, "the ring wraps with a mask");
    uint32_t capacity = room(outbox) * 4;
    struct frame **more = must_have(malloc(capacity * sizeof(struct frame *)));
    for (uint32_t i = 0; i < outbox->count; i++)
        more[i] = *place(outbox, i);
    free(outbox->more);
    outbox->more = more;
    outbox->capacity = capacity;
    outbox->head = 0;
}

void outbox_push(struct outbox *outbox, struct frame *frame)
{
    if (outbox->count == room(outbox))
        grow(outbox);
    *place(outbox, outbox->count++) = frame_ref(frame);
    outbox->bytes += (uint32_t)frame_wire_bytes(frame);
}

struct frame *outbox_at(const struct outbox *outbox, uint32_t i)
{
    return *place(outbox, i);
}

void outbox_pop(struct outbox *outbox)
{
    struct frame *frame = *place(outbox, 0);
    outbox->bytes -= (uint32_t)frame_wire_bytes(frame);
    outbox->head = (outbox->head + 1) & (room(outbox) - 1);
    outbox->count--;
    frame_unref(frame);
    if (outbox->count > 0)
        return;
    /* An idle connection keeps no ring. */
    free(outbox->more);
    outbox->more = NULL;
    outbox->capacity = 0;
    outbox->head = 0;
}
