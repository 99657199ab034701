/* Histograms of durations, with the same fixed bounds everywhere. One thread adds, any thread reads: relaxed atomics
 * without read-modify-write, as in edge/base/metrics.h. A histogram that is all zeroes is an empty one. It lives here
 * because the store measures, too. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* 50 µs to 10 s in the steps 1, 2.5, 5: below is the noise of a loop's turn, above is an outage. */
enum { LATENCY_BOUNDS = 17 };
extern const uint64_t latency_bounds_us[LATENCY_BOUNDS];

struct latency {
    atomic_uint_least64_t
        counts[LATENCY_BOUNDS + 1]; /* by bucket, each without those below; the last: longer */
    atomic_uint_least64_t sum_us;
};

/* The clock to measure with: monotonic, in µs; about 25 ns a look. Any thread. */
static inline uint64_t latency_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline void latency_increase(atomic_uint_least64_t *value, uint64_t by)
{
    atomic_store_explicit(
        value, atomic_load_explicit(value, memory_order_relaxed) + by, memory_order_relaxed);
}

/* Takes a duration in. The owner's thread. */
static inline void latency_add(struct latency *latency, uint64_t duration_us)
{
    unsigned bucket = 0;
    while (bucket < LATENCY_BOUNDS && duration_us > latency_bounds_us[bucket])
        bucket++;
    latency_increase(&latency->counts[bucket], 1);
    latency_increase(&latency->sum_us, duration_us);
}

/* The duration from a moment of latency_now_us() on. */
static inline void latency_add_since(struct latency *latency, uint64_t began_us)
{
    uint64_t now_us = latency_now_us();
    latency_add(latency, now_us > began_us ? now_us - began_us : 0);
}

/* Things that began one after the other and end together, such as what one turn of a loop delivers. All zeroes: none.
 * One thread. */
struct latency_pile {
    uint64_t *began_us;
    size_t count, capacity;
};

void latency_pile_add(struct latency_pile *pile, uint64_t began_us);
void latency_pile_end(struct latency_pile *pile, struct latency *latency);
void latency_pile_deinit(struct latency_pile *pile);

/* Things that end in the order in which they began, such as the commands of a connection. All zeroes: none. One
 * thread. */
struct latency_queue {
    uint64_t *began_us; /* a ring */
    size_t first, count, capacity;
};

void latency_queue_begin(struct latency_queue *queue);
void latency_queue_end(struct latency_queue *queue, struct latency *latency); /* nothing, if none has begun */
void latency_queue_forget(struct latency_queue *queue);                       /* all that has begun */
void latency_queue_deinit(struct latency_queue *queue);
