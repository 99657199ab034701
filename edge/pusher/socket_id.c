/* Socket ids as text. */
#include "edge/pusher/events.h"

#include <inttypes.h>
#include <stdio.h>

void socket_id_print(struct socket_id id, char text[SOCKET_ID_CHARS])
{
    snprintf(text, SOCKET_ID_CHARS, "%" PRIu64 ".%" PRIu64, id.edge, id.serial);
}

/* Digits that fit into 64 bits, without a leading zero (one socket has one name); moves *at past them. */
static bool parse_number(const char **at, const char *end, uint64_t *number)
{
    const char *start = *at;
    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return *at > start && (*start != '0' || *at == start + 1);
}

bool socket_id_parse(const char *text, size_t length, struct socket_id *id)
{
    const char *at = text, *end = text + length;
    if (!parse_number(&at, end, &id->edge) || at == end || *at++ != '.')
        return false;
    return parse_number(&at, end, &id->serial) && at == end && (id->edge != 0 || id->serial != 0);
}
