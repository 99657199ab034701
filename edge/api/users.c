#include "edge/api/api_private.h"

#include "auth/percent.h"
#include "edge/pusher/websocket_frame.h"
#include "presence/base/new.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static bool is_utf8(const char *text, size_t bytes)
{
    json_t *json = json_stringn(text, bytes);
    json_decref(json);
    return json != NULL;
}

/* What nobody can have signed in with is refused: it is a mistake of the caller's. */
static bool check_id(const struct api_call *call, const char *id, ptrdiff_t bytes)
{
    struct http_exchange *exchange = call->request->exchange;
    uint32_t most = call->app->limits.user_id_chars;
    if (bytes < 0 || memchr(id, '\0', (size_t)bytes) || !is_utf8(id, (size_t)bytes)) {
        http_answer_error(
            exchange, 400, NULL, "the user's id in the path must be UTF-8 without NUL, percent-encoded");
        return false;
    }
    size_t chars = api_count_chars(id, (size_t)bytes);
    if (most && chars > most) {
        http_answer_error(exchange, 400, NULL,
            "the user's id in the path must have at most %u characters, but has %zu", most, chars);
        return false;
    }
    return true;
}

/* The channel of a user's connections; the caller frees it. NULL if the id was refused. */
static char *read_user(const struct api_call *call, struct http_text id)
{
    const size_t prefix = strlen(CHANNEL_USER_PREFIX);
    char *channel = must_have(malloc(prefix + id.length + 1));
    memcpy(channel, CHANNEL_USER_PREFIX, prefix);
    ptrdiff_t bytes = percent_decode(id.bytes, id.length, channel + prefix);
    if (check_id(call, channel + prefix, bytes)) {
        channel[prefix + (size_t)bytes] = '\0';
        return channel;
    }
    free(channel);
    return NULL;
}

/* The edges where he is signed in hear of it on his own channel. */
static void terminate(struct api_call *call, struct http_text id)
{
    char *channel = read_user(call, id);
    if (!channel)
        return;
    if (!api_node_has_room(call)) {
        free(channel);
        return;
    }
    struct publish *publish = publish_new(call->app, 1);
    publish->kind = STORE_EVENT_TERMINATE;
    publish->items[0].channel = channel;
    publish->items[0].frame = websocket_seal(frame_copy("", 0));
    api_publish(call, publish);
}

void api_post_terminate(struct api_call *call)
{
    terminate(call, call->variables[1]);
}

void api_post_terminate_by_key(struct api_call *call)
{
    terminate(call, call->variables[0]);
}
