#include "edge/api/event_list.h"

#include "edge/api/api_private.h"
#include "edge/pusher/events.h"
#include "presence/base/new.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an event can ask to be told of its channels. */
enum { EVENT_INFO = INFO_USER_COUNT | INFO_SUBSCRIPTION_COUNT };

/* A check under way. `where` is in front of every complaint: "" or "batch[3].". */
struct check {
    const struct config_limits *limits;
    struct event_refusal *refusal;
    char where[32];
};

/* Returns false, for the caller to return. */
static bool refuse(const struct check *check, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(const struct check *check, int status, const char *format, ...)
{
    struct event_refusal *refusal = check->refusal;
    refusal->status = status;
    int written = snprintf(refusal->words, sizeof(refusal->words), "%s", check->where);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->words + written, sizeof(refusal->words) - (size_t)written, format, arguments);
    va_end(arguments);
    return false;
}

/* The member of that name; null counts as absent, as some SDKs write it. */
static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

/* Clients take what begins so for the server's own words. Pusher refuses all that begins with "pusher"; other
 * servers do not, and names like pusher-notification are in use on them. */
static bool is_reserved(const char *name)
{
    return strncmp(name, "pusher:", strlen("pusher:")) == 0 ||
           strncmp(name, "pusher_internal:", strlen("pusher_internal:")) == 0;
}

static bool check_name(const struct check *check, const json_t *event, struct event_item *item)
{
    const json_t *name = member(event, "name");
    uint32_t most = check->limits->event_name_chars;
    if (!json_is_string(name))
        return refuse(check, 400, "name: must be the event's name, a string");
    item->name = json_string_value(name);
    item->name_bytes = json_string_length(name);
    size_t chars = api_count_chars(item->name, item->name_bytes);
    if (chars == 0)
        return refuse(check, 400, "name: must not be empty");
    if (is_reserved(item->name))
        return refuse(check, 400, "name: must not begin with pusher: or pusher_internal:");
    if (most && chars > most)
        return refuse(check, 400, "name: must have at most %u characters, but has %zu", most, chars);
    return true;
}

static bool check_data(const struct check *check, const json_t *event, struct event_item *item)
{
    const json_t *data = member(event, "data");
    uint32_t most = check->limits->event_bytes;
    if (!json_is_string(data))
        return refuse(check, 400, "data: must be a string (JSON has to be encoded into one)");
    item->data = json_string_value(data);
    item->data_bytes = json_string_length(data);
    if (most && item->data_bytes > most)
        return refuse(check, 413, "data: must have at most %u bytes, but has %zu", most, item->data_bytes);
    return true;
}

static bool check_socket_id(const struct check *check, const json_t *event, struct event_item *item)
{
    const json_t *id = member(event, "socket_id");
    item->exclude = (struct socket_id){0, 0};
    if (!id)
        return true;
    if (!json_is_string(id) ||
        !socket_id_parse(json_string_value(id), json_string_length(id), &item->exclude))
        return refuse(check, 400,
            "socket_id: must be the socket_id of a connection, as in connection_established (\"123.456\")");
    return true;
}

static bool check_info(const struct check *check, const json_t *event, struct event_item *item)
{
    const json_t *info = member(event, "info");
    item->info = 0;
    if (!info)
        return true;
    if (!json_is_string(info) ||
        !api_info_parse(json_string_value(info), json_string_length(info), EVENT_INFO, &item->info))
        return refuse(check, 400, "info: must be a comma-separated list of %s", api_info_words(EVENT_INFO));
    if (item->info)
        item->info |= INFO_ASKED;
    return true;
}

/* What stands behind the prefix is a user's id, which may have any character. */
static bool check_user_channel(const struct check *check, const char *name, size_t bytes, const char *place)
{
    size_t prefix = strlen(CHANNEL_SERVER_TO_USER_PREFIX);
    size_t chars = api_count_chars(name + prefix, bytes - prefix);
    uint32_t most = check->limits->user_id_chars;
    if (chars == 0)
        return refuse(check, 400, "%s: must have a user's id after " CHANNEL_SERVER_TO_USER_PREFIX, place);
    if (most && chars > most)
        return refuse(check, 400, "%s: must have a user's id of at most %u characters, but has %zu", place,
            most, chars);
    return true;
}

static bool check_channel_name(const struct check *check, const char *name, size_t bytes, const char *place)
{
    uint32_t most = check->limits->channel_name_chars;
    if (channel_kind_of(name) == CHANNEL_SERVER_TO_USER)
        return check_user_channel(check, name, bytes, place);
    if (!channel_name_valid(name, bytes, 0))
        return refuse(check, 400, "%s: must be made of A-Z a-z 0-9 _ - = @ , . ; and not be empty", place);
    if (most && bytes > most)
        return refuse(check, 400, "%s: must have at most %u characters, but has %zu", place, most, bytes);
    return true;
}

/* `place` is the name of the field: "channel", or "channels[3]". */
static bool check_channel(
    const struct check *check, const json_t *channel, const char *place, struct event_item *item)
{
    item->channel = json_string_value(channel);
    if (!item->channel)
        return refuse(check, 400, "%s: must be the name of a channel, a string", place);
    item->info = api_info_of_channel(item->info, item->channel);
    return check_channel_name(check, item->channel, json_string_length(channel), place);
}

static bool check_event(const struct check *check, const json_t *event, struct event_item *item)
{
    return check_name(check, event, item) && check_data(check, event, item) &&
           check_socket_id(check, event, item) && check_info(check, event, item);
}

/* ---- reading ---- */

