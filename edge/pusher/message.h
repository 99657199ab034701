/* What a client says: {"event":…, "channel":…, "data":…} (protocol.md, "Client → server").
 *
 * Reading goes in steps, each no further than its event needs. Texts point into the message where it lies, or
 * into the struct's own scratch where escapes had to be decoded, so the message must stay until
 * message_deinit(). Pure functions; any thread.
 */
#pragma once

#include "edge/pusher/json.h"

struct message {
    struct json_text event;   /* decoded; never empty */
    struct json_text channel; /* decoded; bytes NULL when the message has none */
    struct json_value data;   /* as it came */
    /* private */
    struct buffer scratch;
    size_t text_bytes;
};

/* The data of pusher:subscribe and pusher:unsubscribe; what is absent or null has bytes NULL. */
struct message_subscription {
    struct json_text channel; /* always there */
    struct json_text auth;
    struct json_text channel_data; /* the bytes that were signed */
};

/* A user, as channel_data says him. */
struct message_user {
    struct json_text id;   /* of a number: its digits as they came */
    struct json_text info; /* JSON, as it came; bytes NULL when absent or null */
};

/* The data of pusher:signin; both are there. */
struct message_signin {
    struct json_text auth;
    struct json_text user_data; /* the bytes that were signed */
};

/* Reads a message. 0; -EILSEQ: not UTF-8; -EINVAL: anything else that is wrong; *why is then a static clause
 * that goes on from "The message". message_deinit() must be called in any case. */
int message_read(struct message *message, const char *text, size_t length, const char **why);
void message_deinit(struct message *message);

/* Reads its data as that of a subscription. 0 or -EINVAL; *why as above. */
int message_read_subscription(
    struct message *message, struct message_subscription *subscription, const char **why);

int message_read_signin(struct message *message, struct message_signin *signin, const char **why);

/* Reads channel_data (of the same message). 0, -EINVAL or -EILSEQ; *why goes on from "channel_data". */
int message_read_user(
    struct message *message, struct json_text channel_data, struct message_user *user, const char **why);
