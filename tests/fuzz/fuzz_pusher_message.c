/* One message of a client, read as every event reads it. Spans must lie within what was read, and decoded
 * texts must be what the rest of the server relies on: UTF-8 without NUL. */
#include "edge/pusher/message.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(struct json_text text)
{
    if (!text.bytes)
        return;
    demand(text.length == 0 || !memchr(text.bytes, '\0', text.length));
    demand(json_text_characters(text) <= text.length);
    for (size_t max = 0; max < 8; max++)
        demand(json_text_cut(text, max) <= max);
}

/* What was found to be a value must be one where it is quoted again. */
static void check_raw(struct json_text raw)
{
    struct json_field field = {.name = "v"};
    struct buffer text = {0};
    const char *why;
    if (!raw.bytes)
        return;
    buffer_add_string(&text, "{\"v\":");
    buffer_add(&text, raw.bytes, raw.length);
    buffer_add_string(&text, "}");
    int error = json_object_read(text.bytes, text.length, &field, 1, &why);
    demand(error == 0 && field.value.raw.length == raw.length);
    buffer_deinit(&text);
}

static void check_subscription(struct message *message)
{
    struct message_subscription subscription;
    struct message_user user;
    const char *why = NULL;
    if (message_read_subscription(message, &subscription, &why) != 0) {
        demand(why != NULL);
        return;
    }
    check_text(subscription.channel);
    check_text(subscription.auth);
    check_text(subscription.channel_data);
    if (!subscription.channel_data.bytes)
        return;
    if (message_read_user(message, subscription.channel_data, &user, &why) == 0) {
        demand(user.id.length > 0);
        check_text(user.id);
        check_raw(user.info);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct message message;
    const char *why = NULL;
    if (message_read(&message, (const char *)bytes, length, &why) == 0) {
        demand(message.event.length > 0);
        check_text(message.event);
        check_text(message.channel);
        check_raw(message.data.raw);
        check_subscription(&message);
    } else {
        demand(why != NULL);
    }
    message_deinit(&message);
    return 0;
}
