/* The questions of the HTTP API: in the end every edge answers them as it is, and says that it knows. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

struct question {
    struct store_query query;
    struct sim *sim;
    unsigned edge, channel;
    unsigned answers;
    uint32_t mask; /* members, or occupied channels */
};

static unsigned users_of(uint32_t mask)
{
    return (unsigned)__builtin_popcount(mask);
}

static struct question *question_of(struct store_query *query)
{
    return (struct question *)((char *)query - offsetof(struct question, query));
}

static void on_member(struct store_query *query, const struct member *member)
{
    int user = user_of(member->id, member->id_bytes);
    if (user >= 0)
        question_of(query)->mask |= 1u << user;
}

/* Of what nobody owns there may be more than there should, until its TTL. */
static bool may_have_more(const struct sim *sim, unsigned channel)
{
    const struct edge *edge = &sim->edges[0];
    for (unsigned e = 0; e < EDGES && !edge->engine; e++)
        edge = &sim->edges[e];
    return !sim_truth_count(sim, channel) &&
           junk_has_hit_partition(sim, engine_partition_of(edge->engine, "app", channel_names[channel]));
}

static void check_state(
    const struct question *question, unsigned channel, const struct store_channel_state *state)
{
    struct sim *sim = question->sim;
    if (may_have_more(sim, channel))
        return;
    uint64_t subscriptions = sim_truth_count(sim, channel);
    uint64_t users = channel < ROSTERS ? users_of(sim_truth(sim, channel)) : 0;
    if (state->occupied != (subscriptions > 0) || state->subscription_count != subscriptions ||
        state->user_count != users)
        sim_fail(sim,
            "edge %u says of %s: occupied %d, %" PRIu64 " subscriptions, %" PRIu64 " users; it has %" PRIu64
            " and %" PRIu64,
            question->edge, channel_names[channel], state->occupied, state->subscription_count,
            state->user_count, subscriptions, users);
}

static void on_channel(struct store_query *query, const char *name, const struct store_channel_state *state)
{
    struct question *question = question_of(query);
    int channel = channel_of(name);
    if (channel < 0)
        return;
    question->mask |= 1u << channel;
    check_state(question, (unsigned)channel, state);
}

static void on_answered(struct store_query *query, enum store_result result)
{
    struct question *question = question_of(query);
    question->answers++;
    if (result != STORE_OK || query->stale_s != STORE_FRESH)
        sim_fail(question->sim, "edge %u answers a question with result %d, stale for %d s", question->edge,
            result, query->stale_s);
}

static void ask(struct question *question, struct edge *edge, const char *channel, unsigned number)
{
    *question = (struct question){.sim = edge->sim, .edge = edge->number, .channel = number};
    question->query = (struct store_query){.app_id = "app", .channel = channel, .done = on_answered};
}

enum { QUESTIONS = 1 + 2 * CHANNELS }; /* all channels; each channel's state, and its members */

static void ask_everything(struct edge *edge, struct question questions[QUESTIONS])
{
    struct store *store = engine_store(edge->engine);
    ask(&questions[0], edge, "", CHANNELS);
    questions[0].query.each_channel = on_channel;
    store_query_channels(store, &questions[0].query);
    for (unsigned c = 0; c < CHANNELS; c++) {
        struct question *state = &questions[1 + c], *members = &questions[1 + CHANNELS + c];
        ask(state, edge, channel_names[c], c);
        state->query.each_channel = on_channel;
        store_query_channel(store, &state->query);
        ask(members, edge, channel_names[c], c);
        members->query.each_member = on_member;
        store_query_members(store, &members->query);
    }
}

static void compare(struct sim *sim, const struct question questions[QUESTIONS])
{
    uint32_t occupied = 0, perhaps = 0;
    for (unsigned c = 0; c < CHANNELS; c++) {
        occupied |= sim_truth_count(sim, c) ? 1u << c : 0;
        perhaps |= may_have_more(sim, c) ? 1u << c : 0;
    }
    for (unsigned i = 0; i < QUESTIONS; i++) {
        if (questions[i].answers != 1)
            sim_fail(
                sim, "edge %u has answered a question %u times", questions[i].edge, questions[i].answers);
    }
    if ((questions[0].mask & ~perhaps) != occupied)
        sim_fail(sim, "edge %u lists the channels %02x; they are %02x", questions[0].edge, questions[0].mask,
            occupied);
    for (unsigned c = 0; c < ROSTERS; c++) {
        const struct question *members = &questions[1 + CHANNELS + c];
        if (!may_have_more(sim, c) && members->mask != sim_truth(sim, c))
            sim_fail(sim, "edge %u lists the members %02x of %s; they are %02x", members->edge, members->mask,
                channel_names[c], sim_truth(sim, c));
    }
}

void query_check(struct sim *sim)
{
    static struct question questions[EDGES][QUESTIONS];
    unsigned boots[EDGES] = {0};
    if (sim->failure[0])
        return; /* it ended there: an edge may be down */
    for (unsigned e = 0; e < EDGES; e++) {
        const struct edge *edge = &sim->edges[e];
        bool is_young =
            edge->well_since_us > sim->now_us - 2 * HEARTBEAT_MS * 1000; /* it may have just begun to run */
        boots[e] = edge_is_running(edge) && !is_young ? edge->boot : 0;
        if (boots[e])
            ask_everything(&sim->edges[e], questions[e]);
    }
    sim_run_until(sim, sim->now_us + COMMAND_MS * 1000);
    for (unsigned e = 0; e < EDGES && !sim->failure[0]; e++) {
        if (boots[e])
            compare(sim, questions[e]);
    }
}
