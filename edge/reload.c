#include "edge/reload.h"

#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/base/exposition.h"
#include "edge/base/log.h"
#include "presence/base/new.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

STAILQ_HEAD(asker_queue, reload_asker);

/* One reading of the file, in a thread of the pool. */
struct reading {
    uv_work_t work;
    struct reload *reload;
    const struct config *running; /* with a reference */
    struct config *made;          /* NULL: what was read is wrong */
    struct config_changes changes;
    char *problems; /* lines */
    size_t problems_bytes;
};

struct reload {
    uv_loop_t *loop;
    char *path;
    const struct config *config; /* with a reference */
    struct reload_host host;
    enum { RELOAD_IDLE, RELOAD_READING, RELOAD_GOING_OVER } state;
    bool stopped;
    bool again;                 /* asked for since the file was opened */
    struct asker_queue waiting; /* for the next reading */
    struct asker_queue asking;  /* of the present one */
    struct buffer text;         /* for those */
    uint64_t generation;        /* from 1, the one that the process began with */
    uint64_t taken, refused;
    int64_t asked_ms, taken_ms; /* wall clock: the last result, and the last good one */
    char *problems;             /* of the last reading; NULL: it was good */
};

static void begin(struct reload *reload);

/* ---- words ---- */

static void add_paths(struct buffer *text, const char *what, const struct config_paths *paths)
{
    for (size_t i = 0; i < paths->count && i < CONFIG_CHANGES_MAX; i++)
        buffer_printf(text, "%s: %s\n", what, paths->texts[i]);
    if (paths->count > CONFIG_CHANGES_MAX)
        buffer_printf(text, "%s: and %zu more\n", what, paths->count - CONFIG_CHANGES_MAX);
}

/* Calls of each line of a text that ends with one. */
static void each_line(
    const char *lines, void (*call)(const char *line, size_t length, void *context), void *context)
{
    while (*lines) {
        size_t length = strcspn(lines, "\n");
        call(lines, length, context);
        lines += length + (lines[length] == '\n');
    }
}

static void add_warning(const char *line, size_t length, void *text)
{
    buffer_printf(text, "warning: %.*s\n", (int)length, line);
}

static void log_warning(const char *line, size_t length, void *context)
{
    (void)context;
    log_warn("config.warning", "%.*s", (int)length, line);
}

static void write_changes(struct reload *reload, const struct config_changes *changes)
{
    bool any = changes->taken.count > 0 || changes->waiting.count > 0;
    buffer_printf(&reload->text, "%s: reloaded, generation %ju%s\n", reload->path,
        (uintmax_t)reload->generation, any ? "" : "; nothing has changed");
    add_paths(&reload->text, "changed", &changes->taken);
    add_paths(&reload->text, "needs a restart", &changes->waiting);
    each_line(reload->config->warnings, add_warning, &reload->text);
}

/* In one line, cut where a log's line ends. */
static void join(const struct config_paths *paths, struct buffer *line)
{
    for (size_t i = 0; i < paths->count && i < CONFIG_CHANGES_MAX; i++)
        buffer_printf(line, "%s%s", i ? ", " : "", paths->texts[i]);
    if (paths->count > CONFIG_CHANGES_MAX)
        buffer_printf(line, " and %zu more", paths->count - CONFIG_CHANGES_MAX);
}

static void log_changes(const struct reload *reload, const struct config_changes *changes)
{
    struct buffer taken = {0}, waiting = {0};
    join(&changes->taken, &taken);
    join(&changes->waiting, &waiting);
    log_info("config.reloaded", "%s, generation %ju, changed: %.*s", reload->path,
        (uintmax_t)reload->generation, taken.length ? (int)taken.length : 7,
        taken.length ? taken.bytes : "nothing");
    if (waiting.length)
        log_warn("config.restart", "needs a restart and stays as it is until then: %.*s", (int)waiting.length,
            waiting.bytes);
    each_line(reload->config->warnings, log_warning, NULL);
    buffer_deinit(&taken);
    buffer_deinit(&waiting);
}

