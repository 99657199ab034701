#include "edge/tools/exchange.h"

#include "presence/base/new.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONNECT_MS = 2000 };

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    size_t length = size * count;
    if (length > exchange->body_max_bytes - exchange->body.length)
        return 0;
    buffer_add(&exchange->body, bytes, length);
    return length;
}

static struct curl_slist *say_token(const char *token)
{
    if (!token[0])
        return NULL;
    char *line = new_printed("Authorization: Bearer %s", token);
    struct curl_slist *headers = must_have(curl_slist_append(NULL, line));
    free(line);
    return headers;
}

void exchange_init(struct exchange *exchange, const char *where, const char *path, const char *token,
    long answer_ms, size_t body_max_bytes)
{
    CURL *easy = must_have(curl_easy_init());
    *exchange =
        (struct exchange){.easy = easy, .headers = say_token(token), .body_max_bytes = body_max_bytes};
    exchange->url = new_printed("http://%s%s", where, path);
    must(curl_easy_setopt(easy, CURLOPT_URL, exchange->url) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, answer_ms) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->words) == CURLE_OK);
}

void exchange_deinit(struct exchange *exchange)
{
    curl_easy_cleanup(exchange->easy);
    curl_slist_free_all(exchange->headers);
    buffer_deinit(&exchange->body);
    free(exchange->url);
}
