/* What contradicts: other keys, other apps. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"

#include <arpa/inet.h>
#include <string.h>

/* conf/rollcall.json has it, and so has everyone. */
#define DEMO_SECRET "app-secret"
#define DEMO_TOKEN "console-token"

static const struct config_place main_file = {0};
static const struct config_place edge_place = {.parent = &main_file, .key = "edge"};
static const struct config_place presence_place = {.parent = &main_file, .key = "presence"};

static bool same(const char *a, const char *b)
{
    return a[0] && strcmp(a, b) == 0;
}

/* ---- listeners ---- */

static bool same_endpoint(const struct config_listen *a, const char *address, uint16_t port)
{
    bool port_counts = !config_is_unix(address);
    return same(a->address, address) && (!port_counts || (a->port == port && port != 0));
}

static void check_listeners(struct config_reading *reading, const struct config *config)
{
    struct config_place list = {.parent = &edge_place, .key = "listen"};
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

/* ---- apps ---- */

/* A chain of places, kept together: the key of a pair of an app. */
struct pair_place {
    struct config_place file, list, app, keys, pair;
    const struct config_place *around_app, *around_pair;
};

static void place_pair(struct config_reading *reading, size_t app, size_t pair, struct pair_place *place)
{
    const struct config_app_place *at = &reading->app_places[app];
    place->file = (struct config_place){.index = at->file};
    place->list = (struct config_place){.parent = &place->file, .key = "apps"};
    place->app =
        (struct config_place){.parent = at->file == 0 ? &place->list : &place->file, .index = at->index};
    place->around_app = at->whole_file ? &place->file : &place->app;
    place->keys = (struct config_place){.parent = place->around_app, .key = "keys"};
    place->pair = (struct config_place){.parent = &place->keys, .index = pair - at->short_form};
    place->around_pair = at->short_form && pair == 0 ? place->around_app : &place->pair;
}

static bool is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (config_is_unix(address))
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
            "\"" DEMO_SECRET "\" is the secret of the demonstration and known to everyone, so with it the "
            "edge listens on loopback only (127.0.0.0/8, ::1, unix:), but edge.listen[%zu].address is %s; "
            "choose a secret of your own",
            i, address);
        return;
    }
}

static void check_demo_token(struct config_reading *reading, const struct config *config)
{
    struct config_place admin = {.parent = &edge_place, .key = "admin"};
    struct config_place token = {.parent = &admin, .key = "token"};
    if (same(config->edge.admin.token, DEMO_TOKEN) && !is_loopback(config->edge.admin.address))
        config_complain(reading, &token,
            "\"" DEMO_TOKEN
            "\" is the token of the demonstration and known to everyone, so with it the admin "
            "listener is on loopback only (127.0.0.0/8, ::1), but edge.admin.address is %s; choose a token "
            "of your own",
            config->edge.admin.address);
}

/* Names both places: this one, and the one that had the name first. */
static void complain_of_second(
    struct config_reading *reading, const struct config_place *second, const struct config_place *first)
{
    if (reading->problem_count >= CONFIG_PROBLEMS_MAX) {
        config_complain(reading, second, "is only counted"); /* saves the look for the line */
        return;
    }
    struct buffer path = {0};
    size_t file = config_place_file(first);
    const struct config_file *text = &reading->files[file];
    if (file != config_place_file(second))
        buffer_printf(&path, "%s:%u: ", text->name, config_place_line(first, text->text, text->length));
    config_place_print(first, &path);
    config_complain(reading, second, "must be unique, but %.*s is the same", (int)path.length, path.bytes);
    buffer_deinit(&path);
}

static void check_id(struct config_reading *reading, const struct config *config, size_t index)
{
    const struct app *app = &config->apps[index];
    const struct app *first = config_app_by_id(config, app->id, strlen(app->id));
    if (first == app || !app->id[0])
        return;
    struct pair_place here, there;
    place_pair(reading, index, 0, &here);
    place_pair(reading, (size_t)(first - config->apps), 0, &there);
    struct config_place id = {.parent = here.around_app, .key = "id"};
    struct config_place first_id = {.parent = there.around_app, .key = "id"};
    complain_of_second(reading, &id, &first_id);
}

static void check_pair(struct config_reading *reading, const struct config *config, size_t index, size_t pair)
{
    const struct app_key *checked = &config->apps[index].keys[pair];
    struct pair_place here, there;
    place_pair(reading, index, pair, &here);
    struct config_place secret = {.parent = here.around_pair, .key = "secret"};
    struct config_place key = {.parent = here.around_pair, .key = "key"};
    const struct app *app;
    const struct app_key *first = config_key_find(config, checked->key, strlen(checked->key), &app);
    if (first != checked && checked->key[0]) {
        place_pair(reading, (size_t)(app - config->apps), (size_t)(first - app->keys), &there);
        struct config_place first_key = {.parent = there.around_pair, .key = "key"};
        complain_of_second(reading, &key, &first_key);
    }
    if (same(checked->secret, DEMO_SECRET))
        check_demo_secret(reading, config, &secret);
}

static void check_apps(struct config_reading *reading, const struct config *config)
{
    for (size_t i = 0; i < config->app_count; i++) {
        check_id(reading, config, i);
        for (size_t j = 0; j < config->apps[i].key_count; j++)
            check_pair(reading, config, i, j);
    }
}

/* ---- times and sizes ---- */

static void check_outboxes(struct config_reading *reading, const struct config *config)
{
    struct config_place together = {.parent = &edge_place, .key = "outbox_worker_bytes"};
    uint64_t worker_bytes = config->edge.outbox_worker_bytes; /* 0: it was refused */
    if (worker_bytes > 0 && worker_bytes < config->edge.outbox_bytes)
        config_complain(reading, &together,
            "must be at least edge.outbox_bytes (%u), or one slow reader is too many",
            config->edge.outbox_bytes);
}

/* `times` × the other must not be more than this; 0: it was refused. */
static void check_ratio(struct config_reading *reading, const char *name, uint64_t value, uint64_t times,
    const char *other_name, uint64_t other, const char *otherwise)
{
    struct config_place place = {.parent = &presence_place, .key = name};
    if (value > 0 && value < times * other)
        config_complain(reading, &place, "must be at least %ju (%ju times presence.%s), or %s",
            (uintmax_t)(times * other), (uintmax_t)times, other_name, otherwise);
}

static void check_presence(struct config_reading *reading, const struct config *config)
{
    uint64_t heartbeat_ms = config->presence.heartbeat_ms, lease_ms = config->presence.lease_ms;
    uint64_t scrub_ms = config->presence.scrub_ms, data_ttl_ms = config->presence.data_ttl_ms;
    check_ratio(reading, "lease_ms", lease_ms, 4, "heartbeat_ms", heartbeat_ms,
        "a few late heartbeats make members leave who are there");
    check_ratio(reading, "data_ttl_ms", data_ttl_ms, 4, "lease_ms", lease_ms,
        "what a dead edge held is forgotten before others have told that it left");
    /* Scrubbing renews what is half gone; one scrub may fail. */
    check_ratio(reading, "data_ttl_ms", data_ttl_ms, 4, "scrub_ms", scrub_ms,
        "rosters at rest expire before they are renewed");
}

void config_check(struct config_reading *reading, const struct config *config)
{
    check_listeners(reading, config);
    check_outboxes(reading, config);
    check_presence(reading, config);
    check_apps(reading, config);
    check_demo_token(reading, config);
    config_check_redis(reading, config);
}
