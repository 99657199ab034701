/* The lines of a receiving request. Pure functions; any thread. */
#pragma once

#include "edge/base/buffer.h"
#include "edge/pusher/outbox.h"

/* pusher-js drops a response that is longer than this, in UTF-16 units, at the end of the line that made it so
 * (MAX_BUFFER_LENGTH in its http_request.ts), and asks for the next. A line behind would be lost. */
enum { FALLBACK_RESPONSE_UNITS = 256 * 1024 };

/* So many units of UTF-16 are these bytes of UTF-8. */
size_t fallback_units(const char *bytes, size_t length);

/* o, or with a host name o{"hostname":…}: the session is open, and the client turns to that host. */
void fallback_add_open(struct buffer *lines, const char *hostname);

/* a[…]: takes frames out of the outbox, oldest first, until none is left or the line alone is longer than `units`.
 * With an empty outbox the line is a[]. */
void fallback_add_messages(struct buffer *lines, struct outbox *outbox, size_t units);

/* h */
void fallback_add_heartbeat(struct buffer *lines);

/* c[code,"reason"]; reason NULL: "". */
void fallback_add_close(struct buffer *lines, int code, const char *reason);