/* The log allows ten lines a second from one place; the last one says how many there are. */
static void log_problem(const char *line, size_t length, void *context)
{
    size_t *count = context;
    if (++*count < 10)
        log_error("config.refused", "%.*s", (int)length, line);
}

static void log_problems(const char *problems)
{
    size_t count = 0;
    each_line(problems, log_problem, &count);
    log_error("config.kept", "the configuration before stays: there are %zu lines about the new one", count);
}

/* ---- results ---- */

static void tell(struct reload *reload, struct asker_queue *askers, enum reload_result result)
{
    struct reload_asker *asker;
    while ((asker = STAILQ_FIRST(askers))) {
        STAILQ_REMOVE_HEAD(askers, next);
        asker->told(asker, result, reload->text.bytes, reload->text.length);
    }
}

static void tell_not_now(struct reload *reload, struct asker_queue *askers)
{
    reload->text.length = 0;
    buffer_add_string(&reload->text, "the process is stopping; nothing was reloaded\n");
    tell(reload, askers, RELOAD_NOT_NOW);
}

static void finish(struct reload *reload, enum reload_result result)
{
    reload->asked_ms = clock_wall_ms();
    reload->state = RELOAD_IDLE;
    tell(reload, &reload->asking, result);
    if (reload->stopped)
        return;
    if (reload->again)
        begin(reload);
    else
        reload->host.under_way(reload->host.context, false);
}

void reload_taken(struct reload *reload)
{
    reload->taken_ms = clock_wall_ms();
    reload->taken++;
    finish(reload, RELOAD_TAKEN);
}

static void refuse(struct reload *reload, const struct reading *reading)
{
    log_problems(reading->problems);
    reload->refused++;
    reload->problems = new_text(reading->problems);
    buffer_add(&reload->text, reading->problems, reading->problems_bytes);
    buffer_add_string(&reload->text, "the configuration before stays\n");
    finish(reload, RELOAD_REFUSED);
}

static bool prepare(struct reload *reload, struct reading *reading)
{
    char problem[512];
    if (reload->host.prepare(reload->host.context, reading->made, problem, sizeof(problem)))
        return true;
    free(reading->problems);
    reading->problems = new_printed("%s: %s\n", reload->path, problem);
    reading->problems_bytes = strlen(reading->problems);
    return false;
}

static void take(struct reload *reload, struct reading *reading)
{
    const struct config *before = reload->config;
    reload->config = reading->made; /* with its first reference */
    reading->made = NULL;
    reload->generation++;
    log_configure((enum log_level)reload->config->log.level, (enum log_format)reload->config->log.format);
    log_changes(reload, &reading->changes);
    write_changes(reload, &reading->changes);
    reload->state = RELOAD_GOING_OVER;
    config_unref(before);
    reload->host.go_over(reload->host.context, reload->config);
}

/* ---- reading ---- */

static void read_file(uv_work_t *work)
{
    struct reading *reading = CONTAINER_OF(work, struct reading, work);
    FILE *problems = must_have(open_memstream(&reading->problems, &reading->problems_bytes));
    config_reload(reading->reload->path, reading->running, &reading->made, &reading->changes, problems);
    fclose(problems);
}

static void on_read(uv_work_t *work, int status)
{
    struct reading *reading = CONTAINER_OF(work, struct reading, work);
    struct reload *reload = reading->reload;
    (void)status; /* nobody cancels it */
    free(reload->problems);
    reload->problems = NULL;
    reload->text.length = 0;
    if (reload->stopped)
        reload->state = RELOAD_IDLE; /* who asked has been told */
    else if (reading->made && prepare(reload, reading))
        take(reload, reading);
    else
        refuse(reload, reading);
    config_unref(reading->made);
    config_unref(reading->running);
    config_changes_free(&reading->changes);
    free(reading->problems);
    free(reading);
}

/* Not on this thread: it has the heartbeats to send, and ten thousand apps take a moment. */
static void begin(struct reload *reload)
{
    struct reading *reading = new_zeroed(sizeof(*reading));
    reading->reload = reload;
    reading->running = config_ref(reload->config);
    reload->state = RELOAD_READING;
    reload->again = false;
    STAILQ_CONCAT(&reload->asking, &reload->waiting);
    uv_queue_work(reload->loop, &reading->work, read_file, on_read);
}

