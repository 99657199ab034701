/* The headers of WebSocket frames (RFC 6455, 5.2), as a server writes them: unmasked, so the same for every
 * recipient. Knows frames, not connections and not libwebsockets. */
#pragma once

#include "presence/frame.h"

enum {
    WEBSOCKET_CLOSE_NORMAL = 1000,
    WEBSOCKET_CLOSE_UNSUPPORTED = 1003, /* binary messages */
    WEBSOCKET_CLOSE_NOT_UTF8 = 1007,
    WEBSOCKET_CLOSE_TOO_LARGE = 1009,
    /* 125 bytes of a control frame (5.5) less two for the code */
    WEBSOCKET_REASON_MAX_BYTES = 123,
};

/* Writes the header in front of a frame's text. Call once, before the frame is shared. Returns frame. */
struct frame *websocket_seal(struct frame *frame);

/* A Ping with a payload: libwebsockets 4.1 swallows the answer to one without. One reference. */
struct frame *websocket_ping_new(void);

/* A Close with code and reason, which is UTF-8 and is cut to what fits. One reference. */
struct frame *websocket_close_new(int code, const char *reason);
