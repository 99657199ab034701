/* The inside of the console.
 *
 *   console.c    life, paths
 *   page.c       the files of the page
 *   overview.c   /api/edge
 *   samples.c    numbers over time, for plots
 *   questions.c  /api/fleet, channels, who: what the node answers later
 *   events.c     /api/events: watching, and sending
 *   peers.c      /api/peers: the same of other edges
 */
#pragma once

#include "edge/console/console.h"
#include "edge/console/samples.h"
#include "edge/node/insight.h"

#include <sys/queue.h>

LIST_HEAD(event_waiter_list, event_waiter);

struct console {
    struct console_sources sources;
    int64_t started_ms; /* since 1970 */
    struct samples *samples;
    struct event_waiter_list waiters;
    size_t waiter_count;
    struct peers *peers;
};

enum { CONSOLE_TEXT_BYTES = 1024 }; /* of a parameter; longer than any name that can exist */

#define CONSOLE_HEADERS "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

typedef void console_handler(struct console *console, const struct http_request *request);
console_handler console_overview;
console_handler console_fleet, console_channels, console_who;
console_handler console_events_watch, console_events_send;

/* /api/peers/N/…; false: no such path. Looks only. */
bool console_peers(struct console *console, const struct http_request *request);
struct peers *peers_new(uv_loop_t *loop);
/* Ends what is asked, with an answer. The handles close with the loop's next turns. */
void peers_close(struct peers *peers);

void console_events_end(struct console *console);

/* A file of the page; NULL: none is at that path. It holds no secret, so everybody may have it. */
struct file;
const struct file *console_file_find(struct http_text path);
void console_file_answer(const struct file *file, const struct http_request *request);

/* A parameter of the query, decoded, or "" when it is not there. False: it was refused, and the request is answered. */
bool console_parameter(const struct http_request *request, const char *name, char value[CONSOLE_TEXT_BYTES]);

/* A whole number; `absent` when it is not there. As above. */
bool console_number(const struct http_request *request, const char *name, uint64_t absent, uint64_t *number);

/* The app that the query names; where there is only one it need not. NULL: as above. */
const struct app *console_app(struct console *console, const struct http_request *request);

void console_answer(struct http_exchange *exchange, const struct buffer *json);
