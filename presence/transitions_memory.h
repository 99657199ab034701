/* Transitions in the memory store: those that wait, and those that are to be told (presence/store.h, "transitions").
 *
 *   removals, counts ──▶ waiting, 3 s (first to last due; by channel, kind and user) ──▶ lane ──▶ observer
 *   additions ──(answers a waiting removal: both go)──▶ lane
 *   notes ──(a cache miss: once in 3 s)──▶ lane
 *
 * A removal happens, for those who are told, when its time is over: what comes meanwhile in its channel is told before
 * it. Bounded: at TRANSITIONS_MAX the oldest that nobody was told of is dropped, and counted. Thread: the store's.
 */
#pragma once

#include "presence/store.h"

enum {
    /* How long those who left may stay away unnoticed (http-api.md, "Webhooks"). Counts that fall, or are large, are
     * told after as long, and cache misses once in as long, so that one queue is in order. */
    TRANSITION_WAITS_MS = 3000,
    TRANSITIONS_MAX = 100000, /* some 30 MB */
    /* Counts up to this are told as they rise; above, as those that fall (protocol.md has the same bound). */
    TRANSITION_COUNT_AT_ONCE_MAX = 100,
};

struct transitions_memory;

/* Never NULL. `store` is whose observer is told; now_ms as in store_memory_new(). */
struct transitions_memory *transitions_memory_new(struct store *store, uint64_t (*now_ms)(void));
void transitions_memory_free(struct transitions_memory *transitions);

/* A change as it happens. The strings are copied; `reason` counts with STORE_VACATED and STORE_MEMBER_REMOVED. Nothing
 * is told before transitions_memory_tick(). */
void transitions_memory_add(
    struct transitions_memory *transitions, const struct store_transition *transition);

/* Moves on what has waited long enough, then tells what there is to tell. */
void transitions_memory_tick(struct transitions_memory *transitions);

/* The observer is done with what it was told up to `last_id`, or (NULL) asks for more although it is not. */
void transitions_memory_done(struct transitions_memory *transitions, const char *last_id);

/* How many were dropped so far, and how many are kept. */
uint64_t transitions_memory_dropped(const struct transitions_memory *transitions);
size_t transitions_memory_kept(const struct transitions_memory *transitions);
