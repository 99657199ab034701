#include "presence/redis/store_redis.h"

#include "presence/base/new.h"
#include "presence/redis/setup_check.h"
#include "presence/redis/shard_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    TICK_MS = 20,
    COMMAND_MS = 2000, /* a command unanswered for so long: the connection is given up */
    ANSWER_MS = 1000,  /* presence.md, "Subscribing waits for the truth" */
    OPEN_MS = 3000,
    RETRY_MS = 200,
    QUARANTINE_MS = 2000,
    BEAT_LOST_US = 10000000, /* longer than any bus takes that is not given up (twice H, by default 5 s) */
};

struct link_of {
    struct store_redis *store;
    unsigned shard;
    struct shard_link *link; /* NULL: the place is free */
    char *description;       /* what it was made from */
    bool up;
    uint64_t alarms;
    struct latency_queue in_flight; /* commands */
    struct latency commands, bus;
    /* Of our heartbeats' beats, which come back over the bus in the order in which they were sent, one is timed at a
     * time: the first that is sent while none is under way. */
    struct {
        uint64_t began_us; /* 0: none is timed */
        unsigned under_way;
        char topic[160];
    } beat;
};

/* The engine is the store; this is what stands behind it. */
struct store_redis {
    struct engine *engine;
    struct store_operations operations; /* the engine's, but for free */
    uv_loop_t *loop;
    struct tls_client *tls; /* with a reference */
    uv_timer_t tick;
    struct link_of links[ENGINE_SHARDS_MAX]; /* by the engine's index */
    /* What links are made with. */
    char *prefix, *cluster, *state_folder;
    uint32_t heartbeat_ms;
    void (*log)(void *context, enum engine_level level, const char *event, const char *text);
    void (*note)(void *context, const struct engine_note *note);
    void *log_context;
};

/* ---- what the engine asks for ---- */

