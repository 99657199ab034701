#include "edge/base/rate.h"

bool rate_take(struct rate *rate, uint32_t count, uint32_t per_second, uint32_t burst, uint64_t now_ms)
{
    if (per_second == 0)
        return true;
    /* In thousandths, one millisecond brings per_second of them. */
    uint64_t full = (uint64_t)burst * 1000;
    uint64_t tokens = full;
    if (rate->started) {
        uint64_t passed_ms = now_ms > rate->refilled_ms ? now_ms - rate->refilled_ms : 0;
        uint64_t to_full = full > rate->tokens_milli ? full - rate->tokens_milli : 0;
        tokens = passed_ms > to_full / per_second ? full : rate->tokens_milli + passed_ms * per_second;
    }
    rate->started = true;
    rate->refilled_ms = now_ms;
    uint64_t wanted = (uint64_t)count * 1000;
    bool granted = tokens >= wanted;
    rate->tokens_milli = (uint32_t)(granted ? tokens - wanted : tokens);
    return granted;
}

void rate_give_back(struct rate *rate, uint32_t count)
{
    rate->tokens_milli += count * 1000;
}
