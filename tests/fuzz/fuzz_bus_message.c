/* A message of the bus: whatever stands there, what is taken lies within the message. */
#include "presence/engine/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_within(const char *message, size_t length, const char *part, size_t part_length)
{
    if (!part)
        return;
    if (part < message || part_length > length || (size_t)(part - message) > length - part_length)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const char *message = (const char *)bytes;
    struct wire_event event;
    struct wire_user user;
    bool mine, others;
    if (wire_parse(message, length, &event)) {
        check_within(message, length, event.timeline, event.timeline_bytes);
        check_within(message, length, event.id, event.id_bytes);
        check_within(message, length, event.info, event.info_bytes);
        check_within(message, length, event.text, event.text_bytes);
    }
    if (length && wire_user_parse(message, length, &user)) {
        check_within(message, length, user.info, user.info_bytes);
        wire_user_owners(&user, 17, &mine, &others);
    }
    return 0;
}
