/* Asking edges, at their admin listeners, all at once (edge/console/console.h says what they answer). Blocks for some seconds
 * when one does not answer. */
#pragma once

#include "edge/tools/tools.h"

#include <jansson.h>

/* Which edges are asked: those that were named, else that of the configuration and its peers. */
struct tool_edges {
    const char **where;
    size_t count;
    char own[300];
};

/* Where the admin listener of a configuration can be reached from its own machine; false when it is off, or on a port that
 * is not known before it runs. */
bool tool_own_admin(const struct config *config, char *text, size_t bytes);

void tool_edges_init(struct tool_edges *edges, const struct tool_call *call);
void tool_edges_deinit(struct tool_edges *edges);

struct edge_answer {
    const char *where;
    json_t *json; /* an object; NULL: see `problem` */
    char problem[512];
};

/* Asks each for a path of its API, "/api/who?…", with the configuration's token. Fills an answer for each of them, to be
 * let go of with edge_answers_deinit(). Returns how many answered. An edge that was asked at two places answers once: the
 * second has no json and an empty problem. */
size_t edges_ask(const struct tool_call *call, const struct tool_edges *edges, const char *path,
    struct edge_answer *answers);
void edge_answers_deinit(struct edge_answer *answers, size_t count);

/* Says on standard error which edges did not answer, and why. */
void edge_answers_complain(const struct edge_answer *answers, size_t count);

/* "&name=value", with the value percent-encoded. To be freed. */
char *parameter_new(const char *name, const char *value);

/* The app that is asked about: that of the call, or the only one of the configuration. NULL, after a word on standard
 * error, when it is not clear. */
const char *tool_app(const struct tool_call *call);
