#include "edge/door/address.h"
#include "edge/config/config.h"
#include "edge/door/door.h"

#include "presence/base/new.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct address address_from(const struct sockaddr *from)
{
    struct address address = {.family = (uint8_t)from->sa_family};
    if (from->sa_family == AF_INET) {
        memcpy(address.bytes, &((const struct sockaddr_in *)from)->sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)from)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(in6)) {
            address.family = AF_INET;
            memcpy(address.bytes, in6->s6_addr + 12, 4);
        } else {
            memcpy(address.bytes, in6->s6_addr, 16);
        }
    }
    return address;
}

void address_print(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    if (address->family == AF_INET || address->family == AF_INET6)
        inet_ntop(address->family, address->bytes, text, ADDRESS_TEXT_BYTES);
    else
        snprintf(text, ADDRESS_TEXT_BYTES, "%s", address->family == AF_UNIX ? "unix" : "unknown");
}

/* ---- seats ---- */

struct door_seat {
    LIST_ENTRY(door_seat) entry;
    unsigned char key[9]; /* the family, then the address or the first half of it */
    uint32_t connections;
    uint32_t visits; /* keep it, and do not count */
    uint64_t used_ms;
    struct rate accepts;
};

LIST_HEAD(seat_list, door_seat);

enum { SEAT_LISTS = 4096, SEAT_FORGOTTEN_MS = 1000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct seat_list seats[SEAT_LISTS]; /* guarded by lock */

static void make_key(const struct address *address, unsigned char key[9])
{
    memset(key, 0, 9);
    key[0] = address->family;
    memcpy(key + 1, address->bytes, address->family == AF_INET6 ? 8 : 4);
}

static struct seat_list *list_of(const unsigned char key[9])
{
    uint64_t number;
    memcpy(&number, key + 1, sizeof(number));
    return &seats[number * UINT64_C(0x9e3779b97f4a7c15) >> 52]; /* Fibonacci hashing, the upper 12 bits */
}

/* The seat of that key, or a new one. Whoever walks the list clears away the seats nobody sits on and whose
 * second has passed, so that a crowd that has left is forgotten. */
static struct door_seat *find(const unsigned char key[9], uint64_t now_ms)
{
    struct seat_list *list = list_of(key);
    struct door_seat *found = NULL, *seat = LIST_FIRST(list);
    while (seat) {
        struct door_seat *next = LIST_NEXT(seat, entry);
        if (memcmp(seat->key, key, sizeof(seat->key)) == 0) {
            found = seat;
        } else if (seat->connections == 0 && seat->visits == 0 &&
                   now_ms > seat->used_ms + SEAT_FORGOTTEN_MS) {
            LIST_REMOVE(seat, entry);
            free(seat);
        }
        seat = next;
    }
    if (!found) {
        found = new_zeroed(sizeof(*found));
        memcpy(found->key, key, sizeof(found->key));
        LIST_INSERT_HEAD(list, found, entry);
    }
    found->used_ms = now_ms;
    return found;
}

static bool has_seat(const struct address *address, const struct config *config)
{
    return (config->edge.connections_per_address || config->edge.accepts_per_address_per_second) &&
           (address->family == AF_INET || address->family == AF_INET6);
}

struct door_seat *door_seat_visit(const struct address *address, const struct config *config, uint64_t now_ms)
{
    unsigned char key[9];
    if (!has_seat(address, config))
        return NULL;
    make_key(address, key);
    pthread_mutex_lock(&lock);
    struct door_seat *found = find(key, now_ms);
    found->visits++;
    pthread_mutex_unlock(&lock);
    return found;
}

void door_seat_part(struct door_seat *seat)
{
    if (!seat)
        return;
    pthread_mutex_lock(&lock);
    seat->visits--;
    pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static bool has_room(const struct door_seat *seat, const struct config *config)
{
    uint32_t limit = config->edge.connections_per_address;
    return limit == 0 || seat->connections < limit;
}

bool door_seat_take(
    const struct address *address, const struct config *config, uint64_t now_ms, struct door_seat **seat)
{
    uint32_t per_second = config->edge.accepts_per_address_per_second;
    *seat = NULL;
    if (!has_seat(address, config))
        return true;
    unsigned char key[9];
    make_key(address, key);
    pthread_mutex_lock(&lock);
    struct door_seat *found = find(key, now_ms);
    bool taken = has_room(found, config) && rate_take(&found->accepts, 1, per_second, per_second, now_ms);
    if (taken) {
        found->connections++;
        *seat = found;
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

bool door_seat_share(struct door_seat *seat, const struct config *config)
{
    if (!seat)
        return true;
    pthread_mutex_lock(&lock);
    bool taken = has_room(seat, config);
    if (taken)
        seat->connections++;
    pthread_mutex_unlock(&lock);
    return taken;
}

void door_seat_leave(struct door_seat *seat)
{
    if (!seat)
        return;
    pthread_mutex_lock(&lock);
    seat->connections--;
    pthread_mutex_unlock(&lock);
}
