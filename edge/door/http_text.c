#include "edge/door/http.h"

#include <string.h>
#include <strings.h>

bool http_text_is(struct http_text text, const char *string)
{
    size_t length = strlen(string);
    return text.length == length && memcmp(text.bytes, string, length) == 0;
}

const struct http_text *http_header_find(const struct http_request *request, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.length == length && strncasecmp(header->name.bytes, name, length) == 0)
            return &header->value;
    }
    return NULL;
}
