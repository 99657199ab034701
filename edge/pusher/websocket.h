/* WebSocket connections through libwebsockets: the only files that know lws are websocket.c and this header's
 * users do not need to.
 *
 * lws gets one canonical handshake per socket, which the front door has already found valid, and nothing else
 * of what a stranger wrote before. It does the handshake's answer, unmasking, fragments and control frames.
 */
#pragma once

#include "edge/door/http.h"

struct worker;
struct websocket_host;

/* The lws_context of one worker, on its loop. NULL if lws refuses. Main thread. */
struct websocket_host *websocket_host_new(struct worker *worker);

/* Clients over TLS whose connection has ended, but who have not taken all that was said to them. Worker's thread. */
size_t websocket_host_unsent(const struct websocket_host *host);

/* Ends all connections that are left, and turns the worker's loop until libwebsockets has closed its handles.
 * Worker's thread, when its loop has stopped. */
void websocket_host_free(struct websocket_host *host);

/* Takes over a socket whose request is a valid upgrade. The socket is owned in any case. Worker's thread. */
void websocket_adopt(struct websocket_host *host, int fd, const struct http_request *request);
