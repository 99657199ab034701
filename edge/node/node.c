/* The node's life. */
#include "edge/node/node_private.h"

#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void node_send(struct node *node, unsigned worker, struct mail *mail)
{
    outgoing_add(&node->lines[worker].to_worker, mail);
}

bool node_workers_have_room(const struct node *node)
{
    for (unsigned w = 0; w < node->workers; w++)
        if (!mailbox_has_room(node->lines[w].to_worker.to))
            return false;
    return true;
}

static void on_end_of_turn(uv_prepare_t *handle)
{
    struct node *node = handle->data;
    for (unsigned w = 0; w < node->workers; w++)
        outgoing_flush(&node->lines[w].to_worker);
}

static void on_tick(uv_timer_t *timer)
{
    struct node *node = timer->data;
    metrics_note_tick(&node->metrics, &node->ticked_us, WHEEL_TICK_MS);
    wheel_run(&node->wheel, uv_now(node->loop));
}

static void start_handles(struct node *node)
{
    uv_prepare_init(node->loop, &node->end_of_turn);
    node->end_of_turn.data = node;
    uv_prepare_start(&node->end_of_turn, on_end_of_turn);
    uv_timer_init(node->loop, &node->tick);
    node->tick.data = node;
    uv_timer_start(&node->tick, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
    uv_timer_init(node->loop, &node->settle.timer);
    node->settle.timer.data = node;
    wheel_init(&node->wheel, uv_now(node->loop));
}

int node_new(uv_loop_t *loop, const struct config *config, unsigned workers, struct node **created)
{
    struct node *node = new_zeroed(sizeof(*node));
    node->loop = loop;
    node->config = config_ref(config);
    node->workers = workers;
    STAILQ_INIT(&node->kept);
    node->lines = new_array(workers, sizeof(*node->lines));
    int error = 0;
    if (getrandom(&node->incarnation, sizeof(node->incarnation), 0) != sizeof(node->incarnation))
        error = -EIO;
    if (!error)
        error = mailbox_init(&node->mailbox, loop, config->edge.mailbox_length, node);
    if (error) {
        node_free(node);
        return error;
    }
    start_handles(node);
    node->own.node = node;
    node_start_insight(node);
    *created = node;
    error = node_open_store(node);
    if (error)
        return error;
    node_start_usage(node);
    node_start_blind(node);
    return 0;
}

void node_connect(struct node *node, struct node_port *port, unsigned worker, struct mailbox *worker_mailbox)
{
    *port = (struct node_port){.node = node, .worker = worker, .worker_mailbox = worker_mailbox};
    outgoing_init(&port->to_node, &node->mailbox);
    outgoing_init(&node->lines[worker].to_worker, worker_mailbox);
}

struct mailbox *node_mailbox(struct node *node)
{
    return &node->mailbox;
}

struct wheel *node_wheel(struct node *node)
{
    return &node->wheel;
}

struct metrics *node_metrics(struct node *node)
{
    return &node->metrics;
}

struct readiness *node_readiness(struct node *node)
{
    return &node->readiness;
}

atomic_uint *node_connections(struct node *node)
{
    return &node->connections;
}

atomic_bool *node_is_full(struct node *node)
{
    return &node->is_full;
}

uint64_t node_incarnation(const struct node *node)
{
    return node->incarnation;
}

void node_reload(struct node *node, const struct config *config)
{
    const struct config *before = node->config;
    node->config = config_ref(config);
    readiness_tolerate(&node->readiness, READINESS_BLIND, config->presence.ready_when_blind);
    node_reload_webhooks(node);
    node_reload_usage(node, before);
    config_unref(before);
}

void node_close(struct node *node)
{
    mailbox_close(&node->mailbox);
    uv_close((uv_handle_t *)&node->end_of_turn, NULL);
    uv_close((uv_handle_t *)&node->tick, NULL);
    uv_close((uv_handle_t *)&node->settle.timer, NULL);
    wheel_cancel(&node->webhooks.tick);
    if (node->webhooks.room)
        webhooks_close(node->webhooks.room);
    node_stop_usage(node);
    node_stop_blind(node);
    store_free(node->store);
}

void node_free(struct node *node)
{
    node_free_insight(node);
    free(node->lines);
    if (node->webhooks.room)
        webhooks_free(node->webhooks.room);
    config_unref(node->config);
    free(node);
}
