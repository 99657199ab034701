/* Silence and stalls: one timer of the wheel a connection.
 *
 * What happens often (a message, a pong, a write) only notes the time; the timer, when it fires, looks at the
 * notes and goes to sleep again until the next moment at which something could be due.
 */
#include "edge/pusher/connection_private.h"

#include "edge/base/container.h"
#include "edge/pusher/tcp_progress.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* How much later a deadline is judged again when the answer may already lie in the socket: this loop was held
 * up, not the client. */
enum { SECOND_LOOK_MS = 500, STALL_STEPS = 8 };

static void on_deadline(struct wheel_timer *timer, uint64_t now_ms);

/* By when it must have shown that it may be here; UINT64_MAX: it need not, or has. */
static uint64_t authorization_due_ms(const struct connection *connection)
{
    if (!connection->app->require_authorization || connection->authorized)
        return UINT64_MAX;
    return connection->opened_ms + connection->app->authorization_timeout_ms;
}

static void set(struct connection *connection, uint64_t due_ms)
{
    if (due_ms > authorization_due_ms(connection))
        due_ms = authorization_due_ms(connection);
    wheel_set(&connection->worker->wheel, &connection->deadline, due_ms);
}

/* How often one that takes no more is looked at: what the kernel knows of its progress is never older. */
static uint32_t stall_step_ms(const struct connection *connection)
{
    return connection->worker->config->edge.outbox_stall_ms / STALL_STEPS;
}

void connection_watch(struct connection *connection)
{
    connection->deadline.expired = on_deadline;
    set(connection, connection->heard_ms + connection->worker->config->edge.ping_after_ms);
}

void connection_watch_anew(struct connection *connection)
{
    uint64_t due_ms = connection->heard_ms + connection->worker->config->edge.ping_after_ms;
    if (connection->liveness == CONNECTION_PINGED)
        due_ms = connection->pinged_ms + connection->worker->config->edge.pong_timeout_ms;
    if (due_ms > authorization_due_ms(connection))
        due_ms = authorization_due_ms(connection);
    if (connection->deadline.due_ms > due_ms)
        set(connection, due_ms);
}

void connection_watch_stall(struct connection *connection)
{
    uint64_t due_ms = worker_now_ms(connection->worker) + stall_step_ms(connection);
    connection->deadline.expired = on_deadline;
    connection->taken_bytes = tcp_acknowledged_bytes(connection->fd);
    if (connection->deadline.due_ms == 0 || connection->deadline.due_ms > due_ms)
        set(connection, due_ms);
}

void connection_heard(struct connection *connection)
{
    connection->heard_ms = worker_now_ms(connection->worker);
    connection->liveness = CONNECTION_QUIET;
}

/* A large frame can be on its way for longer than a stall may last; what its client has taken meanwhile is
 * known to the kernel only. */
static void note_progress(struct connection *connection, uint64_t now_ms)
{
    uint64_t taken_bytes = tcp_acknowledged_bytes(connection->fd);
    if (taken_bytes > connection->taken_bytes)
        connection->progress_ms = now_ms;
    connection->taken_bytes = taken_bytes;
}

/* While something waits for the client, only whether it takes it is judged; a pong could not reach us before
 * what is in front of the ping has gone. */
static void judge_stall(struct connection *connection, uint64_t now_ms)
{
    connection->heard_ms = now_ms;
    connection->liveness = CONNECTION_QUIET;
    note_progress(connection, now_ms);
    if (now_ms - connection->progress_ms >= connection->worker->config->edge.outbox_stall_ms)
        connection_slow(connection, "took nothing for too long");
    else
        set(connection, now_ms + stall_step_ms(connection));
}

static bool holds_unread(int fd)
{
    int bytes = 0;
    return fd >= 0 && ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0;
}

static bool has_unread(const struct connection *connection)
{
    return holds_unread(connection->read_fd) ||
           (connection->read_fd != connection->fd && holds_unread(connection->fd));
}

static void judge_pong(struct connection *connection, uint64_t now_ms)
{
    uint64_t due_ms = connection->pinged_ms + connection->worker->config->edge.pong_timeout_ms;
    if (now_ms < due_ms) {
        set(connection, due_ms);
    } else if (has_unread(connection)) {
        set(connection, now_ms + SECOND_LOOK_MS);
    } else {
        metric_add(&connection->worker->metrics.pong_timeouts, 1);
        connection_end(connection, PUSHER_NO_PONG, "Pong reply not received in time");
    }
}

static void judge_silence(struct connection *connection, uint64_t now_ms)
{
    const struct config *config = connection->worker->config;
    uint64_t due_ms = connection->heard_ms + config->edge.ping_after_ms;
    if (now_ms < due_ms) {
        set(connection, due_ms);
        return;
    }
    connection->liveness = CONNECTION_PINGED;
    connection->pinged_ms = now_ms;
    connection->transport->ping(connection);
    set(connection, now_ms + config->edge.pong_timeout_ms);
}

static void on_deadline(struct wheel_timer *timer, uint64_t now_ms)
{
    struct connection *connection = CONTAINER_OF(timer, struct connection, deadline);
    if (connection->state != CONNECTION_OPEN)
        return;
    if (now_ms >= authorization_due_ms(connection))
        connection_end(connection, PUSHER_UNAUTHORIZED, "Connection not authorized within timeout");
    else if (connection->blocked)
        judge_stall(connection, now_ms);
    else if (connection->liveness == CONNECTION_PINGED)
        judge_pong(connection, now_ms);
    else
        judge_silence(connection, now_ms);
}
