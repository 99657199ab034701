/* What `rollcall top` shows, made of what edges say. Pure functions of their arguments. */
#pragma once

#include "edge/base/buffer.h"
#include "edge/tools/ask.h"

/* One look at a fleet. */
struct top_look {
    const struct edge_answer *answers; /* of /api/edge */
    size_t count, answered;
    const json_t *fleet;    /* of /api/fleet; NULL: not known */
    const json_t *channels; /* of /api/channels; NULL: not asked */
    int64_t now_ms;         /* since 1970 */
};

void top_frame_write(const struct top_look *look, bool is_live, struct buffer *out);

/* The same as one object: {"time_ms":…,"edges":[{… as of /api/edge, with "rates":{"frames_sent":…,…} a second}…],
 * "fleet":…,"channels":…,"not_asked":[{"edge":…,"why":…}…]}. */
json_t *top_frame_json(const struct top_look *look);

/* The change of a counter a second, between the last two samples of an edge's answer; 0 when there are not two. */
double top_rate(const json_t *edge, const char *name);
