#include "presence/roster.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

struct member *roster_find(const struct roster *roster, const char *id, size_t id_bytes)
{
    struct member *member;
    HASH_FIND(hh, roster->members, id, id_bytes, member);
    return member;
}

struct member *roster_add(
    struct roster *roster, const char *id, size_t id_bytes, const char *info, size_t info_bytes)
{
    /* One allocation: the struct, the id with its NUL, the info with its NUL. */
    struct member *member = new_zeroed(sizeof(*member) + id_bytes + 1 + (info ? info_bytes + 1 : 0));
    member->id = (char *)(member + 1);
    member->id_bytes = (uint32_t)id_bytes;
    memcpy(member->id, id, id_bytes);
    if (info) {
        member->info = member->id + id_bytes + 1;
        member->info_bytes = (uint32_t)info_bytes;
        memcpy(member->info, info, info_bytes);
    }
    HASH_ADD_KEYPTR(hh, roster->members, member->id, id_bytes, member);
    return member;
}

void roster_remove(struct roster *roster, struct member *member)
{
    HASH_DELETE(hh, roster->members, member);
    free(member);
}

size_t roster_count(const struct roster *roster)
{
    return HASH_COUNT(roster->members);
}

void roster_clear(struct roster *roster)
{
    while (roster->members)
        roster_remove(roster, roster->members);
}

struct member *roster_first(const struct roster *roster)
{
    return roster->members;
}

struct member *roster_next(const struct member *member)
{
    return member->hh.next;
}
