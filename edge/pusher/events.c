#include "edge/pusher/events.h"

#include "edge/base/buffer.h"
#include "edge/pusher/websocket_frame.h"

#include <string.h>

#define ADD(buffer, literal) buffer_add(buffer, literal, sizeof(literal) - 1)

/* What a frame has besides texts of others: keys, quotes, braces. */
enum { SKELETON_BYTES = 160 };

static struct frame *finish(struct buffer *buffer)
{
    struct frame *frame = websocket_seal(frame_copy(buffer->bytes, buffer->length));
    buffer_deinit(buffer);
    return frame;
}

/* {"event":"…","channel":"…","data": — with room for so many bytes more. */
static void begin(struct buffer *buffer, const char *event, const char *channel, size_t data_bytes)
{
    buffer_reserve(buffer, SKELETON_BYTES + data_bytes);
    ADD(buffer, "{\"event\":\"");
    buffer_add_string(buffer, event);
    ADD(buffer, "\",\"channel\":");
    buffer_add_json_text(buffer, channel);
    ADD(buffer, ",\"data\":");
}

/* ---- inside of a string that holds JSON (S in protocol.md) ---- */

static bool is_plain(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)bytes[i] < 0x20 || bytes[i] == '"' || bytes[i] == '\\')
            return false;
    return true;
}

/* A text as a JSON string inside of a JSON string: escaped for the inner one, and that for the outer one. */
static void add_inner_string(struct buffer *buffer, const char *bytes, size_t length)
{
    ADD(buffer, "\\\"");
    if (is_plain(bytes, length)) {
        buffer_add(buffer, bytes, length);
    } else {
        struct buffer inner = {0};
        buffer_add_json_escaped(&inner, bytes, length);
        buffer_add_json_escaped(buffer, inner.bytes, inner.length);
        buffer_deinit(&inner);
    }
    ADD(buffer, "\\\"");
}

static void add_ids(struct buffer *buffer, const struct roster *roster)
{
    for (const struct member *m = roster_first(roster); m; m = roster_next(m)) {
        if (m != roster->members)
            ADD(buffer, ",");
        add_inner_string(buffer, m->id, m->id_bytes);
    }
}

/* Every id has its key: without, pusher-js' members.me is null. */
static void add_hash(struct buffer *buffer, const struct roster *roster)
{
    for (const struct member *m = roster_first(roster); m; m = roster_next(m)) {
        if (m != roster->members)
            ADD(buffer, ",");
        add_inner_string(buffer, m->id, m->id_bytes);
        ADD(buffer, ":");
        if (m->info)
            buffer_add_json_escaped(buffer, m->info, m->info_bytes);
        else
            ADD(buffer, "null");
    }
}

/* ---- about the connection ---- */

struct frame *event_connection_established(struct socket_id id, uint32_t activity_timeout_s)
{
    char text[SOCKET_ID_CHARS];
    struct buffer buffer = {0};
    socket_id_print(id, text);
    buffer_reserve(&buffer, SKELETON_BYTES);
    buffer_printf(&buffer,
        "{\"event\":\"pusher:connection_established\","
        "\"data\":\"{\\\"socket_id\\\":\\\"%s\\\",\\\"activity_timeout\\\":%u}\"}",
        text, activity_timeout_s);
    return finish(&buffer);
}

struct frame *event_error(int code, const char *message)
{
    struct buffer buffer = {0};
    buffer_reserve(&buffer, SKELETON_BYTES);
    ADD(&buffer, "{\"event\":\"pusher:error\",\"data\":{\"message\":");
    buffer_add_json_text(&buffer, message);
    if (code)
        buffer_printf(&buffer, ",\"code\":%d}}", code);
    else
        ADD(&buffer, ",\"code\":null}}");
    return finish(&buffer);
}

static struct frame *literal(const char *text)
{
    return websocket_seal(frame_copy(text, strlen(text)));
}

struct frame *event_ping(void)
{
    return literal("{\"event\":\"pusher:ping\",\"data\":{}}");
}

struct frame *event_pong(void)
{
    return literal("{\"event\":\"pusher:pong\",\"data\":{}}");
}

/* ---- about channels ---- */

struct frame *event_subscription_succeeded(const char *channel, const struct roster *roster)
{
    struct buffer buffer = {0};
    begin(&buffer, "pusher_internal:subscription_succeeded", channel, 0);
    if (!roster) {
        ADD(&buffer, "\"{}\"}");
        return finish(&buffer);
    }
    buffer_printf(&buffer, "\"{\\\"presence\\\":{\\\"count\\\":%zu,\\\"ids\\\":[", roster_count(roster));
    add_ids(&buffer, roster);
    ADD(&buffer, "],\\\"hash\\\":{");
    add_hash(&buffer, roster);
    ADD(&buffer, "}}}\"}");
    return finish(&buffer);
}

struct frame *event_subscription_error(const char *channel, const char *message)
{
    struct buffer buffer = {0};
    begin(&buffer, "pusher:subscription_error", channel, strlen(message));
    ADD(&buffer, "{\"type\":\"AuthError\",\"error\":");
    buffer_add_json_text(&buffer, message);
    ADD(&buffer, ",\"status\":401}}");
    return finish(&buffer);
}

