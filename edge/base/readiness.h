/* Whether new clients are welcome, and if not, why. Whoever knows says so, on whatever thread; /readyz of both listeners
 * prints it:
 *
 *   {"ready":true,"reasons":[]}
 *   {"ready":false,"reasons":[{"reason":"draining","why":"…"}]}
 *   {"ready":true,"reasons":[],"tolerated":[{"reason":"blind","why":"…"}]}    by policy
 */
#pragma once

#include "edge/base/buffer.h"

#include <stdatomic.h>
#include <stdbool.h>

enum readiness_reason {
    READINESS_DRAINING,   /* the process is going */
    READINESS_OVERLOADED, /* at a limit: new ones would be refused, or make those inside slow */
    READINESS_BLIND,      /* a shard of Redis has been out of reach for longer than a lease */
    READINESS_REASONS,
};

struct readiness { /* all zero: ready */
    _Atomic(const char *) why[READINESS_REASONS];
    atomic_bool tolerated[READINESS_REASONS];
};

/* A moment's view. A thread may add what only it knows before it prints. */
struct readiness_report {
    const char *why[READINESS_REASONS]; /* NULL: does not hold */
    bool tolerated[READINESS_REASONS];
};

/* The reason holds from now on, or, with NULL, no longer. `why` is a sentence without a full stop, for an operator; it
 * must live as long as the process answers (a literal, best). Any thread. */
void readiness_set(struct readiness *readiness, enum readiness_reason reason, const char *why);

/* By policy the reason is told, but does not make the process unready. Any thread. */
void readiness_tolerate(struct readiness *readiness, enum readiness_reason reason, bool tolerated);

/* Any thread. */
struct readiness_report readiness_read(const struct readiness *readiness);

/* The reason as the JSON and the metrics name it. */
const char *readiness_name(enum readiness_reason reason);

/* Appends the JSON above, with a line feed. The status to send with it: 200 or 503. */
int readiness_print(const struct readiness_report *report, struct buffer *body);
