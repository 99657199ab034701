/* Origins of pages, and the patterns that say which of them may use an app.
 *
 *   pattern = "*" | "null" | "file://" | [scheme "://"] host [":" (port | "*")]
 *   host    = ["*."] labels | IPv4 address | "[" IPv6 address "]"
 *
 * Without a scheme all schemes fit; "*." stands for one label or more; without a port only the scheme's own
 * fits, which browsers leave out of an origin.
 */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include <arpa/inet.h>
#include <string.h>

struct piece {
    const char *text;
    size_t length;
};

struct origin {
    struct piece scheme, host, port; /* what is not there has no text */
};

static struct piece piece_of(const char *text, const char *end)
{
    return (struct piece){text, (size_t)(end - text)};
}

static bool is(struct piece piece, const char *text)
{
    return piece.text && piece.length == strlen(text) && strncasecmp(piece.text, text, piece.length) == 0;
}

static bool same(struct piece a, struct piece b)
{
    return a.length == b.length && strncasecmp(a.text, b.text, a.length) == 0;
}

static struct origin split(const char *text, size_t length)
{
    struct origin origin = {0};
    const char *end = text + length;
    const char *slashes = memmem(text, length, "://", 3);
    if (slashes) {
        origin.scheme = piece_of(text, slashes);
        text = slashes + 3;
    }
    const char *colon = memrchr(text, ':', (size_t)(end - text));
    if (colon && memchr(colon, ']', (size_t)(end - colon)))
        colon = NULL; /* one of an IPv6 address */
    if (colon)
        origin.port = piece_of(colon + 1, end);
    origin.host = piece_of(text, colon ? colon : end);
    return origin;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 3986, 3.1 */
static bool is_scheme(struct piece scheme)
{
    if (scheme.length == 0 || !is_letter(scheme.text[0]))
        return false;
    for (size_t i = 1; i < scheme.length; i++) {
        char c = scheme.text[i];
        if (!is_letter(c) && !is_digit(c) && c != '+' && c != '-' && c != '.')
            return false;
    }
    return true;
}

static bool is_v6(struct piece host)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    if (host.length < 4 || host.length - 2 >= sizeof(address) || host.text[host.length - 1] != ']')
        return false;
    memcpy(address, host.text + 1, host.length - 2);
    address[host.length - 2] = '\0';
    return inet_pton(AF_INET6, address, &v6) == 1;
}

/* Names of other alphabets arrive in the ASCII form (xn--…). */
static bool is_name(struct piece host)
{
    size_t label = 0;
    for (size_t i = 0; i < host.length; i++) {
        char c = host.text[i];
        if (c == '.' && label > 0)
            label = 0;
        else if (is_letter(c) || is_digit(c) || c == '-' || c == '_')
            label++;
        else
            return false;
    }
    return label > 0;
}

static bool has_wildcard(struct piece host)
{
    return host.length > 2 && host.text[0] == '*' && host.text[1] == '.';
}

static bool is_host(struct piece host)
{
    if (host.length > 0 && host.text[0] == '[')
        return is_v6(host);
    return is_name(has_wildcard(host) ? piece_of(host.text + 2, host.text + host.length) : host);
}

static bool is_port(struct piece port)
{
    unsigned number = 0;
    for (size_t i = 0; i < port.length; i++) {
        if (!is_digit(port.text[i]) || number > UINT16_MAX)
            return false;
        number = number * 10 + (unsigned)(port.text[i] - '0');
    }
    return number > 0 && number <= UINT16_MAX;
}

static bool is_pattern(const char *value)
{
    if (strcmp(value, "*") == 0 || strcmp(value, "null") == 0 || strcasecmp(value, "file://") == 0)
        return true;
    struct origin origin = split(value, strlen(value));
    return (!origin.scheme.text || is_scheme(origin.scheme)) && is_host(origin.host) &&
           (!origin.port.text || is(origin.port, "*") || is_port(origin.port));
}

const char *config_check_origin(const char *value)
{
    return is_pattern(value) ? NULL
                             : "must be \"*\" or an origin without a path, like https://example.com, "
                               "https://*.example.com, example.com:8080 or localhost:*";
}

static bool host_fits(struct piece pattern, struct piece host)
{
    if (!has_wildcard(pattern))
        return same(pattern, host);
    struct piece suffix = piece_of(pattern.text + 1, pattern.text + pattern.length); /* with its dot */
    if (host.length <= suffix.length)
        return false;
    return same(suffix, piece_of(host.text + host.length - suffix.length, host.text + host.length));
}

static struct piece port_in(struct piece port, struct piece scheme)
{
    if (port.text)
        return port;
    if (is(scheme, "https"))
        return (struct piece){"443", 3};
    return is(scheme, "http") ? (struct piece){"80", 2} : (struct piece){"", 0};
}

static bool fits(const char *pattern, const struct origin *origin)
{
    if (strcmp(pattern, "*") == 0)
        return true;
    bool wants_null = strcmp(pattern, "null") == 0;
    bool is_null = !origin->scheme.text && !origin->port.text && is(origin->host, "null");
    if (wants_null || !origin->scheme.text)
        return wants_null && is_null;
    struct origin wanted = split(pattern, strlen(pattern));
    if (wanted.scheme.text && !same(wanted.scheme, origin->scheme))
        return false;
    bool port_fits = is(wanted.port, "*") ||
                     same(port_in(wanted.port, origin->scheme), port_in(origin->port, origin->scheme));
    return port_fits && host_fits(wanted.host, origin->host);
}

bool config_origin_allowed(const struct app *app, const char *origin, size_t length)
{
    if (app->allowed_origin_count == 0 || !origin)
        return true;
    const struct origin parts = split(origin, length);
    for (size_t i = 0; i < app->allowed_origin_count; i++)
        if (fits(app->allowed_origins[i], &parts))
            return true;
    return false;
}
