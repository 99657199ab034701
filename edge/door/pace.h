/* How quickly the whole process takes new connections: edge.accepts_per_second. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Takes one. False: not now; ask again after a tick of the wheel. per_second 0 is no limit. */
bool door_pace_take(uint32_t per_second, uint64_t now_ms);

/* Gives one back that was taken for nothing: nobody was there. */
void door_pace_give_back(uint32_t per_second);
