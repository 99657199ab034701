/* What the metrics say of TLS: handshakes that failed, and when certificates expire. */
#include "edge/admin/admin_pages.h"

#include "edge/base/exposition.h"
#include "edge/tls/session.h"

static void print_failures(const struct admin_sources *sources, struct buffer *body)
{
    static const char name[] = "rollcall_tls_handshake_failures_total";
    exposition_begin(body, name, "counter", "TLS handshakes that failed, by reason.");
    for (size_t i = 0; i < sources->worker_count; i++)
        for (unsigned why = 0; why < METRICS_TLS_FAILURES; why++) {
            metric *count = &sources->workers[i]->tls_failures[why];
            buffer_printf(body, "%s{worker=\"%zu\",reason=\"%s\"} %ju\n", name, i,
                tls_failure_name((enum tls_failure)why),
                (uintmax_t)atomic_load_explicit(count, memory_order_relaxed));
        }
}

static void print_certificate(
    const char *name, size_t listener, const struct tls_certificate *certificate, struct buffer *body)
{
    buffer_printf(body, "%s{listen=\"%zu\",subject=\"", name, listener);
    buffer_add_label(body, certificate->subject);
    buffer_add_string(body, "\",file=\"");
    buffer_add_label(body, certificate->file);
    buffer_printf(body, "\"} %jd\n", (intmax_t)certificate->expires_s);
}

static bool has_tls(const struct config *config)
{
    for (size_t i = 0; i < config->edge.listen_count; i++)
        if (config->edge.listen[i].tls.server)
            return true;
    return false;
}

void admin_tls_print(const struct admin_sources *sources, const struct config *config, struct buffer *body)
{
    static const char name[] = "rollcall_certificate_expires_timestamp_seconds";
    print_failures(sources, body);
    if (!has_tls(config))
        return;
    exposition_begin(body, name, "gauge", "When the certificate expires, since 1970.");
    for (size_t i = 0; i < config->edge.listen_count; i++) {
        const struct tls_server *server = config->edge.listen[i].tls.server;
        for (size_t j = 0; server && j < tls_server_count(server); j++)
            print_certificate(name, i, tls_server_certificate(server, j), body);
    }
}
