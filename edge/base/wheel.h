/* A timer wheel for many deadlines that are moved often and rarely reached (idle and pong deadlines of
 * connections).
 *
 * Slots of one tick each; a deadline further away than the wheel is long waits whole rounds. Setting, moving
 * and cancelling cost the same however many there are. The time is an argument. Not thread-safe.
 */
#pragma once

#include <stdint.h>
#include <sys/queue.h>

struct wheel_timer {
    LIST_ENTRY(wheel_timer) entry;
    uint64_t due_ms; /* 0: not set */
    void (*expired)(struct wheel_timer *timer, uint64_t now_ms);
};

LIST_HEAD(wheel_slot, wheel_timer);

enum { WHEEL_SLOTS = 512, WHEEL_TICK_MS = 100 };

struct wheel {
    struct wheel_slot slots[WHEEL_SLOTS];
    uint64_t tick; /* the last tick that was run */
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* (Re)sets a timer, whose `expired` the caller has set. It fires at the first wheel_run() not before due_ms.
 */
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_ms);
void wheel_cancel(struct wheel_timer *timer);

/* Fires all that is due; `expired` may set and cancel any timer. */
void wheel_run(struct wheel *wheel, uint64_t now_ms);
