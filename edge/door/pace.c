#include "edge/door/pace.h"

#include "edge/base/rate.h"
#include "edge/base/wheel.h"

#include <pthread.h>

/* As many at once as come between two looks, twice: whoever has to wait is let in at an even pace. */
static uint32_t burst_of(uint32_t per_second)
{
    uint32_t burst = (uint32_t)((uint64_t)per_second * 2 * WHEEL_TICK_MS / 1000);
    return burst ? burst : 1;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rate rate; /* guarded by lock */

bool door_pace_take(uint32_t per_second, uint64_t now_ms)
{
    if (per_second == 0)
        return true;
    pthread_mutex_lock(&lock);
    bool taken = rate_take(&rate, 1, per_second, burst_of(per_second), now_ms);
    pthread_mutex_unlock(&lock);
    return taken;
}

void door_pace_give_back(uint32_t per_second)
{
    if (per_second == 0)
        return;
    pthread_mutex_lock(&lock);
    rate_give_back(&rate, 1);
    pthread_mutex_unlock(&lock);
}
