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

/* Names of hosts have no case; paths have. */
bool redis_address_equal(const struct redis_address *a, const struct redis_address *b);

/* As it is written in a configuration. `text` has room for REDIS_ADDRESS_TEXT bytes; returns it. */
enum { REDIS_ADDRESS_TEXT = 272 };
const char *redis_address_print(const struct redis_address *address, char *text);
