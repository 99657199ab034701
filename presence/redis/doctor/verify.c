#include "presence/redis/doctor/verify.h"

#include "presence/base/new.h"
#include "presence/redis/doctor/dial.h"
#include "presence/redis/doctor/edge_facts.h"
#include "presence/redis/doctor/survey.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum {
    ANSWER_S = 5,
    PRINTED_MAX = 200, /* of a shard; beyond it they are only counted */
};

/* Where the shards' stamps say that a partition lives: the highest entry of all counts (keys_and_scripts.h). */
struct place {
    uint64_t layout;
    char shard[80];
};

struct verifying {
    FILE *out;
    const struct store_redis_options *options;
    const struct survey_shard *shard;
    const struct edges_asked *edges;
    struct edge_facts *before,
        *after;                   /* what they said before and after Redis was read; after: NULL until then */
    struct suspicion *suspicions; /* facts that no edge held before */
    struct place *places;         /* of each partition */
    unsigned keys_left;           /* of copies that partitions have moved from */
    redisContext *redis;
    struct dial_tls *tls; /* what it goes through; NULL: nothing */
    unsigned differences, facts, keys;
    bool lost; /* the connection */
};

/* A fact in Redis whose owner does not hold it; looked at again at the end, because edges go on meanwhile. */
struct suspicion {
    struct suspicion *next;
    unsigned partition;
    char *owner, *channel, *user; /* user NULL: the number of subscriptions */
    size_t user_bytes;
};

/* A key in its parts: "<prefix>:{17}.2:r:7:presence-room" is partition 17 by layout version 2, kind r, rest
 * "7:presence-room". */
struct key {
    const char *text;
    size_t bytes;
    char base[160];
    unsigned partition;
    uint64_t layout;
    char kind; /* of keys_and_scripts.h; 'P': the stamp, 'S': the shard's, 0: none of ours */
    const char *rest;
};

static void differs(struct verifying *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void differs(struct verifying *v, const char *format, ...)
{
    va_list list;
    if (v->differences++ >= PRINTED_MAX)
        return;
    fputs("  ", v->out);
    va_start(list, format);
    vfprintf(v->out, format, list);
    va_end(list);
    fputc('\n', v->out);
}

static redisReply *ask(struct verifying *v, const char *format, ...)
{
    va_list list;
    if (v->lost)
        return NULL;
    va_start(list, format);
    redisReply *reply = redisvCommand(v->redis, format, list);
    va_end(list);
    if (!reply) {
        differs(v, "the connection was lost: %s", v->redis->errstr);
        v->lost = true;
    } else if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) != 0) {
        differs(v, "it says: %s", reply->str);
    }
    return reply;
}

/* Frees the reply. absent: what stands for nil. */
static double as_number(redisReply *reply, double absent)
{
    double number = absent;
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        number = (double)reply->integer;
    else if (reply && reply->type == REDIS_REPLY_STRING)
        number = strtod(reply->str, NULL);
    if (reply)
        freeReplyObject(reply);
    return number;
}

/* ---- owners ---- */

struct owner {
    enum { OWNER_LIVES, OWNER_EXPIRED, OWNER_WITHOUT_LEASE, OWNER_UNKNOWN } state;
    double over_s; /* OWNER_EXPIRED: since its lease ran out, on the lease clock */
    char edge[80];
};

static struct owner look_up(struct verifying *v, const struct key *key, const char *number, size_t bytes)
{
    struct owner owner = {.edge = "?"};
    double clock = as_number(ask(v, "HGET %s c", key->base), 0);
    double lease = as_number(ask(v, "ZSCORE %s:l %b", key->base, number, bytes), -1);
    redisReply *record = ask(v, "HMGET %s:o:%b i e", key->base, number, bytes);
    bool has_record = record && record->type == REDIS_REPLY_ARRAY && record->elements == 2 &&
                      record->element[0]->type == REDIS_REPLY_STRING;
    if (has_record && record->element[1]->str)
        snprintf(owner.edge, sizeof owner.edge, "%.79s", record->element[1]->str);
    if (record)
        freeReplyObject(record);
    if (lease < 0)
        owner.state = has_record ? OWNER_WITHOUT_LEASE : OWNER_UNKNOWN;
    else if (lease < clock)
        owner.state = OWNER_EXPIRED;
    owner.over_s = (clock - lease) / 1000000;
    return owner;
}

