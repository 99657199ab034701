/* The HTTP API (http-api.md), health, and the page of the demo app: what the door's plain requests get.
 *
 *   api.c           which path and method is which call
 *   authenticate.c  whose request it is, and whether it is signed
 *   clock_skew.c    how far the publishers' clocks are off
 *   event_list.c    the body of a publish, checked whole
 *   publish.c       POST /events and /batch_events
 *   users.c         POST /users/{id}/terminate_connections
 *   read.c          GET /channels and what is below it
 *   info.c          the names of a channel's attributes
 *   page.c          GET / and /demo/auth, for the demo app only
 *   health.c        /healthz, /readyz
 *
 * Browsers and CORS: who calls the signed routes has the app's secret, so no browser may, and their answers
 * carry no Access-Control headers: a page that tries is stopped by its browser before anything is sent.
 * /demo/auth is for pages of any origin, and answers preflights.
 *
 * To add a call: a row in the table of api.c, and a function that takes a `struct api_call`.
 */
#pragma once

#include "edge/door/http.h"

/* Answers a request, now or when the node has. `worker` is the struct worker whose door it came through: this
 * is the door's `request` handler. Worker's thread. */
void api_request(void *worker, const struct http_request *request);
