/* What the table cannot say: the forms of some texts, what follows from other keys, what contradicts. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"

/* conf/rollcall.json has it, and so has everyone. */
#define DEMO_SECRET "app-secret"

/* ---- forms of texts ---- */

static bool consists_of(const char *value, const char *more)
{
    for (; *value; value++) {
        bool letter = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z');
        bool digit = *value >= '0' && *value <= '9';
        if (!letter && !digit && !strchr(more, *value))
            return false;
    }
    return true;
}

static bool is_address(const char *value)
{
    struct in6_addr address; /* room for either */
    return inet_pton(AF_INET, value, &address) == 1 || inet_pton(AF_INET6, value, &address) == 1;
}

static bool is_unix(const char *address)
{
    return strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

const char *config_check_address(const char *value)
{
    return is_address(value)
               ? NULL
               : "must be an IPv4 or IPv6 address in digits (names are not looked up, and IPv6 has "
                 "no brackets)";
}

const char *config_check_listen_address(const char *value)
{
    const char *path = value + strlen(UNIX_PREFIX);
    if (is_unix(value) && path[0] == '/' && path[1] &&
        strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path))
        return NULL;
    return is_address(value)
               ? NULL
               : "must be an IPv4 or IPv6 address in digits (names are not looked up, and IPv6 has "
                 "no brackets), or unix: and an absolute path of at most 107 bytes";
}

const char *config_check_path_prefix(const char *value)
{
    size_t length = strlen(value);
    bool good = length == 0 || (value[0] == '/' && value[length - 1] != '/' && !strstr(value, "//") &&
                                   consists_of(value, "/-_.~"));
    return good ? NULL
                : "must be empty, or begin with / and not end with one, of letters, digits and - _ . ~ /";
}

const char *config_check_label(const char *value)
{
    return consists_of(value, "-_.:") ? NULL : "must consist of letters, digits and - _ . :";
}

const char *config_check_app_id(const char *value)
{
    return consists_of(value, "-_.~@+=,:|") ? NULL
                                            : "must consist of letters, digits and - _ . ~ @ + = , : |";
}

const char *config_check_app_key(const char *value)
{
    /* no colon: auth is key:signature */
    return consists_of(value, "-_.~") ? NULL : "must consist of letters, digits and - _ . ~";
}

/* ---- what follows ---- */

/* JSON may write any byte as six (\u00e9), and some encoders do; the rest of a message, names and a
 * signature, fits the second number. */
enum { ESCAPED_BYTES = 6, AROUND_EVENT_BYTES = 4096 };

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

static uint64_t event_needs(const struct config_limits *limits, uint64_t most)
{
    if (limits->event_bytes == 0)
        return most;
    return at_most((uint64_t)limits->event_bytes * ESCAPED_BYTES + AROUND_EVENT_BYTES, most);
}

static uint32_t message_bytes_needed(const struct config *config)
{
    uint64_t needed = 64 * 1024;
    for (size_t i = 0; i < config->app_count; i++) {
        uint64_t needs = event_needs(&config->apps[i].limits, 16 << 20);
        needed = needs > needed ? needs : needed;
    }
    return (uint32_t)needed;
}

static uint32_t body_bytes_needed(const struct config *config)
{
    const uint64_t most = 64 << 20;
    uint64_t needed = 1 << 20;
    for (size_t i = 0; i < config->app_count; i++) {
        const struct config_limits *limits = &config->apps[i].limits;
        uint64_t events = limits->batch_events ? limits->batch_events : 100;
        uint64_t needs = at_most(event_needs(limits, most) * events, most);
        needed = needs > needed ? needs : needed;
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

static void take_host_name(char **name)
{
    char host[256];
    if (gethostname(host, sizeof(host)) < 0)
        strcpy(host, "edge");
    host[sizeof(host) - 1] = '\0';
    free(*name);
    *name = strdup(host);
    if (!*name)
        abort();
}

void config_complete(struct config *config)
{
    if (!config->edge.name[0])
        take_host_name(&config->edge.name);
    if (config->edge.workers == 0)
        config->edge.workers = (uint32_t)at_most(count_cores(), 256);
    if (config->edge.message_bytes == 0)
        config->edge.message_bytes = message_bytes_needed(config);
    if (config->edge.body_bytes == 0)
        config->edge.body_bytes = body_bytes_needed(config);
    for (size_t i = 0; i < config->app_count; i++) {
        config->apps[i].counters = calloc(1, sizeof(struct app_counters));
        if (!config->apps[i].counters)
            abort();
    }
}

/* ---- what contradicts ---- */

static bool is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (is_unix(address))
        return true;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address, &v6) != 1)
        return true; /* complained of already */
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

