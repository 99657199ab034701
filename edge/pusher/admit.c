/* Who is let in: the path and query of the request (protocol.md, "Connecting"). */
#include "edge/pusher/connection_private.h"

#include "auth/request_auth.h"

#include <stdlib.h>
#include <string.h>

static bool one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* "/app/KEY": the key, or a text without bytes. */
static struct json_text key_in(struct http_text path)
{
    static const char prefix[] = "/app/";
    size_t prefix_length = sizeof(prefix) - 1;
    if (path.length <= prefix_length || memcmp(path.bytes, prefix, prefix_length) != 0)
        return (struct json_text){NULL, 0};
    struct json_text key = {path.bytes + prefix_length, path.length - prefix_length};
    return memchr(key.bytes, '/', key.length) ? (struct json_text){NULL, 0} : key;
}

/* The protocol, or 0 with *code set. */
static uint8_t protocol_in(struct http_text query, int *code)
{
    char value[8];
    int length = request_query_get(query.bytes, query.length, "protocol", value, sizeof(value));
    *code = length == -1 || length == 0 ? PUSHER_NO_PROTOCOL : PUSHER_UNSUPPORTED_PROTOCOL;
    if (length != 1 || value[0] < '5' || value[0] > '7')
        return 0;
    *code = 0;
    return (uint8_t)(value[0] - '0');
}

/* The client library's own version may be left out. It begins with a digit and has no strange characters:
 * "8.6.0", "2.0.0-rc.1", "10.1.5+3". */
static bool version_fits(struct http_text query)
{
    char value[65];
    int length = request_query_get(query.bytes, query.length, "version", value, sizeof(value));
    if (length == -1)
        return true;
    if (length < 1 || value[0] < '0' || value[0] > '9')
        return false;
    for (int i = 0; i < length; i++) {
        char c = value[i] | 0x20;
        if (!(value[i] >= '0' && value[i] <= '9') && !(c >= 'a' && c <= 'z') && !one_of(value[i], ".-+_"))
            return false;
    }
    return true;
}

/* Takes one place of the app's quota, exactly, however many workers do so at the same time. */
static bool take_place(const struct app *app)
{
    unsigned before = atomic_fetch_add(&app->counters->connections, 1);
    if (app->limits.connections == 0 || before < app->limits.connections)
        return true;
    atomic_fetch_sub(&app->counters->connections, 1);
    return false;
}

static int refuse(int code, const char *words, const char **why)
{
    *why = words;
    return code;
}

int connection_admit(struct worker *worker, const struct http_request *request, const struct app **admitted,
    uint8_t *protocol, const char **why)
{
    struct json_text key = key_in(request->path);
    int code;
    *admitted = NULL;
    *protocol = 0;
    if (!key.bytes)
        return refuse(PUSHER_PATH_NOT_FOUND, "Path not found; connect to /app/KEY", why);
    *protocol = protocol_in(request->query, &code);
    if (code == PUSHER_NO_PROTOCOL)
        return refuse(code, "No protocol version supplied; add protocol=7 to the query", why);
    if (code)
        return refuse(code, "Unsupported protocol version; 5, 6 and 7 are served", why);
    if (!version_fits(request->query))
        return refuse(PUSHER_INVALID_VERSION, "Invalid version string format; it must be like 8.6.0", why);
    const struct app *app = config_app_by_key(worker->config, key.bytes, key.length);
    if (!app)
        return refuse(PUSHER_NO_SUCH_APP, "No app has this key", why);
    if (!app->enabled)
        return refuse(PUSHER_APP_DISABLED, "This app is disabled", why);
    if (!take_place(app))
        return refuse(PUSHER_OVER_QUOTA, "This app has as many connections as it may", why);
    *admitted = app;
    *why = NULL;
    return 0;
}
