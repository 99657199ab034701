/* Chunked bodies. The first byte says where the input is cut; both ways of feeding must agree. */
#include "edge/door/http_chunks.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_BYTES = 1000 };

static void check(bool promise)
{
    if (!promise)
        abort();
}

struct outcome {
    enum http_chunks_result result;
    int status;
    size_t used;
    struct buffer body;
};

static struct outcome feed(const char *bytes, size_t length, size_t cut)
{
    struct http_chunks chunks = {0};
    struct http_refusal refusal = {0};
    struct outcome outcome = {0};
    size_t used;
    outcome.result =
        http_chunks_feed(&chunks, bytes, cut, LIMIT_BYTES, &outcome.body, &outcome.used, &refusal);
    check(outcome.result != HTTP_CHUNKS_MORE || outcome.used == cut);
    if (outcome.result == HTTP_CHUNKS_MORE) {
        outcome.result =
            http_chunks_feed(&chunks, bytes + cut, length - cut, LIMIT_BYTES, &outcome.body, &used, &refusal);
        outcome.used += used;
    }
    outcome.status = refusal.status;
    check(outcome.body.length <= LIMIT_BYTES && outcome.used <= length);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0)
        return 0;
    const char *bytes = (const char *)input + 1;
    size_t length = size - 1;
    struct outcome whole = feed(bytes, length, length);
    struct outcome pieces = feed(bytes, length, input[0] % (length + 1));
    check(whole.result == pieces.result && whole.status == pieces.status && whole.used == pieces.used);
    check(whole.body.length == pieces.body.length);
    check(!whole.body.length || memcmp(whole.body.bytes, pieces.body.bytes, whole.body.length) == 0);
    buffer_deinit(&whole.body);
    buffer_deinit(&pieces.body);
    return 0;
}
