/* What the program can do besides serving: tools that look at a fleet, or at one process, from a command line.
 *
 *   tools.c   which there are
 *   reload.c  has the server read its configuration again
 *   doctor.c, verify.c   what lies in Redis; their work is presence/redis/doctor/
 *   who.c, why.c         who is in a channel, and why
 *   top.c                a live view; top_frame.c what it shows, screen.c the terminal
 *   ask.c                asking admin listeners;  roster.c  several answers in one;  text.c  words and columns
 */
#pragma once

#include "edge/config/config.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TOOL_OK = 0,
    TOOL_WRONG = 1,
    TOOL_USAGE = 64,
    TOOL_UNAVAILABLE = 69,
    TOOL_CONFIG = 78
}; /* exit statuses; the last three of sysexits.h */

/* How a tool was called. All is the caller's. */
struct tool_call {
    const struct config *config;
    const char *const *edges; /* --edge: admin listeners as "host:port"; none: those of the configuration */
    size_t edge_count;
    const char *const *words; /* what stands behind the tool's name; as many as it takes */
    const char *app;          /* --app; NULL: the only one there is */
    bool json;
};

struct tool {
    const char *name;
    const char *words; /* those it takes, for people: "CHANNEL USER"; "" */
    size_t word_count;
    bool peeks; /* all it needs is edge.admin, whatever else the file says, and without a file its defaults */
    /* Writes to standard output, and to standard error what kept it from its work. The exit status: TOOL_OK when all is
     * well, TOOL_WRONG when something is not, or what was asked for is not there. */
    int (*run)(const struct tool_call *call);
};

/* NULL: there is no such tool. */
const struct tool *tool_find(const char *name);

int tool_reload(const struct tool_call *call);
int tool_doctor(const struct tool_call *call);
int tool_verify(const struct tool_call *call);
int tool_who(const struct tool_call *call);
int tool_why(const struct tool_call *call);
int tool_top(const struct tool_call *call);
