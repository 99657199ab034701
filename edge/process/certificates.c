/* What the log says of certificates that expire soon: at the start, after a reload, and twice a day. */
#include "edge/process/process_private.h"

#include "edge/base/log.h"
#include "edge/tls/server.h"

#include <time.h>

enum {
    /* Authorities that renew by themselves do so 30 days before; who is later than this has been forgotten. */
    SOON_S = 14 * 86400,
    LOOK_AGAIN_MS = 12 * 3600 * 1000,
};

static void look_at(const struct tls_certificate *certificate, int64_t now_s)
{
    int64_t left_s = certificate->expires_s - now_s;
    time_t expires = (time_t)certificate->expires_s;
    struct tm parts;
    char when[32] = "?";
    if (gmtime_r(&expires, &parts))
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (left_s <= 0)
        log_error("tls.expired", "the certificate for %s has expired on %s (%s)", certificate->subject, when,
            certificate->file);
    else if (left_s <= SOON_S)
        log_warn("tls.expires", "the certificate for %s expires in %jd days, on %s (%s)",
            certificate->subject, (intmax_t)(left_s / 86400), when, certificate->file);
}

void process_certificates_look(struct process *process)
{
    int64_t now_s = (int64_t)time(NULL);
    for (size_t i = 0; i < process->config->edge.listen_count; i++) {
        const struct tls_server *server = process->config->edge.listen[i].tls.server;
        for (size_t j = 0; server && j < tls_server_count(server); j++)
            look_at(tls_server_certificate(server, j), now_s);
    }
}

static void on_time(uv_timer_t *timer)
{
    process_certificates_look(timer->data);
}

void process_certificates_init(struct process *process)
{
    uv_timer_init(process->loop, &process->look_at_certificates);
    process->look_at_certificates.data = process;
    uv_timer_start(&process->look_at_certificates, on_time, 0, LOOK_AGAIN_MS);
}

void process_certificates_close(struct process *process)
{
    uv_close((uv_handle_t *)&process->look_at_certificates, NULL);
}