/* Since the last heartbeat of anyone in that partition, in seconds of Redis' clock. */
static double silent_s(struct verifying *v, const struct key *key)
{
    double beat_us = as_number(ask(v, "HGET %s hb", key->base), 0), now_us = 0;
    redisReply *time = ask(v, "TIME");
    if (time && time->type == REDIS_REPLY_ARRAY && time->elements == 2)
        now_us = strtod(time->element[0]->str, NULL) * 1e6 + strtod(time->element[1]->str, NULL);
    if (time)
        freeReplyObject(time);
    return (now_us - beat_us) / 1000000;
}

static void tell_owner(
    struct verifying *v, const struct key *key, const char *what, const char *number, int bytes)
{
    const struct store_redis_options *options = v->options;
    struct owner owner = look_up(v, key, number, (size_t)bytes);
    double ttl_s = as_number(ask(v, "PTTL %b", key->text, key->bytes), 0) / 1000;
    if (owner.state == OWNER_LIVES || v->lost)
        return;
    if (owner.state == OWNER_EXPIRED)
        differs(v,
            "partition %u: %s of owner %.*s (edge %s), whose lease ran out %.1f s ago: gone with the next "
            "heartbeat "
            "(%.1f s) of an edge that a majority of Sentinels vouches for",
            key->partition, what, bytes, number, owner.edge, owner.over_s, options->heartbeat_ms / 1000.0);
    else if (owner.state == OWNER_WITHOUT_LEASE)
        differs(v,
            "partition %u: %s of owner %.*s (edge %s), who has no lease: gets one with the next scrub (%.0f "
            "s)",
            key->partition, what, bytes, number, owner.edge, options->scrub_ms / 1000.0);
    else
        differs(v,
            "partition %u: %s of owner %.*s, whom nobody knows: gone with the next scrub of the channel "
            "(%.0f s), else "
            "with the key in %.0f s",
            key->partition, what, bytes, number, options->scrub_ms / 1000.0, ttl_s);
}

/* ---- keys ---- */

static bool take_apart(struct verifying *v, const char *text, size_t bytes, struct key *key)
{
    size_t prefix = strlen(v->options->prefix);
    *key = (struct key){.text = text, .bytes = bytes, .rest = ""};
    if (!strcmp(text + prefix, ":shard")) {
        key->kind = 'S';
        return true;
    }
    int end = 0;
    if (sscanf(text + prefix, ":{%u}%n", &key->partition, &end) != 1 || !end || prefix > 100)
        return false;
    const char *after = text + prefix + end;
    char *layout_end = (char *)after;
    key->layout = *after == '.' ? strtoull(after + 1, &layout_end, 10) : 1;
    after = layout_end;
    snprintf(key->base, sizeof key->base, "%.*s", (int)(after - text), text);
    if (!*after)
        key->kind = 'P';
    else if (!strcmp(after, ":l") || !strcmp(after, ":out") || !strcmp(after, ":due"))
        key->kind = 'F'; /* of the fixed set of a partition */
    else if (!strcmp(after, ":q"))
        key->kind = 'q';
    else if (after[0] == ':' && strchr("ohrsckm", after[1]) && after[1] && after[2] == ':')
        key->kind = after[1], key->rest = after + 3;
    return key->kind != 0;
}

/* A living owner's fact: does its edge hold it, if it was asked? */
static void ask_edge(struct verifying *v, const struct key *key, const char *owner, size_t owner_bytes,
    const char *user, size_t user_bytes)
{
    if (edge_facts_say(v->before, key->partition, owner, owner_bytes, key->rest, user, user_bytes) !=
        EDGE_HOLDS_NOT)
        return;
    struct suspicion *suspicion = new_zeroed(sizeof *suspicion);
    *suspicion = (struct suspicion){.next = v->suspicions,
        .partition = key->partition,
        .owner = new_copy(owner, owner_bytes),
        .channel = new_text(key->rest),
        .user = user ? new_copy(user, user_bytes) : NULL,
        .user_bytes = user_bytes};
    v->suspicions = suspicion;
}

/* The owners of one field, "17,18|info", each judged; read a second time before it is called wrong, because edges go
 * on writing meanwhile. */
static void check_owners(struct verifying *v, const struct key *key, const redisReply *field,
    const redisReply *value, const char *what)
{
    const char *end = memchr(value->str, '|', (size_t)value->len);
    const char *at = value->str;
    end = end ? end : value->str + value->len;
    while (at < end) {
        size_t bytes = strcspn(at, ",|");
        struct owner owner = look_up(v, key, at, bytes);
        v->facts++;
        if (owner.state == OWNER_LIVES)
            ask_edge(v, key, at, bytes, field->str + 1, (size_t)field->len - 1);
        if (owner.state != OWNER_LIVES) {
            redisReply *again = ask(v, "HGET %b %b", key->text, key->bytes, field->str, (size_t)field->len);
            if (again && again->type == REDIS_REPLY_STRING && !strcmp(again->str, value->str))
                tell_owner(v, key, what, at, (int)bytes);
            if (again)
                freeReplyObject(again);
        }
        at += bytes + 1;
    }
}

