#include "auth/percent.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int percent_next(const char **at, const char *end)
{
    const char *text = *at;
    if (*text != '%') {
        *at = text + 1;
        return (unsigned char)*text;
    }
    int high = end - text > 2 ? hex_digit(text[1]) : -1;
    int low = high >= 0 ? hex_digit(text[2]) : -1;
    if (low < 0)
        return -1;
    *at = text + 3;
    return high * 16 + low;
}

ptrdiff_t percent_decode(const char *text, size_t length, char *decoded)
{
    const char *end = text + length;
    ptrdiff_t written = 0;
    while (text < end) {
        int byte = percent_next(&text, end);
        if (byte < 0)
            return -1;
        decoded[written++] = (char)byte;
    }
    return written;
}
