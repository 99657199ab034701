/* Webhooks: the forms of their texts, and what an endpoint wants. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const event_names[WEBHOOK_EVENTS] = {
    [WEBHOOK_CHANNEL_OCCUPIED] = "channel_occupied",
    [WEBHOOK_CHANNEL_VACATED] = "channel_vacated",
    [WEBHOOK_MEMBER_ADDED] = "member_added",
    [WEBHOOK_MEMBER_REMOVED] = "member_removed",
    [WEBHOOK_SUBSCRIPTION_COUNT] = "subscription_count",
    [WEBHOOK_CLIENT_EVENT] = "client_event",
    [WEBHOOK_CACHE_MISS] = "cache_miss",
};

enum { ALL_EVENTS = (1 << WEBHOOK_EVENTS) - 1 };

const char *config_webhook_event_name(enum config_webhook_event event)
{
    return event_names[event];
}

/* WEBHOOK_EVENTS: there is none of that name. */
static unsigned event_find(const char *name)
{
    unsigned event = 0;
    while (event < WEBHOOK_EVENTS && strcmp(event_names[event], name) != 0)
        event++;
    return event;
}

const char *config_check_webhook_event(const char *value)
{
    return event_find(value) < WEBHOOK_EVENTS
               ? NULL
               : "must be channel_occupied, channel_vacated, member_added, member_removed, client_event, "
                 "cache_miss or subscription_count";
}

/* Of the authority of a URL: host or host:port, the host as in config_endpoint_split(). */
static bool authority_fits(const char *authority, size_t length)
{
    char text[300];
    struct config_endpoint endpoint;
    if (length > 270)
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)length, authority);
    const char *bracket = strrchr(text, ']');
    if (!strchr(bracket ? bracket : text, ':'))
        strcat(text, ":443");
    return config_endpoint_split(text, &endpoint);
}

static bool is_visible_ascii(const char *value)
{
    for (; *value; value++)
        if (*value <= 0x20 || *value >= 0x7f)
            return false;
    return true;
}

const char *config_check_webhook_url(const char *value)
{
    size_t scheme = strncmp(value, "https://", 8) == 0 ? 8 : strncmp(value, "http://", 7) == 0 ? 7 : 0;
    const char *authority = value + scheme;
    bool good = scheme > 0 && is_visible_ascii(value) && !strchr(value, '#') &&
                authority_fits(authority, strcspn(authority, "/?"));
    return good ? NULL
                : "must be a URL like https://host/path: http or https, without user, password, fragment, "
                  "spaces and other than ASCII characters";
}

const char *config_check_absolute_path(const char *value)
{
    return !value[0] || value[0] == '/' ? NULL : "must be an absolute path";
}

const char *config_check_header_name(const char *value)
{
    /* The first are what a receiver knows us by, the others would change where the request ends or goes. */
    static const char *const taken[] = {"Content-Type", "X-Pusher-Key", "X-Pusher-Signature",
        "Content-Length", "Transfer-Encoding", "Host", "Connection", "Expect", "Upgrade", "TE", "Trailer"};
    static const char token[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (value[strspn(value, token)])
        return "must be the name of an HTTP header";
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (strcasecmp(value, taken[i]) == 0)
            return "must be a header that the delivery does not set itself";
    return NULL;
}

const char *config_check_header_value(const char *value)
{
    size_t length = strlen(value);
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return "must be a text without control characters";
    return strchr(" \t", value[0]) || strchr(" \t", value[length - 1])
               ? "must be a text without spaces at its ends"
               : NULL;
}

void config_complete_webhooks(struct app *app)
{
    for (size_t i = 0; i < app->webhook_count; i++) {
        struct config_webhook *webhook = &app->webhooks[i];
        if (!webhook->enabled)
            continue;
        for (size_t j = 0; j < webhook->event_count; j++)
            webhook->wants |= (1u << event_find(webhook->events[j])) & ALL_EVENTS;
        if (webhook->event_count == 0)
            webhook->wants = ALL_EVENTS;
        app->webhook_events |= webhook->wants;
    }
}
