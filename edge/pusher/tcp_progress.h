/* How far a TCP peer has got, as its kernel tells ours. In a file of its own because the kernel's header with
 * this field and the C library's cannot be included together. */
#pragma once

#include <stdint.h>

/* Bytes that the peer has acknowledged since the connection began; 0 if this socket cannot say. Any thread.
 */
uint64_t tcp_acknowledged_bytes(int fd);
