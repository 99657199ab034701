/* The embedded store: one process, everything in memory, every answer at once. */
#pragma once

#include "presence/store.h"

/* now_ms: a monotonic clock in milliseconds, for the time of cached events; tests drive it by hand.
 * Never NULL; free with store_free(). */
struct store *store_memory_new(
    const struct store_observer *observer, void *observer_context, uint64_t (*now_ms)(void));

/* How many channels it keeps, for tests of its bounds. */
size_t store_memory_channels(struct store *store);

/* Tells the observer of the transitions that have waited long enough; call it some ten times a second, when
 * observer.transitions is set. They are all of lane 0. */
void store_memory_tick(struct store *store);

/* How many transitions were dropped because nobody took them (presence/transitions_memory.h). */
uint64_t store_memory_transitions_dropped(struct store *store);
