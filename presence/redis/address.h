/* Addresses of Redis: "host:6379", "10.0.0.1:6379", "[::1]:6379", "unix:/path". Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct redis_address {
    char host[256]; /* a name, an IPv4 or IPv6 literal without brackets, or a path */
    uint16_t port;
    bool is_unix;
};

/* 0, or -EINVAL. */
int redis_address_parse(const char *text, struct redis_address *address);
