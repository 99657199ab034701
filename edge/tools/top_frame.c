#include "edge/tools/top_frame.h"

#include "edge/tools/text.h"
#include "presence/base/new.h"

#include <string.h>

enum { HEALED_SHOWN = 8 };

/* ---- rates ---- */

static size_t column_of(const json_t *samples, const char *name)
{
    size_t i;
    json_t *column;
    json_array_foreach(json_object_get(samples, "names"), i,
        column) if (strcmp(json_string_value(column), name) == 0) return i +
        1; /* behind the time */
    return 0;
}

double top_rate(const json_t *edge, const char *name)
{
    const json_t *samples = json_object_get(edge, "samples"), *rows = json_object_get(samples, "rows");
    size_t column = column_of(samples, name), count = json_array_size(rows);
    if (!column || count < 2)
        return 0;
    const json_t *last = json_array_get(rows, count - 1), *before = json_array_get(rows, count - 2);
    json_int_t ms =
        json_integer_value(json_array_get(last, 0)) - json_integer_value(json_array_get(before, 0));
    json_int_t change =
        json_integer_value(json_array_get(last, column)) - json_integer_value(json_array_get(before, column));
    return ms > 0 && change > 0 ? (double)change * 1000 / (double)ms : 0;
}

static void add_rate(struct text_table *table, double rate)
{
    text_table_printf(table, rate > 0 && rate < 10 ? "%.1f" : "%.0f", rate);
}

static void add_bytes(struct text_table *table, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB"};
    size_t unit = 0;
    while (bytes >= 1000 && unit < 3) {
        bytes /= 1000;
        unit++;
    }
    text_table_printf(table, unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

/* ---- edges ---- */

/* The shortest lease that any shard has of that edge; INT64_MAX: none. */
static int64_t lease_of(const json_t *fleet, const char *edge)
{
    int64_t shortest = INT64_MAX;
    size_t i, j;
    json_t *shard, *owner;
    json_array_foreach(json_object_get(fleet, "shards"), i, shard)
    {
        json_array_foreach(json_object_get(shard, "owners"), j, owner)
        {
            int64_t lease_ms = json_number_of(owner, "lease_ms", INT64_MAX);
            if (strcmp(json_text_of(owner, "edge", ""), edge) == 0 && lease_ms < shortest)
                shortest = lease_ms;
        }
    }
    return shortest;
}

static void add_lease(struct text_table *table, int64_t lease_ms)
{
    if (lease_ms == INT64_MAX)
        text_table_cell(table, "-");
    else if (lease_ms > 0)
        text_table_printf(table, "%.1f s", (double)lease_ms / 1000);
    else
        text_table_cell(table, "run out");
}

static const char *state_of(const json_t *edge)
{
    const json_t *readiness = json_object_get(edge, "readiness");
    if (json_is_true(json_object_get(readiness, "ready")))
        return "ready";
    return json_text_of(json_array_get(json_object_get(readiness, "reasons"), 0), "reason", "not ready");
}

static void add_edge(struct text_table *table, const json_t *edge, const json_t *fleet)
{
    const json_t *counts = json_object_get(edge, "counts");
    char up[TEXT_TIME_BYTES];
    const char *name = json_text_of(edge, "edge", "?");
    text_table_cell(table, name);
    text_table_cell(table, state_of(edge));
    add_lease(table, lease_of(fleet, name));
    text_table_printf(table, "%jd", (intmax_t)json_number_of(counts, "connections", 0));
    text_table_printf(table, "%jd", (intmax_t)json_number_of(counts, "subscriptions", 0));
    text_table_printf(table, "%jd", (intmax_t)json_number_of(counts, "channels", 0));
    add_rate(table, top_rate(edge, "frames_sent"));
    add_rate(table, top_rate(edge, "messages_received"));
    add_rate(table, top_rate(edge, "publishes"));
    add_bytes(table, top_rate(edge, "bytes_sent"));
    text_table_cell(
        table, text_lasting(json_number_of(edge, "now_ms", 0) - json_number_of(edge, "started_ms", 0), up));
}

static bool has_answered(const struct top_look *look, const char *name)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->answers[i].json && strcmp(json_text_of(look->answers[i].json, "edge", ""), name) == 0)
            return true;
    return false;
}

