/* Who is let in: the path and query of the request (protocol.md, "Connecting"). */
#include "edge/pusher/connection_private.h"

#include "auth/percent.h"
#include "auth/request_auth.h"

#include <stdlib.h>
#include <string.h>

/* A key has at most 200 bytes (the configuration says so), each of which may come as %XX. */
enum { KEY_ENCODED_MAX_BYTES = 3 * 200 };

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

/* Keys may hold any text, so in a path they may come percent-encoded. */
static const struct app_key *find_key(
    const struct config *config, struct json_text encoded, const struct app **app)
{
    char key[KEY_ENCODED_MAX_BYTES];
    ptrdiff_t length = -1;
    if (encoded.length <= sizeof(key))
        length = percent_decode(encoded.bytes, encoded.length, key);
    *app = NULL;
    return length < 0 ? NULL : config_key_find(config, key, (size_t)length, app);
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

/* Takes one place, exactly, however many workers do so at the same time; elsewhere: how many others have taken, as far
 * as is known. max 0: as many as come. */
static bool take_place(atomic_uint *taken, unsigned elsewhere, uint32_t max)
{
    uint64_t before = (uint64_t)atomic_fetch_add(taken, 1) + elsewhere;
    if (max == 0 || before < max)
        return true;
    atomic_fetch_sub(taken, 1);
    return false;
}

static bool origin_fits(const struct http_request *request, const struct app *app)
{
    const struct http_text *origin = http_header_find(request, "origin");
    return config_origin_allowed(app, origin ? origin->bytes : NULL, origin ? origin->length : 0);
}

static int refuse(struct admission *admission, int code, const char *why)
{
    *admission = (struct admission){.why = why};
    return code;
}

/* The app, its place, and the place in the process. */
static int admit_to_app(struct worker *worker, const struct http_request *request, const struct app *app,
    struct admission *admission)
{
    if (!app)
        return refuse(admission, PUSHER_NO_SUCH_APP, "No app has this key");
    if (!app->enabled)
        return refuse(admission, PUSHER_APP_DISABLED, "This app is disabled");
    if (!origin_fits(request, app))
        return refuse(admission, PUSHER_UNAUTHORIZED, "Pages of this origin may not use this app");
    if (atomic_load_explicit(node_is_full(worker->node.node), memory_order_relaxed))
        return refuse(admission, PUSHER_OVER_CAPACITY, "The server has as much memory in use as it may");
    if (!take_place(node_connections(worker->node.node), 0, worker->config->edge.connections))
        return refuse(admission, PUSHER_OVER_CAPACITY, "The server has as many connections as it may");
    unsigned elsewhere = atomic_load_explicit(&app->counters->elsewhere, memory_order_relaxed);
    if (take_place(&app->counters->connections, elsewhere, app->limits.connections)) {
        admission->app = app_ref(app);
        return 0;
    }
    atomic_fetch_sub(node_connections(worker->node.node), 1);
    return refuse(admission, PUSHER_OVER_QUOTA, "This app has as many connections as it may");
}

int connection_admit(struct worker *worker, const struct http_request *request, struct admission *admission)
{
    struct json_text key = key_in(request->path);
    int code;
    *admission = (struct admission){0};
    if (!key.bytes)
        return refuse(admission, PUSHER_PATH_NOT_FOUND, "Path not found; connect to /app/KEY");
    admission->protocol = protocol_in(request->query, &code);
    if (code == PUSHER_NO_PROTOCOL)
        return refuse(admission, code, "No protocol version supplied; add protocol=7 to the query");
    if (code)
        return refuse(admission, code, "Unsupported protocol version; 5, 6 and 7 are served");
    if (!version_fits(request->query))
        return refuse(
            admission, PUSHER_INVALID_VERSION, "Invalid version string format; it must be like 8.6.0");
    const struct app *app;
    admission->key = find_key(worker->config, key, &app);
    return admit_to_app(worker, request, app, admission);
}

void connection_give_back(const struct app *app, struct worker *worker)
{
    atomic_fetch_sub(&app->counters->connections, 1);
    atomic_fetch_sub(node_connections(worker->node.node), 1);
    app_unref(app);
}
