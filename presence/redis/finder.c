#include "presence/redis/finder.h"

#include "presence/base/new.h"

#include <stdlib.h>

struct fixed {
    struct master_finder finder;
    struct redis_address address;
};

static void find(struct master_finder *finder,
    void (*found)(void *context, const struct redis_address *address), void *context)
{
    found(context, &((struct fixed *)finder)->address);
}

static uint64_t reject(struct master_finder *finder, const struct redis_address *address, uint64_t for_ms)
{
    (void)finder; /* there is no other */
    (void)address;
    return for_ms;
}

static bool confirmed(struct master_finder *finder)
{
    (void)finder;
    return true;
}

static void free_fixed(struct master_finder *finder)
{
    free(finder);
}

struct master_finder *master_finder_fixed_new(const struct redis_address *address)
{
    static const struct master_finder_operations operations = {find, reject, confirmed, free_fixed};
    struct fixed *fixed = new_zeroed(sizeof *fixed);
    fixed->finder.operations = &operations;
    fixed->address = *address;
    return &fixed->finder;
}
