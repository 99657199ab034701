#include "edge/api/api_private.h"

#include "auth/percent.h"
#include "auth/request_auth.h"
#include "presence/base/new.h"

#include <stdlib.h>

/* Longer than any list of attributes without repetitions. */
enum { INFO_BYTES = 256 };

static void on_answered(struct query *query)
{
    struct http_exchange *exchange = query->context;
    if (query->status == NODE_OK)
        api_answer_json(exchange, query->body.bytes, query->body.length, query->stale_s);
    else
        api_answer_refusal(exchange, query->status, 0);
    query_free(query);
}

static void ask(struct api_call *call, enum query_kind kind, const char *name, unsigned info)
{
    if (!api_node_has_room(call))
        return;
    struct query *query = query_new(call->app, kind, name, info);
    query->answered = on_answered;
    query->context = call->request->exchange;
    node_query(&call->worker->node, query);
}

/* The query's `info`. False if it was refused. */
static bool read_info(const struct api_call *call, unsigned allowed, unsigned *info)
{
    char list[INFO_BYTES];
    struct http_text query = call->request->query;
    int length = request_query_get(query.bytes, query.length, "info", list, sizeof(list));
    *info = 0;
    if (length == -1 || (length >= 0 && api_info_parse(list, (size_t)length, allowed, info)))
        return true;
    http_answer_error(call->request->exchange, 400, NULL, "info: must be a comma-separated list of %s",
        api_info_words(allowed));
    return false;
}

/* Every byte must be visible ASCII: channels have no others in their names. */
static bool is_visible(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

/* The query's `filter_by_prefix`, "" where there is none; the caller frees it. NULL if it was refused. */
static char *read_prefix(const struct api_call *call)
{
    struct http_text query = call->request->query;
    char *prefix = must_have(malloc(query.length + 1));
    int length = request_query_get(query.bytes, query.length, "filter_by_prefix", prefix, query.length + 1);
    if (length == -1)
        prefix[0] = '\0';
    if (length != -2 && is_visible(prefix))
        return prefix;
    http_answer_error(call->request->exchange, 400, NULL,
        "filter_by_prefix: must be the beginning of a channel's name, percent-encoded");
    free(prefix);
    return NULL;
}

static void refuse_channel(const struct api_call *call)
{
    uint32_t most = call->app->limits.channel_name_chars;
    if (most)
        http_answer_error(call->request->exchange, 400, NULL,
            "the channel in the path must have 1 to %u characters of A-Z a-z 0-9 _ - = @ , . ;", most);
    else
        http_answer_error(call->request->exchange, 400, NULL,
            "the channel in the path must be made of A-Z a-z 0-9 _ - = @ , . ;");
}

/* The channel of the path; the caller frees it. NULL if it was refused. */
static char *read_channel(const struct api_call *call)
{
    struct http_text segment = call->variables[1];
    char *name = must_have(malloc(segment.length + 1));
    ptrdiff_t length = percent_decode(segment.bytes, segment.length, name);
    if (length >= 0 && channel_name_valid(name, (size_t)length, call->app->limits.channel_name_chars)) {
        name[length] = '\0';
        return name;
    }
    free(name);
    refuse_channel(call);
    return NULL;
}

void api_get_channels(struct api_call *call)
{
    unsigned info;
    char *prefix = read_prefix(call);
    if (!prefix)
        return;
    if (read_info(call, INFO_USER_COUNT | INFO_SUBSCRIPTION_COUNT, &info)) {
        if (info & INFO_USER_COUNT && channel_kind_of(prefix) != CHANNEL_PRESENCE)
            http_answer_error(call->request->exchange, 400, NULL,
                "info: user_count needs a filter_by_prefix that begins with presence-");
        else
            ask(call, QUERY_CHANNELS, prefix, info);
    }
    free(prefix);
}

/* False, and answered, if the channel cannot have all of info. */
static bool check_info(const struct api_call *call, const char *channel, unsigned info)
{
    unsigned foreign = info & ~api_info_of_channel(info, channel);
    if (!foreign)
        return true;
    if (foreign & INFO_USER_COUNT)
        http_answer_error(call->request->exchange, 400, NULL,
            "info: only presence channels have a user_count, and this channel is none");
    else
        http_answer_error(call->request->exchange, 400, NULL,
            "info: only cache channels have a cache, and this channel is none");
    return false;
}

void api_get_channel(struct api_call *call)
{
    unsigned info;
    char *name = read_channel(call);
    if (!name)
        return;
    if (read_info(call, INFO_USER_COUNT | INFO_SUBSCRIPTION_COUNT | INFO_CACHE, &info) &&
        check_info(call, name, info))
        ask(call, QUERY_CHANNEL, name, info);
    free(name);
}

void api_get_channel_users(struct api_call *call)
{
    char *name = read_channel(call);
    if (!name)
        return;
    if (channel_kind_of(name) == CHANNEL_PRESENCE)
        ask(call, QUERY_USERS, name, 0);
    else
        http_answer_error(call->request->exchange, 400, NULL,
            "only presence channels have users: the channel in the path must begin with presence-");
    free(name);
}