void reload_ask(struct reload *reload, struct reload_asker *asker)
{
    if (asker)
        STAILQ_INSERT_TAIL(&reload->waiting, asker, next);
    if (reload->stopped) {
        log_warn("config.stopping", "the process is stopping; nothing is reloaded any more");
        tell_not_now(reload, &reload->waiting);
        return;
    }
    reload->again = true;
    if (reload->state != RELOAD_IDLE)
        return;
    reload->host.under_way(reload->host.context, true);
    begin(reload);
}

/* ---- state ---- */

static void add_time(struct buffer *out, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    char text[32];
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "\"%Y-%m-%dT%H:%M:%SZ\"", &utc);
    buffer_add_string(out, text);
}

void reload_write_state(const struct reload *reload, struct buffer *out)
{
    buffer_add_string(out, "{\"file\":");
    buffer_add_json_text(out, reload->path);
    buffer_printf(out, ",\"generation\":%ju,\"loaded\":", (uintmax_t)reload->generation);
    add_time(out, reload->taken_ms);
    buffer_printf(out, ",\"reloads\":{\"taken\":%ju,\"refused\":%ju}", (uintmax_t)reload->taken,
        (uintmax_t)reload->refused);
    if (reload->problems) {
        buffer_add_string(out, ",\"refused\":{\"time\":");
        add_time(out, reload->asked_ms);
        buffer_add_string(out, ",\"problems\":");
        buffer_add_json_text(out, reload->problems);
        buffer_add_string(out, "}");
    }
    buffer_add_string(out, "}\n");
}

void reload_write_metrics(const struct reload *reload, struct buffer *out)
{
    exposition_begin(out, "rollcall_config_reloads_total", "counter",
        "Times the configuration was read again, by what came of it.");
    buffer_printf(out, "rollcall_config_reloads_total{result=\"taken\"} %ju\n", (uintmax_t)reload->taken);
    buffer_printf(out, "rollcall_config_reloads_total{result=\"refused\"} %ju\n", (uintmax_t)reload->refused);
    exposition_begin(out, "rollcall_config_last_reload_successful", "gauge",
        "1: the last reload was taken, or there was none; 0: what is in the file is not what runs.");
    buffer_printf(out, "rollcall_config_last_reload_successful %d\n", reload->problems == NULL);
    exposition_begin(out, "rollcall_config_last_reload_success_timestamp_seconds", "gauge",
        "When the configuration that runs was taken, since 1970.");
    buffer_printf(
        out, "rollcall_config_last_reload_success_timestamp_seconds %.3f\n", (double)reload->taken_ms / 1000);
    exposition_begin(
        out, "rollcall_config_generation", "gauge", "How many configurations this process has had.");
    buffer_printf(out, "rollcall_config_generation %ju\n", (uintmax_t)reload->generation);
    exposition_begin(out, "rollcall_config_in_use", "gauge",
        "Configurations in memory: 1, and more while connections of apps that are gone are being closed.");
    buffer_printf(out, "rollcall_config_in_use %u\n", config_count());
}

/* ---- life ---- */

struct reload *reload_new(
    uv_loop_t *loop, const char *path, const struct config *config, const struct reload_host *host)
{
    struct reload *reload = new_zeroed(sizeof(*reload));
    reload->path = new_text(path);
    reload->loop = loop;
    reload->config = config_ref(config);
    reload->host = *host;
    reload->generation = 1;
    reload->taken_ms = clock_wall_ms();
    STAILQ_INIT(&reload->waiting);
    STAILQ_INIT(&reload->asking);
    each_line(config->warnings, log_warning, NULL);
    return reload;
}

void reload_stop(struct reload *reload)
{
    reload->stopped = true;
    reload->again = false;
    if (reload->state == RELOAD_READING)
        tell_not_now(reload, &reload->asking);
    tell_not_now(reload, &reload->waiting);
}

void reload_free(struct reload *reload)
{
    buffer_deinit(&reload->text);
    config_unref(reload->config);
    free(reload->problems);
    free(reload->path);
    free(reload);
}
