#include "presence/transitions_memory.h"

#include "presence/base/new.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <uthash.h>

enum {
    TOLD_AT_ONCE_MAX = 256, /* of one call of the observer */
    ID_CHARS = 40,          /* "random.number": 16 hexadecimal digits, a dot, 20 digits */
};

/* One of them, first waiting, later in the lane. `key` identifies it while it waits: "app\nchannel\nwhat user", where
 * what is one letter. Neither ids of apps nor names of channels hold control characters. */
struct kept {
    TAILQ_ENTRY(kept) entry; /* in waiting, or in the lane */
    UT_hash_handle hh;       /* while it waits */
    struct store_transition told;
    uint64_t since_ms; /* in that queue */
    char id[ID_CHARS];
    size_t key_bytes;
    char *key;
    char bytes[]; /* the strings of `told`, then the key */
};

TAILQ_HEAD(kept_queue, kept);

/* The count that was told last, of a channel with subscriptions without a roster. Goes when it is 0. */
struct told_count {
    UT_hash_handle hh;
    uint64_t count;
    char key[];
};

struct transitions_memory {
    struct store *store;
    uint64_t (*now_ms)(void);
    struct kept *index; /* what waits, by key */
    struct kept_queue waiting, lane;
    struct told_count *counts;
    size_t kept;
    uint64_t dropped;
    uint64_t incarnation, next_number; /* ids are unique over restarts */
    char last_id[ID_CHARS];            /* of what was told last */
    bool waits_for_done, telling;
};

/* ---- one of them ---- */

static char what_of(enum store_transition_kind kind)
{
    switch (kind) {
    case STORE_OCCUPIED:
    case STORE_VACATED:
        return 'o';
    case STORE_MEMBER_ADDED:
    case STORE_MEMBER_REMOVED:
        return 'm';
    case STORE_COUNTED:
        return 'c';
    default:
        return 'x'; /* a cache miss */
    }
}

static size_t bytes_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copies a string to *at, and moves that behind it. */
static const char *put(char **at, const char *text)
{
    if (!text)
        return NULL;
    char *copy = *at;
    *at = stpcpy(copy, text) + 1;
    return copy;
}

static struct kept *new_kept(const struct store_transition *told)
{
    size_t app_bytes = strlen(told->app_id), channel_bytes = strlen(told->channel);
    size_t user_bytes = told->user_id ? strlen(told->user_id) : 0;
    size_t key_bytes = app_bytes + 1 + channel_bytes + 1 + 1 + user_bytes;
    struct kept *kept = new_zeroed(sizeof(*kept) + app_bytes + channel_bytes + 2 + bytes_of(told->user_id) +
                                   told->payload_bytes + key_bytes + 1);
    char *at = kept->bytes;
    kept->told = *told;
    kept->told.id = kept->id;
    kept->told.app_id = put(&at, told->app_id);
    kept->told.channel = put(&at, told->channel);
    kept->told.user_id = put(&at, told->user_id);
    if (told->payload) {
        kept->told.payload = memcpy(at, told->payload, told->payload_bytes);
        at += told->payload_bytes;
    }
    kept->key = at;
    kept->key_bytes = key_bytes;
    snprintf(at, key_bytes + 1, "%s\n%s\n%c%s", told->app_id, told->channel, what_of(told->kind),
        told->user_id ? told->user_id : "");
    return kept;
}

static struct kept *find_waiting(struct transitions_memory *t, const struct kept *like)
{
    struct kept *found;
    HASH_FIND(hh, t->index, like->key, like->key_bytes, found);
    return found;
}

static void stop_waiting(struct transitions_memory *t, struct kept *kept)
{
    HASH_DELETE(hh, t->index, kept);
    TAILQ_REMOVE(&t->waiting, kept, entry);
}

static void drop_waiting(struct transitions_memory *t, struct kept *kept)
{
    stop_waiting(t, kept);
    t->kept--;
    free(kept);
}