static void check_hash(struct verifying *v, const struct key *key)
{
    char what[512];
    redisReply *all = ask(v, "HGETALL %b", key->text, key->bytes);
    for (size_t i = 0; all && all->type == REDIS_REPLY_ARRAY && i + 1 < all->elements; i += 2) {
        const redisReply *field = all->element[i], *value = all->element[i + 1];
        if (key->kind == 'r' && field->str[0] == 'u') {
            snprintf(what, sizeof what, "%.200s, user %.200s", key->rest, field->str + 1);
            check_owners(v, key, field, value, what);
        } else if (key->kind == 's') {
            struct owner owner = look_up(v, key, field->str, (size_t)field->len);
            snprintf(what, sizeof what, "%.200s, %.20s subscriptions", key->rest, value->str);
            v->facts++;
            if (owner.state == OWNER_LIVES)
                ask_edge(v, key, field->str, (size_t)field->len, NULL, 0);
            if (owner.state != OWNER_LIVES &&
                as_number(ask(v, "HEXISTS %b %s", key->text, key->bytes, field->str), 0) > 0)
                tell_owner(v, key, what, field->str, (int)field->len);
        }
    }
    if (all)
        freeReplyObject(all);
}

static void check_stamp(struct verifying *v, const struct key *key)
{
    redisReply *id = ask(v, "HGET %b %s", key->text, key->bytes, key->kind == 'S' ? "n" : "id");
    const char *name = v->shard->of->name;
    bool is_ours = id && id->type == REDIS_REPLY_STRING;
    if (is_ours && key->kind == 'S')
        is_ours = !strcmp(id->str, name);
    else if (is_ours)
        is_ours = strstr(id->str, name) != NULL;
    if (!is_ours)
        differs(v,
            "%s is not stamped as shard %s: edges write it again with their next hello, or refuse the shard",
            key->text, name);
    if (id)
        freeReplyObject(id);
    double quiet_s = key->kind == 'P' ? silent_s(v, key) : 0;
    if (quiet_s * 1000 > 2.0 * v->options->heartbeat_ms)
        differs(v,
            "partition %u: no edge has said anything here for %.1f s, so its lease clock stands, and whom "
            "its facts "
            "belong to is not known; they go %.0f s after an edge comes back, else when no one has touched "
            "them for "
            "%.0f s",
            key->partition, quiet_s, v->options->lease_ms / 1000.0, v->options->data_ttl_ms / 1000.0);
}

static bool is_in_place(const struct verifying *v, unsigned partition, uint64_t layout)
{
    return partition < v->options->partitions && v->places[partition].layout == layout &&
           !strcmp(v->places[partition].shard, v->shard->of->name);
}

/* Of a copy that the fleet has left, or that nobody ever had here. */
static void check_left(struct verifying *v, const struct key *key)
{
    bool goes = as_number(ask(v, "PTTL %b", key->text, key->bytes), 0) != -1;
    bool has_moved =
        key->partition < v->options->partitions && key->layout < v->places[key->partition].layout;
    if (has_moved && goes)
        v->keys_left++;
    else
        differs(v, "%s is of a partition that lies on another shard: no edge reads it, %s", key->text,
            goes ? "gone when its TTL is over" : "and it would stay for ever; delete it");
}

static void check_key(struct verifying *v, const char *text, size_t bytes)
{
    struct key key;
    v->keys++;
    if (!take_apart(v, text, bytes, &key)) {
        differs(v, "%s is no key of ours: no edge reads or removes it", text);
        return;
    }
    if (key.kind == 'S') {
        check_stamp(v, &key);
        return;
    }
    if (!is_in_place(v, key.partition, key.layout)) {
        check_left(v, &key);
        return;
    }
    if (key.kind == 'P')
        check_stamp(v, &key);
    if (strchr("ohrsckmq", key.kind) && as_number(ask(v, "PTTL %b", text, bytes), 0) == -1)
        differs(v, "%s has no TTL: the next scrub of its channel (%.0f s) gives it one", text,
            v->options->scrub_ms / 1000.0);
    if (key.kind == 'r' || key.kind == 's')
        check_hash(v, &key);
    else if (key.kind == 'h' && look_up(v, &key, key.rest, strlen(key.rest)).state == OWNER_UNKNOWN)
        tell_owner(v, &key, "the list of channels", key.rest, (int)strlen(key.rest));
}

