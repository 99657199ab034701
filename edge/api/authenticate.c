#include "edge/api/api_private.h"

#include "auth/percent.h"
#include "auth/request_auth.h"
#include "edge/base/clock.h"

#include <inttypes.h>

enum {
    /* An id has at most 200 bytes, a key at most 128 (config_table_apps.c); bytes may be escaped as three. */
    ESCAPED_ID_BYTES_MAX = 3 * 200,
    KEY_BYTES_MAX = 128,
};

/* ---- whose request it is ---- */

/* The app whose id is in the path, escaped or not. */
static const struct app *find_app(const struct config *config, struct http_text id)
{
    char decoded[ESCAPED_ID_BYTES_MAX];
    if (id.length > sizeof(decoded))
        return NULL;
    ptrdiff_t length = percent_decode(id.bytes, id.length, decoded);
    return length < 0 ? NULL : config_app_by_id(config, decoded, (size_t)length);
}

/* The pair that auth_key names, and in *app whose it is; or NULL in both. */
static const struct app_key *find_pair(const struct api_call *call, const struct app **app)
{
    char key[KEY_BYTES_MAX + 1];
    struct http_text query = call->request->query;
    int length = request_query_get(query.bytes, query.length, "auth_key", key, sizeof(key));
    *app = NULL;
    return length < 0 ? NULL : config_key_find(call->worker->config, key, (size_t)length, app);
}

/* ---- whether it is signed ---- */

static struct request_auth_input make_input(const struct http_request *request, const struct app_key *pair)
{
    return (struct request_auth_input){
        .method = request->method,
        .path = request->full_path.bytes,
        .path_length = request->full_path.length,
        .query = request->query.bytes,
        .query_length = request->query.length,
        .body = request->body,
        .body_length = request->body_bytes,
        .key = pair->key,
        .secret = pair->secret,
        .now_s = clock_wall_ms() / 1000,
    };
}

static void refuse(struct http_exchange *exchange, enum request_auth_verdict verdict, int64_t skew_s)
{
    const char *words = request_auth_words(verdict);
    if (verdict == REQUEST_AUTH_OLD_TIMESTAMP)
        http_answer_error(exchange, 401, NULL, "%s (it is %" PRId64 " seconds %s)", words,
            skew_s < 0 ? -skew_s : skew_s, skew_s < 0 ? "behind" : "ahead");
    else
        http_answer_error(exchange, 401, NULL, "%s", words);
}

/* A request that is refused for its time alone comes from a publisher whose clock is wrong, or is an old one
 * played again; what strangers make up says nothing about clocks. */
static void note_refused_time(
    struct api_call *call, const struct app *app, struct request_auth_input input, int64_t skew_s)
{
    input.now_s += skew_s;
    if (request_auth(&input, NULL) == REQUEST_AUTH_GRANTED)
        api_note_clock_skew(call->worker, app, call->request->peer, skew_s, true);
}

static bool check_signature(struct api_call *call, const struct app *app, const struct app_key *pair)
{
    struct request_auth_input input = make_input(call->request, pair);
    int64_t skew_s = 0;
    enum request_auth_verdict verdict = request_auth(&input, &skew_s);
    if (verdict == REQUEST_AUTH_GRANTED) {
        api_note_clock_skew(call->worker, app, call->request->peer, skew_s, false);
        return true;
    }
    if (verdict == REQUEST_AUTH_OLD_TIMESTAMP)
        note_refused_time(call, app, input, skew_s);
    refuse(call->request->exchange, verdict, skew_s);
    return false;
}

static bool let_in(struct api_call *call, const struct app *app, const struct app_key *pair)
{
    if (!check_signature(call, app, pair))
        return false;
    if (!app->enabled) {
        http_answer_error(call->request->exchange, 403, NULL, "this app is disabled in the configuration");
        return false;
    }
    call->app = app;
    return true;
}

bool api_authenticate(struct api_call *call)
{
    const struct app *app = find_app(call->worker->config, call->variables[0]), *of_key;
    if (!app) {
        http_answer_error(call->request->exchange, 404, NULL, "there is no app with the id in this path");
        return false;
    }
    const struct app_key *pair = find_pair(call, &of_key);
    /* With any other pair of the app the verdict on the key is the right one. */
    return let_in(call, app, of_key == app ? pair : &app->keys[0]);
}

bool api_authenticate_by_key(struct api_call *call)
{
    const struct app *app;
    const struct app_key *pair = find_pair(call, &app);
    struct http_text query = call->request->query;
    char empty[1];
    if (pair)
        return let_in(call, app, pair);
    if (request_query_get(query.bytes, query.length, "auth_key", empty, sizeof(empty)) == -1)
        refuse(call->request->exchange, REQUEST_AUTH_NO_KEY, 0);
    else
        http_answer_error(call->request->exchange, 401, NULL, "auth_key is not the key of any app");
    return false;
}
