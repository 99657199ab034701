#include "edge/node/healed.h"

#include "presence/base/new.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t id;      /* counts entries */
    uint64_t changed; /* counts changes */
    int64_t first_ms, last_ms;
    enum engine_note_kind kind;
    uint32_t count;
    uint64_t number;                           /* the sum, the largest, or the last one; see kinds[] */
    uint8_t partitions[HEALED_PARTITIONS / 8]; /* a bit each; none: the shard as a whole */
    char shard[80], channel[HEALED_TEXT_BYTES], why[HEALED_TEXT_BYTES];
};

struct healed {
    struct entry entries[HEALED_ENTRIES]; /* entry n at n modulo their number */
    uint64_t count;                       /* entries so far */
    uint64_t changes;
};

/* In words: what happened, and what came of it. %N the number, %W the reason. */
static const struct {
    const char *name, *words;
    enum { LAST, SUM, LARGEST } number;
} kinds[] = {
    [NOTE_FROZEN] = {"frozen",
        "The shard went out of reach (%W). Rosters stand still: nobody is shown as gone who may be there, "
        "and "
        "delivery on this edge goes on.",
        LAST},
    [NOTE_THAWED] = {"thawed",
        "The shard is back after %N ms. What changed meanwhile is written and read again.", LARGEST},
    [NOTE_BUS_LOST] = {"bus_lost",
        "Events of the shard were not heard any more (%W). The connection is made anew, and every roster "
        "read "
        "again.",
        LAST},
    [NOTE_REFUSED] = {"refused",
        "The shard refused what this edge wrote: %W. Nothing was changed; it looks for "
        "the right server.",
        LAST},
    [NOTE_GAP] = {"gap", "Redis had lost writes of this edge. It writes again all that it holds.", LAST},
    [NOTE_ASSERTED] = {"asserted", "This edge wrote again all that it holds (facts: %N).", SUM},
    [NOTE_TIMELINE] = {"timeline",
        "The data are not those of before: emptied, restored, or another server took over. All is compared.",
        LAST},
    [NOTE_WAITS] = {"waits",
        "Data had been lost, so removals wait: who is only missing is not shown as gone.", LAST},
    [NOTE_WAITED] = {"waited", "The wait is over. Who did not come back is shown as gone.", LAST},
    [NOTE_REAPED] = {"reaped", "The lease of edge %W had run out. This edge removed what it had left behind.",
        LAST},
    [NOTE_READ_AGAIN] = {"read_again", "A change of a roster had been missed. It was read again.", LAST},
    [NOTE_DIVERGED] = {"diverged",
        "A comparison found a difference between Redis and this edge. It was put right.", LAST},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct healed *healed_new(void)
{
    return new_zeroed(sizeof(struct healed));
}

void healed_free(struct healed *healed)
{
    free(healed);
}

static uint64_t oldest(const struct healed *healed)
{
    return healed->count > HEALED_ENTRIES ? healed->count - HEALED_ENTRIES : 0;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* A copy that ends between two characters of UTF-8. */
static void copy_cut(char *to, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(to, text, length);
    to[length] = '\0';
}

/* One that the note belongs to, among the latest few: several kinds come in turns. */
static struct entry *find_open(
    struct healed *healed, int64_t wall_ms, const char *shard, const struct engine_note *note)
{
    enum { LOOKED_AT = 16 };
    for (uint64_t n = healed->count; n > oldest(healed) && healed->count - n < LOOKED_AT; n--) {
        struct entry *entry = &healed->entries[(n - 1) % HEALED_ENTRIES];
        if (wall_ms - entry->last_ms > HEALED_TOGETHER_MS || wall_ms < entry->last_ms)
            return NULL;
        if (entry->kind == note->kind && strcmp(entry->shard, shard) == 0 &&
            strncmp(entry->channel, or_empty(note->channel), HEALED_TEXT_BYTES - 4) == 0 &&
            strncmp(entry->why, or_empty(note->why), HEALED_TEXT_BYTES - 4) == 0)
            return entry;
    }
    return NULL;
}

static struct entry *open_new(
    struct healed *healed, int64_t wall_ms, const char *shard, const struct engine_note *note)
{
    struct entry *entry = &healed->entries[healed->count % HEALED_ENTRIES];
    *entry = (struct entry){.id = ++healed->count, .kind = note->kind, .first_ms = wall_ms};
    copy_cut(entry->shard, sizeof(entry->shard), shard);
    copy_cut(entry->channel, sizeof(entry->channel), or_empty(note->channel));
    copy_cut(entry->why, sizeof(entry->why), or_empty(note->why));
    return entry;
}

void healed_add(struct healed *healed, int64_t wall_ms, const char *shard, const struct engine_note *note)
{
    struct entry *entry = find_open(healed, wall_ms, shard, note);
    if (!entry)
        entry = open_new(healed, wall_ms, shard, note);
    entry->changed = ++healed->changes;
    entry->last_ms = wall_ms;
    entry->count++;
    if (kinds[note->kind].number == SUM)
        entry->number += note->number;
    else if (kinds[note->kind].number == LAST || note->number > entry->number)
        entry->number = note->number;
    if (note->partition >= 0 && note->partition < HEALED_PARTITIONS)
        entry->partitions[note->partition / 8] |= (uint8_t)(1u << note->partition % 8);
}

uint64_t healed_last(const struct healed *healed)
{
    return healed->changes;
}

static void add_words(struct buffer *json, const struct entry *entry)
{
    struct buffer words = {0};
    for (const char *at = kinds[entry->kind].words; *at; at++) {
        if (at[0] == '%' && at[1] == 'N')
            buffer_printf(&words, "%ju", (uintmax_t)entry->number);
        else if (at[0] == '%' && at[1] == 'W')
            buffer_add_string(&words, entry->why[0] ? entry->why : "no reason was given");
        else
            buffer_add(&words, at, 1);
        at += at[0] == '%';
    }
    buffer_add_json_string(json, words.bytes, words.length);
    buffer_deinit(&words);
}

static void write_entry(const struct entry *entry, struct buffer *json)
{
    buffer_printf(json,
        "{\"id\":%ju,\"time_ms\":%jd,\"until_ms\":%jd,\"kind\":\"%s\",\"count\":%u,\"shard\":",
        (uintmax_t)entry->id, (intmax_t)entry->first_ms, (intmax_t)entry->last_ms, kinds[entry->kind].name,
        entry->count);
    buffer_add_json_text(json, entry->shard);
    buffer_add_string(json, ",\"partitions\":[");
    bool first = true;
    for (unsigned p = 0; p < HEALED_PARTITIONS; p++) {
        if (!(entry->partitions[p / 8] & 1u << p % 8))
            continue;
        buffer_printf(json, first ? "%u" : ",%u", p);
        first = false;
    }
    buffer_add_string(json, "],\"channel\":");
    if (entry->channel[0])
        buffer_add_json_text(json, entry->channel);
    else
        buffer_add_string(json, "null");
    buffer_add_string(json, ",\"words\":");
    add_words(json, entry);
    buffer_add_string(json, "}");
}

void healed_write(const struct healed *healed, uint64_t after, struct buffer *json)
{
    bool first = true;
    /* An entry takes at least one change, so of those up to `after` at most so many entries were seen. */
    uint64_t missed = oldest(healed) > after ? oldest(healed) - after : 0;
    buffer_printf(
        json, "{\"next\":%ju,\"missed\":%ju,\"entries\":[", (uintmax_t)healed->changes, (uintmax_t)missed);
    for (uint64_t n = oldest(healed); n < healed->count; n++) {
        const struct entry *entry = &healed->entries[n % HEALED_ENTRIES];
        if (entry->changed <= after)
            continue;
        buffer_add_string(json, first ? "" : ",");
        write_entry(entry, json);
        first = false;
    }
    buffer_add_string(json, "]}");
}
