#include "edge/node/channel.h"

#include <string.h>

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

enum channel_kind channel_kind_of(const char *name)
{
    if (begins_with(name, "presence-"))
        return CHANNEL_PRESENCE;
    if (begins_with(name, "private-encrypted-"))
        return CHANNEL_ENCRYPTED;
    if (begins_with(name, "private-"))
        return CHANNEL_PRIVATE;
    if (begins_with(name, CHANNEL_SERVER_TO_USER_PREFIX))
        return CHANNEL_SERVER_TO_USER;
    if (begins_with(name, CHANNEL_USER_PREFIX))
        return CHANNEL_USER;
    return CHANNEL_PUBLIC;
}

bool channel_is_cache(const char *name)
{
    return begins_with(name, "cache-") || begins_with(name, "private-cache-") ||
           begins_with(name, "private-encrypted-cache-") || begins_with(name, "presence-cache-");
}

bool channel_name_valid(const char *name, size_t length, uint32_t max_chars)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=@,.;";
    if (length == 0 || (max_chars && length > max_chars))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!name[i] || !strchr(alphabet, name[i]))
            return false;
    return true;
}