static uint64_t now_ms(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t wall_us(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t random_number(void *context)
{
    uint64_t number;
    (void)context;
    must(getrandom(&number, sizeof number, 0) == sizeof number);
    return number;
}

/* The topic of the beat is the first argument behind the caller's four (keys_and_scripts.h). */
static void note_heartbeat(struct link_of *of, const struct engine_request *request)
{
    enum { TOPIC = 4 };
    if (request->argc <= request->keys + TOPIC)
        return;
    snprintf(of->beat.topic, sizeof of->beat.topic, "%s", request->argv[request->keys + TOPIC]);
    uint64_t now_us = latency_now_us();
    bool is_lost = of->beat.began_us && now_us - of->beat.began_us > BEAT_LOST_US;
    if (of->beat.under_way == 0 || is_lost) {
        of->beat.began_us = now_us;
        of->beat.under_way = 0;
    }
    of->beat.under_way++;
}

static void note_beat(struct link_of *of)
{
    if (of->beat.began_us)
        latency_add_since(&of->bus, of->beat.began_us);
    of->beat.began_us = 0;
    of->beat.under_way -= of->beat.under_way > 0;
}

static void send_request(void *context, unsigned shard, const struct engine_request *request)
{
    struct store_redis *store = context;
    struct link_of *of = &store->links[shard];
    latency_queue_begin(&of->in_flight);
    if (request->script == SCRIPT_HEARTBEAT)
        note_heartbeat(of, request);
    shard_link_send(of->link, request);
}

static void subscribe(void *context, unsigned shard, const char *topic)
{
    struct store_redis *store = context;
    shard_link_subscribe(store->links[shard].link, topic);
}

static void unsubscribe(void *context, unsigned shard, const char *topic)
{
    struct store_redis *store = context;
    shard_link_unsubscribe(store->links[shard].link, topic);
}

static void forget(struct link_of *of)
{
    of->up = false;
    latency_queue_forget(&of->in_flight);
    of->beat.began_us = of->beat.under_way = 0;
}

static void reset(void *context, unsigned shard, const char *why)
{
    struct store_redis *store = context;
    (void)why; /* the engine has said it */
    forget(&store->links[shard]);
    shard_link_reset(store->links[shard].link, false);
}

static void quarantine(void *context, unsigned shard, const char *why)
{
    struct store_redis *store = context;
    (void)why;
    forget(&store->links[shard]);
    store->links[shard].alarms++;
    shard_link_reset(store->links[shard].link, true);
}

static void reset_bus(void *context, unsigned shard, const char *why)
{
    struct store_redis *store = context;
    (void)why;
    shard_link_bus_reset(store->links[shard].link);
}

static bool is_confirmed(void *context, unsigned shard)
{
    struct store_redis *store = context;
    return shard_link_confirmed(store->links[shard].link);
}

static void log_line(void *context, enum engine_level level, const char *event, const char *text)
{
    struct store_redis *store = context;
    if (store->log)
        store->log(store->log_context, level, event, text);
}

static void note(void *context, const struct engine_note *noted)
{
    struct store_redis *store = context;
    if (store->note)
        store->note(store->log_context, noted);
}

/* ---- what the links tell ---- */

static void on_up(void *context)
{
    struct link_of *of = context;
    of->up = true;
    engine_shard_up(of->store->engine, of->shard);
}

static void on_down(void *context, const char *why)
{
    struct link_of *of = context;
    forget(of);
    engine_shard_down(of->store->engine, of->shard, why);
}

static void on_reply(void *context, const struct reply *reply)
{
    struct link_of *of = context;
    latency_queue_end(&of->in_flight, &of->commands);
    engine_reply(of->store->engine, of->shard, reply);
}

static void on_bus_up(void *context)
{
    struct link_of *of = context;
    engine_bus_up(of->store->engine, of->shard);
}

static void on_bus_down(void *context, const char *why)
{
    struct link_of *of = context;
    engine_bus_down(of->store->engine, of->shard, why);
}

static void on_bus_subscribed(void *context, const char *topic)
{
    struct link_of *of = context;
    engine_bus_subscribed(of->store->engine, of->shard, topic);
}

static void on_bus_message(void *context, const char *topic, const char *message, size_t bytes)
{
    struct link_of *of = context;
    if (strcmp(topic, of->beat.topic) == 0)
        note_beat(of);
    engine_bus_message(of->store->engine, of->shard, topic, message, bytes);
}

static void on_alarm(void *context, const char *text)
{
    struct link_of *of = context;
    of->alarms++;
    log_line(of->store, ENGINE_ALARM, "redis.master", text);
}

static void on_warning(void *context, const char *text)
{
    struct link_of *of = context;
    log_line(of->store, ENGINE_WARN, "redis.setup", text);
}

static void on_chosen(void *context, const char *text)
{
    struct link_of *of = context;
    log_line(of->store, ENGINE_INFO, "redis.connected", text);
}

/* ---- making and freeing ---- */

static void drop_link(struct link_of *of)
{
    shard_link_free(of->link);
    latency_queue_deinit(&of->in_flight);
    free(of->description);
    *of = (struct link_of){0};
}

static void on_tick(uv_timer_t *timer)
{
    struct store_redis *store = timer->data;
    engine_tick(store->engine);
    for (unsigned i = 0; i < ENGINE_SHARDS_MAX; i++) {
        if (!store->links[i].link || !engine_shard_is_unused(store->engine, i))
            continue;
        drop_link(&store->links[i]);
        engine_shard_forget(store->engine, i);
    }
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct store_redis *store = handle->data;
    tls_client_unref(store->tls);
    free(store->prefix);
    free(store->cluster);
    free(store->state_folder);
    free(store);
}

static struct store_redis *behind(struct store *store)
{
    return (struct store_redis *)((char *)store->operations - offsetof(struct store_redis, operations));
}

static void free_store(struct store *face)
{
    struct store_redis *store = behind(face);
    for (unsigned i = 0; i < ENGINE_SHARDS_MAX; i++) {
        if (store->links[i].link)
            drop_link(&store->links[i]);
    }
    engine_free(store->engine);
    uv_close((uv_handle_t *)&store->tick, on_tick_closed);
}

struct engine *store_redis_engine(struct store *face)
{
    return behind(face)->engine;
}

void store_redis_shard_status(struct store *face, unsigned shard, struct store_redis_shard_status *status)
{
    const struct link_of *of = &behind(face)->links[shard];
    *status = (struct store_redis_shard_status){
        .up = of->up,
        .confirmed = shard_link_confirmed(of->link),
        .alarms = of->alarms,
        .commands = &of->commands,
        .bus = &of->bus,
    };
}

void store_redis_shard_link(struct store *face, unsigned shard, struct shard_link_status *status)
{
    shard_link_status(behind(face)->links[shard].link, status);
}

static bool is_under_sentinel(const struct store_redis_shard *shard)
{
    return !shard->address || !shard->address[0];
}

static int check_sentinels(
    const struct store_redis_shard *shards, unsigned shard, char *problem, size_t bytes)
{
    const struct sentinel_options *sentinel = &shards[shard].sentinel;
    struct redis_address address;
    if (!sentinel->master || !sentinel->address_count || sentinel->address_count > 16) {
        snprintf(problem, bytes,
            "redis.shards[%u]: must have an address, or a sentinel with 1 to 16 addresses", shard);
        return -EINVAL;
    }
    for (size_t i = 0; i < sentinel->address_count; i++) {
        if (redis_address_parse(sentinel->addresses[i], &address)) {
            snprintf(problem, bytes,
                "redis.shards[%u].sentinel.addresses[%zu]: must be host:port, [IPv6]:port or unix:/path, not "
                "\"%.100s\"",
                shard, i, sentinel->addresses[i]);
            return -EINVAL;
        }
    }
    return 0;
}

static int check_shards(const struct store_redis_shard *shards, unsigned count, char *problem, size_t bytes)
{
    struct redis_address address;
    bool stays = false;
    for (unsigned i = 0; i < count; i++)
        stays = stays || !shards[i].leaving;
    if (!stays || count > ENGINE_SHARDS_MAX) {
        snprintf(problem, bytes, "redis.shards: must name 1 to %d shards, of which one is not leaving",
            ENGINE_SHARDS_MAX);
        return -EINVAL;
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_under_sentinel(&shards[i])) {
            if (check_sentinels(shards, i, problem, bytes))
                return -EINVAL;
            continue;
        }
        if (redis_address_parse(shards[i].address, &address)) {
            snprintf(problem, bytes,
                "redis.shards[%u].address: must be host:port, [IPv6]:port or unix:/path, not \"%.100s\"", i,
                shards[i].address);
            return -EINVAL;
        }
    }
    return 0;
}

static int check(const struct store_redis_options *options, char *problem, size_t bytes)
{
    size_t prefix = strlen(options->prefix);
    if (!prefix || prefix > 100 || strpbrk(options->prefix, "{} \n")) {
        snprintf(problem, bytes, "redis.prefix: must be 1 to 100 characters without braces and blanks");
        return -EINVAL;
    }
    if (options->lease_ms < 4 * options->heartbeat_ms) {
        snprintf(problem, bytes, "presence.lease_ms: must be at least four times presence.heartbeat_ms");
        return -EINVAL;
    }
    if (!options->partitions || strchr(options->cluster, '\n')) {
        snprintf(problem, bytes, "redis.cluster: must be one line");
        return -EINVAL;
    }
    return check_shards(options->shards, options->shard_count, problem, bytes);
}

/* The engine's part of a list of shards; to be freed. */
static struct engine_shard *names_of(const struct store_redis_shard *shards, unsigned count)
{
    struct engine_shard *names = new_array(count, sizeof *names);
    for (unsigned i = 0; i < count; i++)
        names[i] = (struct engine_shard){shards[i].name, shards[i].leaving};
    return names;
}

static struct engine *make_engine(struct store_redis *store, const struct store_redis_options *options,
    const struct store_observer *observer, void *observer_context)
{
    static const struct engine_io io = {
        .now_ms = now_ms,
        .random = random_number,
        .wall_us = wall_us,
        .send = send_request,
        .bus_subscribe = subscribe,
        .bus_unsubscribe = unsubscribe,
        .reset = reset,
        .bus_reset = reset_bus,
        .quarantine = quarantine,
        .confirmed = is_confirmed,
        .log = log_line,
        .note = note,
    };
    struct engine_shard *names = names_of(options->shards, options->shard_count);
    struct engine_options engine = {
        .prefix = options->prefix,
        .cluster = options->cluster,
        .edge_name = options->edge_name,
        .shards = names,
        .shard_count = options->shard_count,
        .partitions = options->partitions,
        .heartbeat_ms = options->heartbeat_ms,
        .lease_ms = options->lease_ms,
        .scrub_ms = options->scrub_ms,
        .data_ttl_ms = options->data_ttl_ms,
        .command_ms = COMMAND_MS,
        .answer_ms = ANSWER_MS,
        .outbox = options->outbox,
    };
    struct engine *made = engine_new(&engine, &io, store, observer, observer_context);
    free(names);
    return made;
}

/* Never NULL: check() has read all addresses. */
static struct master_finder *make_finder(const struct store_redis *store, const struct store_redis_shard *of)
{
    char stamp_key[128];
    struct redis_address address;
    if (!is_under_sentinel(of)) {
        redis_address_parse(of->address, &address);
        return master_finder_fixed_new(&address);
    }
    snprintf(stamp_key, sizeof stamp_key, "%s:shard", store->prefix);
    struct finder_sentinel_options finder = {
        .sentinel = of->sentinel,
        .cluster = store->cluster,
        .shard = of->name,
        .stamp_key = stamp_key,
        .username = of->username,
        .password = of->password,
        .tls = store->tls,
        .state_folder = store->state_folder,
        .heartbeat_ms = store->heartbeat_ms,
    };
    return finder_sentinel_new(store->loop, &finder);
}

static void on_setup(void *context, const char *text)
{
    log_line(context, ENGINE_WARN, "redis.setup", text);
}

/* All that a link is made from; another text is another link. */
static char *describe(const struct store_redis_shard *of)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = must_have(open_memstream(&text, &bytes));
    const char *const words[] = {of->address, of->username, of->password, of->sentinel.master,
        of->sentinel.username, of->sentinel.password};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        fprintf(out, "%d%s\n", words[i] != NULL, words[i] ? words[i] : "");
    for (size_t i = 0; is_under_sentinel(of) && i < of->sentinel.address_count; i++)
        fprintf(out, "%s\n", of->sentinel.addresses[i]);
    must(fclose(out) == 0);
    return text;
}

