#include "edge/pusher/websocket_frame.h"

#include "edge/pusher/json.h"

#include <string.h>

enum { FINAL = 0x80, TEXT = 0x1, CLOSE = 0x8, PING = 0x9 };

/* The length in `count` bytes, network order. */
static void put_length(uint8_t *into, uint64_t length, unsigned count)
{
    while (count-- > 0) {
        into[count] = (uint8_t)length;
        length >>= 8;
    }
}

static struct frame *seal(struct frame *frame, uint8_t opcode)
{
    size_t length = frame->text_bytes;
    frame->header_bytes = length < 126 ? 2 : length < 65536 ? 4 : 10;
    uint8_t *header = (uint8_t *)frame->text - frame->header_bytes;
    header[0] = FINAL | opcode;
    header[1] = length < 126 ? (uint8_t)length : length < 65536 ? 126 : 127;
    put_length(header + 2, length, frame->header_bytes - 2u);
    return frame;
}

struct frame *websocket_seal(struct frame *frame)
{
    return seal(frame, TEXT);
}

struct frame *websocket_ping_new(void)
{
    return seal(frame_copy("ping", 4), PING);
}

struct frame *websocket_close_new(int code, const char *reason)
{
    struct json_text text = {reason, strlen(reason)};
    size_t reason_bytes = json_text_cut(text, WEBSOCKET_REASON_MAX_BYTES);
    struct frame *frame = frame_new(2 + reason_bytes);
    frame->text[0] = (char)(code >> 8);
    frame->text[1] = (char)code;
    memcpy(frame->text + 2, reason, reason_bytes);
    return seal(frame, CLOSE);
}
