/* One fault more when all is quiet, alone: presence.md gives some of them a bound of their own, which is shorter than what
 * several at once may take. */
#include "tests/sim/sim.h"

enum {
    LITTLE_MS = 300, /* some round trips, and a tick */
    /* A connection that is gone without a word is known by a command without an answer. */
    FOUND_MS = HEARTBEAT_MS + COMMAND_MS,
    HAPPENS_MS = 12000,
};

/* What clients see when the bound is over. */
enum seen { SEEN_ALL, SEEN_WHO_IS_THERE /* removals wait longer */ };

struct bounded {
    enum fault_kind kind;
    int64_t bound_ms; /* from when it happens, or is over, until Redis and the API are right */
    enum seen seen;
};

static const struct bounded bounds[] = {
    {FAULT_CRASH, LEASE_MS + 2 * HEARTBEAT_MS, SEEN_ALL},
    {FAULT_FLUSH, HEARTBEAT_MS, SEEN_ALL},
    {FAULT_RESTART_EMPTY, FOUND_MS, SEEN_ALL},
    {FAULT_RESTART_OLD, FOUND_MS, SEEN_WHO_IS_THERE},
    {FAULT_ROLLBACK, HEARTBEAT_MS, SEEN_WHO_IS_THERE},
    {FAULT_FAILOVER, FOUND_MS, SEEN_WHO_IS_THERE},
    {FAULT_SCRIPT_FLUSH, HEARTBEAT_MS, SEEN_ALL},
    {FAULT_CLOSE_BUS, HEARTBEAT_MS, SEEN_ALL},
};
enum { BOUNDS = sizeof(bounds) / sizeof(*bounds) };

static void run_for(struct sim *sim, int64_t ms)
{
    sim_run_until(sim, sim->now_us + ms * 1000);
}

/* Some happen later than they are begun: data are lost when the server is back. */
static bool wait_for_it(struct sim *sim, const struct bounded *fault, unsigned losses)
{
    bool loses_data = fault->kind == FAULT_FLUSH || fault->kind == FAULT_RESTART_EMPTY ||
                      fault->kind == FAULT_RESTART_OLD || fault->kind == FAULT_ROLLBACK ||
                      fault->kind == FAULT_FAILOVER;
    int64_t until_us = sim->now_us + HAPPENS_MS * 1000;
    while (loses_data && sim->loss_count == losses && sim->now_us < until_us && !sim->failure[0])
        run_for(sim, 1);
    return !loses_data || sim->loss_count > losses;
}

static void play(struct sim *sim, const struct bounded *fault)
{
    unsigned losses = sim->loss_count;
    bool touched = fault->seen == SEEN_WHO_IS_THERE && clients_can_touch(sim);
    sim_trace(sim, "--- once more, alone: %s", fault_names[fault->kind]);
    fault_play(sim, fault->kind);
    if (touched)
        clients_touch(sim, true); /* so that there is something to lose */
    if (!wait_for_it(sim, fault, losses))
        return;
    run_for(sim, fault->bound_ms + LITTLE_MS);
    sim_trace(sim, "--- and its bound is over");
    settle_check_facts(sim);
    settle_check_views(sim, fault->seen == SEEN_ALL);
    query_check(sim);
}

/* Of one that is paused for less than a lease nobody can see anything. */
static void play_pause(struct sim *sim)
{
    struct edge *edge = &sim->edges[sim_draw(sim, EDGES)];
    sim_trace(sim, "--- once more, alone: pause, of edge %u", edge->number);
    edge->paused_until_us = sim->now_us + (LEASE_MS - 1) * 1000;
    while (sim->now_us < edge->paused_until_us + LITTLE_MS * 1000 && !sim->failure[0]) {
        run_for(sim, 20);
        settle_check_facts(sim);
        settle_check_views(sim, true);
    }
}

void probe(struct sim *sim)
{
    const struct bounded *allowed[BOUNDS];
    unsigned count = 0;
    for (unsigned i = 0; i < BOUNDS; i++) {
        if (sim->options.faults & 1u << bounds[i].kind)
            allowed[count++] = &bounds[i];
    }
    unsigned one = (unsigned)sim_draw(sim, count + 1);
    if (one < count)
        play(sim, allowed[one]);
    else if (sim->options.faults & 1u << FAULT_PAUSE)
        play_pause(sim);
}
