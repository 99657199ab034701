/* GET /api/edge, with samples=N and healed=N only what came after those numbers; with recent=1 the last two samples:
 *
 *   {"edge":…,"id":…,"version":…,"store":"redis"|"memory","started_ms":…,"now_ms":…,"allow_changes":bool,
 *    "readiness":{…as /readyz…},"workers":[{"worker":…,"silent_ms":…}…],"counts":{"connections":…,…},
 *    "peers":["host:port"…],"apps_total":…,"apps":[{"id":…,"enabled":bool,"connections":…,"elsewhere":…|null}…],
 *    "shards":[…],"samples":{…},"healed":{…}}
 *
 * id: of the process, a random number, by which one that is asked twice is known. elsewhere: connections on the other edges, of apps with a limit. Times since 1970. */
#include "edge/console/console_private.h"

#include "edge/base/clock.h"

enum {
    APPS_MAX = 500,
    RECENT_SAMPLES = 2, /* for a rate */
};

static void write_apps(const struct config *config, struct buffer *json)
{
    size_t count = config->app_count < APPS_MAX ? config->app_count : APPS_MAX;
    buffer_printf(json, ",\"apps_total\":%zu,\"apps\":[", config->app_count);
    for (size_t i = 0; i < count; i++) {
        const struct app *app = &config->apps[i];
        buffer_add_string(json, i ? ",{\"id\":" : "{\"id\":");
        buffer_add_json_text(json, app->id);
        buffer_printf(json,
            ",\"enabled\":%s,\"connections\":%u,\"elsewhere\":", app->enabled ? "true" : "false",
            atomic_load_explicit(&app->counters->connections, memory_order_relaxed));
        if (app->limits.connections && config->presence.store == PRESENCE_REDIS)
            buffer_printf(json, "%u}", atomic_load_explicit(&app->counters->elsewhere, memory_order_relaxed));
        else
            buffer_add_string(json, "null}");
    }
    buffer_add_string(json, "]");
}

static void write_workers(const struct console_sources *sources, struct buffer *json)
{
    uint64_t now_ms = clock_monotonic_ms();
    buffer_add_string(json, ",\"workers\":[");
    for (size_t w = 0; w < sources->worker_count; w++) {
        uint64_t turned_ms = atomic_load_explicit(sources->turned_ms[w], memory_order_relaxed);
        buffer_printf(json, "%s{\"worker\":%zu,\"silent_ms\":%ju}", w ? "," : "", w,
            (uintmax_t)(now_ms > turned_ms ? now_ms - turned_ms : 0));
    }
    buffer_add_string(json, "]");
}

static void write_peers(const struct config *config, struct buffer *json)
{
    buffer_add_string(json, ",\"peers\":[");
    for (size_t i = 0; i < config->edge.admin.peer_count; i++) {
        buffer_add_string(json, i ? "," : "");
        buffer_add_json_text(json, config->edge.admin.peers[i]);
    }
    buffer_add_string(json, "]");
}

static void write_head(const struct console *console, struct buffer *json)
{
    const struct config *config = console->sources.config;
    struct readiness_report report = readiness_read(console->sources.readiness);
    buffer_add_string(json, "{\"edge\":");
    buffer_add_json_text(json, config->edge.name);
    buffer_printf(json, ",\"id\":\"%016jx\"", (uintmax_t)node_incarnation(console->sources.node));
    buffer_printf(json, ",\"version\":\"" ROLLCALL_VERSION "\",\"store\":\"%s\"",
        config->presence.store == PRESENCE_REDIS ? "redis" : "memory");
    buffer_printf(json, ",\"started_ms\":%jd,\"now_ms\":%jd,\"allow_changes\":%s",
        (intmax_t)console->started_ms, (intmax_t)clock_wall_ms(),
        config->edge.admin.allow_changes ? "true" : "false");
    buffer_add_string(json, ",\"readiness\":");
    readiness_print(&report, json);
}

void console_overview(struct console *console, const struct http_request *request)
{
    struct buffer json = {0};
    uint64_t samples, healed, recent;
    if (!console_number(request, "samples", 0, &samples) || !console_number(request, "healed", 0, &healed) ||
        !console_number(request, "recent", 0, &recent))
        return;
    uint64_t last = samples_last(console->samples);
    if (recent)
        samples = last > RECENT_SAMPLES ? last - RECENT_SAMPLES : 0;
    write_head(console, &json);
    write_workers(&console->sources, &json);
    write_peers(console->sources.config, &json);
    buffer_add_string(&json, ",\"counts\":");
    samples_write_now(console->samples, &json);
    write_apps(console->sources.config, &json);
    buffer_add_string(&json, ",\"shards\":");
    node_write_shards(console->sources.node, &json);
    buffer_add_string(&json, ",\"samples\":");
    samples_write(console->samples, samples, &json);
    buffer_add_string(&json, ",\"healed\":");
    node_write_healed(console->sources.node, healed, &json);
    buffer_add_string(&json, "}");
    console_answer(request->exchange, &json);
    buffer_deinit(&json);
}
