#include "presence/redis/probe.h"

#include "presence/base/new.h"
#include "presence/redis/questioner.h"

#include <stdlib.h>
#include <string.h>

enum { ROLE, STAMP };

struct probe {
    uv_loop_t *loop;
    struct questioner *questioner;
    const char *cluster, *shard;
    void (*finished)(void *context);
    void *context;
    struct probe_result next, result; /* being made; of the last look */
};

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

static bool begins(const char *text, const char *word)
{
    return !strncmp(text, word, strlen(word));
}

static void take_error(struct probe_result *next, const char *error)
{
    bool denied = begins(error, "NOAUTH") || begins(error, "NOPERM") || begins(error, "WRONGPASS") ||
                  begins(error, "ERR AUTH") || begins(error, "ERR invalid password");
    next->verdict = denied ? PROBE_REFUSES : PROBE_UNREACHABLE;
    snprintf(next->why, sizeof next->why,
        denied ? "does not accept this shard's user and password (%.120s)" : "says \"%.120s\"", error);
}

static void take_role(struct probe_result *next, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || !reply->elements || !is_text(reply->element[0])) {
        next->verdict = PROBE_UNREACHABLE;
        snprintf(next->why, sizeof next->why, "does not answer ROLE as Redis does");
    } else if (!strcmp(reply->element[0]->str, "master")) {
        next->verdict = PROBE_MASTER;
    } else if (!strcmp(reply->element[0]->str, "slave") && reply->elements >= 3 &&
               is_text(reply->element[1]) && reply->element[2]->type == REDIS_REPLY_INTEGER) {
        char text[REDIS_ADDRESS_TEXT];
        next->verdict = PROBE_REPLICA;
        snprintf(next->master.host, sizeof next->master.host, "%.255s", reply->element[1]->str);
        next->master.port = (uint16_t)reply->element[2]->integer;
        snprintf(
            next->why, sizeof next->why, "is a replica of %.255s", redis_address_print(&next->master, text));
    } else {
        next->verdict = PROBE_REFUSES;
        snprintf(next->why, sizeof next->why, "is neither master nor replica (ROLE: %.40s)",
            reply->element[0]->str);
    }
}

/* cluster, shard, timeline. Damaged or missing: hello decides. */
static void take_stamp(struct probe *probe, const redisReply *reply)
{
    struct probe_result *next = &probe->next;
    if (next->verdict != PROBE_MASTER || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return;
    const redisReply *cluster = reply->element[0], *shard = reply->element[1], *timeline = reply->element[2];
    if (!is_text(cluster) || !is_text(shard))
        return;
    if (strcmp(cluster->str, probe->cluster) != 0 || strcmp(shard->str, probe->shard) != 0) {
        next->verdict = PROBE_FOREIGN;
        snprintf(next->why, sizeof next->why, "is stamped as shard %.64s of cluster %.64s", shard->str,
            cluster->str);
    } else if (is_text(timeline)) {
        next->stamped = true;
        next->timeline = strtoull(timeline->str, NULL, 10);
    }
}

static void on_replied(void *context, unsigned question, const redisReply *reply)
{
    struct probe *probe = context;
    bool is_decided = question > ROLE && probe->next.verdict != PROBE_MASTER;
    if (is_decided)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        /* Junk in the stamp's key: hello puts that right. */
        if (!begins(reply->str, "WRONGTYPE"))
            take_error(&probe->next, reply->str);
    } else if (question == ROLE) {
        take_role(&probe->next, reply);
    } else {
        take_stamp(probe, reply);
    }
}

static void on_finished(void *context, enum asked asked, const char *why)
{
    struct probe *probe = context;
    if (asked == ASKED_REFUSED) {
        take_error(&probe->next, why);
    } else if (asked == ASKED_LOST) {
        probe->next.verdict = PROBE_UNREACHABLE;
        snprintf(probe->next.why, sizeof probe->next.why, "cannot be reached (%.120s)", why);
    }
    probe->next.asked_ms = questioner_asked_ms(probe->questioner);
    probe->result = probe->next;
    probe->finished(probe->context);
}

struct probe *probe_new(uv_loop_t *loop, const struct redis_address *address,
    const struct probe_options *options, void (*finished)(void *context), void *context)
{
    static const struct questioner_events events = {on_replied, on_finished};
    struct probe *probe = new_zeroed(sizeof *probe);
    probe->loop = loop;
    probe->cluster = options->cluster;
    probe->shard = options->shard;
    probe->finished = finished;
    probe->context = context;
    struct questioner_options asks = {
        .username = options->username,
        .password = options->password,
        .tls = options->tls,
        .answer_ms = options->answer_ms,
        .questions = {{{"ROLE"}}, {{"HMGET", options->stamp_key, "c", "n", "t"}}},
        .count = 2,
    };
    probe->questioner = questioner_new(loop, address, &asks, &events, probe);
    return probe;
}

void probe_look(struct probe *probe)
{
    if (questioner_is_asking(probe->questioner))
        return;
    probe->next = (struct probe_result){0};
    questioner_ask(probe->questioner);
}

bool probe_is_looking(const struct probe *probe)
{
    return questioner_is_asking(probe->questioner);
}

const struct probe_result *probe_result(const struct probe *probe)
{
    return &probe->result;
}

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    questioner_free(probe->questioner);
    free(probe);
}
