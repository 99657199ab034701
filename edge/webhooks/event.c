/* The JSON of an event (http-api.md, "Webhooks"). */
#include "edge/webhooks/webhooks_private.h"

#include "edge/base/hash.h"

#include <assert.h>
#include <string.h>

/* The configuration names them in the store's order. */
static_assert((int)WEBHOOK_CHANNEL_OCCUPIED == (int)STORE_OCCUPIED, "");
static_assert((int)WEBHOOK_CHANNEL_VACATED == (int)STORE_VACATED, "");
static_assert((int)WEBHOOK_MEMBER_ADDED == (int)STORE_MEMBER_ADDED, "");
static_assert((int)WEBHOOK_MEMBER_REMOVED == (int)STORE_MEMBER_REMOVED, "");
static_assert((int)WEBHOOK_SUBSCRIPTION_COUNT == (int)STORE_COUNTED, "");
static_assert((int)WEBHOOK_CLIENT_EVENT == (int)STORE_CLIENT_EVENT, "");
static_assert((int)WEBHOOK_CACHE_MISS == (int)STORE_CACHE_MISS, "");
static_assert((int)WEBHOOK_EVENTS == STORE_CACHE_MISS + 1, "");

static const char *const reasons[] = {
    [STORE_UNSUBSCRIBED] = "unsubscribed",
    [STORE_CLOSED] = "closed",
    [STORE_TIMED_OUT] = "timed_out",
    [STORE_EDGE_LOST] = "edge_lost",
    [STORE_TERMINATED] = "terminated",
};

static void add_field(struct buffer *json, const char *name, const char *value)
{
    buffer_printf(json, ",\"%s\":", name);
    buffer_add_json_text(json, value);
}

/* The inside of an object. */
static void add_payload(struct buffer *json, const char *payload, size_t length)
{
    if (length <= 2 || payload[0] != '{' || payload[length - 1] != '}')
        return; /* not ours; it would break the body */
    buffer_add_string(json, ",");
    buffer_add(json, payload + 1, length - 2);
}

static bool is_hex_of(const char *text, const char *end, const char *first, const char *second)
{
    return end - text >= 6 && text[0] == '\\' && text[1] == 'u' && strchr(first, text[2] | 0x20) &&
           strchr(second, text[3] | 0x20);
}

/* A string of JSON as it came, but for halves of surrogate pairs, which become U+FFFD: one would make receivers refuse a
 * whole body, and clients can send them. (Or-ing 0x20 leaves digits as they are.) */
static void add_string_of_client(struct buffer *json, const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        size_t unit = *text != '\\' ? 1 : text[1] == 'u' ? 6 : 2;
        if (is_hex_of(text, end, "d", "89ab") && is_hex_of(text + 6, end, "d", "cdef"))
            unit = 12;
        else if (is_hex_of(text, end, "d", "89abcdef")) {
            buffer_add_string(json, "\\ufffd");
            text += unit;
            continue;
        }
        buffer_add(json, text, unit);
        text += unit;
    }
}

void webhooks_add_payload(struct buffer *payload, const char *event, size_t event_bytes, const char *data,
    size_t data_bytes, const char *socket_id)
{
    buffer_add_string(payload, "{\"event\":");
    buffer_add_json_string(payload, event, event_bytes);
    buffer_add_string(payload, ",\"data\":");
    if (data_bytes > 0 && data[0] == '"') /* a string of JSON already */
        add_string_of_client(payload, data, data_bytes);
    else
        buffer_add_json_string(payload, data, data_bytes);
    buffer_add_string(payload, ",\"socket_id\":");
    buffer_add_json_text(payload, socket_id);
    buffer_add_string(payload, "}");
}

/* Receivers refuse a whole body for one number in it (Rust), or for one encrypted channel (Go); client events are apart
 * because they are large and many. */
static unsigned form_of(const struct store_transition *transition)
{
    unsigned form = transition->kind == STORE_COUNTED ? 1 : transition->kind == STORE_CLIENT_EVENT ? 2 : 0;
    bool encrypted = strncmp(transition->channel, "private-encrypted-", 18) == 0;
    return form * 2 + encrypted;
}

void event_write(struct event *event, const struct store_transition *transition)
{
    struct buffer json = {0};
    buffer_reserve(&json, 128 + strlen(transition->channel) + transition->payload_bytes);
    buffer_printf(
        &json, "{\"name\":\"%s\"", config_webhook_event_name((enum config_webhook_event)transition->kind));
    add_field(&json, "channel", transition->channel);
    if (transition->user_id)
        add_field(&json, "user_id", transition->user_id);
    if (transition->kind == STORE_COUNTED)
        buffer_printf(&json, ",\"subscription_count\":%ju", (uintmax_t)transition->count);
    if (transition->kind == STORE_VACATED || transition->kind == STORE_MEMBER_REMOVED)
        add_field(&json, "reason", reasons[transition->reason]);
    if (transition->payload)
        add_payload(&json, transition->payload, transition->payload_bytes);
    add_field(&json, "id", event->id);
    buffer_add_string(&json, "}");
    event->json = json.bytes;
    event->json_bytes = json.length;
    event->form = form_of(transition);
    event->channel_hash = hash_text(transition->channel, strlen(transition->channel));
}
