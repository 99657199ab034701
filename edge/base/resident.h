/* What the kernel says this process has in memory. Any thread. */
#pragma once

#include <stdint.h>

/* In bytes; 0 when it cannot be read. Some microseconds. */
uint64_t resident_bytes(void);
