/* Messages of a hand-over, for both sides. */
#pragma once

#include <stddef.h>

/* The kernel takes 253 descriptors a message (SCM_MAX_FD). */
enum { HAND_OVER_FDS_MAX = 64, HAND_OVER_TEXT_BYTES = 64 };

struct hand_over_message {
    char text[HAND_OVER_TEXT_BYTES]; /* NUL-terminated */
    int fds[HAND_OVER_FDS_MAX];
    size_t fd_count;
};

/* Sends one. 0 or a negative errno. */
int hand_over_send(int fd, const struct hand_over_message *message);

/* Receives one; its descriptors are the caller's. 0, or a negative errno: -EPIPE when the other side has gone, -EBADMSG for
 * what cannot be one of ours, and then nothing is left open. */
int hand_over_receive(int fd, struct hand_over_message *message);
