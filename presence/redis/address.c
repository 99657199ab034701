#include "presence/redis/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_port(const char *text, uint16_t *port)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    unsigned long number = strtoul(text, &end, 10);
    if (*end || !number || number > 65535)
        return -EINVAL;
    *port = (uint16_t)number;
    return 0;
}

static int take(struct redis_address *address, const char *host, size_t bytes)
{
    if (!bytes || bytes >= sizeof address->host)
        return -EINVAL;
    memcpy(address->host, host, bytes);
    address->host[bytes] = '\0';
    return 0;
}

int redis_address_parse(const char *text, struct redis_address *address)
{
    *address = (struct redis_address){0};
    if (!strncmp(text, "unix:", 5)) {
        address->is_unix = true;
        return take(address, text + 5, strlen(text + 5));
    }
    const char *colon = strrchr(text, ':');
    if (!colon || parse_port(colon + 1, &address->port))
        return -EINVAL;
    if (text[0] == '[' && colon[-1] == ']')
        return take(address, text + 1, (size_t)(colon - text) - 2);
    if (memchr(text, ':', (size_t)(colon - text)) || text[0] == '[')
        return -EINVAL; /* IPv6 without brackets: the port could be part of it */
    return take(address, text, (size_t)(colon - text));
}

bool redis_address_equal(const struct redis_address *a, const struct redis_address *b)
{
    if (a->is_unix != b->is_unix || a->port != b->port)
        return false;
    return (a->is_unix ? strcmp(a->host, b->host) : strcasecmp(a->host, b->host)) == 0;
}

const char *redis_address_print(const struct redis_address *address, char *text)
{
    if (address->is_unix)
        snprintf(text, REDIS_ADDRESS_TEXT, "unix:%s", address->host);
    else
        snprintf(text, REDIS_ADDRESS_TEXT, strchr(address->host, ':') ? "[%s]:%u" : "%s:%u", address->host,
            address->port);
    return text;
}
