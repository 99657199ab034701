#include "edge/pusher/fallback_lines.h"

size_t fallback_units(const char *bytes, size_t length)
{
    size_t units = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        units += (byte & 0xc0) != 0x80; /* begins a character */
        units += byte >= 0xf0;          /* one that takes a surrogate pair */
    }
    return units;
}

void fallback_add_open(struct buffer *lines, const char *hostname)
{
    buffer_add_string(lines, "o");
    if (hostname && hostname[0]) {
        buffer_add_string(lines, "{\"hostname\":");
        buffer_add_json_text(lines, hostname);
        buffer_add_string(lines, "}");
    }
    buffer_add_string(lines, "\n");
}

void fallback_add_messages(struct buffer *lines, struct outbox *outbox, size_t units)
{
    size_t begun = 0;
    const char *before = "a[";
    do {
        size_t start = lines->length;
        buffer_add_string(lines, before);
        if (outbox->count > 0) {
            const struct frame *frame = outbox_at(outbox, 0);
            buffer_add_json_string(lines, frame->text, frame->text_bytes);
            outbox_pop(outbox);
        }
        begun += fallback_units(lines->bytes + start, lines->length - start);
        before = ",";
    } while (outbox->count > 0 && begun <= units);
    buffer_add_string(lines, "]\n");
}

void fallback_add_heartbeat(struct buffer *lines)
{
    buffer_add_string(lines, "h\n");
}

void fallback_add_close(struct buffer *lines, int code, const char *reason)
{
    buffer_printf(lines, "c[%d,", code);
    buffer_add_json_text(lines, reason ? reason : "");
    buffer_add_string(lines, "]\n");
}
