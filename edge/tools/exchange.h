/* One question to an admin listener. It is performed by the caller: alone, or beside others in a CURLM. */
#pragma once

#include "edge/base/buffer.h"

#include <curl/curl.h>

struct exchange {
    CURL *easy;
    struct curl_slist *headers;
    char *url;
    struct buffer body; /* of the answer */
    size_t body_max_bytes;
    char words[CURL_ERROR_SIZE]; /* what went wrong; "" when curl has no words of its own */
};

/* A GET of http://where/path with that token ("": without one), which has answer_ms for all of it; more than body_max_bytes
 * fail it. It must not move until exchange_deinit(). Ends the process when out of memory. */
void exchange_init(struct exchange *exchange, const char *where, const char *path, const char *token,
    long answer_ms, size_t body_max_bytes);

/* Once it is in no CURLM any more. */
void exchange_deinit(struct exchange *exchange);
