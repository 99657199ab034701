#include "edge/worker.h"

#include "edge/api/api.h"
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/pusher/fallback.h"
#include "edge/pusher/websocket.h"
#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>

enum {
    TICK_MS = WHEEL_TICK_MS,
    DRAIN_STEP_MS = 20,
};

/* ---- one turn of the loop ---- */

static void on_end_of_turn(uv_prepare_t *handle)
{
    struct worker *worker = handle->data;
    /* Before anything is written: whoever reads an answer of this turn may rely on the node having what came before
     * it. And behind it: connections that end give their subscriptions up. */
    outgoing_flush(&worker->node.to_node);
    connection_flush_dirty(worker);
    latency_pile_end(&worker->deliveries, &worker->metrics.delivery_latency);
    outgoing_flush(&worker->node.to_node);
}

static void on_tick(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    atomic_store_explicit(&worker->turned_ms, worker_now_ms(worker), memory_order_relaxed);
    metrics_note_tick(&worker->metrics, &worker->ticked_us, TICK_MS);
    wheel_run(&worker->wheel, worker_now_ms(worker));
}

static void on_upgrade(void *context, int fd, const struct http_request *request)
{
    struct worker *worker = context;
    websocket_adopt(worker->websockets, fd, request);
}

static void on_request(void *context, const struct http_request *request)
{
    struct worker *worker = context;
    if (fallback_owns(request->path))
        fallback_request(worker->fallbacks, request);
    else
        api_request(worker, request);
}

/* ---- sockets that change their worker ---- */

struct moving_socket {
    struct mail mail;
    struct door_socket *socket;
};

/* A worker that is over its capacity gets no more. Nor does one get anything from a worker that leaves: so, when
 * all have begun to leave, no socket is on its way that is not in a mailbox yet. */
static void *on_home(void *context, const struct http_request *request)
{
    struct worker *worker = context;
    unsigned home;
    if (!fallback_home(request, worker->worker_count, &home) || home == worker->number)
        return NULL;
    struct worker *other = &worker->workers[home];
    return !worker->drain.active && mailbox_has_room(&other->mailbox) ? other : NULL;
}

static void on_moved(struct mail *mail, void *context)
{
    struct worker *worker = context;
    struct moving_socket *moving = CONTAINER_OF(mail, struct moving_socket, mail);
    door_adopt(worker->door, moving->socket);
    free(moving);
}

static void on_move(void *context, void *home, struct door_socket *socket)
{
    struct worker *other = home;
    struct moving_socket *moving = must_have(malloc(sizeof(*moving)));
    (void)context;
    *moving = (struct moving_socket){.mail.run = on_moved, .socket = socket};
    mailbox_post(&other->mailbox, &moving->mail);
}

/* ---- leaving ---- */

/* Nobody gives this worker a socket any more, and none is on its way. */
static bool all_sockets_arrived(const struct worker *worker)
{
    for (unsigned w = 0; w < worker->worker_count; w++)
        if (!atomic_load(&worker->workers[w].drain.begun))
            return false;
    return mailbox_is_empty(&worker->mailbox);
}

static bool all_given_back(const struct worker *worker)
{
    return worker->connection_count == 0 && worker->node.outstanding == 0 && all_sockets_arrived(worker) &&
           door_connections(worker->door) == 0 && websocket_host_unsent(worker->websockets) == 0;
}

/* How many connections should be left by now, so that the closes are spread evenly. */
static size_t connections_allowed(const struct worker *worker, uint64_t passed_ms)
{
    if (passed_ms >= worker->drain.over_ms)
        return 0;
    return worker->drain.connections * (worker->drain.over_ms - passed_ms) / worker->drain.over_ms;
}

static void close_down_to(struct worker *worker, size_t allowed)
{
    size_t open = 0;
    struct connection *connection;
    LIST_FOREACH (connection, &worker->connections, of_worker)
        open += connection->state == CONNECTION_OPEN;
    LIST_FOREACH (connection, &worker->connections, of_worker) {
        if (open <= allowed)
            return;
        if (connection->state != CONNECTION_OPEN)
            continue;
        connection_end(connection, PUSHER_RECONNECT, "The server is shutting down, please reconnect");
        open--;
    }
}

static void finish(struct worker *worker)
{
    struct mail *finished = worker->drain.finished;
    /* Freeing libwebsockets' context turns the loop again: on a slow machine the timer would come due in there, and the mail
     * be posted twice, which makes a circle of the mailbox. */
    uv_timer_stop(&worker->drain.timer);
    outgoing_flush(&worker->node.to_node);
    mailbox_post(worker->node.to_node.to, finished);
    uv_stop(&worker->loop);
}

