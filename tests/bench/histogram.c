#include "tests/bench/histogram.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < (1u << HISTOGRAM_STEPS_BITS))
        return (unsigned)value;
    unsigned power = 63u - (unsigned)__builtin_clzll(value);
    unsigned shift = power - HISTOGRAM_STEPS_BITS;
    unsigned bucket = ((shift + 1) << HISTOGRAM_STEPS_BITS) + (unsigned)((value >> shift) & 31u);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t top_of(unsigned bucket)
{
    if (bucket < (1u << HISTOGRAM_STEPS_BITS))
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_STEPS_BITS) - 1;
    uint64_t step = (bucket & 31u) + 32u;
    return ((step + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t histogram_percentile(const struct histogram *histogram, double fraction)
{
    uint64_t wanted = (uint64_t)(fraction * (double)histogram->count + 0.5), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && seen > 0)
            return i < HISTOGRAM_BUCKETS - 1 && top_of(i) < histogram->max ? top_of(i) : histogram->max;
    }
    return histogram->max;
}
