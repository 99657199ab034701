/* Outboxes: when they are written, and what happens to those that nobody reads. */
#include "edge/pusher/connection_private.h"

#include "edge/base/log.h"

#include <inttypes.h>

/* ---- lists ---- */

void connection_mark_dirty(struct connection *connection)
{
    if (connection->is_dirty)
        return;
    connection->is_dirty = true;
    LIST_INSERT_HEAD(&connection->worker->dirty, connection, dirty);
}

static void forget_lazy(struct connection *connection)
{
    if (!connection->is_lazy)
        return;
    connection->is_lazy = false;
    LIST_REMOVE(connection, lazy);
}

/* ---- slow readers ---- */

/* Brings worker->outbox_bytes up to date with what waits for this client. Only what is left after a write
 * counts: what came within this turn waits for us, not for the client. */
static void count(struct connection *connection, uint32_t bytes)
{
    struct worker *worker = connection->worker;
    worker->outbox_bytes += bytes;
    worker->outbox_bytes -= connection->counted_bytes;
    if (bytes > connection->counted_bytes)
        metric_add(&worker->metrics.outbox_bytes, bytes - connection->counted_bytes);
    else
        metric_subtract(&worker->metrics.outbox_bytes, connection->counted_bytes - bytes);
    connection->counted_bytes = bytes;
}

static uint32_t waiting_bytes(const struct connection *connection)
{
    return connection->outbox.bytes + connection->partial_bytes;
}

void connection_slow(struct connection *connection, const char *why)
{
    struct worker *worker = connection->worker;
    log_info("connection.slow", "reset a client of app %s that %s: %" PRIu32 " bytes waited",
        connection->app ? connection->app->id : "?", why, waiting_bytes(connection));
    metric_add(&worker->metrics.slow_readers, 1);
    connection->reason = STORE_TIMED_OUT;
    outbox_deinit(&connection->outbox);
    count(connection, 0);
    struct frame *frame = event_error(PUSHER_OVER_CAPACITY, "You read too slowly");
    outbox_push(&connection->outbox, frame);
    frame_unref(frame);
    connection_lost(connection);
}

/* The oldest frame may be of any size (a roster can be larger than the limit); what waits behind it may not.
 */
static bool holds_too_much(const struct connection *connection)
{
    const struct outbox *outbox = &connection->outbox;
    size_t oldest = 0;
    if (connection->partial_bytes == 0 && outbox->count > 0)
        oldest = frame_wire_bytes(outbox_at(outbox, 0));
    return outbox->bytes - oldest > connection->worker->config->edge.outbox_bytes;
}

/* Resets whoever holds the most until the worker is below its cap again. Walks all connections, but each walk
 * frees at least the cap's share of one of them. */
static void shed(struct worker *worker)
{
    while (worker->outbox_bytes > worker->config->edge.outbox_worker_bytes) {
        struct connection *worst = NULL, *connection;
        LIST_FOREACH (connection, &worker->connections, of_worker)
            if (connection->state == CONNECTION_OPEN &&
                (!worst || connection->counted_bytes > worst->counted_bytes))
                worst = connection;
        if (!worst || worst->counted_bytes == 0)
            return;
        connection_slow(worst, "held the most when all outboxes together were too large");
    }
}

static void apply_limits(struct connection *connection)
{
    /* What a burst within one turn has piled up is no sign of a slow reader: let it try first. */
    if (!connection->blocked)
        connection->transport->flush(connection);
    if (connection->state != CONNECTION_OPEN || !connection->blocked)
        return;
    count(connection, waiting_bytes(connection));
    if (holds_too_much(connection))
        connection_slow(connection, "let its outbox grow too large");
    else
        shed(connection->worker);
}

void connection_wrote(struct connection *connection, size_t bytes, bool blocked)
{
    bool was_blocked = connection->blocked;
    /* Until it became blocked nothing waited. */
    if (bytes > 0 || !blocked || !was_blocked)
        connection->progress_ms = worker_now_ms(connection->worker);
    connection->blocked = blocked;
    if (blocked && !was_blocked)
        connection_watch_stall(connection);
    if (blocked || was_blocked)
        count(connection, blocked ? waiting_bytes(connection) : 0);
}

/* ---- sending ---- */

static bool put(struct connection *connection, struct frame *frame)
{
    if (connection->state != CONNECTION_OPEN)
        return false;
    outbox_push(&connection->outbox, frame);
    metric_add(&connection->worker->metrics.frames_sent, 1);
    metric_add(&connection->counts->messages_sent, 1);
    if (connection->blocked || connection->outbox.bytes > connection->worker->config->edge.outbox_bytes)
        apply_limits(connection);
    return connection->state == CONNECTION_OPEN && !connection->blocked;
}

void connection_send(struct connection *connection, struct frame *frame)
{
    if (put(connection, frame))
        connection_mark_dirty(connection);
}

static void on_lazy_timer(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    struct connection *connection;
    while ((connection = LIST_FIRST(&worker->lazy))) {
        forget_lazy(connection);
        connection_mark_dirty(connection);
    }
}

static void hold_back(struct connection *connection)
{
    struct worker *worker = connection->worker;
    if (connection->is_lazy || connection->is_dirty)
        return;
    connection->is_lazy = true;
    if (LIST_EMPTY(&worker->lazy))
        uv_timer_start(&worker->lazy_timer, on_lazy_timer, CONNECTION_LAZY_MS, 0);
    LIST_INSERT_HEAD(&worker->lazy, connection, lazy);
}

void connection_send_lazy(struct connection *connection, struct frame *frame)
{
    uint64_t now_ms = worker_now_ms(connection->worker);
    bool alone = now_ms - connection->lazy_ms > CONNECTION_LAZY_MS;
    if (!put(connection, frame))
        return;
    connection->lazy_ms = now_ms;
    if (alone && !connection->is_lazy)
        connection_mark_dirty(connection);
    else
        hold_back(connection);
}

/* ---- the end of the turn ---- */

static void settle(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN) {
        if (!connection->blocked)
            connection->transport->flush(connection);
    } else if (connection->end_code == CONNECTION_RESET) {
        connection->transport->reset(connection);
    } else {
        connection->transport->close(connection, connection->end_code, connection->end_why);
    }
}

void connection_flush_dirty(struct worker *worker)
{
    struct connection *connection;
    while ((connection = LIST_FIRST(&worker->dirty))) {
        LIST_REMOVE(connection, dirty);
        connection->is_dirty = false;
        forget_lazy(connection);
        settle(connection);
    }
}

void connection_stop_sending(struct connection *connection)
{
    forget_lazy(connection);
    if (connection->is_dirty)
        LIST_REMOVE(connection, dirty);
    connection->is_dirty = false;
    count(connection, 0);
    outbox_deinit(&connection->outbox);
}

void connection_lists_init(struct worker *worker)
{
    LIST_INIT(&worker->connections);
    LIST_INIT(&worker->dirty);
    LIST_INIT(&worker->lazy);
    uv_timer_init(&worker->loop, &worker->lazy_timer);
    worker->lazy_timer.data = worker;
}

void connection_lists_close(struct worker *worker)
{
    uv_close((uv_handle_t *)&worker->lazy_timer, NULL);
}
