/* A token bucket: so many a second, and as many at once. The time is an argument. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint64_t refilled_ms;
    uint32_t tokens_milli; /* thousandths of a token */
    bool started;
};

/* Takes `count` tokens if they are there. per_second 0 is no limit. The bucket holds `burst` tokens when
 * full. */
bool rate_take(struct rate *rate, uint32_t count, uint32_t per_second, uint32_t burst, uint64_t now_ms);

/* Gives back what was just taken and not used. */
void rate_give_back(struct rate *rate, uint32_t count);
