/* The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): what a balancer says in front of a
 * connection about who it is for. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Longest header taken. A v1 line has at most 107 bytes; a v2 header may say up to 64 KiB, but addresses take
 * 216 of that at most, and what balancers add in TLVs (names, certificates' subjects) some hundred. */
enum { PROXY_PROTOCOL_MAX_BYTES = 4096 };

struct proxy_protocol {
    /* False: the balancer speaks for itself (LOCAL, its health checks) or does not know (UNKNOWN, UNSPEC), so
     * the socket's own address stands. */
    bool has_client;
    bool secure;                    /* the client spoke TLS to the balancer (PP2_TYPE_SSL) */
    struct sockaddr_storage client; /* AF_INET, AF_INET6 or AF_UNIX; the latter without its path */
};

/* Reads a header from the first bytes of a connection. Returns its length, 0 if it is not complete, or
 * -EBADMSG if this is none (of a form we take). Nothing is remembered between calls: the caller passes the
 * beginning again with more bytes. */
long proxy_protocol_parse(const void *bytes, size_t length, struct proxy_protocol *header);
