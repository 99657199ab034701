#include "presence/latency.h"

#include "presence/base/new.h"

#include <stdlib.h>

const uint64_t latency_bounds_us[LATENCY_BOUNDS] = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

enum { FIRST_CAPACITY = 64 };

/* ---- piles ---- */

void latency_pile_add(struct latency_pile *pile, uint64_t began_us)
{
    pile->began_us = grown(pile->began_us, &pile->capacity, pile->count + 1, sizeof(*pile->began_us));
    pile->began_us[pile->count++] = began_us;
}

void latency_pile_end(struct latency_pile *pile, struct latency *latency)
{
    if (pile->count == 0)
        return;
    uint64_t now_us = latency_now_us();
    for (size_t i = 0; i < pile->count; i++)
        latency_add(latency, now_us > pile->began_us[i] ? now_us - pile->began_us[i] : 0);
    pile->count = 0;
}

void latency_pile_deinit(struct latency_pile *pile)
{
    free(pile->began_us);
    *pile = (struct latency_pile){0};
}

/* ---- queues ---- */

/* A ring of twice the size, with its first at the beginning. */
static void grow(struct latency_queue *queue)
{
    size_t capacity = queue->capacity ? queue->capacity * 2 : FIRST_CAPACITY;
    uint64_t *began_us = new_array(capacity, sizeof(*began_us));
    for (size_t i = 0; i < queue->count; i++)
        began_us[i] = queue->began_us[(queue->first + i) % queue->capacity];
    free(queue->began_us);
    queue->began_us = began_us;
    queue->capacity = capacity;
    queue->first = 0;
}

void latency_queue_begin(struct latency_queue *queue)
{
    if (queue->count == queue->capacity)
        grow(queue);
    queue->began_us[(queue->first + queue->count++) % queue->capacity] = latency_now_us();
}

void latency_queue_end(struct latency_queue *queue, struct latency *latency)
{
    if (queue->count == 0)
        return;
    latency_add_since(latency, queue->began_us[queue->first]);
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
}

void latency_queue_forget(struct latency_queue *queue)
{
    queue->first = queue->count = 0;
}

void latency_queue_deinit(struct latency_queue *queue)
{
    free(queue->began_us);
    *queue = (struct latency_queue){0};
}
