/* What of a lane is not done with. */
#include "edge/webhooks/webhooks_private.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

enum { EVENT_ID_BYTES = 256 }; /* the stores' are shorter */

static struct lane *new_lane(struct webhooks *webhooks, unsigned number)
{
    struct lane *lane = new_zeroed(sizeof(*lane));
    lane->webhooks = webhooks;
    lane->number = number;
    TAILQ_INIT(&lane->events);
    return lane;
}

struct lane *lane_of(struct webhooks *webhooks, unsigned number)
{
    if (number >= webhooks->lane_count) {
        webhooks->lanes = resized(webhooks->lanes, number + 1, sizeof(*webhooks->lanes));
        for (unsigned i = webhooks->lane_count; i <= number; i++)
            webhooks->lanes[i] = NULL;
        webhooks->lane_count = number + 1;
    }
    if (!webhooks->lanes[number])
        webhooks->lanes[number] = new_lane(webhooks, number);
    return webhooks->lanes[number];
}

struct event *lane_add(struct lane *lane, const char *id)
{
    struct event *event;
    size_t id_bytes = strlen(id);
    HASH_FIND(hh, lane->index, id, id_bytes, event);
    if (event)
        return NULL;
    event = new_zeroed(sizeof(*event) + id_bytes + 1);
    memcpy(event->id, id, id_bytes + 1);
    event->lane = lane;
    HASH_ADD_KEYPTR(hh, lane->index, event->id, id_bytes, event);
    TAILQ_INSERT_TAIL(&lane->events, event, of_lane);
    return event;
}

static void free_event(struct event *event)
{
    free(event->json);
    free(event);
}

/* The lane has it no more; queues may. */
static void leave_lane(struct event *event)
{
    HASH_DELETE(hh, event->lane->index, event);
    TAILQ_REMOVE(&event->lane->events, event, of_lane);
    event->lane = NULL;
    if (event->waiting == 0)
        free_event(event);
}

void lane_mark(struct lane *lane)
{
    if (lane->is_unsettled)
        return;
    lane->is_unsettled = true;
    TAILQ_INSERT_TAIL(&lane->webhooks->unsettled, lane, of_unsettled);
}

void event_release(struct event *event)
{
    if (--event->waiting > 0)
        return;
    if (event->lane)
        lane_mark(event->lane);
    else
        free_event(event);
}

/* Takes off what is done with at the lane's head. True, and its last id, if there was any. */
static bool take_done(struct lane *lane, char *last_id, size_t size)
{
    struct event *event;
    bool any = false;
    while ((event = TAILQ_FIRST(&lane->events)) && event->waiting == 0) {
        strncpy(last_id, event->id, size - 1);
        last_id[size - 1] = '\0';
        leave_lane(event);
        any = true;
    }
    return any;
}

/* The store may tell the next ones from within, and they may be done with at once. */
void lanes_settle(struct webhooks *webhooks)
{
    const struct webhooks_listener *listener = &webhooks->listener;
    char last_id[EVENT_ID_BYTES];
    struct lane *lane;
    if (webhooks->settling)
        return;
    webhooks->settling = true;
    while ((lane = TAILQ_FIRST(&webhooks->unsettled))) {
        TAILQ_REMOVE(&webhooks->unsettled, lane, of_unsettled);
        lane->is_unsettled = false;
        if (take_done(lane, last_id, sizeof(last_id)))
            listener->done(listener->context, lane->number, last_id);
    }
    webhooks->settling = false;
}

void lane_lose(struct lane *lane)
{
    struct event *event;
    while ((event = TAILQ_FIRST(&lane->events)))
        leave_lane(event);
    lane->may_ask = false;
}

void lane_free(struct lane *lane)
{
    lane_lose(lane);
    if (lane->is_unsettled)
        TAILQ_REMOVE(&lane->webhooks->unsettled, lane, of_unsettled);
    free(lane);
}
