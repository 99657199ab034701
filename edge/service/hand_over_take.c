/* The side of the new process. */
#include "edge/service/hand_over.h"

#include "edge/base/log.h"
#include "edge/service/hand_over_private.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Longer than the other one's loop may hang before it counts as dead (edge/process/process.c). */
enum { ANSWER_MAX_S = 10 };

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = ANSWER_MAX_S};
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int error = errno;
    close(fd);
    return error == ECONNREFUSED ? -ENOENT : -error;
}

static bool reads_sockets(const char *text, enum inherited_role *role, bool *kept)
{
    static const struct {
        const char *text;
        enum inherited_role role;
        bool kept;
    } known[] = {
        {"sockets listener own", INHERITED_LISTENER, false},
        {"sockets listener kept", INHERITED_LISTENER, true},
        {"sockets admin own", INHERITED_ADMIN, false},
        {"sockets admin kept", INHERITED_ADMIN, true},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(text, known[i].text) != 0)
            continue;
        *role = known[i].role;
        *kept = known[i].kept;
        return true;
    }
    return false;
}

/* 0 when there are more to come, 1 at the end, or a negative errno. */
static int receive_some(int line, struct inheritance *inheritance)
{
    struct hand_over_message message;
    enum inherited_role role = INHERITED_ANY;
    bool kept = false;
    int error = hand_over_receive(line, &message);
    if (error)
        return error;
    bool known = reads_sockets(message.text, &role, &kept);
    bool is_end = strcmp(message.text, "end") == 0;
    error = known || is_end ? 0 : -EBADMSG;
    for (size_t i = 0; i < message.fd_count; i++) {
        int refused = known ? inheritance_add(inheritance, message.fds[i], role, kept) : -EBADMSG;
        if (refused) {
            close(message.fds[i]);
            error = refused;
        }
    }
    return error ? error : is_end;
}

int hand_over_take(const char *path, struct inheritance *inheritance)
{
    int line = connect_to(path);
    if (line == -ENOENT)
        return line;
    int result = line < 0 ? line : 0;
    while (result == 0)
        result = receive_some(line, inheritance);
    if (result == 1)
        return line;
    log_error("hand_over.take", "cannot take over from the process at %s: %s", path, strerror(-result));
    if (line >= 0)
        close(line);
    return result;
}

int hand_over_finish(int line)
{
    static const struct hand_over_message serving = {.text = "serving"};
    struct hand_over_message answer;
    int error = hand_over_send(line, &serving);
    if (!error)
        error = hand_over_receive(line, &answer);
    if (!error && strcmp(answer.text, "leaving") != 0)
        error = -EBADMSG;
    if (error)
        log_error("hand_over.finish", "the process before us may not leave: %s", strerror(-error));
    close(line);
    return error;
}