/* Edges that Redis knows by their leases, and that were not asked. */
static void add_unasked(struct text_table *table, const struct top_look *look)
{
    const json_t *first = json_array_get(json_object_get(look->fleet, "shards"), 0);
    size_t i;
    json_t *owner;
    json_array_foreach(json_object_get(first, "owners"), i, owner)
    {
        const char *name = json_text_of(owner, "edge", "?");
        if (has_answered(look, name))
            continue;
        text_table_cell(table, name);
        text_table_cell(table, json_number_of(owner, "lease_ms", 0) > 0 ? "lives" : "dying");
        add_lease(table, lease_of(look->fleet, name));
        for (size_t c = 3; c < table->columns; c++)
            text_table_cell(table, "-");
    }
}

static void write_edges(const struct top_look *look, struct buffer *out)
{
    static const char *const heads[] = {"EDGE", "STATE", "LEASE", "CONN", "SUBS", "CHANNELS", "OUT/s", "IN/s",
        "EVENTS/s", "BYTES OUT/s", "UP"};
    struct text_table table = {.columns = 11, .right = 0x7fc};
    for (size_t i = 0; i < 11; i++)
        text_table_cell(&table, heads[i]);
    for (size_t i = 0; i < look->count; i++)
        if (look->answers[i].json)
            add_edge(&table, look->answers[i].json, look->fleet);
    add_unasked(&table, look);
    text_table_write(&table, out);
}

/* ---- shards ---- */

static const json_t *first_answer(const struct top_look *look)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->answers[i].json)
            return look->answers[i].json;
    return NULL;
}

static void add_shard_state(struct text_table *table, const json_t *shard)
{
    int64_t ready = json_number_of(shard, "ready", 0), partitions = json_number_of(shard, "partitions", 0);
    if (!json_is_true(json_object_get(shard, "up")))
        text_table_printf(
            table, "out of reach for %.1f s", (double)json_number_of(shard, "silent_ms", 0) / 1000);
    else if (ready < partitions)
        text_table_printf(table, "%jd of %jd partitions ready", (intmax_t)ready, (intmax_t)partitions);
    else if (json_number_of(shard, "removals_wait", 0))
        text_table_cell(table, "removals wait");
    else if (!json_is_true(json_object_get(shard, "bus_up")))
        text_table_cell(table, "events not heard");
    else
        text_table_cell(table, "well");
}

static void write_shards(const json_t *edge, struct buffer *out)
{
    struct text_table table = {.columns = 5, .right = 1u << 4};
    const json_t *shards = json_object_get(edge, "shards");
    static const char *const heads[] = {"SHARD", "STATE", "MASTER", "PROOF", "UNACKNOWLEDGED"};
    size_t i;
    json_t *shard;
    if (!json_array_size(shards))
        return;
    for (size_t c = 0; c < 5; c++)
        text_table_cell(&table, heads[c]);
    json_array_foreach(shards, i, shard)
    {
        bool is_proven = json_number_of(shard, "ready", 0) > 0;
        bool is_confirmed = json_is_true(json_object_get(shard, "confirmed"));
        text_table_cell(&table, json_text_of(shard, "name", "?"));
        add_shard_state(&table, shard);
        text_table_cell(&table, json_text_of(shard, "address", "-"));
        text_table_cell(&table, !is_proven ? "none" : is_confirmed ? "stamped, confirmed" : "stamped");
        text_table_printf(&table, "%jd", (intmax_t)json_number_of(shard, "unacknowledged", 0));
    }
    buffer_add_string(out, "\n");
    text_table_write(&table, out);
}

/* ---- channels, and what was healed ---- */