/* ---- what edges hold ---- */

/* Whether Redis has the fact now. */
static bool has_fact(struct verifying *v, unsigned partition, const char *owner, const char *channel,
    const char *user, size_t user_bytes)
{
    char base[160], layout[24] = "";
    if (v->places[partition].layout > 1)
        snprintf(layout, sizeof layout, ".%" PRIu64, v->places[partition].layout);
    snprintf(base, sizeof base, "%.100s:{%u}%s", v->options->prefix, partition, layout);
    redisReply *field = user ? ask(v, "HGET %s:r:%s u%b", base, channel, user, user_bytes)
                             : ask(v, "HGET %s:s:%s %s", base, channel, owner);
    bool has = field && field->type == REDIS_REPLY_STRING;
    if (has && user) {
        size_t bytes = strlen(owner);
        const char *at = field->str, *end = strchr(field->str, '|');
        for (has = false; end && at < end && !has; at += strcspn(at, ",|") + 1)
            has = strcspn(at, ",|") == bytes && !strncmp(at, owner, bytes);
    }
    if (field)
        freeReplyObject(field);
    return has;
}

static void print_fact(char *text, size_t room, const char *channel, const char *user)
{
    if (user)
        snprintf(text, room, "%.200s, user %.200s", channel, user);
    else
        snprintf(text, room, "%.200s, subscriptions", channel);
}

/* What nobody holds, neither before nor after, and Redis still has. */
static void judge_suspicions(struct verifying *v)
{
    struct suspicion *next;
    for (struct suspicion *s = v->suspicions; s; s = next) {
        char what[512];
        enum edge_says says = edge_facts_say(
            v->after, s->partition, s->owner, strlen(s->owner), s->channel, s->user, s->user_bytes);
        print_fact(what, sizeof what, s->channel, s->user);
        if (says == EDGE_HOLDS_NOT && has_fact(v, s->partition, s->owner, s->channel, s->user, s->user_bytes))
            differs(v,
                "partition %u: %s of owner %s, whose edge lives and does not hold it: gone when that edge "
                "asserts again "
                "what it holds (its next scrub of the channel, %.0f s, shows that it has to)",
                s->partition, what, s->owner, v->options->scrub_ms / 1000.0);
        next = s->next;
        free(s->owner);
        free(s->channel);
        free(s->user);
        free(s);
    }
    v->suspicions = NULL;
}

/* What an edge holds, before and after, and Redis has not. */
static void on_fact(void *context, unsigned partition, const char *owner, const char *channel,
    const char *user, size_t user_bytes)
{
    struct verifying *v = context;
    char what[512];
    if (partition >= v->options->partitions || !is_in_place(v, partition, v->places[partition].layout) ||
        edge_facts_say(v->before, partition, owner, strlen(owner), channel, user, user_bytes) != EDGE_HOLDS ||
        has_fact(v, partition, owner, channel, user, user_bytes))
        return;
    print_fact(what, sizeof what, channel, user);
    differs(v,
        "partition %u: %s of owner %s is missing, and its edge holds it: back with its next scrub (%.0f s)",
        partition, what, owner, v->options->scrub_ms / 1000.0);
}

static void compare_with_edges(struct verifying *v)
{
    v->after = edge_facts_ask(v->edges, v->out);
    judge_suspicions(v);
    edge_facts_each(v->after, on_fact, v);
    edge_facts_free(v->after);
}

/* ---- shards ---- */

static redisContext *connect_to(struct verifying *v, struct timeval patience)
{
    const struct redis_address *address = &v->shard->master->address;
    int fd;
    if (address->is_unix)
        return redisConnectUnixWithTimeout(address->host, patience);
    if (!v->options->tls)
        return redisConnectWithTimeout(address->host, address->port, patience);
    v->tls = dial_tls(address, v->options->tls, &fd);
    return v->tls ? redisConnectFd(fd) : NULL;
}

static bool log_in(struct verifying *v)
{
    const struct store_redis_shard *of = v->shard->of;
    const struct timeval patience = {.tv_sec = ANSWER_S};
    v->redis = connect_to(v, patience);
    if (!v->redis || v->redis->err)
        return false;
    redisSetTimeout(v->redis, patience);
    if (!of->password)
        return true;
    redisReply *reply =
        redisCommand(v->redis, "AUTH %s %s", of->username ? of->username : "default", of->password);
    bool is_in = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply)
        freeReplyObject(reply);
    return is_in;
}

