#include "presence/redis/doctor/doctor.h"

#include "presence/redis/doctor/survey.h"
#include "presence/redis/setup_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Redis bears more (half of presence.data_ttl_ms), but who is that far off is set by nobody. */
enum { CLOCK_OFF_US = 10000000 };

struct report {
    FILE *out;
    const struct store_redis_options *options;
    unsigned wrong;
};

static void wrong(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct report *report, const char *format, ...)
{
    va_list list;
    fputs("  WRONG  ", report->out);
    va_start(list, format);
    vfprintf(report->out, format, list);
    va_end(list);
    fputc('\n', report->out);
    report->wrong++;
}

static void on_setup(void *context, const char *text)
{
    wrong(context, "%s", text);
}

/* ---- who says what ---- */

static void print_sentinel(struct report *report, const struct survey_sentinel *sentinel)
{
    const struct sentinel_answer *answer = sentinel_peer_answer(sentinel->peer);
    char whom[REDIS_ADDRESS_TEXT];
    fprintf(report->out, "  Sentinel %s ", sentinel->where);
    if (answer->problem[0])
        fprintf(report->out, "%s\n", answer->problem);
    else
        fprintf(report->out, "names %s, at config epoch %" PRIu64 "%s%s\n",
            redis_address_print(&answer->master, whom), answer->epoch,
            strcmp(answer->flags, "master") != 0 ? ", flags " : "",
            strcmp(answer->flags, "master") != 0 ? answer->flags : "");
}

/* What is empty is stamped only with the majority behind it. */
static bool may_be_used(const struct survey_shard *shard)
{
    return probe_result(shard->master->probe)->stamped || !shard->sentinel_count ||
           shard->master->candidate.majority;
}

static void print_instance(
    struct report *report, const struct survey_shard *shard, const struct survey_instance *instance)
{
    const struct probe_result *result = probe_result(instance->probe);
    fprintf(report->out, "  %s ", instance->where);
    if (result->verdict != PROBE_MASTER) {
        fprintf(report->out, "%s\n", result->why);
        return;
    }
    fprintf(report->out,
        result->stamped ? "proves to be a master of this shard, timeline %" PRIu64
                        : "is a master, takes the password, and is not stamped yet",
        result->timeline);
    if (shard->sentinel_count)
        fprintf(
            report->out, ", named by %u of %u Sentinels", instance->candidate.votes, shard->sentinel_count);
    fprintf(report->out, instance == shard->master && may_be_used(shard) ? "; edges use it\n" : "\n");
}

/* ---- what is wrong ---- */

static const struct survey_instance *find(
    const struct survey_shard *shard, const struct redis_address *address)
{
    for (unsigned i = 0; i < shard->instance_count; i++) {
        if (redis_address_equal(&shard->instances[i].address, address))
            return &shard->instances[i];
    }
    return NULL;
}

static void advise_monitor(struct report *report, const struct survey_shard *shard, const char *where)
{
    const struct survey_instance *master = shard->master;
    if (!master)
        return;
    fprintf(report->out,
        "         Do: on %s: SENTINEL REMOVE %s; SENTINEL MONITOR %s %s %u %u; then SENTINEL SET with "
        "auth-user, "
        "auth-pass, down-after-milliseconds as in its file.\n",
        where, shard->of->sentinel.master, shard->of->sentinel.master, master->address.host,
        (unsigned)master->address.port, shard->sentinel_count / 2 + 1);
}

static void judge_sentinel(
    struct report *report, const struct survey_shard *shard, const struct survey_sentinel *sentinel)
{
    const struct sentinel_answer *answer = sentinel_peer_answer(sentinel->peer);
    const char *name = shard->of->name;
    char whom[REDIS_ADDRESS_TEXT];
    if (answer->problem[0]) {
        wrong(report, "shard %s: Sentinel %s %s", name, sentinel->where, answer->problem);
        if (!strncmp(answer->problem, "does not know", 13))
            advise_monitor(report, shard, sentinel->where);
        return;
    }
    const struct survey_instance *named = find(shard, &answer->master);
    const struct probe_result *result = named ? probe_result(named->probe) : NULL;
    if (result && result->verdict != PROBE_MASTER) {
        wrong(report, "shard %s: Sentinel %s names %s as its master, but that %s", name, sentinel->where,
            redis_address_print(&answer->master, whom), result->why);
        advise_monitor(report, shard, sentinel->where);
    } else if (named && shard->master && named != shard->master) {
        wrong(report, "shard %s: Sentinel %s names %s; edges use %s", name, sentinel->where, named->where,
            shard->master->where);
        advise_monitor(report, shard, sentinel->where);
    }
    setup_check_down_after(
        name, sentinel->where, answer->down_after_ms, report->options->heartbeat_ms, on_setup, report);
    if (answer->quorum && !candidate_majority(answer->quorum, shard->sentinel_count) &&
        shard->sentinel_count > 1)
        wrong(report,
            "shard %s: Sentinel %s has quorum %u: fewer than a majority can then begin a failover. Say %u.",
            name, sentinel->where, answer->quorum, shard->sentinel_count / 2 + 1);
}

