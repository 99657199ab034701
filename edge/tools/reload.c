/* `rollcall reload`: has a running server read its configuration again, and prints what came of it. The file is the
 * server's to judge, which may have another environment and may read other files than we may. */
#include "edge/base/buffer.h"
#include "edge/tools/ask.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The server answers when all of it has gone over. */
enum { CONNECT_MS = 2000, ANSWER_MS = 30000, ANSWER_MAX_BYTES = 1 << 20 };

struct asking {
    struct buffer answer;
    char words[CURL_ERROR_SIZE];
    long status; /* 0: there was no answer */
};

static void must(bool good)
{
    if (!good)
        abort(); /* out of memory */
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct asking *asking = context;
    size_t length = size * count;
    if (length > ANSWER_MAX_BYTES - asking->answer.length)
        return 0;
    buffer_add(&asking->answer, bytes, length);
    return length;
}

static struct curl_slist *say_token(const char *token)
{
    char *line;
    if (!token[0])
        return NULL;
    must(asprintf(&line, "Authorization: Bearer %s", token) > 0);
    struct curl_slist *headers = curl_slist_append(NULL, line);
    must(headers);
    free(line);
    return headers;
}

static void set_options(CURL *easy, const char *url, struct curl_slist *headers, struct asking *asking)
{
    must(curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "") == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_WRITEDATA, asking) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, asking->words) == CURLE_OK);
}

static void post(const char *where, const char *token, struct asking *asking)
{
    char *url = NULL;
    CURL *easy = curl_easy_init();
    must(easy && asprintf(&url, "http://%s/reload", where) > 0);
    struct curl_slist *headers = say_token(token);
    set_options(easy, url, headers, asking);
    CURLcode code = curl_easy_perform(easy);
    if (code == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &asking->status);
    else if (!asking->words[0])
        snprintf(asking->words, sizeof(asking->words), "%s", curl_easy_strerror(code));
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    free(url);
}

static int tell(const struct asking *asking, const char *where)
{
    const struct buffer *answer = &asking->answer;
    bool is_good = asking->status == 200, is_wrong = asking->status == 422;
    FILE *out = is_good ? stdout : stderr;
    if (!asking->status)
        fprintf(stderr, "rollcall: nobody answers at %s, the admin listener: %s\n", where, asking->words);
    else if (!is_good && !is_wrong)
        fprintf(stderr, "rollcall: %s answered %ld: ", where, asking->status);
    if (asking->status && answer->length > 0)
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
    struct asking asking = {0};
    if (!print_where(call, where))
        return TOOL_UNAVAILABLE;
    post(where, call->config->edge.admin.token, &asking);
    int status = tell(&asking, where);
    buffer_deinit(&asking.answer);
    return status;
}
