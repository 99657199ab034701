/* The inside of the HTTP API, for the files of edge/api only. Everything runs on the worker's thread. */
#pragma once

#include "edge/api/api.h"
#include "edge/worker.h"

enum { API_VARIABLES_MAX = 2 };

/* A request on its way through the API; valid during api_request(). */
struct api_call {
    struct worker *worker;
    const struct http_request *request;
    const struct app *app;                         /* of calls that are signed; otherwise NULL */
    struct http_text variables[API_VARIABLES_MAX]; /* what the path has in place of its variables, as sent */
};

/* Whose request it is, and whether that app signed it. Each of an app's key pairs is as good as the others:
 * the one that auth_key names is taken. If the call may go on, sets call->app and returns true; otherwise it
 * has been answered. The app is that of variables[0], or, where the path has none, that of auth_key. */
bool api_authenticate(struct api_call *call);
bool api_authenticate_by_key(struct api_call *call);

/* ---- the calls; each answers ---- */

void api_post_events(struct api_call *call);
void api_post_batch_events(struct api_call *call);
void api_post_terminate(struct api_call *call);
void api_post_terminate_by_key(struct api_call *call);
void api_get_channels(struct api_call *call);
void api_get_channel(struct api_call *call);
void api_get_channel_users(struct api_call *call);
void api_healthz(struct api_call *call);
void api_readyz(struct api_call *call);
void api_not_upgraded(struct api_call *call);
void api_page(struct api_call *call);
void api_demo_auth(struct api_call *call);
void api_demo_preflight(struct api_call *call);

/* ---- shared ---- */

/* 200 with JSON. stale_s as in struct query: when it is not STORE_FRESH the answer says so in a header. */
void api_answer_json(struct http_exchange *exchange, const char *json, size_t bytes, int32_t stale_s);

/* Why the node did not do it: 429 or 503, both with Retry-After. */
void api_answer_refusal(struct http_exchange *exchange, enum node_status status, uint32_t retry_after_s);

/* False, and answered, when the node is behind. */
bool api_node_has_room(const struct api_call *call);

/* Hands a publish, whose items are filled in, to the node, whose answer is the call's. The caller has looked
 * for room. */
void api_publish(struct api_call *call, struct publish *publish);

/* Characters, not bytes: every byte but those that continue a character. The text is UTF-8. */
size_t api_count_chars(const char *text, size_t bytes);

/* A signed request of that app said a time so far from ours (client minus us); `refused`: too far. Keeps the
 * largest for the metrics, and says it in the log now and then. */
void api_note_clock_skew(
    struct worker *worker, const struct app *app, const char *peer, int64_t skew_s, bool refused);

/* The attributes of a comma-separated list ("user_count,subscription_count"), as INFO_… bits. False if one is
 * not among `allowed`. */
bool api_info_parse(const char *list, size_t length, unsigned allowed, unsigned *info);

/* The allowed ones in words, for refusals. Static. */
const char *api_info_words(unsigned allowed);

/* Those of `info` that a channel can have. */
unsigned api_info_of_channel(unsigned info, const char *channel);

/* The app that everybody knows the secret of, if it is configured as the documentation shows it; or NULL. */
const struct app *api_demo_app(const struct config *config);
