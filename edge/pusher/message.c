#include "edge/pusher/message.h"

#include <errno.h>

static int refuse(const char **why, const char *words)
{
    *why = words;
    return -EINVAL;
}

/* Decodes a string. The scratch is made once, for all that one message can need: every string of it decoded
 * once, and those inside channel_data once more; so earlier texts stay where they are. */
static int text_of(struct message *message, const struct json_value *value, struct json_text *text)
{
    if (value->escaped && !message->scratch.bytes)
        buffer_reserve(&message->scratch, 2 * message->text_bytes);
    return json_string_text(value, &message->scratch, text);
}

/* The text of a member that may be left out: null is like absent. */
static int optional_text(struct message *message, const struct json_value *value, struct json_text *text)
{
    *text = (struct json_text){NULL, 0};
    if (value->kind == JSON_KIND_ABSENT || value->kind == JSON_KIND_NULL)
        return 0;
    return value->kind == JSON_KIND_STRING ? text_of(message, value, text) : -EINVAL;
}

int message_read(struct message *message, const char *text, size_t length, const char **why)
{
    struct json_field fields[] = {{.name = "event"}, {.name = "channel"}, {.name = "data"}};
    *message = (struct message){.text_bytes = length};
    int error = json_object_read(text, length, fields, 3, why);
    if (error)
        return error;
    if (fields[0].value.kind != JSON_KIND_STRING ||
        text_of(message, &fields[0].value, &message->event) != 0 || message->event.length == 0)
        return refuse(why, "has no event; it must be a string that is not empty");
    if (optional_text(message, &fields[1].value, &message->channel) != 0)
        return refuse(why, "has a channel that is not a string");
    message->data = fields[2].value;
    return 0;
}

void message_deinit(struct message *message)
{
    buffer_deinit(&message->scratch);
}

int message_read_subscription(
    struct message *message, struct message_subscription *subscription, const char **why)
{
    struct json_field fields[] = {{.name = "channel"}, {.name = "auth"}, {.name = "channel_data"}};
    const char *unused;
    if (message->data.kind != JSON_KIND_OBJECT)
        return refuse(why, "has no data; it must be an object with a channel");
    /* The text was checked with the message, so this fails only for a key that stands twice. */
    if (json_object_read(message->data.raw.bytes, message->data.raw.length, fields, 3, &unused) != 0)
        return refuse(why, "has the same key twice in its data");
    if (fields[0].value.kind != JSON_KIND_STRING ||
        text_of(message, &fields[0].value, &subscription->channel) != 0)
        return refuse(why, "has no data.channel; it must be a string");
    if (optional_text(message, &fields[1].value, &subscription->auth) != 0)
        return refuse(why, "has a data.auth that is not a string");
    if (optional_text(message, &fields[2].value, &subscription->channel_data) != 0)
        return refuse(why, "has a data.channel_data that is not a string (of JSON)");
    return 0;
}

int message_read_signin(struct message *message, struct message_signin *signin, const char **why)
{
    struct json_field fields[] = {{.name = "auth"}, {.name = "user_data"}};
    const char *unused;
    if (message->data.kind != JSON_KIND_OBJECT)
        return refuse(why, "has no data; it must be an object with auth and user_data");
    if (json_object_read(message->data.raw.bytes, message->data.raw.length, fields, 2, &unused) != 0)
        return refuse(why, "has the same key twice in its data");
    if (fields[0].value.kind != JSON_KIND_STRING || text_of(message, &fields[0].value, &signin->auth) != 0)
        return refuse(why, "has no data.auth; it must be a string");
    if (fields[1].value.kind != JSON_KIND_STRING ||
        text_of(message, &fields[1].value, &signin->user_data) != 0)
        return refuse(why, "has no data.user_data; it must be a string (of JSON)");
    return 0;
}

int message_read_user(
    struct message *message, struct json_text channel_data, struct message_user *user, const char **why)
{
    struct json_field fields[] = {{.name = "user_id"}, {.name = "user_info"}};
    const struct json_value *id = &fields[0].value, *info = &fields[1].value;
    int error = json_object_read(channel_data.bytes, channel_data.length, fields, 2, why);
    if (error)
        return error;
    if (id->kind == JSON_KIND_NUMBER)
        user->id = id->raw;
    else if (id->kind != JSON_KIND_STRING || text_of(message, id, &user->id) != 0 || user->id.length == 0)
        return refuse(why, "has no user_id; it must be a string that is not empty, or a number");
    user->info = (struct json_text){NULL, 0};
    if (info->kind != JSON_KIND_ABSENT && info->kind != JSON_KIND_NULL)
        user->info = info->raw;
    return 0;
}