static void log_out(struct verifying *v)
{
    if (v->redis)
        redisFree(v->redis);
    dial_tls_hang_up(v->tls);
}

static void check_all_keys(struct verifying *v)
{
    char cursor[24] = "0";
    do {
        redisReply *page = ask(v, "SCAN %s MATCH %s:* COUNT 500", cursor, v->options->prefix);
        if (!page || page->type != REDIS_REPLY_ARRAY || page->elements != 2) {
            if (page)
                freeReplyObject(page);
            return;
        }
        snprintf(cursor, sizeof cursor, "%s", page->element[0]->str);
        const redisReply *keys = page->element[1];
        for (size_t i = 0; i < keys->elements; i++)
            check_key(v, keys->element[i]->str, (size_t)keys->element[i]->len);
        freeReplyObject(page);
    } while (strcmp(cursor, "0") != 0 && !v->lost);
}

static void read_entry(struct place *place, const char *entry)
{
    struct place said = {0};
    int at = 0;
    if (sscanf(entry, "%" SCNu64 " %n", &said.layout, &at) != 1 || !at)
        return;
    snprintf(said.shard, sizeof said.shard, "%.79s", entry + at);
    if (said.layout > place->layout || (said.layout == place->layout && strcmp(said.shard, place->shard) > 0))
        *place = said;
}

static void read_places_of(const struct survey *survey, unsigned index, struct place *places)
{
    struct verifying v = {.options = survey->options, .shard = &survey->shards[index]};
    v.out = fopen("/dev/null", "w"); /* what fails is said when the shard's turn comes */
    bool is_in = v.out && v.shard->master && log_in(&v);
    redisReply *all = is_in ? ask(&v, "HGETALL %s:shard", v.options->prefix) : NULL;
    for (size_t i = 0; all && all->type == REDIS_REPLY_ARRAY && i + 1 < all->elements; i += 2) {
        unsigned partition;
        int end = 0;
        const char *field = all->element[i]->str;
        if (sscanf(field, "l%u%n", &partition, &end) == 1 && !field[end] && partition < v.options->partitions)
            read_entry(&places[partition], all->element[i + 1]->str);
    }
    if (all)
        freeReplyObject(all);
    log_out(&v);
    if (v.out)
        fclose(v.out);
}

/* To be freed. What no stamp says of is where a fleet that never was would have it. */
static struct place *read_places(const struct survey *survey)
{
    const struct store_redis_options *options = survey->options;
    struct place *places = new_array(options->partitions, sizeof *places);
    for (unsigned i = 0; i < options->shard_count; i++)
        read_places_of(survey, i, places);
    for (unsigned p = 0; p < options->partitions; p++) {
        if (places[p].layout)
            continue;
        places[p].layout = 1;
        snprintf(
            places[p].shard, sizeof places[p].shard, "%.79s", options->shards[p % options->shard_count].name);
    }
    return places;
}

static unsigned verify_shard(const struct survey *survey, unsigned index, struct place *places,
    const struct edges_asked *edges, FILE *out)
{
    struct verifying v = {.out = out,
        .options = survey->options,
        .shard = &survey->shards[index],
        .edges = edges,
        .places = places};
    fprintf(out, "shard %s", v.shard->of->name);
    if (!v.shard->master) {
        fputs(": nobody proves to be its master; `rollcall doctor` says more\n", out);
        return 1;
    }
    fprintf(out, ", %s\n", v.shard->master->where);
    v.before = edge_facts_ask(edges, out);
    if (log_in(&v)) {
        check_all_keys(&v);
        compare_with_edges(&v);
    } else
        differs(
            &v, "cannot be read: %s", v.redis && v.redis->err ? v.redis->errstr : "the password is refused");
    edge_facts_free(v.before);
    log_out(&v);
    if (v.differences > PRINTED_MAX)
        fprintf(out, "  and %u more\n", v.differences - PRINTED_MAX);
    fprintf(out, "  %u keys, %u facts, %u differences\n", v.keys, v.facts, v.differences);
    if (v.keys_left)
        fprintf(out, "  %u of the keys are of partitions that have moved away: gone when their TTL is over\n",
            v.keys_left);
    return v.differences;
}

unsigned verify_compare(const struct store_redis_options *options, const struct edges_asked *edges, FILE *out)
{
    struct survey *survey = survey_make(options);
    struct place *places = read_places(survey);
    unsigned differences = 0;
    for (unsigned i = 0; i < options->shard_count; i++)
        differences += verify_shard(survey, i, places, edges, out);
    fprintf(out, differences ? "%u differences\n" : "no differences\n", differences);
    free(places);
    survey_free(survey);
    return differences;
}
