/* The page "who is here" and the route that signs its subscriptions. Both exist only while the demo app is
 * configured, whose secret is public: here anyone may sign as anyone. */
#include "edge/api/api_private.h"

#include "auth/client_auth.h"
#include "auth/digest.h"
#include "auth/request_auth.h"
#include "edge/pusher/events.h"
#include "presence/base/new.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_BYTES = 1024 };

/* edge/page/who_is_here.html, embedded at build time */
extern const unsigned char page_who_is_here[];
extern const size_t page_who_is_here_bytes;

static const char demo_key[] = "app-key", demo_secret[] = "app-secret";

const struct app *api_demo_app(const struct config *config)
{
    const struct app *app;
    const struct app_key *pair = config_key_find(config, demo_key, strlen(demo_key), &app);
    return pair && strcmp(app->id, "app-id") == 0 && strcmp(pair->secret, demo_secret) == 0 ? app : NULL;
}

void api_page(struct api_call *call)
{
    static const char headers[] = "Cache-Control: no-cache\r\n"
                                  "X-Content-Type-Options: nosniff\r\n"
                                  "Referrer-Policy: no-referrer\r\n"
                                  "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                                  "script-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:; "
                                  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
    http_answer(call->request->exchange, &(struct http_answer){.status = 200,
                                             .content_type = "text/html; charset=utf-8",
                                             .headers = headers,
                                             .body = (const char *)page_who_is_here,
                                             .body_bytes = page_who_is_here_bytes});
}

/* ---- the fields of a request: JSON, a form, or the query of a GET ---- */

struct fields {
    char socket_id[SOCKET_ID_CHARS];
    char channel_name[FIELD_BYTES];
    char user_id[FIELD_BYTES];   /* "" if absent */
    char user_name[FIELD_BYTES]; /* "" if absent */
};

struct field {
    const char *name;
    char *value;
    size_t size;
};

enum { FIELD_COUNT = 4 };

static void list_fields(struct fields *fields, struct field list[FIELD_COUNT])
{
    list[0] = (struct field){"socket_id", fields->socket_id, sizeof(fields->socket_id)};
    list[1] = (struct field){"channel_name", fields->channel_name, sizeof(fields->channel_name)};
    list[2] = (struct field){"user_id", fields->user_id, sizeof(fields->user_id)};
    list[3] = (struct field){"user_name", fields->user_name, sizeof(fields->user_name)};
}

/* Returns the name of a field that does not fit or is malformed, or NULL. */
static const char *read_form(struct http_text form, const struct field list[FIELD_COUNT])
{
    char *spaced = must_have(malloc(form.length + 1));
    const char *bad = NULL;
    for (size_t i = 0; i < form.length; i++)
        spaced[i] = form.bytes[i] == '+' ? ' ' : form.bytes[i];
    for (size_t i = 0; i < FIELD_COUNT && !bad; i++) {
        if (request_query_get(spaced, form.length, list[i].name, list[i].value, list[i].size) == -2)
            bad = list[i].name;
    }
    free(spaced);
    return bad;
}

static const char *read_json(struct http_text body, const struct field list[FIELD_COUNT])
{
    json_t *json = json_loadb(body.bytes, body.length, 0, NULL);
    const char *bad = json_is_object(json) ? NULL : "the body";
    for (size_t i = 0; i < FIELD_COUNT && !bad; i++) {
        const json_t *value = json_object_get(json, list[i].name);
        const char *text = json_string_value(value);
        if (text && json_string_length(value) < list[i].size)
            memcpy(list[i].value, text, json_string_length(value) + 1);
        else if (value && !json_is_null(value))
            bad = list[i].name;
    }
    json_decref(json);
    return bad;
}

static const char *read_fields(const struct http_request *request, struct fields *fields)
{
    struct field list[FIELD_COUNT];
    struct http_text body = {request->body, request->body_bytes};
    *fields = (struct fields){0};
    list_fields(fields, list);
    if (strcmp(request->method, "POST") != 0)
        return read_form(request->query, list);
    if (body.length > 0 && body.bytes[0] == '{')
        return read_json(body, list);
    return read_form(body, list);
}

