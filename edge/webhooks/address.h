/* Which addresses an endpoint may have, unless the configuration allows it more. Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* False for what is not of the public internet: this host, private networks, link-local (with it the metadata services
 * of clouds), carrier-grade NAT, multicast, documentation, reserved (the registries of RFC 6890), and IPv6 addresses
 * that stand for such an IPv4 one (mapped, compatible, NAT64, 6to4). False, too, for other families. */
bool address_is_public(const struct sockaddr *address);
