/* `rollcall reload`: has a running server read its configuration again, and prints what came of it. The file is the
 * server's to judge, which may have another environment and may read other files than we may. */
#include "edge/tools/ask.h"
#include "edge/tools/exchange.h"

#include "presence/base/new.h"

#include <stdio.h>

/* The server answers when all of it has gone over. */
enum { ANSWER_MS = 30000, ANSWER_MAX_BYTES = 1 << 20 };

/* The status of the answer; 0: there was none, and exchange->words says why. */
static long post(struct exchange *exchange)
{
    long status = 0;
    must(curl_easy_setopt(exchange->easy, CURLOPT_POSTFIELDS, "") == CURLE_OK);
    CURLcode code = curl_easy_perform(exchange->easy);
    if (code == CURLE_OK)
        curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    else if (!exchange->words[0])
        snprintf(exchange->words, sizeof(exchange->words), "%s", curl_easy_strerror(code));
    return status;
}

static int tell(const struct exchange *exchange, long status, const char *where)
{
    const struct buffer *answer = &exchange->body;
    bool is_good = status == 200, is_wrong = status == 422;
    FILE *out = is_good ? stdout : stderr;
    if (!status)
        fprintf(stderr, "rollcall: nobody answers at %s, the admin listener: %s\n", where, exchange->words);
    else if (!is_good && !is_wrong)
        fprintf(stderr, "rollcall: %s answered %ld: ", where, status);
    if (status && answer->length > 0)
        fprintf(out, "%.*s%s", (int)answer->length, answer->bytes,
            answer->bytes[answer->length - 1] == '\n' ? "" : "\n");
    return is_good ? TOOL_OK : is_wrong ? TOOL_CONFIG : TOOL_UNAVAILABLE;
}

/* False after a word why not. */
static bool print_where(const struct tool_call *call, char where[300])
{
    if (call->edge_count > 0) {
        snprintf(where, 300, "%s", call->edges[0]);
    } else if (!tool_own_admin(call->config, where, 300)) {
        fputs("rollcall: the configuration names no admin listener that could be asked (edge.admin); say "
              "where it is with --edge HOST:PORT, or send the server SIGHUP and read its log\n",
            stderr);
        return false;
    }
    return true;
}

int tool_reload(const struct tool_call *call)
{
    char where[300];
    struct exchange exchange;
    if (!print_where(call, where))
        return TOOL_UNAVAILABLE;
    exchange_init(&exchange, where, "/reload", call->config->edge.admin.token, ANSWER_MS, ANSWER_MAX_BYTES);
    int status = tell(&exchange, post(&exchange), where);
    exchange_deinit(&exchange);
    return status;
}
