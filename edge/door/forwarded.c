#include "edge/door/forwarded.h"

#include "edge/door/http_head.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

bool forwarded_is_trusted(const struct config *config, const struct address *address)
{
    for (size_t i = 0; i < config->edge.trusted_proxy_count; i++)
        if (config_network_has(&config->edge.trusted_networks[i], address->family, address->bytes))
            return true;
    return false;
}

/* ---- one address ---- */

/* Takes "[v6]:port" and "v4:port" down to the address; some proxies add the port. */
static struct http_text without_port(struct http_text text)
{
    if (text.length > 0 && text.bytes[0] == '[') {
        const char *end = memchr(text.bytes, ']', text.length);
        return end ? (struct http_text){text.bytes + 1, (size_t)(end - text.bytes) - 1} : text;
    }
    const char *colon = memchr(text.bytes, ':', text.length);
    bool is_v6 = colon && memchr(colon + 1, ':', text.length - (size_t)(colon + 1 - text.bytes));
    return colon && !is_v6 ? (struct http_text){text.bytes, (size_t)(colon - text.bytes)} : text;
}

static bool read_address(struct http_text text, struct address *address)
{
    char digits[INET6_ADDRSTRLEN];
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    text = without_port(text);
    if (text.length == 0 || text.length >= sizeof(digits))
        return false;
    memcpy(digits, text.bytes, text.length);
    digits[text.length] = '\0';
    if (inet_pton(AF_INET, digits, &in.sin_addr) == 1)
        *address = address_from((struct sockaddr *)&in);
    else if (inet_pton(AF_INET6, digits, &in6.sin6_addr) == 1)
        *address = address_from((struct sockaddr *)&in6);
    else
        return false;
    return true;
}

/* ---- the walk ---- */

static struct http_text trimmed(struct http_text text)
{
    while (text.length > 0 && (text.bytes[0] == ' ' || text.bytes[0] == '\t'))
        text = (struct http_text){text.bytes + 1, text.length - 1};
    while (text.length > 0 && (text.bytes[text.length - 1] == ' ' || text.bytes[text.length - 1] == '\t'))
        text.length--;
    return text;
}

/* Takes the last item off the list. */
static struct http_text take_last(struct http_text *list)
{
    const char *comma = memrchr(list->bytes, ',', list->length);
    size_t before = comma ? (size_t)(comma - list->bytes) : 0, skipped = comma ? before + 1 : 0;
    struct http_text item = {list->bytes + skipped, list->length - skipped};
    list->length = before;
    return trimmed(item);
}

/* Goes on through one header's list. False: the walk has ended. */
static bool walk(const struct config *config, struct http_text list, struct address *client)
{
    while (list.length > 0) {
        struct address next;
        if (!read_address(take_last(&list), &next))
            return false;
        *client = next;
        if (!forwarded_is_trusted(config, &next))
            return false;
    }
    return true;
}

static bool is_named(const struct http_header *header, const char *name)
{
    return header->name.length == strlen(name) &&
           strncasecmp(header->name.bytes, name, header->name.length) == 0;
}

struct address forwarded_client(
    const struct config *config, const struct http_request *request, const struct address *peer)
{
    struct address client = *peer;
    if (!forwarded_is_trusted(config, peer))
        return client;
    const struct http_text *protocol = http_header_find(request, "X-Forwarded-Proto");
    bool secure =
        peer->secure || (protocol && protocol->length == 5 && strncasecmp(protocol->bytes, "https", 5) == 0);
    bool goes_on = true;
    for (size_t i = request->header_count; goes_on && i > 0; i--)
        if (is_named(&request->headers[i - 1], "X-Forwarded-For"))
            goes_on = walk(config, request->headers[i - 1].value, &client);
    client.secure = secure;
    return client;
}