/* Makes room for one more. */
static void bound(struct transitions_memory *t)
{
    if (t->kept < TRANSITIONS_MAX)
        return;
    struct kept *waiting = TAILQ_FIRST(&t->waiting), *oldest = TAILQ_FIRST(&t->lane);
    t->dropped++;
    if (!oldest || (waiting && waiting->since_ms <= oldest->since_ms)) {
        drop_waiting(t, waiting);
        return;
    }
    TAILQ_REMOVE(&t->lane, oldest, entry);
    t->kept--;
    free(oldest);
}

/* Takes `kept` over, as do the next two. */
static void put_in_lane(struct transitions_memory *t, struct kept *kept)
{
    bound(t);
    snprintf(kept->id, sizeof(kept->id), "%016" PRIx64 ".%" PRIu64, t->incarnation, ++t->next_number);
    kept->since_ms = t->now_ms();
    TAILQ_INSERT_TAIL(&t->lane, kept, entry);
    t->kept++;
}

static void let_wait(struct transitions_memory *t, struct kept *kept)
{
    bound(t);
    kept->since_ms = t->now_ms();
    HASH_ADD_KEYPTR(hh, t->index, kept->key, kept->key_bytes, kept);
    TAILQ_INSERT_TAIL(&t->waiting, kept, entry);
    t->kept++;
}

/* ---- counts ---- */

static uint64_t told_count(struct transitions_memory *t, const struct kept *kept)
{
    struct told_count *told;
    HASH_FIND(hh, t->counts, kept->key, kept->key_bytes, told);
    return told ? told->count : 0;
}

static void set_told_count(struct transitions_memory *t, const struct kept *kept)
{
    struct told_count *told;
    HASH_FIND(hh, t->counts, kept->key, kept->key_bytes, told);
    if (kept->told.count == 0) {
        if (told)
            HASH_DEL(t->counts, told);
        free(told);
        return;
    }
    if (!told) {
        told = new_zeroed(sizeof(*told) + kept->key_bytes);
        memcpy(told->key, kept->key, kept->key_bytes);
        HASH_ADD_KEYPTR(hh, t->counts, told->key, kept->key_bytes, told);
    }
    told->count = kept->told.count;
}

static void tell_count(struct transitions_memory *t, struct kept *kept)
{
    if (told_count(t, kept) == kept->told.count) {
        free(kept);
        return;
    }
    set_told_count(t, kept);
    put_in_lane(t, kept);
}

/* A count that rises is told at once, unless it is one of many; any other later, and only if it has not become again
 * what it was. */
static void add_count(struct transitions_memory *t, struct kept *kept)
{
    struct kept *waiting = find_waiting(t, kept);
    uint64_t before = told_count(t, kept), now = kept->told.count;
    bool at_once = now > before && now <= TRANSITION_COUNT_AT_ONCE_MAX;
    if (waiting && (at_once || now == before)) {
        drop_waiting(t, waiting);
        waiting = NULL;
    }
    if (at_once) {
        tell_count(t, kept);
    } else if (waiting || now == before) {
        if (waiting)
            waiting->told.count = now;
        free(kept);
    } else {
        let_wait(t, kept);
    }
}

/* ---- all kinds ---- */

/* What was taken back, and what takes it back, are never told. */
static void add_addition(struct transitions_memory *t, struct kept *kept)
{
    struct kept *waiting = find_waiting(t, kept);
    if (!waiting) {
        put_in_lane(t, kept);
        return;
    }
    drop_waiting(t, waiting);
    free(kept);
}

static void add_removal(struct transitions_memory *t, struct kept *kept)
{
    struct kept *waiting = find_waiting(t, kept);
    if (waiting) /* cannot be: who has left has to come before he leaves again */
        drop_waiting(t, waiting);
    let_wait(t, kept);
}

/* Told at once; that it waits, too, keeps those that follow away. */
static void add_cache_miss(struct transitions_memory *t, struct kept *kept)
{
    if (find_waiting(t, kept)) {
        free(kept);
        return;
    }
    put_in_lane(t, new_kept(&kept->told));
    let_wait(t, kept);
}