static void judge_masters(struct report *report, const struct survey_shard *shard)
{
    unsigned proven = 0;
    for (unsigned i = 0; i < shard->instance_count; i++)
        proven += probe_result(shard->instances[i].probe)->stamped;
    const char *name = shard->of->name;
    if (!shard->master) {
        wrong(report,
            "shard %s: nobody proves to be its master; its rosters are frozen. Start an instance, or make "
            "one a "
            "master: REPLICAOF NO ONE.",
            name);
        return;
    }
    if (proven > 1)
        wrong(report,
            "shard %s: %u instances say that they are its master. Edges use %s. Do: on each other one: "
            "REPLICAOF %s "
            "%u.",
            name, proven, shard->master->where, shard->master->address.host,
            (unsigned)shard->master->address.port);
    if (!may_be_used(shard))
        wrong(report,
            "shard %s: %s is empty, and %u of %u Sentinels name it: without a majority no edge writes there.",
            name, shard->master->where, shard->master->candidate.votes, shard->sentinel_count);
    else if (shard->sentinel_count && !shard->master->candidate.majority)
        wrong(report,
            "shard %s: no majority of the Sentinels names %s (%u of %u do): it is used, but members of dead "
            "edges "
            "stay and webhooks wait.",
            name, shard->master->where, shard->master->candidate.votes, shard->sentinel_count);
}

static void judge_clock(
    struct report *report, const struct survey_shard *shard, const struct survey_instance *instance)
{
    int64_t apart_us = llabs(instance->clock_us), bearable_us = (int64_t)report->options->data_ttl_ms * 500;
    if (apart_us > bearable_us)
        wrong(report,
            "shard %s: the clock of %s is %" PRId64
            " s off this machine's: more than half of presence.data_ttl_ms",
            shard->of->name, instance->where, apart_us / 1000000);
    else if (apart_us > CLOCK_OFF_US)
        wrong(report,
            "shard %s: the clock of %s is %" PRId64 " s off this machine's. Up to %" PRId64
            " s do no harm (half of presence.data_ttl_ms), but let NTP set it.",
            shard->of->name, instance->where, apart_us / 1000000, bearable_us / 1000000);
}

static void judge_instance(
    struct report *report, const struct survey_shard *shard, const struct survey_instance *instance)
{
    const struct probe_result *result = probe_result(instance->probe);
    /* Who is said to be the master was judged with those who say so. */
    if (result->verdict == PROBE_FOREIGN || (result->verdict == PROBE_REFUSES && !instance->candidate.votes))
        wrong(report, "shard %s: %s %s", shard->of->name, instance->where, result->why);
    else if (result->verdict == PROBE_UNREACHABLE)
        wrong(report, "shard %s: %s %s", shard->of->name, instance->where, result->why);
    if (result->verdict == PROBE_REPLICA && shard->master &&
        !redis_address_equal(&result->master, &shard->master->address))
        wrong(report, "shard %s: %s follows another than %s. Do: on it: REPLICAOF %s %u", shard->of->name,
            instance->where, shard->master->where, shard->master->address.host,
            (unsigned)shard->master->address.port);
    judge_clock(report, shard, instance);
    if (instance->info)
        setup_check_instance(
            instance->info, shard->of->name, instance->where, shard->sentinel_count > 0, on_setup, report);
}

static void judge_replicas(struct report *report, const struct survey_shard *shard)
{
    char replicas[16], link[16];
    if (!shard->sentinel_count || !shard->master || !shard->master->info)
        return;
    if (setup_info_field(shard->master->info, "connected_slaves", replicas, sizeof replicas) &&
        !strcmp(replicas, "0"))
        wrong(report, "shard %s: %s has no replica: nobody can take its place", shard->of->name,
            shard->master->where);
    for (unsigned i = 0; i < shard->instance_count; i++) {
        const struct survey_instance *instance = &shard->instances[i];
        if (instance->info && setup_info_field(instance->info, "master_link_status", link, sizeof link) &&
            strcmp(link, "up") != 0)
            wrong(report, "shard %s: %s is a replica whose link to its master is %s", shard->of->name,
                instance->where, link);
    }
}

static void examine_shard(struct report *report, const struct survey_shard *shard)
{
    fprintf(report->out, "shard %s%s%s\n", shard->of->name,
        shard->sentinel_count ? ", under Sentinel as " : ", at a fixed address",
        shard->sentinel_count ? shard->of->sentinel.master : "");
    for (unsigned i = 0; i < shard->sentinel_count; i++)
        print_sentinel(report, &shard->sentinels[i]);
    for (unsigned i = 0; i < shard->instance_count; i++)
        print_instance(report, shard, &shard->instances[i]);
    for (unsigned i = 0; i < shard->sentinel_count; i++)
        judge_sentinel(report, shard, &shard->sentinels[i]);
    judge_masters(report, shard);
    for (unsigned i = 0; i < shard->instance_count; i++)
        judge_instance(report, shard, &shard->instances[i]);
    judge_replicas(report, shard);
    fputc('\n', report->out);
}

unsigned doctor_examine(const struct store_redis_options *options, FILE *out)
{
    struct report report = {.out = out, .options = options};
    struct survey *survey = survey_make(options);
    fprintf(
        out, "cluster %s, keys %s:…, %u shards\n\n", options->cluster, options->prefix, options->shard_count);
    for (unsigned i = 0; i < options->shard_count; i++)
        examine_shard(&report, &survey->shards[i]);
    setup_check_shards(options->shards, options->shard_count, on_setup, &report);
    if (report.wrong)
        fprintf(out, "%u thing%s wrong\n", report.wrong, report.wrong == 1 ? " is" : "s are");
    else
        fputs("nothing is wrong\n", out);
    survey_free(survey);
    return report.wrong;
}
