/* sim: plays histories.
 *
 *     sim --seed N [--trace]            one, and what happened in it
 *     sim --seeds A-B [--jobs J]        many; prints the first seed that fails in each job, and how to see it
 *     sim --seeds A-B --mutate NAME --expect-failure      the same with a part taken out: one of them must fail
 *     sim --seeds A-B --replay          each twice: both must be the same, message by message
 *     --faults a,b,…                    only faults of these kinds
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHECK_MS = 100,
    FETCH_MS = 700,
    BOUND_MS =
        LEASE_MS + 3 * HEARTBEAT_MS + 2000, /* L + 2 H, finding the server again, one H for the answers */
    MOVE_BOUND_MS = 3 * LEASE_MS + 4 * HEARTBEAT_MS, /* nobody stands by it for 2 L, then removals wait */
    OUTBOX_MS = 3000 + 2 * HEARTBEAT_MS,             /* departures wait 3 s */
    SCRUB_BOUND_MS = SCRUB_MS * 2, /* found by the scrub, then held back until a lease has passed */
};

static void start_servers(struct sim *sim)
{
    bool apart = sim_chance(sim, 50);
    for (unsigned s = 0; s < SERVERS; s++) {
        struct server *server = &sim->servers[s];
        *server =
            (struct server){.sim = sim, .number = s, .shard = s / 2, .alive = true, .lost_us = NEVER_US};
        server->redis = fake_redis_new(sim_draw(sim, 0));
        fake_redis_watch(server->redis, watch_publish, server);
        server->command = fake_connect(server->redis, NULL, NULL);
        server->clock_offset_us = apart && s < 2 * sim->shards_used ? sim_between(sim, -3000000, 3000000) : 0;
        server_set_clock(sim, server);
    }
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        sim->masters[shard] = &sim->servers[2 * shard];
        struct copy *copy = copy_take(sim->masters[shard]);
        fake_redis_follow(sim->servers[2 * shard + 1].redis, copy->data);
        copy_free(copy);
    }
}

static void on_check(struct sim *sim, struct event *event)
{
    (void)event;
    clients_look(sim);
    layout_look(sim);
    for (unsigned s = 0; s < SERVERS; s++) {
        if (!sim->servers[s].alive || sim->servers[s].stalled_until_us > sim->now_us)
            continue;
        watch_keys(sim, &sim->servers[s], "");
    }
    sim_later(sim, sim->now_us + CHECK_MS * 1000, on_check);
}

static void on_fetch(struct sim *sim, struct event *event)
{
    (void)event;
    outbox_fetch(sim);
    sim_later(sim, sim->now_us + FETCH_MS * 1000, on_fetch);
}

static void run_for(struct sim *sim, int64_t ms)
{
    sim_run_until(sim, sim->now_us + ms * 1000);
}

static bool is_anything_wrong(const struct sim *sim)
{
    bool wrong = sim->faults_active || sim->now_us < sim->latency_until_us;
    for (unsigned s = 0; s < SERVERS; s++)
        wrong = wrong || sim->now_us < sim->servers[s].stalled_until_us;
    for (unsigned e = 0; e < EDGES; e++) {
        const struct edge *edge = &sim->edges[e];
        wrong = wrong || sim->now_us < edge->paused_until_us;
        for (unsigned shard = 0; shard < SHARDS; shard++)
            wrong = wrong || sim->now_us < edge->links[shard].cut_until_us ||
                    sim->now_us < edge->links[shard].route_until_us;
    }
    return wrong;
}

/* A lost message is found at the channel's next change, or by the scrub. */
static void find_lost_messages(struct sim *sim)
{
    if (sim_chance(sim, 50) || !clients_can_touch(sim)) {
        run_for(sim, SCRUB_BOUND_MS);
        return;
    }
    clients_touch(sim, true);
    run_for(sim, HEARTBEAT_MS);
    clients_touch(sim, false);
    run_for(sim, 3 * HEARTBEAT_MS); /* so long until the connections are told */
}

static void settle(struct sim *sim)
{
    faults_stop(sim);
    while (is_anything_wrong(sim) && !sim->failure[0])
        run_for(sim, 50);
    sim->quiet_all = true;
    sim_trace(sim, "--- the faults have stopped, and the clients are quiet");
    run_for(sim, BOUND_MS);
    if (sim->fault_kinds & 1u << FAULT_LAYOUT)
        run_for(sim, MOVE_BOUND_MS);
    if (sim->fault_kinds & (1u << FAULT_JUNK | 1u << FAULT_DELETE))
        run_for(sim, SCRUB_BOUND_MS);
    else if (sim->fault_kinds & 1u << FAULT_DROP)
        find_lost_messages(sim);
    settle_check(sim);
    layout_settle_check(sim);
    query_check(sim);
    if (!sim->fault_kinds)
        settle_check_events(sim);
    run_for(sim, OUTBOX_MS);
    outbox_fetch(sim);
    outbox_check(sim);
}

