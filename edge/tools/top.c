/* `rollcall top`: a live view of a fleet's edges, shards and channels; without a terminal, one look. */
#include "edge/tools/top_frame.h"

#include "edge/base/clock.h"
#include "edge/tools/screen.h"
#include "presence/base/new.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 2000,     /* as often as edges take their samples */
    CHANNELS_EVERY = 5, /* looks: a list of channels costs Redis a walk over all of them */
    CHANNELS_SHOWN = 10,
};

struct top {
    const struct tool_call *call;
    struct tool_edges edges;
    struct edge_answer *answers;
    const char *app; /* NULL: there are several, and none was named */
    json_t *fleet, *channels;
    unsigned looks;
};

/* One edge's answer, of the first that gives one. */
static json_t *ask_any(struct top *top, const char *path)
{
    json_t *json = NULL;
    for (size_t i = 0; i < top->edges.count && !json; i++) {
        struct edge_answer answer;
        struct tool_edges one = {.where = &top->edges.where[i], .count = 1};
        if (!top->answers[i].json)
            continue;
        edges_ask(top->call, &one, path, &answer);
        json = answer.json;
    }
    return json;
}

static void ask_channels(struct top *top)
{
    char *app = parameter_new("app", top->app);
    char *path = new_printed("/api/channels?limit=%d%s", CHANNELS_SHOWN, app);
    json_decref(top->channels);
    top->channels = ask_any(top, path);
    free(app);
    free(path);
}

static struct top_look look(struct top *top)
{
    edge_answers_deinit(top->answers, top->edges.count);
    size_t answered = edges_ask(top->call, &top->edges, "/api/edge?recent=1", top->answers);
    json_decref(top->fleet);
    top->fleet = ask_any(top, "/api/fleet");
    if (top->app && top->looks++ % CHANNELS_EVERY == 0)
        ask_channels(top);
    return (struct top_look){.answers = top->answers,
        .count = top->edges.count,
        .answered = answered,
        .fleet = top->fleet,
        .channels = top->channels,
        .now_ms = clock_wall_ms()};
}

static int show_once(struct top *top)
{
    struct top_look once = look(top);
    struct buffer out = {0};
    if (once.answered == 0) {
        edge_answers_complain(top->answers, top->edges.count);
        return TOOL_WRONG;
    }
    if (top->call->json) {
        json_t *json = top_frame_json(&once);
        json_dumpf(json, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(json);
    } else {
        top_frame_write(&once, false, &out);
        fwrite(out.bytes, 1, out.length, stdout);
    }
    buffer_deinit(&out);
    return TOOL_OK;
}

static int show_live(struct top *top)
{
    do {
        struct top_look now = look(top);
        struct buffer out = {0};
        top_frame_write(&now, true, &out);
        screen_show(out.bytes, out.length);
        buffer_deinit(&out);
    } while (screen_wait(LOOK_MS));
    screen_close();
    return TOOL_OK;
}

int tool_top(const struct tool_call *call)
{
    struct top top = {.call = call, .app = call->app};
    if (!top.app && call->config->app_count == 1)
        top.app = call->config->apps[0].id;
    tool_edges_init(&top.edges, call);
    top.answers = new_array(top.edges.count + 1, sizeof(*top.answers));
    int status = !call->json && screen_open() ? show_live(&top) : show_once(&top);
    edge_answers_deinit(top.answers, top.edges.count);
    free(top.answers);
    json_decref(top.fleet);
    json_decref(top.channels);
    tool_edges_deinit(&top.edges);
    return status;
}
