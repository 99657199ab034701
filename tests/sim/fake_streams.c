/* Streams: appending, reading ranges, trimming. No consumer groups. */
#include "tests/sim/fake_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_ENTRIES = 100 }; /* stream-node-max-entries: "~" trims whole nodes only */

static bool parse_number(const char *text, size_t size, uint64_t *value)
{
    if (!size || size > 20)
        return false;
    *value = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (uint64_t)(text[i] - '0'), value))
            return false;
    }
    return true;
}

static bool parse_id(struct slice text, struct stream_id *id, uint64_t missing)
{
    const char *dash = memchr(text.data, '-', text.size);
    size_t left = dash ? (size_t)(dash - text.data) : text.size;
    id->sequence = missing;
    return parse_number(text.data, left, &id->ms) &&
           (!dash || parse_number(dash + 1, text.size - left - 1, &id->sequence));
}

static struct fake_reply *bad_id(void)
{
    return fake_error("ERR Invalid stream ID specified as stream command argument");
}

static struct fake_reply *id_text(struct stream_id id)
{
    char text[48];
    snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, id.ms, id.sequence);
    return fake_text(text);
}

struct trim {
    enum { TRIM_NONE, TRIM_LENGTH, TRIM_ID } by;
    bool roughly;
    int64_t length;
    struct stream_id id;
};

static struct fake_reply *parse_trim(struct call *call, size_t *i, struct trim *trim)
{
    trim->by = call_is(call, *i, "MAXLEN") ? TRIM_LENGTH : TRIM_ID;
    ++*i;
    if (call_is(call, *i, "~") || call_is(call, *i, "="))
        trim->roughly = call_is(call, (*i)++, "~");
    if (*i >= call->argc)
        return syntax_error();
    if (trim->by == TRIM_LENGTH && !slice_integer(call->argv[*i], &trim->length))
        return not_an_integer();
    if (trim->by == TRIM_LENGTH && trim->length < 0)
        return fake_error("ERR The MAXLEN argument must be >= 0.");
    if (trim->by == TRIM_ID && !parse_id(call->argv[*i], &trim->id, 0))
        return bad_id();
    ++*i;
    if (call_is(call, *i, "LIMIT"))
        *i += 2;
    return NULL;
}

static bool is_too_old(const struct key *key, const struct trim *trim, size_t index)
{
    if (trim->by == TRIM_LENGTH)
        return key->stream_count - index > (size_t)trim->length;
    return stream_id_compare(key->stream[index].id, trim->id) < 0;
}

static int64_t trim_stream(struct key *key, const struct trim *trim)
{
    size_t old = 0;
    while (trim->by != TRIM_NONE && old < key->stream_count && is_too_old(key, trim, old))
        old++;
    if (trim->roughly)
        old -= old % NODE_ENTRIES;
    for (size_t i = 0; i < old; i++)
        stream_delete(key, 0);
    return (int64_t)old;
}

/* The id that XADD was given: "*", "5-*", "5-1" or "5". */
struct wanted_id {
    struct stream_id id;
    bool any, any_sequence;
};

static struct fake_reply *parse_wanted(struct slice text, struct wanted_id *wanted)
{
    *wanted = (struct wanted_id){.any = slice_is(text, "*")};
    wanted->any_sequence = text.size > 2 && memcmp(text.data + text.size - 2, "-*", 2) == 0;
    if (wanted->any_sequence)
        text.size -= 2;
    if (!wanted->any && !parse_id(text, &wanted->id, 0))
        return bad_id();
    if (!wanted->any && !wanted->any_sequence && !wanted->id.ms && !wanted->id.sequence)
        return fake_error("ERR The ID specified in XADD must be greater than 0-0");
    return NULL;
}

static struct fake_reply *next_id(
    struct call *call, const struct key *key, struct wanted_id wanted, struct stream_id *id)
{
    struct stream_id last = key ? key->last_id : (struct stream_id){0, 0};
    *id = wanted.id;
    if (wanted.any) {
        uint64_t now_ms = (uint64_t)(call->redis->now_us / 1000);
        *id =
            now_ms > last.ms ? (struct stream_id){now_ms, 0} : (struct stream_id){last.ms, last.sequence + 1};
    }
    if (wanted.any_sequence)
        id->sequence = id->ms == last.ms ? last.sequence + 1 : 0;
    if (stream_id_compare(*id, last) <= 0)
        return fake_error("ERR The ID specified in XADD is equal or smaller than the target stream top item");
    return NULL;
}

static struct fake_reply *run_xadd(struct call *call)
{
    struct trim trim = {.by = TRIM_NONE};
    bool only_old = false;
    size_t i = 2;
    struct fake_reply *error = NULL;
    for (;;) {
        if (call_is(call, i, "NOMKSTREAM")) {
            only_old = true;
            i++;
        } else if (call_is(call, i, "MAXLEN") || call_is(call, i, "MINID")) {
            error = parse_trim(call, &i, &trim);
            if (error)
                return error;
        } else {
            break;
        }
    }
    if (i + 2 >= call->argc || (call->argc - i - 1) % 2)
        return fake_error("ERR wrong number of arguments for 'xadd' command");
    struct key *key;
    struct stream_id id;
    struct wanted_id wanted;
    error = parse_wanted(call->argv[i], &wanted);
    if (!error)
        error = call_typed(call, 1, FAKE_STREAM, &key);
    if (!error && !key && only_old)
        return fake_nil();
    if (!error)
        error = next_id(call, key, wanted, &id);
    if (error)
        return error;
    if (!key)
        key = data_add(&call->redis->data, call->argv[1], FAKE_STREAM);
    struct fake_reply *fields = fake_array();
    for (size_t field = i + 1; field < call->argc; field++)
        fake_push(fields, fake_bulk(call->argv[field].data, call->argv[field].size));
    stream_append(key, id, fields);
    trim_stream(key, &trim);
    call->redis->changes++;
    return id_text(id);
}

