#include "edge/tools/ask.h"

#include "edge/tools/exchange.h"
#include "presence/base/new.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MS = 6000, ANSWER_MAX_BYTES = 64 << 20 };

/* ---- which edges ---- */

/* Where one connects to reach what listens there. */
static const char *reachable(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(address, "::") == 0 ? "::1" : address;
}

bool tool_own_admin(const struct config *config, char *text, size_t bytes)
{
    const char *address = reachable(config->edge.admin.address);
    text[0] = '\0';
    if (!config->edge.admin.enabled || !config->edge.admin.port)
        return false;
    snprintf(
        text, bytes, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, (unsigned)config->edge.admin.port);
    return true;
}

void tool_edges_init(struct tool_edges *edges, const struct tool_call *call)
{
    const struct config *config = call->config;
    edges->count = 0;
    edges->where = new_array(call->edge_count + config->edge.admin.peer_count + 1, sizeof(*edges->where));
    bool has_own = tool_own_admin(config, edges->own, sizeof(edges->own));
    for (size_t i = 0; i < call->edge_count; i++)
        edges->where[edges->count++] = call->edges[i];
    if (call->edge_count)
        return;
    if (has_own)
        edges->where[edges->count++] = edges->own;
    for (size_t i = 0; i < config->edge.admin.peer_count; i++)
        if (strcmp(config->edge.admin.peers[i], edges->own) != 0)
            edges->where[edges->count++] = config->edge.admin.peers[i];
}

void tool_edges_deinit(struct tool_edges *edges)
{
    free(edges->where);
}

/* ---- asking ---- */

static void perform_all(CURLM *multi)
{
    int running = 1;
    while (running > 0 && curl_multi_perform(multi, &running) == CURLM_OK)
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
}

static void judge(struct exchange *exchange, struct edge_answer *answer)
{
    long status = 0;
    json_error_t error;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    json_t *json =
        exchange->body.length ? json_loadb(exchange->body.bytes, exchange->body.length, 0, &error) : NULL;
    const char *said = json_string_value(json_object_get(json, "error"));
    if (status == 200 && json_is_object(json))
        answer->json = json_incref(json);
    else if (status == 401)
        snprintf(answer->problem, sizeof(answer->problem),
            "it has another edge.admin.token than this configuration");
    else if (said)
        snprintf(answer->problem, sizeof(answer->problem), "%.500s", said);
    else if (status)
        snprintf(answer->problem, sizeof(answer->problem), "it is no admin listener of this release (%ld)",
            status);
    else
        snprintf(answer->problem, sizeof(answer->problem), "%.500s",
            exchange->words[0] ? exchange->words : "it does not answer");
    json_decref(json);
}

/* One configuration for all edges names each of them among its own peers. */
static void drop_repeated(struct edge_answer *answers, size_t at)
{
    const char *id = json_string_value(json_object_get(answers[at].json, "id"));
    for (size_t i = 0; id && i < at; i++) {
        const char *other = json_string_value(json_object_get(answers[i].json, "id"));
        if (!other || strcmp(id, other) != 0)
            continue;
        json_decref(answers[at].json);
        answers[at].json = NULL;
        return;
    }
}

size_t edges_ask(const struct tool_call *call, const struct tool_edges *edges, const char *path,
    struct edge_answer *answers)
{
    struct exchange *exchanges = new_array(edges->count + 1, sizeof(*exchanges));
    CURLM *multi = must_have(curl_multi_init());
    size_t answered = 0;
    for (size_t i = 0; i < edges->count; i++) {
        exchange_init(&exchanges[i], edges->where[i], path, call->config->edge.admin.token, ANSWER_MS,
            ANSWER_MAX_BYTES);
        must(curl_multi_add_handle(multi, exchanges[i].easy) == CURLM_OK);
    }
    perform_all(multi);
    for (size_t i = 0; i < edges->count; i++) {
        answers[i] = (struct edge_answer){.where = edges->where[i]};
        judge(&exchanges[i], &answers[i]);
        drop_repeated(answers, i);
        answered += answers[i].json != NULL;
        curl_multi_remove_handle(multi, exchanges[i].easy);
        exchange_deinit(&exchanges[i]);
    }
    curl_multi_cleanup(multi);
    free(exchanges);
    return answered;
}

void edge_answers_deinit(struct edge_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_decref(answers[i].json);
}

void edge_answers_complain(const struct edge_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (answers[i].problem[0])
            fprintf(stderr, "rollcall: edge %s was not asked: %s\n", answers[i].where, answers[i].problem);
    if (count == 0)
        fputs("rollcall: edge.admin is off, or on a port that is not known before it runs; name one with "
              "--edge "
              "HOST:PORT\n",
            stderr);
}

char *parameter_new(const char *name, const char *value)
{
    char *escaped = must_have(curl_easy_escape(NULL, value, 0));
    char *text = new_printed("&%s=%s", name, escaped);
    curl_free(escaped);
    return text;
}

const char *tool_app(const struct tool_call *call)
{
    const struct config *config = call->config;
    if (call->app)
        return call->app;
    if (config->app_count == 1)
        return config->apps[0].id;
    fprintf(stderr, "rollcall: --app ID is missing: the configuration has %zu apps%s\n", config->app_count,
        config->app_count ? "" : "; without any nobody can connect");
    return NULL;
}