static void on_drain_step(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    uint64_t passed_ms = worker_now_ms(worker) - worker->drain.started_ms;
    if (atomic_load(&worker->drain.hurried) && passed_ms < worker->drain.over_ms)
        worker->drain.over_ms = (uint32_t)passed_ms;
    close_down_to(worker, connections_allowed(worker, passed_ms));
    if (passed_ms >= worker->drain.over_ms)
        door_close_idle(worker->door);
    if (all_given_back(worker)) {
        finish(worker);
        return;
    }
    if (passed_ms < (uint64_t)worker->drain.over_ms + WORKER_DRAIN_GRACE_MS)
        return;
    door_close_connections(worker->door);
    struct connection *connection;
    while ((connection = LIST_FIRST(&worker->connections)))
        connection->transport->reset(connection);
}

static void on_drain(struct mail *mail, void *context)
{
    struct worker *worker = context;
    (void)mail;
    door_stop_accepting(worker->door, worker->drain.others_listen);
    worker->drain.active = true;
    atomic_store(&worker->drain.begun, true);
    worker->drain.started_ms = worker_now_ms(worker);
    fallback_drain(worker->fallbacks);
    worker->drain.connections = worker->connection_count;
    uv_timer_start(&worker->drain.timer, on_drain_step, 0, DRAIN_STEP_MS);
}

void worker_drain(struct worker *worker, uint32_t over_ms, bool others_listen, struct mail *finished)
{
    worker->drain.over_ms = over_ms;
    worker->drain.others_listen = others_listen;
    worker->drain.finished = finished;
    worker->drain.request.run = on_drain;
    mailbox_post(&worker->mailbox, &worker->drain.request);
}

/* Not by mail: a worker that has just ended has no mailbox any more. */
void worker_hurry(struct worker *worker)
{
    atomic_store(&worker->drain.hurried, true);
}

/* ---- life ---- */

static void start_timers(struct worker *worker)
{
    uv_prepare_init(&worker->loop, &worker->end_of_turn);
    worker->end_of_turn.data = worker;
    uv_prepare_start(&worker->end_of_turn, on_end_of_turn);
    uv_timer_init(&worker->loop, &worker->tick);
    worker->tick.data = worker;
    uv_timer_start(&worker->tick, on_tick, TICK_MS, TICK_MS);
    connection_lists_init(worker);
    worker_reload_init(worker);
    uv_timer_init(&worker->loop, &worker->drain.timer);
    worker->drain.timer.data = worker;
    atomic_store_explicit(&worker->turned_ms, worker_now_ms(worker), memory_order_relaxed);
}

int worker_init(
    struct worker *worker, unsigned number, unsigned workers, const struct config *config, struct node *node)
{
    *worker = (struct worker){
        .number = number, .worker_count = workers, .workers = worker - number, .config = config_ref(config)};
    worker->edge_number = node_incarnation(node);
    worker->next_serial = number + 1;
    worker->serial_step = workers;
    int error = uv_loop_init(&worker->loop);
    if (error)
        return error;
    error = mailbox_init(&worker->mailbox, &worker->loop, config->edge.mailbox_length, worker);
    if (error)
        return error;
    start_timers(worker);
    wheel_init(&worker->wheel, worker_now_ms(worker));
    node_connect(node, &worker->node, number, &worker->mailbox);
    static const struct door_handlers handlers = {
        .request = on_request, .upgrade = on_upgrade, .home = on_home, .move = on_move};
    worker->door = door_new(&worker->loop, &worker->wheel, config, &worker->metrics, &handlers, worker);
    worker->fallbacks = fallback_host_new(worker);
    worker->websockets = websocket_host_new(worker);
    return worker->websockets ? 0 : -ENOMEM;
}

int worker_listen(struct worker *worker, int fd, const struct config_listen *listen_at, bool kept)
{
    int error = door_add_listener(worker->door, fd, listen_at);
    if (!error && kept)
        door_keep_listener(worker->door, fd);
    return error;
}

static void close_handles(struct worker *worker)
{
    door_free(worker->door);
    fallback_host_free(worker->fallbacks);
    websocket_host_free(worker->websockets);
    mailbox_close(&worker->mailbox);
    uv_close((uv_handle_t *)&worker->end_of_turn, NULL);
    uv_close((uv_handle_t *)&worker->tick, NULL);
    uv_close((uv_handle_t *)&worker->drain.timer, NULL);
    connection_lists_close(worker);
    worker_reload_close(worker);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
}

static void run(void *context)
{
    struct worker *worker = context;
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    close_handles(worker);
}

int worker_start(struct worker *worker)
{
    return uv_thread_create(&worker->thread, run, worker);
}

void worker_join(struct worker *worker)
{
    uv_thread_join(&worker->thread);
    int error = uv_loop_close(&worker->loop);
    latency_pile_deinit(&worker->deliveries);
    app_metrics_deinit(&worker->apps);
    if (error)
        log_error("worker.leak", "worker %u ended with open handles: %s", worker->number, uv_strerror(error));
    config_unref(worker->config);
}