/* ---- signing ---- */

/* The page of somebody who tries the server out may come from another origin; it should see refusals, too. */
#define ANY_ORIGIN "Access-Control-Allow-Origin: *\r\n"

/* Clients put headers of their application into the request for a signature. A day; browsers cut it to what
 * they allow. */
void api_demo_preflight(struct api_call *call)
{
    static const char headers[] =
        "Allow: GET, HEAD, POST, OPTIONS\r\n" ANY_ORIGIN "Access-Control-Allow-Methods: GET, HEAD, POST\r\n"
        "Access-Control-Allow-Headers: *, Authorization\r\n"
        "Access-Control-Max-Age: 86400\r\n";
    http_answer(call->request->exchange,
        &(struct http_answer){.status = 200, .headers = headers, .body = "{}", .body_bytes = 2});
}

/* {"user_id":…,"user_info":{"name":…}}; whoever brings no id is his connection. NULL if a field is not UTF-8.
 */
static char *make_channel_data(const struct fields *fields)
{
    const char *id = fields->user_id[0] ? fields->user_id : fields->socket_id;
    json_t *data = fields->user_name[0]
                       ? json_pack("{s:s, s:{s:s}}", "user_id", id, "user_info", "name", fields->user_name)
                       : json_pack("{s:s}", "user_id", id);
    char *text = json_dumps(data, JSON_COMPACT);
    json_decref(data);
    return text;
}

static void answer_signed(struct http_exchange *exchange, const char *auth, const char *channel_data)
{
    json_t *answer = channel_data ? json_pack("{s:s, s:s}", "auth", auth, "channel_data", channel_data)
                                  : json_pack("{s:s}", "auth", auth);
    char *text = must_have(json_dumps(answer, JSON_COMPACT));
    json_decref(answer);
    http_answer(exchange, &(struct http_answer){.status = 200,
                              .headers = ANY_ORIGIN "Cache-Control: no-store\r\n",
                              .body = text,
                              .body_bytes = strlen(text)});
    free(text);
}

static void sign(struct http_exchange *exchange, const struct fields *fields)
{
    char auth[64 + SHA256_HEX_CHARS];
    char *channel_data = NULL;
    if (channel_kind_of(fields->channel_name) == CHANNEL_PRESENCE) {
        channel_data = make_channel_data(fields);
        if (!channel_data) {
            http_answer_error(exchange, 400, ANY_ORIGIN, "user_id and user_name must be UTF-8");
            return;
        }
    }
    if (!auth_channel_sign(demo_key, demo_secret, fields->socket_id, fields->channel_name, channel_data,
            channel_data ? strlen(channel_data) : 0, auth, sizeof(auth)))
        abort(); /* it fits */
    answer_signed(exchange, auth, channel_data);
    free(channel_data);
}

void api_demo_auth(struct api_call *call)
{
    struct http_exchange *exchange = call->request->exchange;
    const struct app *app = api_demo_app(call->worker->config);
    struct fields fields;
    struct socket_id id;
    const char *bad = read_fields(call->request, &fields);
    if (bad)
        http_answer_error(exchange, 400, ANY_ORIGIN,
            "%s: must be a form or a JSON object with socket_id, channel_name and, if you like, user_id and "
            "user_name, strings below %d bytes",
            bad, FIELD_BYTES);
    else if (!socket_id_parse(fields.socket_id, strlen(fields.socket_id), &id))
        http_answer_error(exchange, 400, ANY_ORIGIN, "socket_id: must be the socket_id of a connection");
    else if (!channel_name_valid(
                 fields.channel_name, strlen(fields.channel_name), app->limits.channel_name_chars) ||
             channel_kind_of(fields.channel_name) == CHANNEL_PUBLIC)
        http_answer_error(exchange, 400, ANY_ORIGIN, "channel_name: must be a private or a presence channel");
    else
        sign(exchange, &fields);
}
