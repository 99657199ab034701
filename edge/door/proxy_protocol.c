#include "edge/door/proxy_protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

/* ---- version 1: a line of text ---- */

enum { V1_LINE_MAX_BYTES = 107 };

struct words {
    const char *at, *end;
};

/* The next word, at most `size - 1` long, into `word`; exactly one space ends it, or the line does. */
static bool next_word(struct words *words, char *word, size_t size)
{
    size_t rest = (size_t)(words->end - words->at);
    const char *space = memchr(words->at, ' ', rest);
    size_t length = space ? (size_t)(space - words->at) : rest;
    if (length == 0 || length >= size)
        return false;
    memcpy(word, words->at, length);
    word[length] = '\0';
    words->at += length + (space ? 1 : 0);
    return true;
}

/* A port in decimal digits without leading zeros, as the specification has it. */
static bool read_port(const char *word, uint16_t *port)
{
    unsigned value = 0;
    if (word[0] == '0' && word[1])
        return false;
    for (; *word; word++) {
        if (*word < '0' || *word > '9')
            return false;
        value = value * 10 + (unsigned)(*word - '0');
        if (value > UINT16_MAX)
            return false;
    }
    *port = (uint16_t)value;
    return true;
}

static void set_ipv4(struct proxy_protocol *header, const void *address, in_port_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&header->client;
    in->sin_family = AF_INET;
    in->sin_port = port;
    memcpy(&in->sin_addr, address, 4);
    header->has_client = true;
}

static void set_ipv6(struct proxy_protocol *header, const void *address, in_port_t port)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&header->client;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = port;
    memcpy(&in6->sin6_addr, address, 16);
    header->has_client = true;
}

static bool read_v1_addresses(struct words *words, int family, struct proxy_protocol *header)
{
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], source_port[6], destination_port[6];
    unsigned char address[16];
    uint16_t port, ignored;
    if (!next_word(words, source, sizeof(source)) || !next_word(words, destination, sizeof(destination)) ||
        !next_word(words, source_port, sizeof(source_port)) ||
        !next_word(words, destination_port, sizeof(destination_port)) || words->at != words->end ||
        words->end[-1] == ' ')
        return false;
    if (inet_pton(family, destination, address) != 1 || inet_pton(family, source, address) != 1 ||
        !read_port(source_port, &port) || !read_port(destination_port, &ignored))
        return false;
    if (family == AF_INET)
        set_ipv4(header, address, htons(port));
    else
        set_ipv6(header, address, htons(port));
    return true;
}

static bool read_v1_line(const char *line, size_t length, struct proxy_protocol *header)
{
    struct words words = {line, line + length};
    char word[8];
    if (!next_word(&words, word, sizeof(word)) || strcmp(word, "PROXY") != 0 ||
        !next_word(&words, word, sizeof(word)))
        return false;
    if (strcmp(word, "UNKNOWN") == 0)
        return true; /* the rest of the line is to be ignored */
    if (strcmp(word, "TCP4") == 0)
        return read_v1_addresses(&words, AF_INET, header);
    return strcmp(word, "TCP6") == 0 && read_v1_addresses(&words, AF_INET6, header);
}

static long parse_v1(const char *bytes, size_t length, struct proxy_protocol *header)
{
    static const char start[] = "PROXY ";
    size_t common = length < sizeof(start) - 1 ? length : sizeof(start) - 1;
    if (memcmp(bytes, start, common) != 0)
        return -EBADMSG;
    size_t looked = length < V1_LINE_MAX_BYTES ? length : V1_LINE_MAX_BYTES;
    const char *cr = memchr(bytes, '\r', looked);
    if (!cr)
        return looked < V1_LINE_MAX_BYTES ? 0 : -EBADMSG;
    size_t line = (size_t)(cr - bytes);
    if (line + 1 == V1_LINE_MAX_BYTES)
        return -EBADMSG; /* the LF would be the 108th */
    if (line + 1 == length)
        return 0;
    if (cr[1] != '\n' || !read_v1_line(bytes, line, header))
        return -EBADMSG;
    return (long)(line + 2);
}

/* ---- version 2: binary ---- */

static const unsigned char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    V2_FIXED_BYTES = 16,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_UNSPEC = 0x00,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_UNIX_STREAM = 0x31,
    V2_TYPE_SSL = 0x20,
    V2_CLIENT_SSL = 0x01,
};

static size_t read_u16(const unsigned char *at)
{
    return (size_t)at[0] << 8 | at[1];
}

static bool read_tlvs(const unsigned char *at, const unsigned char *end, struct proxy_protocol *header)
{
    while (at < end) {
        if (end - at < 3)
            return false;
        size_t length = read_u16(at + 1);
        if ((size_t)(end - at) - 3 < length)
            return false;
        if (at[0] == V2_TYPE_SSL) {
            if (length < 5) /* a byte of flags, four of the verification */
                return false;
            header->secure = at[3] & V2_CLIENT_SSL;
        }
        at += 3 + length;
    }
    return true;
}

static bool read_v2_addresses(
    unsigned family, const unsigned char *at, const unsigned char *end, struct proxy_protocol *header)
{
    static const struct {
        unsigned family, bytes;
    } sizes[] = {{V2_TCP4, 12}, {V2_TCP6, 36}, {V2_UNIX_STREAM, 216}};
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (sizes[i].family == family)
            bytes = sizes[i].bytes;
    if (bytes == 0 || (size_t)(end - at) < bytes)
        return false;
    in_port_t port;
    if (family == V2_TCP4) {
        memcpy(&port, at + 8, sizeof(port));
        set_ipv4(header, at, port);
    } else if (family == V2_TCP6) {
        memcpy(&port, at + 32, sizeof(port));
        set_ipv6(header, at, port);
    } else {
        header->client.ss_family = AF_UNIX;
        header->has_client = true;
    }
    return read_tlvs(at + bytes, end, header);
}

static long parse_v2(const unsigned char *bytes, size_t length, struct proxy_protocol *header)
{
    size_t common = length < sizeof(v2_signature) ? length : sizeof(v2_signature);
    if (memcmp(bytes, v2_signature, common) != 0)
        return -EBADMSG;
    if (length > 12 && bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY)
        return -EBADMSG;
    if (length < V2_FIXED_BYTES)
        return 0;
    size_t total = V2_FIXED_BYTES + read_u16(bytes + 14);
    if (total > PROXY_PROTOCOL_MAX_BYTES)
        return -EBADMSG;
    if (length < total)
        return 0;
    /* LOCAL and UNSPEC: whatever follows is to be skipped unread. */
    if (bytes[12] == V2_PROXY && bytes[13] != V2_UNSPEC &&
        !read_v2_addresses(bytes[13], bytes + V2_FIXED_BYTES, bytes + total, header))
        return -EBADMSG;
    return (long)total;
}

long proxy_protocol_parse(const void *bytes, size_t length, struct proxy_protocol *header)
{
    memset(header, 0, sizeof(*header));
    if (length == 0)
        return 0;
    if (*(const unsigned char *)bytes == v2_signature[0])
        return parse_v2(bytes, length, header);
    return parse_v1(bytes, length, header);
}
