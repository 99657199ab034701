#include "edge/process/process_private.h"

#include "edge/base/container.h"
#include "edge/service/systemd.h"
#include "presence/base/new.h"

#include <signal.h>
#include <stdlib.h>

static void on_worker_taken(struct mail *mail, void *node)
{
    struct process *process = CONTAINER_OF(mail, struct taken_mail, mail)->process;
    (void)node;
    if (--process->reload.going_over == 0)
        reload_taken(process->reload.room);
}

static bool prepare(void *context, const struct config *config, char *problem, size_t problem_bytes)
{
    struct process *process = context;
    return node_reload_shards(process->node, config, problem, problem_bytes) == 0;
}

/* The node first: an app that a worker knows, it must know, too. */
static void go_over(void *context, const struct config *config)
{
    struct process *process = context;
    const struct config *before = process->config;
    process->config = config_ref(config);
    node_reload(process->node, config);
    if (process->admin)
        admin_reload(process->admin, config);
    if (process->console)
        console_reload(process->console, config);
    process->reload.going_over = process->worker_count;
    for (unsigned w = 0; w < process->worker_count; w++)
        worker_reload(&process->workers[w], config, &process->reload.taken[w].mail);
    config_unref(before);
    process_certificates_look(process);
}

/* For `systemctl reload`, which waits for it. */
static void on_under_way(void *context, bool is)
{
    (void)context;
    if (is)
        systemd_notify_reloading();
    else
        systemd_notify_ready();
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct process *process = handle->data;
    (void)number;
    reload_ask(process->reload.room, NULL);
}

/* ---- the admin listener ---- */

static void ask(void *context, struct reload_asker *asker)
{
    struct process *process = context;
    reload_ask(process->reload.room, asker);
}

static void write_state(void *context, struct buffer *out)
{
    struct process *process = context;
    reload_write_state(process->reload.room, out);
}

void process_reload_sources(struct admin_sources *sources)
{
    sources->reload = ask;
    sources->write_reload = write_state;
}

/* ---- life ---- */

void process_reload_init(struct process *process, const char *path)
{
    const struct reload_host host = {
        .prepare = prepare, .go_over = go_over, .under_way = on_under_way, .context = process};
    unsigned workers = process->config->edge.workers;
    process->reload.room = reload_new(process->loop, path, process->config, &host);
    process->reload.taken = new_array(workers, sizeof(*process->reload.taken));
    for (unsigned w = 0; w < workers; w++)
        process->reload.taken[w] = (struct taken_mail){.mail.run = on_worker_taken, .process = process};
    uv_signal_init(process->loop, &process->reload.on_hup);
    process->reload.on_hup.data = process;
    uv_signal_start(&process->reload.on_hup, on_signal, SIGHUP);
}

void process_reload_close(struct process *process)
{
    uv_close((uv_handle_t *)&process->reload.on_hup, NULL);
}

void process_reload_free(struct process *process)
{
    reload_free(process->reload.room);
    free(process->reload.taken);
}
