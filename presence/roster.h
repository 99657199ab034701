/* The roster of one presence channel: which users are here.
 *
 * A member is one user, however many connections of his are subscribed, here or on other edges. His info is
 * the one that came with the first connection and stays until the last one has left (protocol.md,
 * "Channels").
 *
 * Not thread-safe: a roster belongs to the thread of its store.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

struct member {
    UT_hash_handle hh; /* keyed by id; iteration is in order of arrival */
    char *id;          /* NUL-terminated UTF-8, in the same allocation */
    char *info;        /* JSON text, or NULL when there is none, in the same allocation */
    uint32_t id_bytes;
    uint32_t info_bytes;
    uint32_t local; /* subscriptions of this user on this edge */
    bool remote;    /* another edge holds this user as well; always false in the memory store */
};

struct roster {
    struct member *members; /* uthash head */
};

/* The member of that id, or NULL. */
struct member *roster_find(const struct roster *roster, const char *id, size_t id_bytes);

/* A new member without subscriptions; id and info are copied; info may be NULL. The id must not be present.
 */
struct member *roster_add(
    struct roster *roster, const char *id, size_t id_bytes, const char *info, size_t info_bytes);

/* Takes the member out and frees it. */
void roster_remove(struct roster *roster, struct member *member);

/* How many users are here. */
size_t roster_count(const struct roster *roster);

/* Frees all members. */
void roster_clear(struct roster *roster);

/* for (m = roster_first(r); m; m = roster_next(m)) — in order of arrival. The current one may be removed only
 * after the next was taken. */
struct member *roster_first(const struct roster *roster);
struct member *roster_next(const struct member *member);