static bool has_fault(const struct sim *sim, enum fault_kind kind)
{
    return sim->fault_kinds & 1u << kind;
}

/* Where it is not known what a shard has, or for how long what was junk takes effect, there is no bound but the largest. */
static void play_one_more(struct sim *sim)
{
    if (has_fault(sim, FAULT_LAYOUT) || has_fault(sim, FAULT_JUNK) || has_fault(sim, FAULT_DELETE) ||
        sim_chance(sim, 60))
        return;
    probe(sim);
    while (is_anything_wrong(sim) && !sim->failure[0])
        run_for(sim, 50);
    run_for(sim, HEARTBEAT_MS);
}

static void finish(struct sim *sim)
{
    bool leaves_garbage =
        has_fault(sim, FAULT_LAYOUT) || has_fault(sim, FAULT_JUNK) || has_fault(sim, FAULT_DELETE);
    sim_trace(sim, "--- everybody leaves");
    clients_close_all(sim);
    run_for(sim, BOUND_MS);
    settle_check(sim);
    query_check(sim);
    if (sim->failure[0] || !sim_chance(sim, leaves_garbage ? 15 : 3))
        return;
    sim_trace(sim, "--- and nobody comes for so long that nothing is left");
    run_for(sim, DATA_TTL_MS + SCRUB_BOUND_MS);
    if (has_fault(sim, FAULT_CLOCK))
        run_for(sim, DATA_TTL_MS); /* a clock that went back makes what expires by it last */
    settle_check_garbage(sim);
}

static void clean_up(struct sim *sim)
{
    for (unsigned e = 0; e < EDGES; e++)
        edge_crash(&sim->edges[e]);
    sim_drop_events(sim);
    for (unsigned s = 0; s < SERVERS; s++) {
        copy_free(sim->servers[s].saved);
        fake_redis_free(sim->servers[s].redis);
    }
    for (unsigned i = 0; i < sim->publish_count; i++)
        frame_unref(sim->publishes[i].frame);
}

static void start(struct sim *sim, uint64_t seed, const struct sim_options *options)
{
    sim->seed = seed;
    sim->random = seed * 0x2545f4914f6cdd1du + 1;
    sim->options = *options;
    sim->excuses = (struct excuses){.rollback_us = NEVER_US, .lost_message_us = NEVER_US};
    sim->crash_us = NEVER_US;
    faults_draw(sim);
    layout_start(sim);
    start_servers(sim);
    for (unsigned e = 0; e < EDGES; e++) {
        sim->edges[e] = (struct edge){.sim = sim, .number = e, .list = sim->list};
        edge_start(&sim->edges[e]);
    }
    faults_start(sim);
    clients_start(sim);
    sim_later(sim, 0, on_check);
    sim_later(sim, 0, on_fetch);
}

bool sim_play(uint64_t seed, const struct sim_options *options, struct sim_result *result)
{
    struct sim *sim = fake_alloc(sizeof(*sim));
    start(sim, seed, options);
    run_for(sim, TURBULENCE_MS);
    if (!sim->failure[0])
        settle(sim);
    if (!sim->failure[0])
        play_one_more(sim);
    if (!sim->failure[0])
        finish(sim);
    *result = (struct sim_result){
        .steps = sim->steps, .scripts = sim->scripts_run, .digest = sim->digest, .faults = sim->fault_kinds};
    memcpy(result->failure, sim->failure, sizeof(result->failure));
    clean_up(sim);
    free(sim);
    return !result->failure[0];
}

/* The command line. */

struct command_line {
    uint64_t first, last;
    unsigned jobs;
    bool expect_failure, go_on;
    struct sim_options options;
};

static void usage(void)
{
    fprintf(stderr,
        "usage: sim [--seed N | --seeds A-B] [--jobs J] [--trace] [--all] [--replay] [--faults a,b,…]\n"
        "           [--mutate NAME [--expect-failure]]\nfaults:");
    for (int k = 0; k < FAULT_KINDS; k++)
        fprintf(stderr, " %s", fault_names[k]);
    fprintf(stderr, "\nmutations:");
    for (unsigned i = 0; mutation_names(i); i++)
        fprintf(stderr, " %s", mutation_names(i));
    fprintf(stderr, "\n");
    exit(2);
}

static uint32_t parse_faults(char *list)
{
    uint32_t mask = 0;
    for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
        uint32_t found = 0;
        for (int k = 0; k < FAULT_KINDS; k++)
            found |= !strcmp(word, fault_names[k]) ? 1u << k : 0;
        if (!found && strcmp(word, "none"))
            usage();
        mask |= found;
    }
    return mask;
}

