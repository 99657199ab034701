/* What several edges say of one channel, in one object. */
#pragma once

#include "edge/tools/ask.h"

/* Asks all edges who is in the channel (user NULL: everybody), and joins what they say. Who is there, and which edges hold
 * him, is the same on all that reach Redis; sockets are each edge's own:
 *
 *   as edge/node/who.h has it, but every socket names its "edge"; "sockets": those that are no members;
 *   "subscriptions": on the edges that were asked; "holds": what each edge has written of the user;
 *   "asked": names of the edges, "not_asked": [{"edge":"host:port","why":…}…]; info as JSON, not as text
 *
 * NULL, after words on standard error, when nobody answers. To be let go of with json_decref(). */
json_t *roster_ask(const struct tool_call *call, const char *app, const char *channel, const char *user);
