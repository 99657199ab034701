/* Sorted sets. Kept unsorted, and sorted when read: they are small here. */
#include "tests/sim/fake_commands.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const struct entry *a, const struct entry *b)
{
    size_t shorter = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    int order = memcmp(a->name, b->name, shorter);
    if (order)
        return order;
    return a->name_bytes < b->name_bytes ? -1 : a->name_bytes > b->name_bytes;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = *(struct entry *const *)a, *right = *(struct entry *const *)b;
    if (left->score != right->score)
        return left->score < right->score ? -1 : 1;
    return compare_names(left, right);
}

/* All entries in order; the caller frees the array. */
static struct entry **sorted(const struct key *key, size_t *count)
{
    size_t filled = 0;
    *count = key ? entry_count(key) : 0;
    struct entry **entries = fake_alloc(*count * sizeof(*entries));
    for (struct entry *entry = key ? key->entries : NULL; entry; entry = entry->hh.next)
        entries[filled++] = entry;
    if (filled)
        qsort(entries, filled, sizeof(*entries), compare_entries);
    return entries;
}

/* A bound of a range: by score "(1.5", by bytes "[a", "(a", "-", "+". */
struct bound {
    bool exclusive;
    double score;
    struct slice name;
    int infinite; /* by bytes: -1 and 1 for "-" and "+" */
};

static bool parse_score(struct slice text, struct bound *bound)
{
    bound->exclusive = text.size && text.data[0] == '(';
    if (bound->exclusive)
        text = (struct slice){text.data + 1, text.size - 1};
    return slice_double(text, &bound->score);
}

static bool parse_name(struct slice text, struct bound *bound)
{
    if (slice_is(text, "-") || slice_is(text, "+")) {
        bound->infinite = text.data[0] == '-' ? -1 : 1;
        return true;
    }
    if (!text.size || (text.data[0] != '(' && text.data[0] != '['))
        return false;
    bound->exclusive = text.data[0] == '(';
    bound->name = (struct slice){text.data + 1, text.size - 1};
    return true;
}

static int against(const struct entry *entry, const struct bound *bound, bool by_name)
{
    if (!by_name)
        return entry->score < bound->score ? -1 : entry->score > bound->score;
    if (bound->infinite)
        return -bound->infinite;
    struct entry other = {.name = (char *)(uintptr_t)bound->name.data, .name_bytes = bound->name.size};
    return compare_names(entry, &other);
}

static bool within(const struct entry *entry, const struct bound *low, const struct bound *high, bool by_name)
{
    int above = against(entry, low, by_name), below = against(entry, high, by_name);
    return (above > 0 || (above == 0 && !low->exclusive)) && (below < 0 || (below == 0 && !high->exclusive));
}

struct range {
    enum { BY_RANK, BY_SCORE, BY_NAME } by;
    bool reversed, with_scores;
    int64_t start, stop; /* BY_RANK */
    struct bound low, high;
    int64_t offset, limit; /* limit < 0: all */
};

static struct fake_reply *parse_bounds(struct call *call, size_t first, struct range *range)
{
    size_t low = range->reversed && range->by != BY_RANK ? first + 1 : first;
    size_t high = range->reversed && range->by != BY_RANK ? first : first + 1;
    switch (range->by) {
    case BY_RANK:
        if (!slice_integer(call->argv[low], &range->start) || !slice_integer(call->argv[high], &range->stop))
            return not_an_integer();
        return NULL;
    case BY_SCORE:
        if (!parse_score(call->argv[low], &range->low) || !parse_score(call->argv[high], &range->high))
            return fake_error("ERR min or max is not a float");
        return NULL;
    case BY_NAME:
        if (!parse_name(call->argv[low], &range->low) || !parse_name(call->argv[high], &range->high))
            return fake_error("ERR min or max not valid string range item");
        return NULL;
    }
    return NULL;
}