static void write_channels(const json_t *channels, struct buffer *out)
{
    struct text_table table = {.columns = 3, .right = 6};
    static const char *const heads[] = {"CHANNEL", "SUBSCRIPTIONS", "USERS"};
    size_t i;
    json_t *channel;
    if (!json_array_size(json_object_get(channels, "channels")))
        return;
    for (size_t c = 0; c < 3; c++)
        text_table_cell(&table, heads[c]);
    json_array_foreach(json_object_get(channels, "channels"), i, channel)
    {
        text_table_cell(&table, json_text_of(channel, "name", ""));
        text_table_printf(&table, "%jd", (intmax_t)json_number_of(channel, "subscriptions", 0));
        if (strcmp(json_text_of(channel, "kind", ""), "presence") == 0)
            text_table_printf(&table, "%jd", (intmax_t)json_number_of(channel, "users", 0));
        else
            text_table_cell(&table, "");
    }
    buffer_add_string(out, "\n");
    text_table_write(&table, out);
    int64_t found = json_number_of(channels, "found", 0);
    if (found > (int64_t)json_array_size(json_object_get(channels, "channels")))
        buffer_printf(out, "of %jd\n", (intmax_t)found);
}

static void write_healed(const struct top_look *look, struct buffer *out)
{
    size_t told = 0;
    for (size_t i = 0; i < look->count; i++) {
        const json_t *entries = json_object_get(json_object_get(look->answers[i].json, "healed"), "entries");
        size_t count = json_array_size(entries);
        for (size_t n = count > HEALED_SHOWN ? count - HEALED_SHOWN : 0; n < count; n++) {
            const json_t *entry = json_array_get(entries, n);
            char at[TEXT_TIME_BYTES];
            buffer_add_string(out, told++ ? "" : "\nHEALED\n");
            buffer_printf(out, "%s  ", text_time(json_number_of(entry, "time_ms", 0), at));
            text_add_safe(out, json_text_of(look->answers[i].json, "edge", "?"));
            buffer_add_string(out, ", ");
            text_add_safe(out, json_text_of(entry, "shard", "?"));
            buffer_add_string(out, ": ");
            text_add_safe(out, json_text_of(entry, "words", ""));
            buffer_add_string(out, "\n");
        }
    }
}

/* ---- the whole ---- */

void top_frame_write(const struct top_look *look, bool is_live, struct buffer *out)
{
    char now[TEXT_TIME_BYTES];
    buffer_printf(out, "rollcall top   %s   %zu %s%s\n\n", text_time(look->now_ms, now), look->answered,
        look->answered == 1 ? "edge answers" : "edges answer", is_live ? "   q ends it" : "");
    write_edges(look, out);
    for (size_t i = 0; i < look->count; i++)
        if (look->answers[i].problem[0]) {
            text_add_safe(out, look->answers[i].where);
            buffer_add_string(out, " was not asked: ");
            text_add_safe(out, look->answers[i].problem);
            buffer_add_string(out, "\n");
        }
    write_shards(first_answer(look), out);
    write_channels(look->channels, out);
    write_healed(look, out);
}

static json_t *edge_json(const json_t *edge)
{
    static const char *const names[] = {
        "frames_sent", "messages_received", "publishes", "bytes_sent", "bytes_received"};
    json_t *copy = must_have(json_copy((json_t *)(uintptr_t)edge)), *rates = must_have(json_object());
    json_object_del(copy, "samples");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        json_object_set_new(rates, names[i], must_have(json_real(top_rate(edge, names[i]))));
    json_object_set_new(copy, "rates", rates);
    return copy;
}

json_t *top_frame_json(const struct top_look *look)
{
    json_t *edges = must_have(json_array()), *not_asked = must_have(json_array());
    for (size_t i = 0; i < look->count; i++) {
        const struct edge_answer *answer = &look->answers[i];
        if (answer->json)
            json_array_append_new(edges, edge_json(answer->json));
        else if (answer->problem[0])
            json_array_append_new(
                not_asked, must_have(json_pack("{s:s, s:s}", "edge", answer->where, "why", answer->problem)));
    }
    return must_have(json_pack("{s:I, s:o, s:O?, s:O?, s:o}", "time_ms", (json_int_t)look->now_ms, "edges",
        edges, "fleet", look->fleet, "channels", look->channels, "not_asked", not_asked));
}
