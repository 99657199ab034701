/* PROXY headers: what is taken at once is taken from no shorter prefix, and does not depend on what follows. */
#include "edge/door/address.h"
#include "edge/door/proxy_protocol.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct proxy_protocol header, again;
    char text[ADDRESS_TEXT_BYTES];
    long used = proxy_protocol_parse(input, size, &header);
    check(used <= (long)size && used <= PROXY_PROTOCOL_MAX_BYTES);
    if (used <= 0)
        return 0;
    if (header.has_client) {
        struct address address = address_from((const struct sockaddr *)&header.client);
        address_print(&address, text);
        check(strlen(text) < sizeof(text));
    }
    check(proxy_protocol_parse(input, (size_t)used, &again) == used);
    check(memcmp(&header, &again, sizeof(header)) == 0);
    check(proxy_protocol_parse(input, (size_t)used - 1, &again) == 0);
    return 0;
}