static struct fake_reply *parse_options(struct call *call, size_t first, bool modern, struct range *range)
{
    for (size_t i = first; i < call->argc; i++) {
        if (call_is(call, i, "WITHSCORES")) {
            range->with_scores = true;
        } else if (call_is(call, i, "LIMIT") && i + 2 < call->argc) {
            if (!slice_integer(call->argv[i + 1], &range->offset) ||
                !slice_integer(call->argv[i + 2], &range->limit))
                return not_an_integer();
            i += 2;
        } else if (modern && call_is(call, i, "REV")) {
            range->reversed = true;
        } else if (modern && call_is(call, i, "BYSCORE")) {
            range->by = BY_SCORE;
        } else if (modern && call_is(call, i, "BYLEX")) {
            range->by = BY_NAME;
        } else {
            return syntax_error();
        }
    }
    return NULL;
}

static void rank_window(struct range *range, size_t count)
{
    int64_t length = (int64_t)count;
    int64_t start = range->start < 0 ? range->start + length : range->start;
    int64_t stop = range->stop < 0 ? range->stop + length : range->stop;
    range->offset = start < 0 ? 0 : start;
    range->limit = stop < range->offset ? 0 : stop - range->offset + 1;
}

/* The entries that the range selects, in its order; the caller frees the array. */
static struct entry **select_range(const struct key *key, struct range range, size_t *selected)
{
    size_t count, kept = 0;
    struct entry **entries = sorted(key, &count);
    for (size_t i = 0; i < count / 2 && range.reversed; i++) {
        struct entry *swap = entries[i];
        entries[i] = entries[count - 1 - i];
        entries[count - 1 - i] = swap;
    }
    if (range.by == BY_RANK)
        rank_window(&range, count);
    int64_t seen = 0;
    for (size_t i = 0; i < count && range.offset >= 0; i++) {
        if (range.by != BY_RANK && !within(entries[i], &range.low, &range.high, range.by == BY_NAME))
            continue;
        if (seen++ >= range.offset && (range.limit < 0 || (int64_t)kept < range.limit))
            entries[kept++] = entries[i];
    }
    *selected = kept;
    return entries;
}

static struct fake_reply *answer_range(struct call *call, const struct range *range)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_ZSET, &key);
    if (error)
        return error;
    size_t count;
    struct entry **entries = select_range(key, *range, &count);
    struct fake_reply *reply = fake_array();
    for (size_t i = 0; i < count; i++) {
        fake_push(reply, fake_bulk(entries[i]->name, entries[i]->name_bytes));
        if (range->with_scores)
            fake_push(reply, fake_double(entries[i]->score));
    }
    free(entries);
    return reply;
}

