#include "tests/bench/messages.h"

#include "auth/digest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { INFO_FRAME_BYTES = sizeof "{\"name\":\"\"}" - 1, TEXT_BYTES = 4096, EVENT_DATA_BYTES_MAX = 65536 };

size_t message_format(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= size) {
        fprintf(stderr, "bench: a message does not fit into %zu bytes\n", size);
        abort();
    }
    return (size_t)length;
}

void message_user_id(uint32_t number, char text[BENCH_USER_CHARS])
{
    message_format(text, BENCH_USER_CHARS, "u%07u", number);
}

void message_channel(const char *prefix, uint32_t number, char text[BENCH_CHANNEL_CHARS])
{
    if (number == UINT32_MAX)
        message_format(text, BENCH_CHANNEL_CHARS, "%s", prefix);
    else
        message_format(text, BENCH_CHANNEL_CHARS, "%s-%05u", prefix, number);
}

size_t message_channel_data(uint32_t user, size_t info_bytes, char *text, size_t size)
{
    char id[BENCH_USER_CHARS], name[TEXT_BYTES];
    message_user_id(user, id);
    if (info_bytes <= INFO_FRAME_BYTES)
        return message_format(text, size, "{\"user_id\":\"%s\"}", id);
    size_t fill = info_bytes - INFO_FRAME_BYTES;
    if (fill >= sizeof name)
        fill = sizeof name - 1;
    memset(name, 'n', fill);
    name[fill] = '\0';
    return message_format(text, size, "{\"user_id\":\"%s\",\"user_info\":{\"name\":\"%s\"}}", id, name);
}

size_t message_escape(const char *text, char *out, size_t size)
{
    size_t length = 0;
    for (; *text; text++) {
        if (length + 3 > size)
            abort();
        if (*text == '"' || *text == '\\')
            out[length++] = '\\';
        out[length++] = *text;
    }
    out[length] = '\0';
    return length;
}

size_t message_subscribe(
    const char *channel, const char *auth, const char *channel_data, char *text, size_t size)
{
    static const char head[] = "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":";
    if (!auth)
        return message_format(text, size, "%s\"%s\"}}", head, channel);
    if (!channel_data)
        return message_format(text, size, "%s\"%s\",\"auth\":\"%s\"}}", head, channel, auth);
    char escaped[2 * TEXT_BYTES];
    message_escape(channel_data, escaped, sizeof escaped);
    return message_format(
        text, size, "%s\"%s\",\"auth\":\"%s\",\"channel_data\":\"%s\"}}", head, channel, auth, escaped);
}

size_t message_publish(const char *channel, uint32_t number, size_t data_bytes, char *text, size_t size)
{
    static char fill[EVENT_DATA_BYTES_MAX];
    if (fill[0] == '\0')
        memset(fill, 'd', sizeof fill - 1);
    size_t rest = data_bytes > 8 ? data_bytes - 8 : 0;
    if (rest >= sizeof fill)
        rest = sizeof fill - 1;
    return message_format(text, size, "{\"name\":\"bench-event\",\"channel\":\"%s\",\"data\":\"%08u%.*s\"}",
        channel, number, (int)rest, fill);
}

size_t message_signed_post(
    const struct bench_app *app, const char *body, size_t body_bytes, char *text, size_t size)
{
    char md5[MD5_HEX_CHARS + 1], signature[SHA256_HEX_CHARS + 1], query[512], path[256], to_sign[1024];
    digest_md5_hex(body, body_bytes, md5);
    message_format(path, sizeof path, "/apps/%s/events", app->id);
    message_format(query, sizeof query, "auth_key=%s&auth_timestamp=%lld&auth_version=1.0&body_md5=%s",
        app->key, (long long)time(NULL), md5);
    size_t length = message_format(to_sign, sizeof to_sign, "POST\n%s\n%s", path, query);
    struct digest_piece piece = {to_sign, length};
    digest_hmac_sha256_hex(app->secret, strlen(app->secret), &piece, 1, signature);
    return message_format(text, size,
        "POST %s?%s&auth_signature=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n%.*s",
        path, query, signature, body_bytes, (int)body_bytes, body);
}
