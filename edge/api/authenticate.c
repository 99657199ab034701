#include "edge/api/api_private.h"

#include "auth/percent.h"
#include "auth/request_auth.h"
#include "edge/base/clock.h"

#include <inttypes.h>

/* An id has at most 128 bytes (config_table.c), and each may be escaped as three. */
enum { ESCAPED_ID_BYTES_MAX = 3 * 128 };

/* The app whose id is in the path, escaped or not. */
static const struct app *find_app(const struct config *config, struct http_text id)
{
    char decoded[ESCAPED_ID_BYTES_MAX];
    if (id.length > sizeof(decoded))
        return NULL;
    ptrdiff_t length = percent_decode(id.bytes, id.length, decoded);
    return length < 0 ? NULL : config_app_by_id(config, decoded, (size_t)length);
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

bool api_authenticate(struct api_call *call)
{
    const struct http_request *request = call->request;
    const struct app *app = find_app(call->worker->config, call->variables[0]);
    if (!app) {
        http_answer_error(request->exchange, 404, NULL, "there is no app with the id in this path");
        return false;
    }
    const struct request_auth_input input = {
        .method = request->method,
        .path = request->full_path.bytes,
        .path_length = request->full_path.length,
        .query = request->query.bytes,
        .query_length = request->query.length,
        .body = request->body,
        .body_length = request->body_bytes,
        .key = app->key,
        .secret = app->secret,
        .now_s = clock_wall_ms() / 1000,
    };
    int64_t skew_s = 0;
    enum request_auth_verdict verdict = request_auth(&input, &skew_s);
    if (verdict != REQUEST_AUTH_GRANTED) {
        refuse(request->exchange, verdict, skew_s);
        return false;
    }
    if (!app->enabled) {
        http_answer_error(request->exchange, 403, NULL, "this app is disabled in the configuration");
        return false;
    }
    call->app = app;
    return true;
}
