/* What follows from other keys or from the machine. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "presence/base/new.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* JSON may write any byte as six (\u00e9), and some encoders do; the rest of a message, names and a
 * signature, fits the second number. */
enum { ESCAPED_BYTES = 6, AROUND_EVENT_BYTES = 4096 };

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

static uint64_t at_least(uint64_t value, uint64_t least)
{
    return value > least ? value : least;
}

static uint64_t event_needs(const struct config_limits *limits, uint64_t most)
{
    if (limits->event_bytes == 0)
        return most;
    return at_most((uint64_t)limits->event_bytes * ESCAPED_BYTES + AROUND_EVENT_BYTES, most);
}

/* A sign-in carries its watchlist as JSON in a string: each id with escaped quotes and a comma. */
static uint64_t watchlist_needs(const struct config_limits *limits, uint64_t most)
{
    if (limits->watchlist_users == 0)
        return most;
    uint64_t id_bytes = limits->user_id_chars ? limits->user_id_chars : 128;
    return at_most(limits->watchlist_users * (id_bytes + 5) + AROUND_EVENT_BYTES, most);
}

static uint32_t message_bytes_needed(const struct config *config)
{
    const uint64_t most = UINT64_C(16) << 20;
    uint64_t needed = UINT64_C(64) << 10;
    for (size_t i = 0; i < config->app_count; i++) {
        const struct config_limits *limits = &config->apps[i].limits;
        needed = at_least(needed, event_needs(limits, most));
        needed = at_least(needed, watchlist_needs(limits, most));
    }
    return (uint32_t)needed;
}

static uint32_t body_bytes_needed(const struct config *config)
{
    const uint64_t most = UINT64_C(64) << 20;
    uint64_t needed = UINT64_C(1) << 20;
    for (size_t i = 0; i < config->app_count; i++) {
        const struct config_limits *limits = &config->apps[i].limits;
        uint64_t events = limits->batch_events ? limits->batch_events : 100;
        needed = at_least(needed, at_most(event_needs(limits, most) * events, most));
    }
    return (uint32_t)needed;
}

static uint32_t count_cores(void)
{
    cpu_set_t cores; /* those that this process may use, which may be fewer than there are */
    if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
        return (uint32_t)CPU_COUNT(&cores);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

/* Not all descriptors are for connections of clients: a worker has its loop, its listeners and mailboxes, the
 * process its log, its stores and the admin listener, and some back ends are always on the line. */
enum { DESCRIPTORS_OF_WORKER = 16, DESCRIPTORS_OF_PROCESS = 64, SHARE_OF_BACK_ENDS = 16 };

/* With TLS a client takes its socket and both ends of a bridge. */
static uint64_t descriptors_of_connection(const struct config *config)
{
    for (size_t i = 0; i < config->edge.listen_count; i++)
        if (config->edge.listen[i].tls.certificate_count > 0)
            return 3;
    return 1;
}

static uint32_t connections_possible(const struct config *config)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > UINT32_MAX)
        return UINT32_MAX;
    uint64_t taken = config->edge.workers * (DESCRIPTORS_OF_WORKER + config->edge.listen_count);
    taken += DESCRIPTORS_OF_PROCESS + files.rlim_cur / SHARE_OF_BACK_ENDS;
    uint64_t each = descriptors_of_connection(config);
    return files.rlim_cur >= taken + each ? (uint32_t)((files.rlim_cur - taken) / each) : 1;
}

/* Twice as long as conf/haproxy.cfg needs to notice. */
enum { BALANCER_WAIT_MS = 2000 };

static uint32_t balancer_wait_ms(const struct config *config)
{
    for (size_t i = 0; i < config->edge.listen_count; i++)
        if (config->edge.listen[i].proxy_protocol)
            return BALANCER_WAIT_MS;
    return config->edge.trusted_proxy_count > 0 ? BALANCER_WAIT_MS : 0;
}

static void take_host_name(char **name)
{
    char host[256];
    if (gethostname(host, sizeof(host)) < 0)
        strcpy(host, "edge");
    host[sizeof(host) - 1] = '\0';
    free(*name);
    *name = new_text(host);
}

/* `key` and `secret` are the first pair of an app, or else the first pair is `key` and `secret`. True for the
 * former. */
static bool complete_pairs(struct app *app)
{
    bool short_form = app->key[0] || app->secret[0];
    if (short_form) {
        app->keys = resized(app->keys, app->key_count + 1, sizeof(app->keys[0]));
        memmove(app->keys + 1, app->keys, app->key_count * sizeof(app->keys[0]));
        app->keys[0] = (struct app_key){.key = new_text(app->key), .secret = new_text(app->secret)};
        app->key_count++;
    } else if (app->key_count > 0) {
        free(app->key);
        free(app->secret);
        app->key = new_text(app->keys[0].key);
        app->secret = new_text(app->keys[0].secret);
    }
    return short_form;
}

void config_complete_kept(const struct config_reading *reading, struct config *config)
{
    if (reading->follows.balancer_wait)
        config->edge.balancer_wait_ms = balancer_wait_ms(config);
    if (reading->follows.connections)
        config->edge.connections = connections_possible(config);
}

void config_complete(struct config_reading *reading, struct config *config)
{
    if (!config->edge.name[0])
        take_host_name(&config->edge.name);
    if (config->edge.workers == 0)
        config->edge.workers = (uint32_t)at_most(count_cores(), 256);
    config_complete_networks(config);
    reading->follows.balancer_wait = config->edge.balancer_wait_ms == 0;
    reading->follows.connections = config->edge.connections == 0;
    config_complete_kept(reading, config);
    if (config->edge.message_bytes == 0)
        config->edge.message_bytes = message_bytes_needed(config);
    if (config->edge.body_bytes == 0)
        config->edge.body_bytes = body_bytes_needed(config);
    for (size_t i = 0; i < config->app_count; i++) {
        struct app *app = &config->apps[i];
        reading->app_places[i].short_form = complete_pairs(app);
        config_complete_webhooks(app);
        app->config = config;
        app->counters = new_zeroed(sizeof(*app->counters));
        atomic_init(&app->counters->references, 1);
    }
}