static bool parse_value(struct command_line *line, const char *name, char *value)
{
    if (!strcmp(name, "--seed"))
        line->first = line->last = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--seeds"))
        return sscanf(value, "%" SCNu64 "-%" SCNu64, &line->first, &line->last) == 2;
    else if (!strcmp(name, "--jobs"))
        line->jobs = (unsigned)atoi(value);
    else if (!strcmp(name, "--mutate"))
        line->options.mutation = value;
    else if (!strcmp(name, "--faults"))
        line->options.faults = parse_faults(value);
    else
        return false;
    return true;
}

static struct command_line parse(int argc, char **argv)
{
    struct command_line line = {
        .first = 1, .last = 100, .jobs = 1, .options.faults = (1u << FAULT_KINDS) - 1};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--trace"))
            line.options.trace = true;
        else if (!strcmp(argv[i], "--expect-failure"))
            line.expect_failure = true;
        else if (!strcmp(argv[i], "--replay"))
            line.options.digest = true;
        else if (!strcmp(argv[i], "--all"))
            line.go_on = true;
        else if (i + 1 >= argc || !parse_value(&line, argv[i], argv[i + 1]))
            usage();
        else
            i++;
    }
    if (!line.jobs || line.last < line.first || (line.expect_failure && !line.options.mutation))
        usage();
    return line;
}

static void report(const struct command_line *line, uint64_t seed, const struct sim_result *result)
{
    printf("seed %" PRIu64 " failed %s\n  faults:", seed, result->failure);
    for (int k = 0; k < FAULT_KINDS; k++) {
        if (result->faults & (1u << k))
            printf(" %s", fault_names[k]);
    }
    printf("\n  see it with: sim --seed %" PRIu64 "%s%s --trace\n", seed,
        line->options.mutation ? " --mutate " : "", line->options.mutation ? line->options.mutation : "");
    fflush(stdout);
}

/* Every jobs-th seed. Returns how many failed; stops at the first unless told to go on. */
static unsigned play_share(const struct command_line *line, unsigned job)
{
    unsigned failures = 0;
    for (uint64_t seed = line->first + job; seed <= line->last; seed += line->jobs) {
        struct sim_result result, again;
        bool holds = sim_play(seed, &line->options, &result);
        if (holds && line->options.digest && sim_play(seed, &line->options, &again) &&
            again.digest != result.digest) {
            snprintf(result.failure, sizeof(result.failure), "to be the same when it was played again");
            holds = false;
        }
        if (holds)
            continue;
        report(line, seed, &result);
        failures++;
        if (!line->go_on)
            break;
    }
    return failures;
}

static bool play_all(const struct command_line *line)
{
    for (unsigned job = 1; job < line->jobs; job++) {
        pid_t child = fork();
        if (child == 0)
            exit(play_share(line, job) ? 1 : 0);
        if (child < 0)
            exit(2);
    }
    bool failed = play_share(line, 0) > 0;
    for (unsigned job = 1; job < line->jobs; job++) {
        int status;
        wait(&status);
        failed = failed || !WIFEXITED(status) || WEXITSTATUS(status);
    }
    return failed;
}

/* One of the seeds must fail, and must hold when nothing is taken out: else something else is wrong. */
static int expect_failure(const struct command_line *line)
{
    struct sim_result result;
    uint64_t seed = line->first;
    while (seed <= line->last && sim_play(seed, &line->options, &result))
        seed++;
    if (seed > line->last) {
        printf("%s is not missed in %" PRIu64 " histories\n", line->options.mutation, seed - line->first);
        return 1;
    }
    report(line, seed, &result);
    struct sim_options whole = line->options;
    whole.mutation = NULL;
    if (!scripts_prepare(NULL) || !sim_play(seed, &whole, &result)) {
        printf("with nothing taken out it fails as well: %s\n", result.failure);
        return 1;
    }
    printf("without %s, history %" PRIu64 " of %" PRIu64 " fails; with it, it holds\n",
        line->options.mutation, seed - line->first + 1, line->last - line->first + 1);
    return 0;
}

int main(int argc, char **argv)
{
    struct command_line line = parse(argc, argv);
    if (!scripts_prepare(line.options.mutation))
        return 2;
    if (line.expect_failure)
        return expect_failure(&line);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    bool failed = play_all(&line);
    clock_gettime(CLOCK_MONOTONIC, &after);
    double seconds = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    printf("%" PRIu64 " seeds in %.1f s%s: %s\n", line.last - line.first + 1, seconds,
        line.options.mutation ? ", mutated" : "", failed ? "failed" : "all hold");
    return failed ? 1 : 0;
}
