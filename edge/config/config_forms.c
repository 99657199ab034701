/* The forms of texts: what the table's keys take. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"

static bool consists_of(const char *value, const char *more)
{
    for (; *value; value++) {
        bool letter = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z');
        bool digit = *value >= '0' && *value <= '9';
        if (!letter && !digit && !strchr(more, *value))
            return false;
    }
    return true;
}

/* C0, DEL and, in UTF-8, C1. */
static bool has_control(const char *value)
{
    for (const unsigned char *c = (const unsigned char *)value; *c; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
            return true;
    return false;
}

static bool is_address(const char *value)
{
    struct in6_addr address; /* room for either */
    return inet_pton(AF_INET, value, &address) == 1 || inet_pton(AF_INET6, value, &address) == 1;
}

bool config_is_unix(const char *address)
{
    return strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

/* The absolute path behind "unix:", or NULL. */
static const char *socket_path(const char *value)
{
    const char *path = value + strlen(UNIX_PREFIX);
    bool good = config_is_unix(value) && path[0] == '/' && path[1] &&
                strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path);
    return good ? path : NULL;
}

const char *config_check_address(const char *value)
{
    return is_address(value) ? NULL
                             : "must be an IPv4 or IPv6 address in digits (names are not looked up, and IPv6 "
                               "has no brackets)";
}

const char *config_check_listen_address(const char *value)
{
    return socket_path(value) || is_address(value)
               ? NULL
               : "must be an IPv4 or IPv6 address in digits (names are not looked up, and IPv6 has no "
                 "brackets), or unix: and an absolute path of at most 107 bytes";
}

const char *config_check_socket_path(const char *value)
{
    return value[0] == '\0' || (value[0] == '/' && value[1]) ? NULL : "must be empty, or an absolute path";
}

const char *config_check_path_prefix(const char *value)
{
    size_t length = strlen(value);
    bool good = length == 0 || (value[0] == '/' && value[length - 1] != '/' && !strstr(value, "//") &&
                                   consists_of(value, "/-_.~"));
    return good ? NULL
                : "must be empty, or begin with / and not end with one, of letters, digits and - _ . ~ /";
}

const char *config_check_label(const char *value)
{
    return consists_of(value, "-_.:") ? NULL : "must consist of letters, digits and - _ . :";
}

const char *config_check_host(const char *value)
{
    return consists_of(value, "-.")
               ? NULL
               : "must be empty, a host name, or an IPv4 address, of letters, digits and - . "
                 "(no port, no scheme)";
}

const char *config_check_app_id(const char *value)
{
    return has_control(value) ? "must be a text without control characters" : NULL;
}

const char *config_check_app_key(const char *value)
{
    /* It stands in a path, where an escape would be ambiguous, and before the colon of "key:signature". */
    return has_control(value) || strpbrk(value, "/?#:%")
               ? "must be a text without control characters and without / ? # : %"
               : NULL;
}

const char *config_check_username(const char *value)
{
    return has_control(value) || strchr(value, ' ') ? "must be a text without spaces and control characters"
                                                    : NULL;
}

const char *config_check_token(const char *value)
{
    for (; *value; value++)
        if (*value <= ' ' || *value > '~')
            return "must be letters, digits and signs of ASCII without spaces: it travels in a header";
    return NULL;
}

/* What sentinel.c lets a master be called. */
const char *config_check_master(const char *value)
{
    return consists_of(value, "-_.") ? NULL : "must consist of letters, digits and - _ .";
}

/* "1" to "65535", or 0. */
static uint16_t port_of(const char *text)
{
    unsigned port = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 5 || text[0] == '0')
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return 0;
        port = port * 10 + (unsigned)(*text - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

bool config_endpoint_split(const char *text, struct config_endpoint *endpoint)
{
    *endpoint = (struct config_endpoint){0};
    const char *path = socket_path(text);
    if (path) {
        strcpy(endpoint->host, path); /* at most 107 bytes */
        return true;
    }
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    bool brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (brackets) {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof(endpoint->host))
        return false;
    memcpy(endpoint->host, text, length);
    endpoint->host[length] = '\0';
    endpoint->port = port_of(colon + 1);
    struct in6_addr v6;
    bool host_fits = brackets ? inet_pton(AF_INET6, endpoint->host, &v6) == 1
                              : endpoint->host[0] != '-' && consists_of(endpoint->host, "-_.");
    return host_fits && endpoint->port != 0;
}

const char *config_check_host_and_port(const char *value)
{
    struct config_endpoint endpoint;
    return config_endpoint_split(value, &endpoint) && endpoint.port ? NULL
                                                                    : "must be host:port or [IPv6]:port";
}

const char *config_check_endpoint(const char *value)
{
    struct config_endpoint endpoint;
    return config_endpoint_split(value, &endpoint)
               ? NULL
               : "must be host:port, [IPv6]:port, or unix: and an absolute path of at most 107 bytes";
}
