/* What is counted, in Prometheus' text format: for each name one HELP, one TYPE, then a sample an app. */
#include "edge/webhooks/webhooks_private.h"

static const char *const results[CLIENT_RESULTS] = {
    [CLIENT_STATUS] = "status",
    [CLIENT_TIMED_OUT] = "timed_out",
    [CLIENT_UNREACHABLE] = "unreachable",
    [CLIENT_TLS] = "tls",
    [CLIENT_ADDRESS_REFUSED] = "address_refused",
};

static void begin(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(
        out, "# HELP rollcall_webhook_%s %s\n# TYPE rollcall_webhook_%s %s\n", name, help, name, type);
}

static void sample(
    struct buffer *out, const char *name, const struct app *app, const char *label, double value)
{
    buffer_printf(out, "rollcall_webhook_%s{app=\"", name);
    buffer_add_label(out, app->id);
    buffer_printf(out, label ? "\",reason=\"%s\"} %.15g\n" : "\"%s} %.15g\n", label ? label : "", value);
}

/* Of all endpoints of an app. */
struct waiting {
    size_t events, bytes;
    uint64_t age_ms; /* of the oldest event */
};

static struct waiting waiting_of(const struct webhooks *webhooks, size_t app)
{
    struct waiting waiting = {0};
    uint64_t now_ms = webhooks->now_ms();
    for (size_t i = webhooks->first_endpoint[app]; i < webhooks->first_endpoint[app + 1]; i++) {
        const struct endpoint *endpoint = &webhooks->endpoints[i];
        uint64_t oldest_ms = endpoint_oldest_ms(endpoint);
        waiting.events += endpoint->length;
        waiting.bytes += endpoint->bytes;
        if (oldest_ms && now_ms - oldest_ms > waiting.age_ms)
            waiting.age_ms = now_ms - oldest_ms;
    }
    return waiting;
}

static void write_waiting(const struct webhooks *webhooks, struct buffer *out)
{
    static const struct {
        const char *name, *help;
    } gauges[] = {
        {"queue_events", "Events that an endpoint of the app has not taken yet."},
        {"queue_bytes", "What they take of memory."},
        {"queue_age_seconds", "How long the oldest of them has waited."},
    };
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        begin(out, gauges[i].name, "gauge", gauges[i].help);
        for (size_t app = 0; app < webhooks->config->app_count; app++) {
            struct waiting waiting = waiting_of(webhooks, app);
            const double values[] = {
                (double)waiting.events, (double)waiting.bytes, (double)waiting.age_ms / 1000};
            if (webhooks->config->apps[app].webhook_events)
                sample(out, gauges[i].name, &webhooks->config->apps[app], NULL, values[i]);
        }
    }
}

static void write_counts(const struct webhooks *webhooks, struct buffer *out)
{
    const struct config *config = webhooks->config;
    begin(out, "attempts_total", "counter", "Requests to endpoints of the app.");
    for (size_t i = 0; i < config->app_count; i++)
        if (config->apps[i].webhook_events)
            sample(out, "attempts_total", &config->apps[i], NULL, (double)webhooks->counts[i].attempts);
    begin(out, "events_total", "counter", "Events that endpoints of the app have taken.");
    for (size_t i = 0; i < config->app_count; i++)
        if (config->apps[i].webhook_events)
            sample(out, "events_total", &config->apps[i], NULL, (double)webhooks->counts[i].delivered);
}

static void write_failures(const struct webhooks *webhooks, struct buffer *out)
{
    const struct config *config = webhooks->config;
    begin(out, "failures_total", "counter", "Requests that failed, by why.");
    for (size_t i = 0; i < config->app_count; i++)
        for (unsigned result = CLIENT_STATUS; result < CLIENT_RESULTS; result++)
            if (config->apps[i].webhook_events)
                sample(out, "failures_total", &config->apps[i], results[result],
                    (double)webhooks->counts[i].failures[result]);
    begin(out, "dead_letters_total", "counter", "Events that were given up, by why.");
    for (size_t i = 0; i < config->app_count; i++) {
        if (!config->apps[i].webhook_events)
            continue;
        sample(out, "dead_letters_total", &config->apps[i], "gave_up", (double)webhooks->counts[i].given_up);
        sample(out, "dead_letters_total", &config->apps[i], "queue_full",
            (double)webhooks->counts[i].overflowed);
    }
}

void webhooks_write_metrics(const struct webhooks *webhooks, struct buffer *out)
{
    write_waiting(webhooks, out);
    write_counts(webhooks, out);
    write_failures(webhooks, out);
}
