/* The HTTP fallback transports of pusher-js, xhr_streaming and xhr_polling, for networks that break WebSockets
 * (protocol.md, "HTTP fallback transports").
 *
 * A client names a session in the path of its requests: some of them receive (each is answered by a stream of
 * lines, which ends with the first line when the client polls), others send. Behind a session stands a
 * connection like any other. Between two receiving requests what it is told waits in its outbox.
 *
 * A session lives at one worker, which its name decides (fallback_home), so there is no table that workers
 * share: a request that came in at another worker's door moves there with its socket. All functions: the
 * worker's thread.
 */
#pragma once

#include "edge/door/http.h"

struct worker;
struct fallback_host;

/* The sessions of one worker. Never NULL. */
struct fallback_host *fallback_host_new(struct worker *worker);

/* Ends what is left of them, without a word. */
void fallback_host_free(struct fallback_host *host);

/* Whether a path belongs here, with any method and also when there is no such thing below it. */
bool fallback_owns(struct http_text path);

/* Which of so many workers the session of a request lives at. False when any worker can answer it. */
bool fallback_home(const struct http_request *request, unsigned workers, unsigned *home);

/* Answers a request whose path fallback_owns(). */
void fallback_request(struct fallback_host *host, const struct http_request *request);

/* Closes all sessions with 4200, at once: clients whose door has closed can send nothing any more, and would
 * not notice. */
void fallback_drain(struct fallback_host *host);
