/* Requests of the HTTP fallback:
 *
 *   POST /pusher/app/{key}/{number}/{session}/xhr_streaming?{the protocol's query}    receives
 *                                             xhr?{the same}                          receives once
 *                                             xhr_send                                sends ["…",…]
 *
 * The first one that receives opens the session. Pages of every origin may read the answers: that is how those
 * whose origin the app does not allow learn of it, as from a WebSocket.
 */
#include "edge/pusher/fallback_private.h"

#include "edge/base/hash.h"
#include "edge/pusher/websocket_frame.h"
#include "presence/base/new.h"

#include <string.h>

#define ALLOW_ORIGIN "Access-Control-Allow-Origin: *\r\n"
#define ALLOW "Allow: POST, OPTIONS\r\n"

/* Of key, number and session together; those of pusher-js have 12 characters beside the key. */
enum { NAME_MAX_BYTES = 512 };

/* ---- paths ---- */

struct target {
    enum { NOTHING, STREAM, POLL, SEND } action;
    struct http_text app_path; /* /app/{key}, as a WebSocket would have it */
    struct http_text name;     /* {key}/{number}/{session} */
};

static const char mount[] = "/pusher";
static const char below[] = "/app/";

static bool begins_with(struct http_text text, const char *prefix)
{
    return text.length >= strlen(prefix) && memcmp(text.bytes, prefix, strlen(prefix)) == 0;
}

bool fallback_owns(struct http_text path)
{
    if (!begins_with(path, mount))
        return false;
    return begins_with((struct http_text){path.bytes + strlen(mount), path.length - strlen(mount)}, below);
}

/* The next segment of a path, which is moved on to the slash behind it. */
static struct http_text take_segment(struct http_text *path)
{
    const char *slash = memchr(path->bytes, '/', path->length);
    struct http_text segment = {path->bytes, slash ? (size_t)(slash - path->bytes) : path->length};
    *path = (struct http_text){path->bytes + segment.length, path->length - segment.length};
    return segment;
}

static bool take_slash(struct http_text *path)
{
    if (path->length == 0)
        return false;
    *path = (struct http_text){path->bytes + 1, path->length - 1};
    return true;
}

static struct target target_of(struct http_text path)
{
    struct target target = {.action = NOTHING};
    size_t skipped = strlen(mount) + strlen(below);
    struct http_text rest = {path.bytes + skipped, path.length - skipped};
    struct http_text key = take_segment(&rest);
    bool complete = take_slash(&rest);
    struct http_text number = take_segment(&rest);
    complete = take_slash(&rest) && complete;
    struct http_text session = take_segment(&rest);
    complete = take_slash(&rest) && complete;
    target.app_path = (struct http_text){path.bytes + strlen(mount), strlen(below) + key.length};
    target.name = (struct http_text){key.bytes, (size_t)(session.bytes + session.length - key.bytes)};
    if (!complete || key.length == 0 || number.length == 0 || session.length == 0 ||
        target.name.length > NAME_MAX_BYTES)
        return target;
    target.action = http_text_is(rest, "xhr_streaming") ? STREAM
                    : http_text_is(rest, "xhr")         ? POLL
                    : http_text_is(rest, "xhr_send")    ? SEND
                                                        : NOTHING;
    return target;
}

bool fallback_home(const struct http_request *request, unsigned workers, unsigned *home)
{
    if (!fallback_owns(request->path) || strcmp(request->method, "POST") != 0)
        return false;
    struct target target = target_of(request->path);
    if (target.action == NOTHING)
        return false;
    *home = hash_text(target.name.bytes, target.name.length) % workers;
    return true;
}

/* ---- what the answers have in common ---- */

static void answer_empty(const struct http_request *request, const char *headers)
{
    http_answer(request->exchange, &(struct http_answer){.status = 204, .headers = headers});
}

static void answer_preflight(const struct http_request *request)
{
    /* Every request has an URL of its own, so no browser finds this in its cache; proxies may. Browsers cut the
     * time to their own limit (Chromium 2 h, Firefox 24 h). */
    answer_empty(request, ALLOW ALLOW_ORIGIN "Access-Control-Allow-Methods: POST\r\n"
                                             "Access-Control-Allow-Headers: Content-Type\r\n"
                                             "Access-Control-Max-Age: 86400\r\n");
}

static void keep_origin(struct fallback_session *session, const struct http_request *request)
{
    const struct http_text *origin = http_header_find(request, "origin");
    if (origin)
        session->origin = new_copy(origin->bytes, origin->length);
}

/* Who was let in stays, also when a reload has taken his origin out of the list. */
static bool origin_fits(const struct http_request *request, const struct fallback_session *session)
{
    const struct http_text *origin = http_header_find(request, "origin");
    const struct app *app = session->connection ? session->connection->app : NULL;
    if (!app || (origin && session->origin && http_text_is(*origin, session->origin)))
        return true;
    return config_origin_allowed(app, origin ? origin->bytes : NULL, origin ? origin->length : 0);
}

/* ---- receiving ---- */

