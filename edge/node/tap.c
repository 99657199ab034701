#include "edge/node/tap.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct tapped {
    uint64_t number;
    int64_t wall_ms;
    enum tap_kind kind;
    char *channel; /* and behind it the text; NULL: the place is empty */
    const char *text;
    size_t text_bytes, whole_bytes;
};

struct tap {
    LIST_ENTRY(tap) entry;
    uint64_t asked_ms;
    uint64_t number; /* of the last event, kept or not */
    uint64_t second, in_second;
    uint64_t kept;
    struct tapped events[TAP_EVENTS]; /* the n-th that was kept at n modulo their number */
    char app_id[];
};

struct taps {
    LIST_HEAD(tap_list, tap) list;
    unsigned count;
    uint64_t last_number; /* of all: who watches again after a pause is not told of old numbers */
};

struct taps *taps_new(void)
{
    struct taps *taps = new_zeroed(sizeof(*taps));
    LIST_INIT(&taps->list);
    return taps;
}

static void drop(struct taps *taps, struct tap *tap)
{
    if (taps->last_number < tap->number)
        taps->last_number = tap->number;
    for (size_t i = 0; i < TAP_EVENTS; i++)
        free(tap->events[i].channel);
    LIST_REMOVE(tap, entry);
    taps->count--;
    free(tap);
}

void taps_free(struct taps *taps)
{
    struct tap *tap;
    while ((tap = LIST_FIRST(&taps->list)))
        drop(taps, tap);
    free(taps);
}

bool taps_any(const struct taps *taps)
{
    return !LIST_EMPTY(&taps->list);
}

static struct tap *find(const struct taps *taps, const char *app_id)
{
    struct tap *tap;
    LIST_FOREACH (tap, &taps->list, entry)
        if (strcmp(tap->app_id, app_id) == 0)
            return tap;
    return NULL;
}

bool taps_watch(struct taps *taps, uint64_t now_ms, const char *app_id)
{
    struct tap *tap = find(taps, app_id);
    if (!tap && taps->count == TAP_APPS)
        return false;
    if (!tap) {
        size_t bytes = strlen(app_id) + 1;
        tap = new_zeroed(sizeof(*tap) + bytes);
        memcpy(tap->app_id, app_id, bytes);
        tap->number = taps->last_number;
        LIST_INSERT_HEAD(&taps->list, tap, entry);
        taps->count++;
    }
    tap->asked_ms = now_ms;
    return true;
}

/* The length of what is kept of a text: whole characters of UTF-8. */
static size_t cut(const char *text, size_t bytes)
{
    if (bytes <= TAP_TEXT_BYTES)
        return bytes;
    bytes = TAP_TEXT_BYTES;
    while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0) == 0x80)
        bytes--;
    return bytes;
}

static bool admit(struct tap *tap, uint64_t now_ms)
{
    uint64_t second = now_ms / 1000;
    if (tap->second != second)
        tap->in_second = 0;
    tap->second = second;
    return tap->in_second++ < TAP_PER_SECOND;
}

bool taps_add(struct taps *taps, uint64_t now_ms, int64_t wall_ms, const char *app_id, enum tap_kind kind,
    const char *channel, const char *text, size_t text_bytes)
{
    struct tap *tap = find(taps, app_id);
    if (!tap)
        return false;
    tap->number++;
    if (!admit(tap, now_ms))
        return false;
    struct tapped *event = &tap->events[tap->kept++ % TAP_EVENTS];
    size_t name_bytes = strlen(channel) + 1, kept_bytes = cut(text, text_bytes);
    free(event->channel);
    char *copy = must_have(malloc(name_bytes + kept_bytes + 1));
    memcpy(copy, channel, name_bytes);
    memcpy(copy + name_bytes, text, kept_bytes);
    *event = (struct tapped){.number = tap->number,
        .wall_ms = wall_ms,
        .kind = kind,
        .channel = copy,
        .text = copy + name_bytes,
        .text_bytes = kept_bytes,
        .whole_bytes = text_bytes};
    return true;
}

uint64_t taps_last(const struct taps *taps, const char *app_id)
{
    const struct tap *tap = find(taps, app_id);
    return tap ? tap->number : 0;
}

static void write_event(const struct tapped *event, struct buffer *json)
{
    static const char *const kinds[] = {
        [TAP_EVENT] = "event", [TAP_MEMBER_ADDED] = "member_added", [TAP_MEMBER_REMOVED] = "member_removed"};
    buffer_printf(json,
        "{\"number\":%ju,\"time_ms\":%jd,\"kind\":\"%s\",\"channel\":", (uintmax_t)event->number,
        (intmax_t)event->wall_ms, kinds[event->kind]);
    buffer_add_json_text(json, event->channel);
    buffer_add_string(json, ",\"text\":");
    buffer_add_json_string(json, event->text, event->text_bytes);
    buffer_printf(json, ",\"bytes\":%zu,\"cut\":%s}", event->whole_bytes,
        event->whole_bytes > event->text_bytes ? "true" : "false");
}

void taps_write(struct taps *taps, const char *app_id, uint64_t after, struct buffer *json)
{
    const struct tap *tap = find(taps, app_id);
    struct buffer events = {0};
    uint64_t told = 0;
    for (uint64_t n = tap && tap->kept > TAP_EVENTS ? tap->kept - TAP_EVENTS : 0; tap && n < tap->kept; n++) {
        const struct tapped *event = &tap->events[n % TAP_EVENTS];
        if (event->number <= after)
            continue;
        buffer_add_string(&events, told++ ? "," : "");
        write_event(event, &events);
    }
    uint64_t last = tap ? tap->number : 0;
    uint64_t missed = tap && after < last ? last - after - told : 0;
    buffer_printf(json, "{\"next\":%ju,\"missed\":%ju,\"events\":[", (uintmax_t)last, (uintmax_t)missed);
    buffer_add(json, events.bytes, events.length);
    buffer_add_string(json, "]}");
    buffer_deinit(&events);
}

void taps_sweep(struct taps *taps, uint64_t now_ms)
{
    struct tap *next;
    for (struct tap *tap = LIST_FIRST(&taps->list); tap; tap = next) {
        next = LIST_NEXT(tap, entry);
        if (now_ms > tap->asked_ms + TAP_FORGOTTEN_MS)
            drop(taps, tap);
    }
}