static void check_demo_secret(
    struct config_reading *reading, const struct config *config, const struct config_place *secret)
{
    for (size_t i = 0; i < config->edge.listen_count; i++) {
        const char *address = config->edge.listen[i].address;
        if (is_loopback(address))
            continue;
        config_complain(reading, secret,
            "\"" DEMO_SECRET
            "\" is the secret of the demonstration and known to everyone, so with it the edge "
            "listens on loopback only (127.0.0.0/8, ::1, unix:), but edge.listen[%zu].address is %s; choose "
            "a "
            "secret of your own",
            i, address);
        return;
    }
}

static bool same(const char *a, const char *b)
{
    return a[0] && strcmp(a, b) == 0;
}

static void check_app(struct config_reading *reading, const struct config *config, size_t index,
    const struct config_place *apps)
{
    struct config_place item = {.parent = apps, .index = index};
    struct config_place id = {.parent = &item, .key = "id"};
    struct config_place key = {.parent = &item, .key = "key"};
    struct config_place secret = {.parent = &item, .key = "secret"};
    const struct app *app = &config->apps[index];
    const struct app *first = config_app_by_id(config, app->id, strlen(app->id));
    if (first != app && app->id[0])
        config_complain(reading, &id, "must be unique, but apps[%td] has the same", first - config->apps);
    first = config_app_by_key(config, app->key, strlen(app->key));
    if (first != app && app->key[0])
        config_complain(reading, &key, "must be unique, but apps[%td] has the same", first - config->apps);
    if (same(app->secret, DEMO_SECRET))
        check_demo_secret(reading, config, &secret);
}

static bool same_endpoint(const struct config_listen *a, const char *address, uint16_t port)
{
    bool port_counts = !is_unix(address);
    return same(a->address, address) && (!port_counts || (a->port == port && port != 0));
}

static void check_listeners(
    struct config_reading *reading, const struct config *config, const struct config_place *edge)
{
    struct config_place list = {.parent = edge, .key = "listen"};
    for (size_t i = 0; i < config->edge.listen_count; i++) {
        struct config_place item = {.parent = &list, .index = i};
        const struct config_listen *listen_at = &config->edge.listen[i];
        size_t first = 0;
        while (first < i && !same_endpoint(&config->edge.listen[first], listen_at->address, listen_at->port))
            first++;
        if (first < i)
            config_complain(reading, &item, "is the same address and port as edge.listen[%zu]", first);
        if (config->edge.admin.enabled &&
            same_endpoint(listen_at, config->edge.admin.address, config->edge.admin.port))
            config_complain(reading, &item, "is the same address and port as edge.admin");
    }
}

void config_check(struct config_reading *reading, const struct config *config)
{
    const struct config_place file = {0};
    struct config_place edge = {.parent = &file, .key = "edge"};
    struct config_place apps = {.parent = &file, .key = "apps"};
    struct config_place presence = {.parent = &file, .key = "presence"};
    struct config_place store = {.parent = &presence, .key = "store"};
    struct config_place together = {.parent = &edge, .key = "outbox_worker_bytes"};
    check_listeners(reading, config, &edge);
    uint64_t worker_bytes = config->edge.outbox_worker_bytes; /* 0: it was refused */
    if (worker_bytes > 0 && worker_bytes < config->edge.outbox_bytes)
        config_complain(reading, &together,
            "must be at least edge.outbox_bytes (%u), or one slow reader is too many",
            config->edge.outbox_bytes);
    if (config->presence.store == PRESENCE_REDIS)
        config_complain(reading, &store, "this version has no Redis store yet; it must be \"memory\"");
    for (size_t i = 0; i < config->app_count; i++)
        check_app(reading, config, i, &apps);
}
