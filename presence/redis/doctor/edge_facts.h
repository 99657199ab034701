/* What edges say that they hold (GET /facts at their admin listeners), for `verify` to compare with Redis. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct edge_facts;

enum edge_says {
    EDGE_NOT_ASKED, /* that owner is no edge's that was asked */
    EDGE_HOLDS,
    EDGE_HOLDS_NOT,
    EDGE_MOVES, /* something about it is on its way */
};

/* Which edges are asked. */
struct edges_asked {
    const char *const *where; /* "host:port" of their admin listeners */
    size_t count;
    const char *token; /* what they may want to hear; NULL or "": none */
};

/* Asks every edge once, and says on `out` who cannot be asked. Blocks, for some seconds when someone does not answer.
 * Never NULL. */
struct edge_facts *edge_facts_ask(const struct edges_asked *edges, FILE *out);

/* user: NULL for the number of subscriptions. owner: as text. */
enum edge_says edge_facts_say(const struct edge_facts *facts, unsigned partition, const char *owner,
    size_t owner_bytes, const char *channel, const char *user, size_t user_bytes);

/* Every settled fact, with the user as it stands in Redis. */
typedef void edge_fact_each(void *context, unsigned partition, const char *owner, const char *channel,
    const char *user, size_t user_bytes);
void edge_facts_each(const struct edge_facts *facts, edge_fact_each *each, void *context);

void edge_facts_free(struct edge_facts *facts);
