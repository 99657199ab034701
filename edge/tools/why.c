/* `rollcall why CHANNEL USER`: which edges hold him, by which sockets, since when, until when their leases run, and the last
 * write that says so. */
#include "edge/tools/roster.h"
#include "edge/tools/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_line(struct buffer *out, const char *label, bool is_first)
{
    buffer_printf(out, "  %-11s", is_first ? label : "");
}

static void write_holders(const json_t *held_by, struct buffer *out)
{
    size_t i;
    json_t *edge;
    json_array_foreach(held_by, i, edge)
    {
        int64_t owner = json_number_of(edge, "owner", 0),
                lease_ms = json_number_of(edge, "lease_ms", INT64_MAX);
        write_line(out, "held by", i == 0);
        text_add_safe(out, json_text_of(edge, "edge", owner ? "an edge that is gone" : "another edge"));
        if (owner)
            buffer_printf(out, ", owner %jd", (intmax_t)owner);
        if (lease_ms == INT64_MAX)
            buffer_add_string(out, owner ? "; it has no lease any more: gone with the next scrub" : "");
        else if (lease_ms > 0)
            buffer_printf(
                out, "; its lease runs for %.1f s if it is not heard of again", (double)lease_ms / 1000);
        else
            buffer_printf(
                out, "; its lease ran out %.1f s ago, and he is being removed", (double)-lease_ms / 1000);
        buffer_add_string(out, "\n");
    }
}

static void write_sockets(const json_t *sockets, struct buffer *out)
{
    char since[TEXT_TIME_BYTES], connected[TEXT_TIME_BYTES];
    size_t i;
    json_t *socket;
    json_array_foreach(sockets, i, socket)
    {
        write_line(out, "socket", i == 0);
        text_add_safe(out, json_text_of(socket, "socket_id", ""));
        buffer_add_string(out, " on ");
        text_add_safe(out, json_text_of(socket, "edge", ""));
        buffer_printf(out, ", worker %jd; subscribed since %s, connected since %s\n",
            (intmax_t)json_number_of(socket, "worker", 0),
            text_time(json_number_of(socket, "since_ms", 0), since),
            text_time(json_number_of(socket, "connected_ms", 0), connected));
    }
    if (!json_array_size(sockets)) {
        write_line(out, "socket", true);
        buffer_add_string(out, "on edges that were not asked (edge.admin.peers, --edge)\n");
    }
}

static void write_holds(const json_t *holds, struct buffer *out)
{
    size_t i;
    json_t *hold;
    json_array_foreach(holds, i, hold)
    {
        bool is_settled = json_is_true(json_object_get(hold, "settled"));
        write_line(out, "last write", i == 0);
        buffer_printf(out, "number %jd of owner %jd, on ", (intmax_t)json_number_of(hold, "write", 0),
            (intmax_t)json_number_of(hold, "owner", 0));
        text_add_safe(out, json_text_of(hold, "edge", ""));
        buffer_printf(out, "; %s, last heartbeat %.1f s ago\n",
            is_settled ? "Redis has acknowledged it" : "Redis has not acknowledged it yet",
            (double)json_number_of(hold, "fresh_ago_ms", 0) / 1000);
    }
}

static void write_rest(const json_t *roster, const json_t *user, struct buffer *out)
{
    const json_t *info = json_object_get(user, "info");
    if (json_text_of(roster, "shard", NULL)) {
        write_line(out, "roster", true);
        buffer_printf(out, "partition %jd on %s\n", (intmax_t)json_number_of(roster, "partition", 0),
            json_text_of(roster, "shard", ""));
    }
    if (info && !json_is_null(info)) {
        char *text = json_dumps(info, JSON_ENCODE_ANY | JSON_COMPACT);
        write_line(out, "info", true);
        text_add_safe(out, text);
        buffer_add_string(out, "\n");
        free(text);
    }
    if (!json_is_true(json_object_get(roster, "known")))
        buffer_add_string(out, "  Redis is out of reach: this is what that edge knows\n");
}

static void write_why(const json_t *roster, const json_t *user, const char *wanted, struct buffer *out)
{
    text_add_safe(out, wanted);
    buffer_add_string(out, user ? " is in " : " is not in ");
    text_add_safe(out, json_text_of(roster, "channel", ""));
    buffer_add_string(out, " of app ");
    text_add_safe(out, json_text_of(roster, "app", ""));
    buffer_add_string(out, "\n");
    if (!user)
        return;
    write_holders(json_object_get(user, "held_by"), out);
    write_sockets(json_object_get(user, "sockets"), out);
    write_holds(json_object_get(roster, "holds"), out);
    write_rest(roster, user, out);
}

int tool_why(const struct tool_call *call)
{
    const char *app = tool_app(call);
    if (!app)
        return TOOL_USAGE;
    json_t *roster = roster_ask(call, app, call->words[0], call->words[1]);
    if (!roster)
        return TOOL_WRONG;
    const json_t *user = json_array_get(json_object_get(roster, "users"), 0);
    struct buffer out = {0};
    if (call->json) {
        json_dumpf(roster, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        write_why(roster, user, call->words[1], &out);
        fwrite(out.bytes, 1, out.length, stdout);
    }
    buffer_deinit(&out);
    int status = user ? TOOL_OK : TOOL_WRONG;
    json_decref(roster);
    return status;
}
