/* Publishers' clocks: the largest disagreement of the last five to ten minutes is a gauge, and whoever is far
 * off is named in the log before his requests are refused. */
#include "edge/api/api_private.h"

#include "edge/base/container.h"
#include "edge/base/log.h"

#include <inttypes.h>

enum {
    WINDOW_MS = 300000, /* the gauge looks back one to two of them; each has a log line of either kind */
    WARN_S = 60,        /* a tenth of what is refused */
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void show(struct worker *worker)
{
    metric_set(&worker->metrics.publisher_clock_skew_seconds,
        larger(worker->clocks.recent_s, worker->clocks.before_s));
}

static void on_window_over(struct wheel_timer *timer, uint64_t now_ms)
{
    struct worker *worker = CONTAINER_OF(timer, struct worker, clocks.window);
    worker->clocks.before_s = worker->clocks.recent_s;
    worker->clocks.recent_s = 0;
    worker->clocks.warned = worker->clocks.refused = false;
    show(worker);
    if (worker->clocks.before_s > 0)
        wheel_set(&worker->wheel, timer, now_ms + WINDOW_MS);
}

static void start_window(struct worker *worker)
{
    if (worker->clocks.window.due_ms)
        return;
    worker->clocks.window.expired = on_window_over;
    wheel_set(&worker->wheel, &worker->clocks.window, worker_now_ms(worker) + WINDOW_MS);
}

static void say(struct worker *worker, const struct app *app, const char *peer, int64_t skew_s, bool refused)
{
    bool *said = refused ? &worker->clocks.refused : &worker->clocks.warned;
    if (*said)
        return;
    *said = true;
    log_warn("api.clock_skew", "app %s: the time in a request from %s is %" PRId64 " seconds %s ours%s",
        app->id, peer, skew_s < 0 ? -skew_s : skew_s, skew_s < 0 ? "behind" : "ahead of",
        refused ? ", so it was refused: compare the clocks"
                : "; over 600 it would be refused: compare the clocks");
}

void api_note_clock_skew(
    struct worker *worker, const struct app *app, const char *peer, int64_t skew_s, bool refused)
{
    uint64_t distance_s = (uint64_t)(skew_s < 0 ? -skew_s : skew_s);
    if (distance_s == 0)
        return;
    start_window(worker);
    worker->clocks.recent_s = larger(worker->clocks.recent_s, distance_s);
    show(worker);
    if (distance_s <= WARN_S)
        return;
    metric_add(&worker->metrics.publisher_clocks_off, 1);
    say(worker, app, peer, skew_s, refused);
}
