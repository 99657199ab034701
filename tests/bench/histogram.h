/* A histogram of durations: 32 buckets to each power of two, so a percentile is at most 3 % off. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_STEPS_BITS = 5, HISTOGRAM_BUCKETS = 40 << HISTOGRAM_STEPS_BITS };

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
};

/* value in any unit; from 2^44 on they share one bucket. */
void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that `fraction` (0 to 1) of all added ones do not exceed; 0 if none was added. */
uint64_t histogram_percentile(const struct histogram *histogram, double fraction);
