/* The two clocks. Any thread. */
#pragma once

#include <stdint.h>

/* Monotonic milliseconds, for deadlines; the same clock as uv_now(). */
uint64_t clock_monotonic_ms(void);

/* Wall-clock milliseconds since 1970, for what people and signatures see. */
int64_t clock_wall_ms(void);