/* seat: (out) the session's own. */
static int admit(struct worker *worker, const struct http_request *request, struct http_text app_path,
    struct admission *admission, struct door_seat **seat)
{
    struct http_request as_websocket = *request;
    as_websocket.path = app_path;
    /* Its socket has had a place, but many sessions can be opened through one socket. */
    if (door_seat_share(request->seat, worker->config)) {
        *seat = request->seat;
        return connection_admit(worker, &as_websocket, admission);
    }
    *seat = NULL;
    *admission = (struct admission){.why = "Your address has as many connections as it may"};
    return PUSHER_OVER_CAPACITY;
}

static void open_session(
    struct fallback_host *host, const struct http_request *request, const struct target *target)
{
    struct worker *worker = host->worker;
    struct admission admission;
    struct door_seat *seat;
    int code = admit(worker, request, target->app_path, &admission, &seat);
    struct fallback_session *session = fallback_session_new(host, target->name, &admission, seat);
    struct connection *connection = session->connection;
    keep_origin(session, request);
    fallback_session_receive(session, request->exchange, target->action == POLL);
    if (code)
        connection_refuse(connection, code, admission.why);
    else
        connection_opened(connection);
    if (worker->drain.active)
        connection_end(connection, PUSHER_RECONNECT, "The server is shutting down, please reconnect");
}

static void receive(
    struct fallback_host *host, const struct http_request *request, const struct target *target)
{
    struct fallback_session *session = fallback_session_find(host, target->name);
    if (!session)
        open_session(host, request, target);
    else if (!origin_fits(request, session))
        http_answer_error(request->exchange, 403, ALLOW_ORIGIN, "pages of this origin may not use this app");
    else
        fallback_session_receive(session, request->exchange, target->action == POLL);
}

/* ---- sending ---- */

struct sending {
    struct connection *connection;
    struct buffer scratch;
    size_t messages;
};

static bool decode(struct sending *sending, const struct json_value *string, struct json_text *text)
{
    sending->scratch.length = 0;
    buffer_reserve(&sending->scratch, string->raw.length);
    return json_string_text(string, &sending->scratch, text) == 0;
}

static bool check(void *context, const struct json_value *string)
{
    struct sending *sending = context;
    struct json_text text;
    sending->messages++;
    return decode(sending, string, &text);
}

/* May end the connection, which then ignores the rest. */
static bool pass_on(void *context, const struct json_value *string)
{
    struct sending *sending = context;
    struct connection *connection = sending->connection;
    struct json_text text;
    if (!decode(sending, string, &text))
        return false;
    if (text.length > connection->worker->config->edge.message_bytes)
        connection_end(connection, WEBSOCKET_CLOSE_TOO_LARGE, "The message is too large");
    else
        connection_receive(connection, text.bytes, text.length);
    return true;
}

/* All of the body is checked before any of it is said. */
static void pass_on_body(const struct http_request *request, struct fallback_session *session)
{
    struct sending sending = {.connection = session->connection};
    const char *why;
    if (json_strings_read(request->body, request->body_bytes, check, &sending, &why) != 0) {
        http_answer_error(request->exchange, 400, ALLOW_ORIGIN,
            "the body must be a JSON array of strings, each a message, but it %s", why);
    } else {
        if (sending.messages == 0)
            fallback_session_answer(session);
        else
            json_strings_read(request->body, request->body_bytes, pass_on, &sending, &why);
        answer_empty(request, ALLOW_ORIGIN);
    }
    buffer_deinit(&sending.scratch);
}

static void send_messages(
    struct fallback_host *host, const struct http_request *request, const struct target *target)
{
    struct fallback_session *session = fallback_session_find(host, target->name);
    if (!session || !session->connection)
        http_answer_error(request->exchange, 404, ALLOW_ORIGIN,
            "there is no such session, or it has ended; a request to …/xhr or …/xhr_streaming opens one");
    else if (!origin_fits(request, session))
        http_answer_error(request->exchange, 403, ALLOW_ORIGIN, "pages of this origin may not use this app");
    else
        pass_on_body(request, session);
}

/* ---- all requests ---- */

/* A session is known to its own worker only. */
static bool is_home(const struct worker *worker, const struct http_request *request)
{
    unsigned home;
    return !fallback_home(request, worker->worker_count, &home) || home == worker->number;
}

void fallback_request(struct fallback_host *host, const struct http_request *request)
{
    struct target target = target_of(request->path);
    if (target.action == NOTHING)
        http_answer_error(request->exchange, 404, ALLOW_ORIGIN,
            "there is nothing at this path; sessions are at "
            "/pusher/app/{key}/{number}/{session}/xhr_streaming, …/xhr and …/xhr_send");
    else if (strcmp(request->method, "OPTIONS") == 0)
        answer_preflight(request);
    else if (strcmp(request->method, "POST") != 0)
        http_answer_error(request->exchange, 405, ALLOW ALLOW_ORIGIN,
            "this path does not know the method %s: see the header Allow", request->method);
    else if (!is_home(host->worker, request))
        http_answer_error(request->exchange, 503, "Retry-After: 1\r\n" ALLOW_ORIGIN,
            "the server is over its capacity, or leaves; nothing was done");
    else if (target.action == SEND)
        send_messages(host, request, &target);
    else
        receive(host, request, &target);
}
