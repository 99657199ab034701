#include "edge/base/wheel.h"

#include <stddef.h>

/* The first tick at which a timer due at `due_ms` may fire: rounded up, never the past. */
static uint64_t tick_of(uint64_t due_ms)
{
    return (due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

static void insert(struct wheel *wheel, struct wheel_timer *timer)
{
    uint64_t tick = tick_of(timer->due_ms);
    if (tick <= wheel->tick)
        tick = wheel->tick + 1;
    LIST_INSERT_HEAD(&wheel->slots[tick % WHEEL_SLOTS], timer, entry);
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        LIST_INIT(&wheel->slots[i]);
    wheel->tick = now_ms / WHEEL_TICK_MS;
}

void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_ms)
{
    wheel_cancel(timer);
    timer->due_ms = due_ms ? due_ms : 1;
    insert(wheel, timer);
}

void wheel_cancel(struct wheel_timer *timer)
{
    if (!timer->due_ms)
        return;
    LIST_REMOVE(timer, entry);
    timer->due_ms = 0;
}

/* Fires what is due in one slot. The slot is emptied into a list of its own first, so that timers which
 * `expired` sets or cancels meanwhile disturb nothing. */
static void run_slot(struct wheel *wheel, struct wheel_slot *slot, uint64_t now_ms)
{
    struct wheel_slot taken = LIST_HEAD_INITIALIZER(taken);
    taken.lh_first = slot->lh_first; /* glibc's <sys/queue.h> has no LIST_SWAP */
    if (taken.lh_first)
        taken.lh_first->entry.le_prev = &taken.lh_first;
    LIST_INIT(slot);
    struct wheel_timer *timer;
    while ((timer = LIST_FIRST(&taken))) {
        LIST_REMOVE(timer, entry);
        if (timer->due_ms > now_ms) {
            insert(wheel, timer); /* a later round of the wheel */
            continue;
        }
        timer->due_ms = 0;
        timer->expired(timer, now_ms);
    }
}

void wheel_run(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t now = now_ms / WHEEL_TICK_MS;
    /* After a long pause one round visits every slot; more would visit them again for nothing. */
    if (now > wheel->tick + WHEEL_SLOTS)
        wheel->tick = now - WHEEL_SLOTS;
    while (wheel->tick < now) {
        wheel->tick++;
        run_slot(wheel, &wheel->slots[wheel->tick % WHEEL_SLOTS], now_ms);
    }
}
