/* A worker's way from one configuration to another. */
#include "edge/worker.h"

enum { STEP_MS = 20 };

/* ---- connections of apps that are gone or disabled ---- */

static bool leaves(const struct connection *connection)
{
    return connection->leaves_with && connection->state == CONNECTION_OPEN;
}

static void close_leaver(struct connection *connection)
{
    bool is_gone = connection->leaves_with == PUSHER_NO_SUCH_APP;
    connection_end(connection, connection->leaves_with,
        is_gone ? "No app has this key any more" : "This app is disabled");
}

static void on_step(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    size_t left = 0;
    struct connection *connection;
    LIST_FOREACH (connection, &worker->connections, of_worker) {
        if (!leaves(connection))
            continue;
        if (connection->leaves_ms <= worker_now_ms(worker))
            close_leaver(connection);
        else
            left++;
    }
    if (left == 0)
        uv_timer_stop(timer);
}

static bool has_no_time_yet(const struct connection *connection)
{
    return leaves(connection) && !connection->leaves_ms;
}

/* Spread evenly, so that a large app does not take the worker's time from the others. Who has a time keeps it, however
 * often is reloaded. */
static void set_times(struct worker *worker)
{
    uint64_t count = 0, next = 0;
    struct connection *connection;
    LIST_FOREACH (connection, &worker->connections, of_worker)
        count += has_no_time_yet(connection);
    LIST_FOREACH (connection, &worker->connections, of_worker)
        if (has_no_time_yet(connection))
            connection->leaves_ms = worker_now_ms(worker) + next++ * worker->config->edge.drain_ms / count;
    if (count > 0)
        uv_timer_start(&worker->leavers, on_step, 0, STEP_MS);
}

/* ---- the configuration ---- */

static void on_reload(struct mail *mail, void *context)
{
    struct worker *worker = context;
    const struct config *before = worker->config;
    struct connection *connection;
    (void)mail;
    worker->config = worker->reload.config;
    door_reload(worker->door, worker->config);
    LIST_FOREACH (connection, &worker->connections, of_worker)
        connection_reload(connection, worker->config);
    set_times(worker);
    config_unref(before);
    mailbox_post(worker->node.to_node.to, worker->reload.taken);
}

void worker_reload(struct worker *worker, const struct config *config, struct mail *taken)
{
    worker->reload.config = config_ref(config);
    worker->reload.taken = taken;
    worker->reload.request.run = on_reload;
    mailbox_post(&worker->mailbox, &worker->reload.request);
}

void worker_reload_init(struct worker *worker)
{
    uv_timer_init(&worker->loop, &worker->leavers);
    worker->leavers.data = worker;
}

void worker_reload_close(struct worker *worker)
{
    uv_close((uv_handle_t *)&worker->leavers, NULL);
}
