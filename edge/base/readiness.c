#include "edge/base/readiness.h"

static const char *const names[READINESS_REASONS] = {
    [READINESS_DRAINING] = "draining",
    [READINESS_OVERLOADED] = "overloaded",
    [READINESS_BLIND] = "blind",
};

void readiness_set(struct readiness *readiness, enum readiness_reason reason, const char *why)
{
    atomic_store_explicit(&readiness->why[reason], why, memory_order_release);
}

void readiness_tolerate(struct readiness *readiness, enum readiness_reason reason, bool tolerated)
{
    atomic_store_explicit(&readiness->tolerated[reason], tolerated, memory_order_relaxed);
}

struct readiness_report readiness_read(const struct readiness *readiness)
{
    struct readiness_report report;
    for (unsigned i = 0; i < READINESS_REASONS; i++) {
        report.why[i] = atomic_load_explicit(&readiness->why[i], memory_order_acquire);
        report.tolerated[i] = atomic_load_explicit(&readiness->tolerated[i], memory_order_relaxed);
    }
    return report;
}

const char *readiness_name(enum readiness_reason reason)
{
    return names[reason];
}

static unsigned count(const struct readiness_report *report, bool tolerated)
{
    unsigned found = 0;
    for (unsigned i = 0; i < READINESS_REASONS; i++)
        found += report->why[i] && report->tolerated[i] == tolerated;
    return found;
}

/* Those that are tolerated, or the others. */
static void print_list(
    const struct readiness_report *report, const char *name, bool tolerated, struct buffer *body)
{
    const char *comma = "";
    buffer_printf(body, ",\"%s\":[", name);
    for (unsigned i = 0; i < READINESS_REASONS; i++) {
        if (!report->why[i] || report->tolerated[i] != tolerated)
            continue;
        buffer_printf(body, "%s{\"reason\":\"%s\",\"why\":", comma, names[i]);
        buffer_add_json_text(body, report->why[i]);
        buffer_add_string(body, "}");
        comma = ",";
    }
    buffer_add_string(body, "]");
}

int readiness_print(const struct readiness_report *report, struct buffer *body)
{
    bool ready = count(report, false) == 0;
    buffer_printf(body, "{\"ready\":%s", ready ? "true" : "false");
    print_list(report, "reasons", false, body);
    if (count(report, true) > 0)
        print_list(report, "tolerated", true, body);
    buffer_add_string(body, "}\n");
    return ready ? 200 : 503;
}