static void make_link(struct store_redis *store, const struct store_redis_shard *of)
{
    unsigned shard = (unsigned)engine_shard_index(store->engine, of->name);
    static const struct shard_link_events events = {on_up, on_down, on_reply, on_bus_up, on_bus_down,
        on_bus_subscribed, on_bus_message, on_alarm, on_warning, on_chosen};
    struct shard_link_options options = {
        .name = of->name,
        .username = of->username,
        .password = of->password,
        .tls = store->tls,
        .finder = make_finder(store, of),
        .replicated = is_under_sentinel(of),
        .open_ms = OPEN_MS,
        .retry_ms = RETRY_MS,
        .quarantine_ms = QUARANTINE_MS,
    };
    store->links[shard] = (struct link_of){.store = store, .shard = shard, .description = describe(of)};
    store->links[shard].link = shard_link_new(store->loop, &options, &events, &store->links[shard]);
}

int store_redis_new(uv_loop_t *loop, const struct store_redis_options *options,
    const struct store_observer *observer, void *observer_context, struct store **made, char *problem,
    size_t problem_bytes)
{
    int error = check(options, problem, problem_bytes);
    if (error)
        return error;
    struct store_redis *store = new_zeroed(sizeof *store);
    store->loop = loop;
    store->tls = tls_client_ref(options->tls);
    store->log = options->log;
    store->log_context = options->log_context;
    store->note = options->note;
    store->prefix = new_text(options->prefix ? options->prefix : "");
    store->cluster = new_text(options->cluster ? options->cluster : "");
    store->state_folder = new_text(options->state_folder);
    store->heartbeat_ms = options->heartbeat_ms;
    setup_check_shards(options->shards, options->shard_count, on_setup, store);
    store->engine = make_engine(store, options, observer, observer_context);
    struct store *face = engine_store(store->engine);
    store->operations = *face->operations;
    store->operations.free = free_store;
    face->operations = &store->operations;
    for (unsigned i = 0; i < options->shard_count; i++)
        make_link(store, &options->shards[i]);
    uv_timer_init(loop, &store->tick);
    store->tick.data = store;
    uv_timer_start(&store->tick, on_tick, TICK_MS, TICK_MS);
    *made = face;
    return 0;
}

