/* Who is at the other end, and how often he may be.
 *
 * A seat is what the process knows of one address while limits per address are on: how many connections it
 * has open, and how fast it opens them. Workers share the seats, because SO_REUSEPORT spreads one address
 * over all of them. IPv6 addresses share the seat of their /64, which is what one subscriber is given.
 */
#pragma once

#include "edge/base/rate.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct config;
struct door_seat;

struct address {
    uint8_t family; /* AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC */
    bool secure;
    unsigned char bytes[16]; /* in network order */
};

enum { ADDRESS_TEXT_BYTES = 64 };

/* What a sockaddr holds; IPv4-mapped IPv6 becomes IPv4. Any thread. */
struct address address_from(const struct sockaddr *from);

/* In words: 192.0.2.1, 2001:db8::1, unix, or unknown. Any thread. */
void address_print(const struct address *address, char text[ADDRESS_TEXT_BYTES]);

/* The seat of a client whose connection is not his own, but that of a proxy: lent while his request is handled, for which
 * it does not count. There is always room. NULL as above; part() takes that, too. Any thread. */
struct door_seat *door_seat_visit(
    const struct address *address, const struct config *config, uint64_t now_ms);
void door_seat_part(struct door_seat *seat);

/* Takes a seat for one more connection. True, and *seat, which is NULL when no limit is on or the address is
 * none of a network; false if a limit of the configuration says no. Any thread. */
bool door_seat_take(
    const struct address *address, const struct config *config, uint64_t now_ms, struct door_seat **seat);
