#include "presence/redis/sentinel_peer.h"

#include "presence/base/new.h"
#include "presence/redis/questioner.h"

#include <stdlib.h>
#include <string.h>

enum { MASTER, REPLICAS };

struct sentinel_peer {
    uv_loop_t *loop;
    struct redis_address address;
    struct sentinel_peer_options options;
    struct sentinel_peer_events events;
    void *context;
    struct questioner *questioner;
    struct redis_connection *bus; /* NULL: none; opened again with the next question */
    struct sentinel_answer answer;
    char problem[200]; /* of the answer that is coming in */
};

/* ---- answers: flat arrays of names and values ---- */

static const char *value_of(const redisReply *reply, const char *name)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *key = reply->element[i], *value = reply->element[i + 1];
        if (key->str && value->str && !strcmp(key->str, name))
            return value->str;
    }
    return NULL;
}

static bool address_of(const redisReply *reply, struct redis_address *address)
{
    const char *host = value_of(reply, "ip"), *port = value_of(reply, "port");
    unsigned long number = port ? strtoul(port, NULL, 10) : 0;
    *address = (struct redis_address){0};
    if (!host || !*host || strlen(host) >= sizeof address->host || !number || number > 65535)
        return false;
    strcpy(address->host, host);
    address->port = (uint16_t)number;
    return true;
}

static uint64_t number_of(const redisReply *reply, const char *name)
{
    const char *value = value_of(reply, name);
    return value ? strtoull(value, NULL, 10) : 0;
}

static void take_master(struct sentinel_peer *peer, const redisReply *reply)
{
    struct sentinel_answer *answer = &peer->answer;
    const char *flags = value_of(reply, "flags");
    struct redis_address master;
    answer->named = false; /* what it said before counts no more */
    if (reply->type == REDIS_REPLY_ERROR) {
        bool unknown = strstr(reply->str, "No such master") != NULL;
        snprintf(peer->problem, sizeof peer->problem,
            unknown ? "does not know the master \"%.60s\"" : "says \"%.100s\"",
            unknown ? peer->options.master : reply->str);
    } else if (!address_of(reply, &master)) {
        snprintf(peer->problem, sizeof peer->problem, "does not answer as a Sentinel does");
    } else {
        answer->master = master;
        answer->epoch = number_of(reply, "config-epoch");
        answer->down_after_ms = (uint32_t)number_of(reply, "down-after-milliseconds");
        answer->quorum = (uint32_t)number_of(reply, "quorum");
        snprintf(answer->flags, sizeof answer->flags, "%s", flags ? flags : "");
        answer->asked_ms = questioner_asked_ms(peer->questioner);
        answer->named = true;
    }
}

static void take_replicas(struct sentinel_peer *peer, const redisReply *reply)
{
    struct sentinel_answer *answer = &peer->answer;
    if (reply->type != REDIS_REPLY_ARRAY)
        return;
    answer->replica_count = 0;
    for (size_t i = 0; i < reply->elements && answer->replica_count < SENTINEL_REPLICAS_MAX; i++) {
        if (address_of(reply->element[i], &answer->replicas[answer->replica_count]))
            answer->replica_count++;
    }
}

static void on_replied(void *context, unsigned question, const redisReply *reply)
{
    if (question == MASTER)
        take_master(context, reply);
    else
        take_replicas(context, reply);
}

static void on_finished(void *context, enum asked asked, const char *why)
{
    struct sentinel_peer *peer = context;
    if (asked == ASKED_REFUSED)
        snprintf(peer->problem, sizeof peer->problem,
            "does not accept the user and password of redis.shards[].sentinel (%.80s)", why);
    else if (asked == ASKED_LOST)
        snprintf(peer->problem, sizeof peer->problem, "cannot be reached (%.100s)", why);
    memcpy(peer->answer.problem, peer->problem, sizeof peer->problem);
    peer->events.answered(peer->context);
}

/* ---- the subscription ---- */

static void on_bus_opened(void *context)
{
    struct sentinel_peer *peer = context;
    const struct sentinel_peer_options *options = &peer->options;
    if (options->password) {
        const char *words[] = {"AUTH", options->username ? options->username : "default", options->password};
        size_t bytes[] = {4, strlen(words[1]), strlen(words[2])};
        redis_connection_send(peer->bus, 3, words, bytes);
    }
    redis_connection_send(
        peer->bus, 2, (const char *const[]){"SUBSCRIBE", "+switch-master"}, (const size_t[]){9, 14});
}

/* "<name> <old host> <old port> <new host> <new port>". What it says is asked for: it may be late or wrong. */
static void on_bus_reply(void *context, const redisReply *reply)
{
    struct sentinel_peer *peer = context;
    size_t length = strlen(peer->options.master);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 || !reply->element[2]->str)
        return;
    if (!strncmp(reply->element[2]->str, peer->options.master, length) &&
        reply->element[2]->str[length] == ' ')
        peer->events.switched(peer->context);
}

static void on_bus_lost(void *context, const char *why)
{
    struct sentinel_peer *peer = context;
    (void)why; /* the questions tell; this one only makes them come sooner */
    peer->bus = NULL;
}

/* ---- life ---- */

void sentinel_peer_ask(struct sentinel_peer *peer)
{
    static const struct redis_connection_events events = {on_bus_opened, on_bus_reply, on_bus_lost};
    if (!peer->bus)
        peer->bus = redis_connection_open(peer->loop, &peer->address, peer->options.tls, &events, peer);
    if (questioner_is_asking(peer->questioner))
        return;
    peer->problem[0] = '\0';
    questioner_ask(peer->questioner);
}

bool sentinel_peer_is_asking(const struct sentinel_peer *peer)
{
    return questioner_is_asking(peer->questioner);
}

const struct sentinel_answer *sentinel_peer_answer(const struct sentinel_peer *peer)
{
    return &peer->answer;
}

struct sentinel_peer *sentinel_peer_new(uv_loop_t *loop, const struct redis_address *address,
    const struct sentinel_peer_options *options, const struct sentinel_peer_events *events, void *context)
{
    static const struct questioner_events asks = {on_replied, on_finished};
    struct sentinel_peer *peer = new_zeroed(sizeof *peer);
    peer->loop = loop;
    peer->address = *address;
    peer->options = *options;
    peer->events = *events;
    peer->context = context;
    struct questioner_options questions = {
        .username = options->username,
        .password = options->password,
        .tls = options->tls,
        .answer_ms = options->answer_ms,
        .questions = {{{"SENTINEL", "MASTER", options->master}}, {{"SENTINEL", "REPLICAS", options->master}}},
        .count = 2,
    };
    peer->questioner = questioner_new(loop, address, &questions, &asks, peer);
    return peer;
}

void sentinel_peer_free(struct sentinel_peer *peer)
{
    if (!peer)
        return;
    redis_connection_close(peer->bus);
    questioner_free(peer->questioner);
    free(peer);
}
