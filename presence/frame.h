/* A frame: the bytes of one message to clients, encoded once, shared by all who send it.
 *
 * Immutable after the one who made it has let go of it, and reference-counted with atomics, so a frame may be
 * handed from thread to thread. `text` is the message itself (UTF-8 JSON). In front of it is room for the
 * framing of a transport, so that header and text are one run of bytes: a WebSocket server frame is the same
 * for every recipient. Presence fills the text; the edge seals it (edge/pusher/websocket_frame.h).
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* The longest header of an unmasked WebSocket frame: 2 bytes and a 64-bit length (RFC 6455, 5.2). */
    FRAME_ROOM_BYTES = 10,
};

struct frame {
    atomic_uint references;
    uint32_t text_bytes;
    uint8_t header_bytes; /* 0 until sealed; the header ends where text begins */
    uint8_t room[FRAME_ROOM_BYTES];
    char text[]; /* text_bytes, and a NUL that is not counted */
};

/* A new frame with one reference and room for text_bytes of text, which the caller fills. Never NULL. */
struct frame *frame_new(size_t text_bytes);

/* The same, with a copy of text in it. */
struct frame *frame_copy(const char *text, size_t text_bytes);

/* One reference more. Returns frame. Any thread that holds a reference. */
struct frame *frame_ref(struct frame *frame);

/* One reference less; the last one frees it. NULL is allowed. */
void frame_unref(struct frame *frame);

/* Header and text as they go onto a WebSocket, valid once sealed. */
static inline const uint8_t *frame_wire(const struct frame *frame)
{
    return (const uint8_t *)frame->text - frame->header_bytes;
}

static inline size_t frame_wire_bytes(const struct frame *frame)
{
    return (size_t)frame->header_bytes + frame->text_bytes;
}
