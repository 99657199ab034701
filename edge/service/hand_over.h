/* How a process gives its listening sockets to the one that takes its place, so that nobody who connects in between is
 * refused: the sockets, with who waits in their queues, are open all the time.
 *
 *   old                                            new (--take-over)
 *    │ ◀──────────────── connects to edge.hand_over ─┤
 *    ├─ "sockets listener own" and descriptors, …───▶│
 *    ├─ "end" ──────────────────────────────────────▶│ starts, accepts: for a moment both do
 *    │ ◀────────────────────────────────── "serving" ┤
 *    ├─ "leaving" ──────────────────────────────────▶│ is now at edge.hand_over itself
 *  drains
 *
 * If the new one ends before it has said "serving", nothing has happened. Messages are datagrams of text over a unix socket
 * (SOCK_SEQPACKET) that only the process' own user, and root, may use. Thread: main, for all of this header.
 */
#pragma once

#include "edge/service/inheritance.h"

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

/* ---- the new one; blocks for 10 s at most ---- */

/* Connects to the path, and adds the sockets to the inheritance. Returns the line to the old one, for
 * hand_over_finish(); -ENOENT when nobody is there; another negative errno, which is in the log. */
int hand_over_take(const char *path, struct inheritance *inheritance);

/* Says that we serve, and waits for the answer. Closes the line. 0, or a negative errno that is in the log: the old one has
 * not heard of it, or gave no answer, and may go on serving beside us. */
int hand_over_finish(int line);

/* ---- the old one ---- */

struct hand_over_socket {
    int fd; /* stays the caller's */
    enum inherited_role role;
    bool kept;
};

struct hand_over_handlers {
    /* What there is to give. Returns how many; *sockets is the callee's, and valid until the next call. */
    size_t (*sockets)(void *context, const struct hand_over_socket **sockets);
    /* Another process, of that id, serves now. */
    void (*taken)(void *context, pid_t pid);
};

struct hand_over;

/* Listens at the path, which must not be longer than 107 bytes. `replace`: takes the place of whoever is there; without
 * that one is -EADDRINUSE, while what a process has left that is gone is always replaced. 0, or a negative errno that is in
 * the log. */
int hand_over_new(uv_loop_t *loop, const char *path, bool replace, const struct hand_over_handlers *handlers,
    void *context, struct hand_over **created);

/* Closes it, and removes the path if it is still ours; freed when the loop has run its close callbacks. NULL is ignored. */
void hand_over_free(struct hand_over *hand_over);
