#include "presence/frame.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

struct frame *frame_new(size_t text_bytes)
{
    if (text_bytes > UINT32_MAX - FRAME_ROOM_BYTES)
        abort();
    struct frame *frame = must_have(malloc(sizeof(*frame) + text_bytes + 1));
    atomic_init(&frame->references, 1);
    frame->text_bytes = (uint32_t)text_bytes;
    frame->header_bytes = 0;
    frame->text[text_bytes] = '\0';
    return frame;
}

struct frame *frame_copy(const char *text, size_t text_bytes)
{
    struct frame *frame = frame_new(text_bytes);
    memcpy(frame->text, text, text_bytes);
    return frame;
}

struct frame *frame_ref(struct frame *frame)
{
    atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    return frame;
}

void frame_unref(struct frame *frame)
{
    if (frame && atomic_fetch_sub_explicit(&frame->references, 1, memory_order_acq_rel) == 1)
        free(frame);
}