/* Where the text stops being JSON, in jansson's words but without the piece of the text that it quotes. */
static void refuse_json(const struct check *check, const json_error_t *error)
{
    const char *words = error->text;
    if (json_error_code(error) == json_error_null_character)
        words = "a string must not hold \\u0000";
    const char *quote = strstr(words, " near ");
    int length = quote ? (int)(quote - words) : (int)strlen(words);
    refuse(check, 400, "the body must be JSON in UTF-8; line %d, column %d: %.*s", error->line, error->column,
        length, words);
}

static json_t *load_object(const struct check *check, const char *body, size_t body_bytes)
{
    json_error_t error;
    json_t *json = json_loadb(body_bytes ? body : "", body_bytes, 0, &error);
    if (!json) {
        refuse_json(check, &error);
        return NULL;
    }
    if (!json_is_object(json)) {
        refuse(check, 400, "the body must be a JSON object");
        json_decref(json);
        return NULL;
    }
    return json;
}

static struct event_list *list_new(json_t *json, size_t count)
{
    struct event_list *list = must_have(malloc(sizeof(*list) + count * sizeof(list->items[0])));
    *list = (struct event_list){.json = json, .count = count};
    return list;
}

static struct event_list *keep_if(bool good, struct event_list *list)
{
    if (good)
        return list;
    event_list_free(list);
    return NULL;
}

/* ---- POST /events ---- */

static bool check_channel_count(const struct check *check, const json_t *channels)
{
    uint32_t most = check->limits->channels_per_publish;
    size_t count = json_array_size(channels);
    if (!json_is_array(channels) || count == 0)
        return refuse(check, 400, "channels: must be a list of at least one channel");
    if (most && count > most)
        return refuse(check, 400, "channels: must have at most %u channels, but has %zu", most, count);
    return true;
}

/* An encrypted channel's key is its own, so one event cannot be for it and for others. */
static bool check_encrypted(const struct check *check, const struct event_list *list)
{
    for (size_t i = 0; list->count > 1 && i < list->count; i++) {
        if (channel_kind_of(list->items[i].channel) == CHANNEL_ENCRYPTED)
            return refuse(check, 400, "channels: an encrypted channel must be the only one of its event");
    }
    return true;
}

/* A channel that is named again gets the event once. */
static void drop_repeated(struct event_list *list)
{
    json_t *seen = json_object();
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const char *channel = list->items[i].channel;
        if (json_object_get(seen, channel))
            continue;
        must(json_object_set_new_nocheck(seen, channel, json_true()) == 0);
        list->items[kept++] = list->items[i];
    }
    list->count = kept;
    json_decref(seen);
}

static bool check_channels(
    const struct check *check, const json_t *channels, struct event_item event, struct event_list *list)
{
    char place[32];
    for (size_t i = 0; i < list->count; i++) {
        snprintf(place, sizeof(place), "channels[%zu]", i);
        list->items[i] = event;
        if (!check_channel(check, json_array_get(channels, i), place, &list->items[i]))
            return false;
    }
    if (list->count > 1)
        drop_repeated(list);
    return check_encrypted(check, list);
}

static bool check_single(const struct check *check, const json_t *json, struct event_list *list)
{
    const json_t *channels = member(json, "channels"), *channel = member(json, "channel");
    struct event_item event = {0};
    if (!check_event(check, json, &event))
        return false;
    if (!channels == !channel)
        return refuse(check, 400, "must have either channels, a list, or channel");
    if (channels)
        return check_channel_count(check, channels) && check_channels(check, channels, event, list);
    list->items[0] = event;
    return check_channel(check, channel, "channel", &list->items[0]);
}

struct event_list *event_list_parse(
    const struct config_limits *limits, const char *body, size_t body_bytes, struct event_refusal *refusal)
{
    struct check check = {.limits = limits, .refusal = refusal};
    json_t *json = load_object(&check, body, body_bytes);
    if (!json)
        return NULL;
    const json_t *channels = member(json, "channels");
    struct event_list *list = list_new(json, channels ? json_array_size(channels) : 1);
    return keep_if(check_single(&check, json, list), list);
}

/* ---- POST /batch_events ---- */

static bool check_batch_count(const struct check *check, const json_t *batch)
{
    uint32_t most = check->limits->batch_events;
    size_t count = json_array_size(batch);
    if (!json_is_array(batch) || count == 0)
        return refuse(check, 400, "batch: must be a list of at least one event");
    if (most && count > most)
        return refuse(check, 400, "batch: must have at most %u events, but has %zu", most, count);
    return true;
}

static bool check_batch(struct check *check, const json_t *batch, struct event_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const json_t *event = json_array_get(batch, i);
        if (!json_is_object(event))
            return refuse(check, 400, "batch[%zu]: must be an object with name, data and channel", i);
        snprintf(check->where, sizeof(check->where), "batch[%zu].", i);
        if (!check_event(check, event, &list->items[i]) ||
            !check_channel(check, member(event, "channel"), "channel", &list->items[i]))
            return false;
        check->where[0] = '\0';
    }
    return true;
}

struct event_list *event_list_parse_batch(
    const struct config_limits *limits, const char *body, size_t body_bytes, struct event_refusal *refusal)
{
    struct check check = {.limits = limits, .refusal = refusal};
    json_t *json = load_object(&check, body, body_bytes);
    if (!json)
        return NULL;
    const json_t *batch = json_object_get(json, "batch");
    struct event_list *list = list_new(json, json_array_size(batch));
    list->is_batch = true;
    return keep_if(check_batch_count(&check, batch) && check_batch(&check, batch, list), list);
}

void event_list_free(struct event_list *list)
{
    json_decref(list->json);
    free(list);
}