static struct fake_reply *run_xtrim(struct call *call)
{
    struct trim trim = {.by = TRIM_NONE};
    size_t i = 2;
    if (!call_is(call, i, "MAXLEN") && !call_is(call, i, "MINID"))
        return syntax_error();
    struct fake_reply *error = parse_trim(call, &i, &trim);
    struct key *key;
    if (!error)
        error = call_typed(call, 1, FAKE_STREAM, &key);
    if (error)
        return error;
    int64_t trimmed = key ? trim_stream(key, &trim) : 0;
    call->redis->changes += trimmed != 0;
    return fake_integer(trimmed);
}

static struct fake_reply *run_xlen(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_STREAM, &key);
    return error ? error : fake_integer(key ? (int64_t)key->stream_count : 0);
}

static struct fake_reply *entry_reply(const struct stream_entry *entry)
{
    struct fake_reply *fields = fake_array();
    for (size_t i = 0; i < entry->fields->count; i++)
        fake_push(fields, fake_bulk(entry->fields->items[i]->text, entry->fields->items[i]->bytes));
    struct fake_reply *reply = fake_array();
    fake_push(reply, id_text(entry->id));
    fake_push(reply, fields);
    return reply;
}

struct id_bound {
    struct stream_id id;
    bool exclusive;
};

static bool parse_bound(struct slice text, bool low, struct id_bound *bound)
{
    if (slice_is(text, "-") || slice_is(text, "+")) {
        uint64_t extreme = text.data[0] == '-' ? 0 : UINT64_MAX;
        bound->id = (struct stream_id){extreme, extreme};
        return true;
    }
    bound->exclusive = text.size && text.data[0] == '(';
    if (bound->exclusive)
        text = (struct slice){text.data + 1, text.size - 1};
    return parse_id(text, &bound->id, low ? 0 : UINT64_MAX);
}

static bool in_bounds(struct stream_id id, const struct id_bound *low, const struct id_bound *high)
{
    int above = stream_id_compare(id, low->id), below = stream_id_compare(id, high->id);
    return (above > 0 || (!above && !low->exclusive)) && (below < 0 || (!below && !high->exclusive));
}

static struct fake_reply *range(struct call *call, bool reversed)
{
    struct id_bound low = {0}, high = {0};
    int64_t limit = -1;
    if (!parse_bound(call->argv[reversed ? 3 : 2], true, &low) ||
        !parse_bound(call->argv[reversed ? 2 : 3], false, &high))
        return bad_id();
    if (call->argc != 4 && (call->argc != 6 || !call_is(call, 4, "COUNT")))
        return syntax_error();
    if (call->argc == 6 && !slice_integer(call->argv[5], &limit))
        return not_an_integer();
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_STREAM, &key);
    if (error)
        return error;
    struct fake_reply *reply = fake_array();
    size_t count = key ? key->stream_count : 0;
    for (size_t i = 0; i < count && (limit < 0 || (int64_t)reply->count < limit); i++) {
        const struct stream_entry *entry = &key->stream[reversed ? count - 1 - i : i];
        if (in_bounds(entry->id, &low, &high))
            fake_push(reply, entry_reply(entry));
    }
    return reply;
}

static struct fake_reply *run_xrange(struct call *call)
{
    return range(call, false);
}

static struct fake_reply *run_xrevrange(struct call *call)
{
    return range(call, true);
}

static struct fake_reply *run_xdel(struct call *call)
{
    struct key *key;
    struct fake_reply *error = call_typed(call, 1, FAKE_STREAM, &key);
    if (error || !key)
        return error ? error : fake_integer(0);
    struct stream_id id;
    for (size_t i = 2; i < call->argc; i++) {
        if (!parse_id(call->argv[i], &id, 0))
            return bad_id();
    }
    int64_t deleted = 0;
    for (size_t i = 2; i < call->argc; i++) {
        parse_id(call->argv[i], &id, 0);
        for (size_t at = 0; at < key->stream_count; at++) {
            if (stream_id_compare(key->stream[at].id, id))
                continue;
            stream_delete(key, at);
            deleted++;
            break;
        }
    }
    call->redis->changes += deleted != 0;
    return fake_integer(deleted);
}

const struct command commands_streams[] = {
    {"XADD", -5, COMMAND_WRITES | COMMAND_GROWS, run_xadd},
    {"XTRIM", -4, COMMAND_WRITES, run_xtrim},
    {"XLEN", 2, 0, run_xlen},
    {"XRANGE", -4, 0, run_xrange},
    {"XREVRANGE", -4, 0, run_xrevrange},
    {"XDEL", -3, COMMAND_WRITES, run_xdel},
    {NULL, 0, 0, NULL},
};
