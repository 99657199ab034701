/* What is counted, in Prometheus' text format: for each name one HELP, one TYPE, then a sample an app. */
#include "edge/webhooks/webhooks_private.h"

#include "edge/base/exposition.h"

static const char *const results[CLIENT_RESULTS] = {
    [CLIENT_STATUS] = "status",
    [CLIENT_TIMED_OUT] = "timed_out",
    [CLIENT_UNREACHABLE] = "unreachable",
    [CLIENT_TLS] = "tls",
    [CLIENT_ADDRESS_REFUSED] = "address_refused",
};

static void sample(
    struct buffer *out, const char *name, const struct hooked_app *hooked, const char *label, double value)
{
    buffer_printf(out, "%s{app=\"", name);
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
        {"rollcall_webhook_queue_events", "Events that an endpoint of the app has not taken yet."},
        {"rollcall_webhook_queue_bytes", "What they take of memory."},
        {"rollcall_webhook_queue_age_seconds", "How long the oldest of them has waited."},
    };
    uint64_t now_ms = webhooks->now_ms();
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        exposition_begin(out, gauges[i].name, "gauge", gauges[i].help);
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
    const char *name = "rollcall_webhook_attempts_total";
    exposition_begin(out, name, "counter", "Requests to endpoints of the app.");
    for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next)
        sample(out, name, hooked, NULL, (double)hooked->counts.attempts);
    name = "rollcall_webhook_events_total";
    exposition_begin(out, name, "counter", "Events that endpoints of the app have taken.");
    for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next)
        sample(out, name, hooked, NULL, (double)hooked->counts.delivered);
}

static void write_failures(const struct webhooks *webhooks, struct buffer *out)
{
    const char *name = "rollcall_webhook_failures_total";
    exposition_begin(out, name, "counter", "Requests that failed, by why.");
    for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next)
        for (unsigned result = CLIENT_STATUS; result < CLIENT_RESULTS; result++)
            sample(out, name, hooked, results[result], (double)hooked->counts.failures[result]);
    name = "rollcall_webhook_dead_letters_total";
    exposition_begin(out, name, "counter", "Events that were given up, by why.");
    for (const struct hooked_app *hooked = webhooks->apps; hooked; hooked = hooked->hh.next) {
        sample(out, name, hooked, "gave_up", (double)hooked->counts.given_up);
        sample(out, name, hooked, "queue_full", (double)hooked->counts.overflowed);
        sample(out, name, hooked, "removed", (double)hooked->counts.removed);
    }
}

void webhooks_write_metrics(const struct webhooks *webhooks, struct buffer *out)
{
    write_waiting(webhooks, out);
    write_counts(webhooks, out);
    write_failures(webhooks, out);
}
