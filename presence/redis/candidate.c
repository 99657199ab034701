#include "presence/redis/candidate.h"

bool candidate_majority(unsigned votes, unsigned configured)
{
    return votes > configured / 2;
}

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* What Sentinels and stamps say; > 0: a is better. */
static int compare_named(const struct candidate *a, const struct candidate *b)
{
    int order = compare(a->majority, b->majority);
    if (!order)
        order = compare(a->stamped, b->stamped);
    if (!order)
        order = compare(a->epoch, b->epoch);
    return order;
}

bool candidate_beaten(const struct candidate *a, const struct candidate *b)
{
    return compare_named(a, b) < 0;
}

size_t candidate_best(const struct candidate *candidates, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        int order = compare_named(&candidates[i], &candidates[best]);
        if (!order)
            order = compare(candidates[i].timeline, candidates[best].timeline);
        if (!order)
            order = compare(candidates[i].votes, candidates[best].votes);
        if (order > 0)
            best = i;
    }
    return best;
}