/* Of a shard that is new, or is to be reached otherwise than before. */
static void renew_link(struct store_redis *store, const struct store_redis_shard *of)
{
    struct link_of *link = &store->links[engine_shard_index(store->engine, of->name)];
    char *description = describe(of);
    bool is_same = link->link && !strcmp(link->description, description);
    free(description);
    if (is_same)
        return;
    if (link->link) {
        unsigned shard = link->shard;
        drop_link(link);
        engine_shard_down(store->engine, shard, "it is configured otherwise now");
        engine_bus_down(store->engine, shard, NULL);
    }
    make_link(store, of);
}

int store_redis_change_shards(struct store *face, const struct store_redis_shard *shards,
    unsigned shard_count, char *problem, size_t problem_bytes)
{
    struct store_redis *store = behind(face);
    int error = check_shards(shards, shard_count, problem, problem_bytes);
    if (error)
        return error;
    struct engine_shard *names = names_of(shards, shard_count);
    error = engine_change_shards(store->engine, names, shard_count);
    free(names);
    if (error) {
        snprintf(problem, problem_bytes,
            "redis.shards: %d at most, those included that still have partitions of an earlier list",
            ENGINE_SHARDS_MAX);
        return error;
    }
    setup_check_shards(shards, shard_count, on_setup, store);
    for (unsigned i = 0; i < shard_count; i++)
        renew_link(store, &shards[i]);
    return 0;
}
