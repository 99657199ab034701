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
    struct buffer *out, const char *name, const struct hooked_app *hooked, const char *label, double value)
{
    buffer_printf(out, "rollcall_webhook_%s{app=\"", name);
    buffer_add_label(out, hooked->id);
    buffer_printf(out, label ? "\",reason=\"%s\"} %.15g\n" : "\"%s} %.15g\n", label ? label : "", value);
}

/* Of all endpoints of an app. */
struct waiting {
    size_t events, bytes;
    uint64_t age_ms; /* of the oldest event */
};

static struct waiting waiting_of(const struct hooked_app *hooked, uint64_t now_ms)
{
    struct waiting waiting = {0};
    const struct endpoint *endpoint;
    TAILQ_FOREACH (endpoint, &hooked->endpoints, of_app) {
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
    uint64_t now_ms = webhooks->now_ms();
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        begin(out, gauges[i].name, "gauge", gauges[i].help);
        for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next) {
            struct waiting waiting = waiting_of(hooked, now_ms);
            const double values[] = {
                (double)waiting.events, (double)waiting.bytes, (double)waiting.age_ms / 1000};
            sample(out, gauges[i].name, hooked, NULL, values[i]);
        }
    }
}

static void write_counts(const struct webhooks *webhooks, struct buffer *out)
{
    begin(out, "attempts_total", "counter", "Requests to endpoints of the app.");
    for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next)
        sample(out, "attempts_total", hooked, NULL, (double)hooked->counts.attempts);
    begin(out, "events_total", "counter", "Events that endpoints of the app have taken.");
    for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next)
        sample(out, "events_total", hooked, NULL, (double)hooked->counts.delivered);
}

static void write_failures(const struct webhooks *webhooks, struct buffer *out)
{
    begin(out, "failures_total", "counter", "Requests that failed, by why.");
    for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next)
        for (unsigned result = CLIENT_STATUS; result < CLIENT_RESULTS; result++)
            sample(out, "failures_total", hooked, results[result], (double)hooked->counts.failures[result]);
    begin(out, "dead_letters_total", "counter", "Events that were given up, by why.");
    for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next) {
        sample(out, "dead_letters_total", hooked, "gave_up", (double)hooked->counts.given_up);
        sample(out, "dead_letters_total", hooked, "queue_full", (double)hooked->counts.overflowed);
        sample(out, "dead_letters_total", hooked, "removed", (double)hooked->counts.removed);
    }
}

void webhooks_write_metrics(const struct webhooks *webhooks, struct buffer *out)
{
    write_waiting(webhooks, out);
    write_counts(webhooks, out);
    write_failures(webhooks, out);
}