void transitions_memory_add(struct transitions_memory *t, const struct store_transition *transition)
{
    if (transition->channel[0] == '#') /* the edge's own: no channels that a back end knows */
        return;
    struct kept *kept = new_kept(transition);
    switch (transition->kind) {
    case STORE_OCCUPIED:
    case STORE_MEMBER_ADDED:
        add_addition(t, kept);
        break;
    case STORE_VACATED:
    case STORE_MEMBER_REMOVED:
        add_removal(t, kept);
        break;
    case STORE_COUNTED:
        add_count(t, kept);
        break;
    case STORE_CACHE_MISS:
        add_cache_miss(t, kept);
        break;
    case STORE_CLIENT_EVENT:
        put_in_lane(t, kept);
        break;
    }
}

/* ---- telling ---- */

static void tell_some(struct transitions_memory *t)
{
    struct store_transition list[TOLD_AT_ONCE_MAX];
    struct kept_queue told = TAILQ_HEAD_INITIALIZER(told);
    struct kept *kept;
    size_t count = 0;
    while (count < TOLD_AT_ONCE_MAX && (kept = TAILQ_FIRST(&t->lane))) {
        TAILQ_REMOVE(&t->lane, kept, entry);
        TAILQ_INSERT_TAIL(&told, kept, entry);
        list[count++] = kept->told;
        t->kept--;
    }
    strcpy(t->last_id, TAILQ_LAST(&told, kept_queue)->id);
    t->waits_for_done = true;
    t->store->observer.transitions(t->store->observer_context, 0, list, count);
    /* Whoever was told has what he needs: he lives and dies with this store, so nothing will be told again. */
    while ((kept = TAILQ_FIRST(&told))) {
        TAILQ_REMOVE(&told, kept, entry);
        free(kept);
    }
}

/* The observer may be done, or ask for more, during the call. */
static void tell(struct transitions_memory *t)
{
    if (t->telling)
        return;
    t->telling = true;
    while (!t->waits_for_done && !TAILQ_EMPTY(&t->lane))
        tell_some(t);
    t->telling = false;
}

static void on_due(struct transitions_memory *t, struct kept *kept)
{
    stop_waiting(t, kept);
    t->kept--;
    if (kept->told.kind == STORE_COUNTED)
        tell_count(t, kept);
    else if (kept->told.kind == STORE_CACHE_MISS)
        free(kept); /* told when it was new */
    else
        put_in_lane(t, kept);
}

void transitions_memory_tick(struct transitions_memory *t)
{
    uint64_t now_ms = t->now_ms();
    struct kept *first;
    while ((first = TAILQ_FIRST(&t->waiting)) && first->since_ms + TRANSITION_WAITS_MS <= now_ms)
        on_due(t, first);
    tell(t);
}

void transitions_memory_done(struct transitions_memory *t, const char *last_id)
{
    if (last_id && strcmp(last_id, t->last_id) != 0)
        return;
    t->waits_for_done = false;
    tell(t);
}

/* ---- life ---- */

struct transitions_memory *transitions_memory_new(struct store *store, uint64_t (*now_ms)(void))
{
    struct transitions_memory *t = new_zeroed(sizeof(*t));
    must(getrandom(&t->incarnation, sizeof(t->incarnation), 0) == sizeof(t->incarnation));
    t->store = store;
    t->now_ms = now_ms;
    TAILQ_INIT(&t->waiting);
    TAILQ_INIT(&t->lane);
    return t;
}

void transitions_memory_free(struct transitions_memory *t)
{
    struct kept *kept;
    while ((kept = TAILQ_FIRST(&t->waiting)))
        drop_waiting(t, kept);
    while ((kept = TAILQ_FIRST(&t->lane))) {
        TAILQ_REMOVE(&t->lane, kept, entry);
        free(kept);
    }
    struct told_count *told, *next;
    HASH_ITER (hh, t->counts, told, next) {
        HASH_DEL(t->counts, told);
        free(told);
    }
    free(t);
}

uint64_t transitions_memory_dropped(const struct transitions_memory *t)
{
    return t->dropped;
}

size_t transitions_memory_kept(const struct transitions_memory *t)
{
    return t->kept;
}
