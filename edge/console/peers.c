/* What another edge says, for a browser that reaches only this one: its answer is passed on. The question goes there with
 * this configuration's token. */
#include "edge/console/console_private.h"

#include "edge/admin/admin_token.h"
#include "edge/base/container.h"
#include "edge/webhooks/client.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MAX_BYTES = 8 << 20, /* a roster of INSIGHT_USERS_MAX with all their infos */
    ASKED_MAX = 256,            /* at a time */
};

struct asked {
    LIST_ENTRY(asked) entry;
    struct peers *peers;
    struct http_exchange *exchange;
    struct client_request request;
    struct curl_slist *headers;
    struct buffer url, answer;
    char *where; /* of the configuration */
};

struct peers {
    uv_loop_t *loop;
    struct client *client; /* NULL: nobody was asked yet */
    LIST_HEAD(asked_list, asked) list;
    size_t count;
};

struct peers *peers_new(uv_loop_t *loop)
{
    struct peers *peers = new_zeroed(sizeof(*peers));
    peers->loop = loop;
    LIST_INIT(&peers->list);
    return peers;
}

static void forget(struct asked *asked)
{
    LIST_REMOVE(asked, entry);
    asked->peers->count--;
    explicit_bzero(asked->headers->data, strlen(asked->headers->data));
    curl_slist_free_all(asked->headers);
    buffer_deinit(&asked->url);
    buffer_deinit(&asked->answer);
    free(asked->where);
    free(asked);
}

void peers_close(struct peers *peers)
{
    struct asked *asked;
    while ((asked = LIST_FIRST(&peers->list))) {
        client_cancel(&asked->request);
        http_answer_error(asked->exchange, 503, CONSOLE_HEADERS, "this edge is going away");
        forget(asked);
    }
    if (peers->client)
        client_close(peers->client);
    free(peers);
}

static void on_done(struct client_request *request, enum client_result result)
{
    struct asked *asked = CONTAINER_OF(request, struct asked, request);
    if (result == CLIENT_DELIVERED || (result == CLIENT_STATUS && request->status != 401))
        http_answer(asked->exchange, &(struct http_answer){.status = (int)request->status,
                                         .headers = CONSOLE_HEADERS,
                                         .body = asked->answer.bytes,
                                         .body_bytes = asked->answer.length});
    else if (result == CLIENT_STATUS)
        http_answer_error(asked->exchange, 502, CONSOLE_HEADERS,
            "%s has another edge.admin.token than this edge", asked->where);
    else
        http_answer_error(asked->exchange, 502, CONSOLE_HEADERS, "%s %s", asked->where,
            result == CLIENT_TIMED_OUT ? "did not answer in time" : "cannot be reached");
    forget(asked);
}

static struct curl_slist *say_token(const char *token)
{
    struct buffer line = {0};
    buffer_printf(&line, "Authorization: Bearer %s", token);
    buffer_add(&line, "", 1);
    struct curl_slist *headers = must_have(curl_slist_append(NULL, line.bytes));
    explicit_bzero(line.bytes, line.length);
    buffer_deinit(&line);
    return headers;
}

static void ask(struct peers *peers, const struct config *config, const struct http_request *request,
    size_t number, struct http_text rest)
{
    struct asked *asked = new_zeroed(sizeof(*asked));
    asked->where = new_text(config->edge.admin.peers[number]);
    asked->peers = peers;
    asked->exchange = request->exchange;
    asked->headers = say_token(config->edge.admin.token);
    buffer_printf(&asked->url, "http://%s/api/%.*s?", asked->where, (int)rest.length, rest.bytes);
    buffer_add(&asked->url, request->query.bytes, request->query.length);
    buffer_add(&asked->url, "", 1);
    asked->request = (struct client_request){.url = asked->url.bytes,
        .ca_file = "",
        .headers = asked->headers,
        .answer = &asked->answer,
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .done = on_done};
    LIST_INSERT_HEAD(&peers->list, asked, entry);
    peers->count++;
    if (!peers->client)
        peers->client = client_new(peers->loop, true); /* edges live at private addresses */
    client_post(peers->client, &asked->request);
}

/* "3/who" to 3 and "who". */
static bool split(struct http_text text, size_t *number, struct http_text *rest)
{
    size_t i = 0;
    *number = 0;
    for (; i < text.length && i < 4 && text.bytes[i] >= '0' && text.bytes[i] <= '9'; i++)
        *number = *number * 10 + (size_t)(text.bytes[i] - '0');
    if (i == 0 || i == text.length || text.bytes[i] != '/')
        return false;
    *rest = (struct http_text){text.bytes + i + 1, text.length - i - 1};
    return true;
}

/* What may be asked there: not what it would ask of others, nor what changes anything. */
static bool is_asked_for(struct http_text rest)
{
    return http_text_is(rest, "edge") || http_text_is(rest, "fleet") || http_text_is(rest, "who") ||
           http_text_is(rest, "events");
}

bool console_peers(struct console *console, const struct http_request *request)
{
    static const char prefix[] = "/api/peers/";
    enum { PREFIX = sizeof(prefix) - 1 };
    struct peers *peers = console->peers;
    const struct config *config = console->sources.config;
    struct http_text rest;
    size_t number;
    if (request->path.length <= PREFIX || memcmp(request->path.bytes, prefix, PREFIX) != 0)
        return false;
    if (!admin_allows(config, request, ADMIN_LOOKS))
        return true;
    struct http_text tail = {request->path.bytes + PREFIX, request->path.length - PREFIX};
    if (!split(tail, &number, &rest) || number >= config->edge.admin.peer_count || !is_asked_for(rest))
        http_answer_error(request->exchange, 404, NULL,
            "there are /api/peers/N/edge, fleet, who and events, for the N-th of the %zu edge.admin.peers, "
            "from 0",
            config->edge.admin.peer_count);
    else if (strcmp(request->method, "GET") != 0)
        http_answer_error(
            request->exchange, 405, "Allow: GET\r\n", "another edge is only looked at from here");
    else if (peers->count >= ASKED_MAX)
        http_answer_error(request->exchange, 503, "Retry-After: 2\r\n" CONSOLE_HEADERS,
            "%d questions to other edges wait for their answers already", ASKED_MAX);
    else
        ask(peers, config, request, number, rest);
    return true;
}
