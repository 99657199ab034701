/* `rollcall who CHANNEL`: who is in a channel, on which edge, with how many sockets, since when. */
#include "edge/tools/roster.h"
#include "edge/tools/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_edges(struct buffer *text, const json_t *held_by)
{
    size_t i;
    json_t *edge;
    json_array_foreach(held_by, i, edge)
    {
        int64_t owner = json_number_of(edge, "owner", 0);
        const char *name = json_text_of(edge, "edge", NULL);
        buffer_add_string(text, i ? ", " : "");
        if (name)
            buffer_add_string(text, name);
        else if (owner)
            buffer_printf(text, "owner %jd", (intmax_t)owner);
        else
            buffer_add_string(text, "another edge");
        if (json_number_of(edge, "lease_ms", 1) <= 0)
            buffer_add_string(text, " (lease has run out)");
    }
    buffer_add(text, "", 1);
}

static int64_t first_since(const json_t *sockets)
{
    int64_t first = INT64_MAX;
    size_t i;
    json_t *socket;
    json_array_foreach(sockets, i, socket)
    {
        int64_t since = json_number_of(socket, "since_ms", INT64_MAX);
        if (since < first)
            first = since;
    }
    return first;
}

static void add_user(struct text_table *table, const json_t *user)
{
    const json_t *sockets = json_object_get(user, "sockets");
    struct buffer edges = {0};
    char since[TEXT_TIME_BYTES];
    add_edges(&edges, json_object_get(user, "held_by"));
    text_table_cell(table, json_text_of(user, "id", ""));
    text_table_cell(table, edges.bytes);
    if (json_array_size(sockets)) {
        text_table_printf(table, "%zu", json_array_size(sockets));
        text_table_cell(table, text_time(first_since(sockets), since));
    } else { /* on edges that were not asked */
        text_table_cell(table, "-");
        text_table_cell(table, "-");
    }
    buffer_deinit(&edges);
}

static void write_users(const json_t *users, struct buffer *out)
{
    struct text_table table = {.columns = 4, .right = 1u << 2};
    size_t i;
    json_t *user;
    if (!json_array_size(users))
        return;
    for (size_t c = 0; c < 4; c++)
        text_table_cell(&table, (const char *const[]){"USER", "HELD BY", "SOCKETS", "SINCE"}[c]);
    json_array_foreach(users, i, user) add_user(&table, user);
    buffer_add_string(out, "\n");
    text_table_write(&table, out);
}

static void write_sockets(const json_t *sockets, struct buffer *out)
{
    struct text_table table = {.columns = 4};
    char since[TEXT_TIME_BYTES], connected[TEXT_TIME_BYTES];
    size_t i;
    json_t *socket;
    if (!json_array_size(sockets))
        return;
    for (size_t c = 0; c < 4; c++)
        text_table_cell(&table, (const char *const[]){"SOCKET", "EDGE", "SINCE", "CONNECTED SINCE"}[c]);
    json_array_foreach(sockets, i, socket)
    {
        text_table_cell(&table, json_text_of(socket, "socket_id", ""));
        text_table_cell(&table, json_text_of(socket, "edge", ""));
        text_table_cell(&table, text_time(json_number_of(socket, "since_ms", 0), since));
        text_table_cell(&table, text_time(json_number_of(socket, "connected_ms", 0), connected));
    }
    buffer_add_string(out, "\n");
    text_table_write(&table, out);
}

static void write_edges(const json_t *edges, struct buffer *out)
{
    size_t i, told = 0;
    json_t *edge;
    json_array_foreach(edges, i, edge)
    {
        int64_t held = json_number_of(edge, "users", 0) + json_number_of(edge, "more", 0);
        if (held == 0)
            continue;
        buffer_add_string(out, told++ ? ", " : "  on ");
        text_add_safe(out, json_text_of(edge, "edge", "?"));
        buffer_printf(out, " %jd", (intmax_t)held);
    }
    buffer_add_string(out, told ? "\n" : "");
}

static void write_roster(const json_t *roster, struct buffer *out)
{
    int64_t users = json_number_of(roster, "users_total", 0);
    int64_t subscriptions = json_number_of(roster, "subscriptions", 0);
    size_t shown = json_array_size(json_object_get(roster, "users"));
    size_t asked = json_array_size(json_object_get(roster, "asked"));
    bool is_presence = strcmp(json_text_of(roster, "kind", ""), "presence") == 0;
    text_add_safe(out, json_text_of(roster, "channel", ""));
    buffer_add_string(out, " of app ");
    text_add_safe(out, json_text_of(roster, "app", ""));
    buffer_add_string(out, ": ");
    if (is_presence)
        buffer_printf(out, "%jd %s, ", (intmax_t)users, users == 1 ? "user" : "users");
    buffer_printf(out, "%jd %s on the %zu %s asked\n", (intmax_t)subscriptions,
        subscriptions == 1 ? "subscription" : "subscriptions", asked,
        asked == 1 ? "edge that was" : "edges that were");
    if (json_text_of(roster, "shard", NULL))
        buffer_printf(out, "  partition %jd on %s\n", (intmax_t)json_number_of(roster, "partition", 0),
            json_text_of(roster, "shard", ""));
    write_edges(json_object_get(roster, "edges"), out);
    if (!json_is_true(json_object_get(roster, "known")))
        buffer_add_string(out, "  Redis is out of reach: this is what that edge knows\n");
    write_users(json_object_get(roster, "users"), out);
    if (shown < (size_t)users)
        buffer_printf(out, "and %jd more\n", (intmax_t)users - (intmax_t)shown);
    write_sockets(json_object_get(roster, "sockets"), out);
}

int tool_who(const struct tool_call *call)
{
    const char *app = tool_app(call);
    if (!app)
        return TOOL_USAGE;
    json_t *roster = roster_ask(call, app, call->words[0], NULL);
    struct buffer out = {0};
    if (!roster)
        return TOOL_WRONG;
    if (call->json) {
        json_dumpf(roster, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        write_roster(roster, &out);
        fwrite(out.bytes, 1, out.length, stdout);
    }
    buffer_deinit(&out);
    json_decref(roster);
    return TOOL_OK;
}