static struct fake_reply *answer(struct call *call, struct range range, bool modern)
{
    range.limit = -1;
    struct fake_reply *error = parse_options(call, 4, modern, &range);
    if (!error && range.by == BY_RANK && (range.limit != -1 || range.offset))
        error = fake_error(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    if (!error && range.by == BY_NAME && range.with_scores)
        error = fake_error("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    if (!error)
        error = parse_bounds(call, 2, &range);
    return error ? error : answer_range(call, &range);
}

static struct fake_reply *run_zrange(struct call *call)
{
    return answer(call, (struct range){.by = BY_RANK}, true);
}

static struct fake_reply *run_zrevrange(struct call *call)
{
    return answer(call, (struct range){.by = BY_RANK, .reversed = true}, false);
}

static struct fake_reply *run_zrangebyscore(struct call *call)
{
    return answer(call, (struct range){.by = BY_SCORE}, false);
}

static struct fake_reply *run_zrevrangebyscore(struct call *call)
{
    return answer(call, (struct range){.by = BY_SCORE, .reversed = true}, false);
}

static struct fake_reply *run_zrangebylex(struct call *call)
{
    return answer(call, (struct range){.by = BY_NAME}, false);
}

static struct fake_reply *run_zcount(struct call *call)
{
    struct range range = {.by = BY_SCORE, .limit = -1};
    struct key *key;
    struct fake_reply *error = parse_bounds(call, 2, &range);
    if (!error)
        error = call_typed(call, 1, FAKE_ZSET, &key);
    if (error)
        return error;
    size_t count;
    free(select_range(key, range, &count));
    return fake_integer((int64_t)count);
}

static struct fake_reply *remove_range(struct call *call, struct range range)
{
    range.limit = -1;
    struct key *key;
    struct fake_reply *error = parse_bounds(call, 2, &range);
    if (!error)
        error = call_typed(call, 1, FAKE_ZSET, &key);
    if (error)
        return error;
    size_t count;
    struct entry **entries = select_range(key, range, &count);
    for (size_t i = 0; i < count; i++)
        entry_delete(key, entries[i]);
    free(entries);
    if (count)
        key_changed(call->redis, key);
    return fake_integer((int64_t)count);
}

static struct fake_reply *run_zremrangebyscore(struct call *call)
{
    return remove_range(call, (struct range){.by = BY_SCORE});
}

static struct fake_reply *run_zremrangebyrank(struct call *call)
{
    return remove_range(call, (struct range){.by = BY_RANK});
}

struct add_options {
    bool only_new, only_old, greater, less, changed, increment;
};

static size_t parse_add(struct call *call, struct add_options *options)
{
    for (size_t i = 2; i < call->argc; i++) {
        if (call_is(call, i, "NX"))
            options->only_new = true;
        else if (call_is(call, i, "XX"))
            options->only_old = true;
        else if (call_is(call, i, "GT"))
            options->greater = true;
        else if (call_is(call, i, "LT"))
            options->less = true;
        else if (call_is(call, i, "CH"))
            options->changed = true;
        else if (call_is(call, i, "INCR"))
            options->increment = true;
        else
            return i;
    }
    return call->argc;
}

static struct fake_reply *check_add(struct call *call, size_t first, const struct add_options *options)
{
    if (first >= call->argc || (call->argc - first) % 2)
        return syntax_error();
    if (options->only_new && options->only_old)
        return fake_error("ERR XX and NX options at the same time are not compatible");
    if (options->greater + options->less + options->only_new > 1)
        return fake_error("ERR GT, LT, and/or NX options at the same time are not compatible");
    if (options->increment && call->argc - first > 2)
        return fake_error("ERR INCR option supports a single increment-element pair");
    double score;
    for (size_t i = first; i < call->argc; i += 2) {
        if (!slice_double(call->argv[i], &score))
            return fake_error("ERR value is not a valid float");
    }
    return NULL;
}

/* Adds or changes one member: 0 nothing, 1 changed, 2 added, -1 refused by an option, -2 no number. */
static int add_one(struct key *key, struct slice name, double score, const struct add_options *options)
{
    struct entry *entry = entry_find(key, name);
    if (!entry) {
        if (options->only_old)
            return -1;
        entry_add(key, name, NULL)->score = score;
        return 2;
    }
    if (options->increment)
        score += entry->score;
    if (isnan(score))
        return -2;
    if (options->only_new || (options->greater && score <= entry->score) ||
        (options->less && score >= entry->score))
        return -1;
    if (score == entry->score)
        return 0;
    entry->score = score;
    return 1;
}

static struct fake_reply *run_zadd(struct call *call)
{
    struct add_options options = {0};
    size_t first = parse_add(call, &options);
    struct fake_reply *error = check_add(call, first, &options);
    struct key *key;
    if (!error)
        error = call_make(call, 1, FAKE_ZSET, &key);
    if (error)
        return error;
    int64_t added = 0, changed = 0;
    int result = 0;
    for (size_t i = first; i < call->argc; i += 2) {
        double score;
        slice_double(call->argv[i], &score);
        result = add_one(key, call->argv[i + 1], score, &options);
        added += result == 2;
        changed += result > 0;
    }
    struct fake_reply *reply = fake_integer(options.changed ? changed : added);
    if (result == -2) {
        fake_reply_free(reply);
        return fake_error("ERR resulting score is not a number (NaN)");
    }
    if (options.increment) {
        fake_reply_free(reply);
        reply = result < 0 ? fake_nil() : fake_double(entry_find(key, call->argv[first + 1])->score);
    }
    if (changed || key_is_empty(key))
        key_changed(call->redis, key);
    return reply;
}

static struct fake_reply *run_zincrby(struct call *call)
{
    struct slice argv[] = {call->argv[0], call->argv[1], {"INCR", 4}, call->argv[2], call->argv[3]};
    struct call add = {.redis = call->redis, .argc = 5, .argv = argv};
    return run_zadd(&add);
}

static struct fake_reply *run_zrem(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_ZSET, &key);
    if (error || !key)
        return error ? error : fake_integer(0);
    int64_t count = 0;
    for (size_t i = 2; i < call->argc; i++) {
        struct entry *entry = entry_find(key, call->argv[i]);
        if (!entry)
            continue;
        entry_delete(key, entry);
        count++;
    }
    if (count)
        key_changed(call->redis, key);
    return fake_integer(count);
}

static struct fake_reply *run_zscore(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_ZSET, &key);
    if (error)
        return error;
    const struct entry *entry = key ? entry_find(key, call->argv[2]) : NULL;
    return entry ? fake_double(entry->score) : fake_nil();
}

