#include "edge/service/hand_over_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(HAND_OVER_FDS_MAX * sizeof(int))];
};

int hand_over_send(int fd, const struct hand_over_message *message)
{
    union control control = {0};
    struct iovec text = {.iov_base = (void *)message->text, .iov_len = strlen(message->text)};
    struct msghdr header = {.msg_iov = &text, .msg_iovlen = 1};
    size_t bytes = message->fd_count * sizeof(int);
    if (bytes > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(rights), message->fds, bytes);
    }
    return sendmsg(fd, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *header, struct hand_over_message *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(message->fds, CMSG_DATA(c), count * sizeof(int));
        message->fd_count = count;
    }
}

int hand_over_receive(int fd, struct hand_over_message *message)
{
    union control control;
    *message = (struct hand_over_message){0};
    struct iovec text = {.iov_base = message->text, .iov_len = sizeof(message->text) - 1};
    struct msghdr header = {.msg_iov = &text,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    ssize_t got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return -errno;
    take_fds(&header, message);
    if (got > 0 && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return 0;
    for (size_t i = 0; i < message->fd_count; i++)
        close(message->fds[i]);
    message->fd_count = 0;
    return got == 0 ? -EPIPE : -EBADMSG;
}
