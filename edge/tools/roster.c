#include "edge/tools/roster.h"

#include "edge/tools/text.h"
#include "presence/base/new.h"

#include <stdlib.h>

static const json_t *best_of(const struct edge_answer *answers, size_t count)
{
    const json_t *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const json_t *json = answers[i].json;
        if (json && (!best || (json_is_true(json_object_get(json, "known")) &&
                                  !json_is_true(json_object_get(best, "known")))))
            best = json;
    }
    return best;
}

/* Adds copies of the sockets, each with its edge's name. */
static void add_sockets(json_t *to, const json_t *from, const char *edge)
{
    size_t i;
    json_t *socket;
    json_array_foreach(from, i, socket)
    {
        json_t *copy = must_have(json_copy(socket));
        json_object_set_new(copy, "edge", must_have(json_string(edge)));
        json_array_append_new(to, copy);
    }
}

static json_t *info_of(const json_t *user)
{
    const char *text = json_text_of(user, "info", NULL);
    json_t *info = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    return info ? info : must_have(json_null());
}

/* The users of the best answer, by id in `index`, still without sockets. */
static json_t *copy_users(const json_t *best, json_t *index)
{
    json_t *users = must_have(json_array()), *user;
    size_t i;
    json_array_foreach(json_object_get(best, "users"), i, user)
    {
        json_t *copy = must_have(json_copy(user));
        json_object_set_new(copy, "info", info_of(user));
        json_object_set_new(copy, "sockets", must_have(json_array()));
        json_object_set(index, json_text_of(user, "id", ""), copy);
        json_array_append_new(users, copy);
    }
    return users;
}

static void add_hold(json_t *holds, const json_t *answer, const char *edge)
{
    const json_t *hold = json_object_get(answer, "hold");
    if (!json_is_object(hold))
        return;
    json_t *copy = must_have(json_deep_copy(hold));
    json_object_set_new(copy, "edge", must_have(json_string(edge)));
    json_array_append_new(holds, copy);
}

static void add_answer(json_t *whole, json_t *index, const json_t *answer)
{
    const char *edge = json_text_of(answer, "edge", "?");
    const json_t *here = json_object_get(answer, "here");
    size_t i;
    json_t *user;
    json_array_foreach(json_object_get(answer, "users"), i, user)
    {
        json_t *known = json_object_get(index, json_text_of(user, "id", ""));
        if (known)
            add_sockets(json_object_get(known, "sockets"), json_object_get(user, "sockets"), edge);
    }
    add_sockets(json_object_get(whole, "sockets"), json_object_get(here, "sockets"), edge);
    add_hold(json_object_get(whole, "holds"), answer, edge);
    json_array_append_new(json_object_get(whole, "asked"), must_have(json_string(edge)));
    int64_t sum = json_number_of(whole, "subscriptions", 0) + json_number_of(here, "subscriptions", 0);
    json_object_set_new(whole, "subscriptions", must_have(json_integer(sum)));
}

static json_t *join(const struct edge_answer *answers, size_t count)
{
    const json_t *best = best_of(answers, count);
    json_t *whole = must_have(json_copy((json_t *)(uintptr_t)best)), *index = must_have(json_object());
    static const char *const of_one[] = {"id", "edge", "here", "hold"}, *const lists[] = {"sockets", "holds",
                                                                            "asked", "not_asked"};
    for (size_t i = 0; i < 4; i++)
        json_object_del(whole, of_one[i]);
    for (size_t i = 0; i < 4; i++)
        json_object_set_new(whole, lists[i], must_have(json_array()));
    json_object_set_new(whole, "users", copy_users(best, index));
    for (size_t i = 0; i < count; i++) {
        if (answers[i].json)
            add_answer(whole, index, answers[i].json);
        else if (answers[i].problem[0])
            json_array_append_new(json_object_get(whole, "not_asked"),
                must_have(json_pack("{s:s, s:s}", "edge", answers[i].where, "why", answers[i].problem)));
    }
    json_decref(index);
    return whole;
}

json_t *roster_ask(const struct tool_call *call, const char *app, const char *channel, const char *user)
{
    struct tool_edges edges;
    tool_edges_init(&edges, call);
    struct edge_answer *answers = new_array(edges.count + 1, sizeof(*answers));
    char *app_part = parameter_new("app", app), *channel_part = parameter_new("channel", channel);
    char *user_part = user ? parameter_new("user", user) : new_text("");
    char *path = new_printed("/api/who?%s%s%s", app_part + 1, channel_part, user_part);
    json_t *whole = edges_ask(call, &edges, path, answers) ? join(answers, edges.count) : NULL;
    edge_answers_complain(answers, edges.count);
    edge_answers_deinit(answers, edges.count);
    free(answers);
    free(path);
    free(app_part);
    free(channel_part);
    free(user_part);
    tool_edges_deinit(&edges);
    return whole;
}
