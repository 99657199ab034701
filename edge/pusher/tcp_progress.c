#include "edge/pusher/tcp_progress.h"

#include <linux/in.h>
#include <linux/tcp.h>
#include <sys/socket.h>

uint64_t tcp_acknowledged_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
        return 0;
    return info.tcpi_bytes_acked;
}
