/* What makes a request a WebSocket upgrade: RFC 6455, 4.2.1. */
#include "edge/door/http_head.h"

#include <string.h>

static enum http_upgrade refuse(struct http_refusal *refusal, int status, const char *why)
{
    *refusal = (struct http_refusal){.status = status, .why = why};
    return HTTP_UPGRADE_REFUSED;
}

static bool is_base64(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte == '+' || byte == '/';
}

/* 16 bytes in base64 are 22 characters and two '='. The unused bits of the last character are not looked at:
 * the key is only hashed, and some clients leave chance in them. */
static bool is_key(struct http_text key)
{
    if (key.length != 24 || key.bytes[22] != '=' || key.bytes[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!is_base64(key.bytes[i]))
            return false;
    return true;
}

static enum http_upgrade check_websocket_headers(
    const struct http_request *request, struct http_refusal *refusal)
{
    const struct http_text *version = http_header_find(request, "Sec-WebSocket-Version");
    if (http_head_count(request, "Sec-WebSocket-Version") > 1 ||
        http_head_count(request, "Sec-WebSocket-Key") > 1)
        return refuse(refusal, 400, "Sec-WebSocket-Version and Sec-WebSocket-Key must stand once");
    if (!version || !http_text_is(*version, "13")) {
        refuse(refusal, 426, "Sec-WebSocket-Version must be 13");
        refusal->headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        return HTTP_UPGRADE_REFUSED;
    }
    const struct http_text *key = http_header_find(request, "Sec-WebSocket-Key");
    if (!key || !is_key(*key))
        return refuse(refusal, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    return HTTP_UPGRADE_WEBSOCKET;
}

enum http_upgrade http_upgrade_check(
    const struct http_request *request, const struct http_head *head, struct http_refusal *refusal)
{
    if (!http_head_lists(request, "Upgrade", "websocket"))
        return HTTP_UPGRADE_NONE;
    if (strcmp(request->method, "GET") != 0)
        return refuse(refusal, 400, "a WebSocket begins with GET");
    if (head->http_1_0)
        return refuse(refusal, 400, "a WebSocket needs HTTP/1.1; a proxy in front may need to be told");
    if (!http_head_lists(request, "Connection", "upgrade"))
        return refuse(refusal, 400, "Connection: Upgrade is missing; a proxy in front may have removed it");
    if (head->chunked || head->content_length > 0)
        return refuse(refusal, 400, "a WebSocket upgrade has no body");
    return check_websocket_headers(request, refusal);
}
