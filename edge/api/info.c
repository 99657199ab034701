#include "edge/api/api_private.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned bit;
} attributes[] = {
    {"user_count", INFO_USER_COUNT},
    {"subscription_count", INFO_SUBSCRIPTION_COUNT},
    {"cache", INFO_CACHE},
};

static unsigned attribute_bit(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
        if (strlen(attributes[i].name) == length && memcmp(attributes[i].name, name, length) == 0)
            return attributes[i].bit;
    }
    return 0;
}

/* One name of the list, without the spaces around it; moves *at behind its comma. */
static size_t take_name(const char **at, const char *end, const char **name)
{
    const char *comma = memchr(*at, ',', (size_t)(end - *at));
    const char *name_end = comma ? comma : end;
    *name = *at;
    *at = comma ? comma + 1 : end;
    while (*name < name_end && **name == ' ')
        (*name)++;
    while (*name < name_end && name_end[-1] == ' ')
        name_end--;
    return (size_t)(name_end - *name);
}

bool api_info_parse(const char *list, size_t length, unsigned allowed, unsigned *info)
{
    const char *at = list, *end = list + length, *name;
    *info = 0;
    while (at < end) {
        size_t name_length = take_name(&at, end, &name);
        unsigned bit = attribute_bit(name, name_length);
        if (name_length > 0 && !(bit & allowed))
            return false;
        *info |= bit;
    }
    return true;
}

const char *api_info_words(unsigned allowed)
{
    return allowed & INFO_CACHE ? "user_count, subscription_count, cache" : "user_count, subscription_count";
}

unsigned api_info_of_channel(unsigned info, const char *channel)
{
    if (channel_kind_of(channel) != CHANNEL_PRESENCE)
        info &= ~(unsigned)INFO_USER_COUNT;
    if (!channel_is_cache(channel))
        info &= ~(unsigned)INFO_CACHE;
    return info;
}