struct frame *event_member_added(const char *channel, const struct member *member)
{
    struct buffer buffer = {0};
    begin(&buffer, "pusher_internal:member_added", channel,
        (size_t)2 * (member->id_bytes + member->info_bytes));
    ADD(&buffer, "\"{\\\"user_id\\\":");
    add_inner_string(&buffer, member->id, member->id_bytes);
    if (member->info) {
        ADD(&buffer, ",\\\"user_info\\\":");
        buffer_add_json_escaped(&buffer, member->info, member->info_bytes);
    }
    ADD(&buffer, "}\"}");
    return finish(&buffer);
}

struct frame *event_member_removed(const char *channel, const struct member *member)
{
    struct buffer buffer = {0};
    begin(&buffer, "pusher_internal:member_removed", channel, (size_t)2 * member->id_bytes);
    ADD(&buffer, "\"{\\\"user_id\\\":");
    add_inner_string(&buffer, member->id, member->id_bytes);
    ADD(&buffer, "}\"}");
    return finish(&buffer);
}

struct frame *event_subscription_count(const char *channel, uint64_t count)
{
    struct buffer buffer = {0};
    begin(&buffer, "pusher_internal:subscription_count", channel, 0);
    buffer_printf(&buffer, "\"{\\\"subscription_count\\\":%ju}\"}", (uintmax_t)count);
    return finish(&buffer);
}

struct frame *event_cache_miss(const char *channel)
{
    struct buffer buffer = {0};
    begin(&buffer, "pusher:cache_miss", channel, 0);
    ADD(&buffer, "\"{}\"}");
    return finish(&buffer);
}

/* ---- about users ---- */

struct frame *event_signin_success(const char *user_data, size_t length)
{
    struct buffer buffer = {0};
    buffer_reserve(&buffer, SKELETON_BYTES + length + length / 4);
    ADD(&buffer, "{\"event\":\"pusher:signin_success\",\"data\":{\"user_data\":");
    buffer_add_json_string(&buffer, user_data, length);
    ADD(&buffer, "}}");
    return finish(&buffer);
}

static void add_watched(struct buffer *buffer, const char *name, const char *ids, size_t length)
{
    if (length == 0)
        return;
    if (buffer->bytes[buffer->length - 1] == '}')
        ADD(buffer, ",");
    buffer_printf(buffer, "{\"name\":\"%s\",\"user_ids\":[", name);
    buffer_add(buffer, ids, length);
    ADD(buffer, "]}");
}

struct frame *event_watchlist(const struct buffer *online, const struct buffer *offline)
{
    struct buffer buffer = {0};
    ADD(&buffer, "{\"event\":\"pusher_internal:watchlist_events\",\"data\":{\"events\":[");
    add_watched(&buffer, "online", online->bytes, online->length);
    add_watched(&buffer, "offline", offline->bytes, offline->length);
    ADD(&buffer, "]}}");
    return finish(&buffer);
}

static struct frame *one_watched(const char *id, bool online)
{
    struct buffer ids = {0}, none = {0};
    buffer_add_json_text(&ids, id);
    struct frame *frame = online ? event_watchlist(&ids, &none) : event_watchlist(&none, &ids);
    buffer_deinit(&ids);
    return frame;
}

struct frame *event_watchlist_online(const char *user_id)
{
    return one_watched(user_id, true);
}

struct frame *event_watchlist_offline(const char *user_id)
{
    return one_watched(user_id, false);
}

/* ---- events of back ends and clients ---- */

static void begin_named(
    struct buffer *buffer, const char *channel, const char *name, size_t name_bytes, size_t data_bytes)
{
    size_t channel_bytes = strlen(channel);
    buffer_reserve(buffer, SKELETON_BYTES + name_bytes + channel_bytes + data_bytes);
    ADD(buffer, "{\"event\":");
    buffer_add_json_string(buffer, name, name_bytes);
    ADD(buffer, ",\"channel\":");
    buffer_add_json_string(buffer, channel, channel_bytes);
    ADD(buffer, ",\"data\":");
}

struct frame *event_published(
    const char *channel, const char *name, size_t name_bytes, const char *data, size_t data_bytes)
{
    struct buffer buffer = {0};
    begin_named(&buffer, channel, name, name_bytes, data_bytes + data_bytes / 4);
    buffer_add_json_string(&buffer, data, data_bytes);
    ADD(&buffer, "}");
    return finish(&buffer);
}

struct frame *event_from_client(const char *channel, const char *name, size_t name_bytes,
    const char *data_json, size_t data_bytes, const char *user_id)
{
    struct buffer buffer = {0};
    begin_named(&buffer, channel, name, name_bytes, data_bytes);
    buffer_add(&buffer, data_json, data_bytes);
    if (user_id) {
        ADD(&buffer, ",\"user_id\":");
        buffer_add_json_text(&buffer, user_id);
    }
    ADD(&buffer, "}");
    return finish(&buffer);
}
