/* What an edge counts, looked at every two seconds, for small plots: the last ten minutes. Thread: that of the wheel. */
#pragma once

#include "edge/base/buffer.h"
#include "edge/base/metrics.h"
#include "edge/base/wheel.h"

#include <stddef.h>
#include <stdint.h>

enum { SAMPLES_EVERY_MS = 2000, SAMPLES_KEPT = 300 };

struct samples;

/* Begins at once. All that is pointed to outlives it. Never NULL. */
struct samples *samples_new(
    struct wheel *wheel, struct metrics *const *workers, size_t worker_count, struct metrics *node);
void samples_free(struct samples *samples);

/* How many were taken so far: the number of the last. */
uint64_t samples_last(const struct samples *samples);

/* {"every_ms":2000,"next":…,"names":["connections",…],"rows":[[time_ms,…],…]}: those after that number, oldest first, each
 * with its time since 1970 and one number a name, counted since the start or, of gauges, as it was. */
void samples_write(const struct samples *samples, uint64_t after, struct buffer *json);

/* The present numbers, {"connections":…,…}. */
void samples_write_now(const struct samples *samples, struct buffer *json);