static struct fake_reply *run_zmscore(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_ZSET, &key);
    if (error)
        return error;
    struct fake_reply *reply = fake_array();
    for (size_t i = 2; i < call->argc; i++) {
        const struct entry *entry = key ? entry_find(key, call->argv[i]) : NULL;
        fake_push(reply, entry ? fake_double(entry->score) : fake_nil());
    }
    return reply;
}

static struct fake_reply *run_zcard(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_ZSET, &key);
    return error ? error : fake_integer(key ? (int64_t)entry_count(key) : 0);
}

static struct fake_reply *run_zrank(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_ZSET, &key);
    if (error)
        return error;
    const struct entry *entry = key ? entry_find(key, call->argv[2]) : NULL;
    if (!entry)
        return fake_nil();
    int64_t rank = 0;
    for (struct entry *other = key->entries; other; other = other->hh.next)
        rank += compare_entries(&other, &entry) < 0;
    return fake_integer(rank);
}

static struct fake_reply *pop(struct call *call, bool reversed)
{
    struct range range = {.by = BY_SCORE, .reversed = reversed, .limit = 1};
    range.low.score = -INFINITY;
    range.high.score = INFINITY;
    if (call->argc > 3)
        return syntax_error();
    if (call->argc == 3 && !slice_integer(call->argv[2], &range.limit))
        return not_an_integer();
    if (range.limit < 0)
        return fake_error("ERR value is out of range, must be positive");
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_ZSET, &key);
    if (error)
        return error;
    size_t count;
    struct entry **entries = select_range(key, range, &count);
    struct fake_reply *reply = fake_array();
    for (size_t i = 0; i < count; i++) {
        fake_push(reply, fake_bulk(entries[i]->name, entries[i]->name_bytes));
        fake_push(reply, fake_double(entries[i]->score));
        entry_delete(key, entries[i]);
    }
    free(entries);
    if (count)
        key_changed(call->redis, key);
    return reply;
}

static struct fake_reply *run_zpopmin(struct call *call)
{
    return pop(call, false);
}

static struct fake_reply *run_zpopmax(struct call *call)
{
    return pop(call, true);
}

const struct command commands_sorted[] = {
    {"ZADD", -4, COMMAND_WRITES | COMMAND_GROWS, run_zadd},
    {"ZINCRBY", 4, COMMAND_WRITES | COMMAND_GROWS, run_zincrby},
    {"ZREM", -3, COMMAND_WRITES, run_zrem},
    {"ZSCORE", 3, 0, run_zscore},
    {"ZMSCORE", -3, 0, run_zmscore},
    {"ZCARD", 2, 0, run_zcard},
    {"ZRANK", 3, 0, run_zrank},
    {"ZCOUNT", 4, 0, run_zcount},
    {"ZRANGE", -4, 0, run_zrange},
    {"ZREVRANGE", -4, 0, run_zrevrange},
    {"ZRANGEBYSCORE", -4, 0, run_zrangebyscore},
    {"ZREVRANGEBYSCORE", -4, 0, run_zrevrangebyscore},
    {"ZRANGEBYLEX", -4, 0, run_zrangebylex},
    {"ZREMRANGEBYSCORE", 4, COMMAND_WRITES, run_zremrangebyscore},
    {"ZREMRANGEBYRANK", 4, COMMAND_WRITES, run_zremrangebyrank},
    {"ZPOPMIN", -2, COMMAND_WRITES, run_zpopmin},
    {"ZPOPMAX", -2, COMMAND_WRITES, run_zpopmax},
    {NULL, 0, 0, NULL},
};
