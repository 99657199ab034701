#include "edge/admin/admin.h"

#include "edge/admin/admin_pages.h"
#include "edge/admin/admin_token.h"
#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "edge/door/door.h"
#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct admin {
    const struct config *config; /* with a reference */
    struct admin_sources sources;
    struct door *door;
    int listener;
    uint16_t port;
    double start_time_seconds; /* read once: computed anew it would wander with the clock */
};

static int print_health(struct admin *admin, struct buffer *body)
{
    return admin_health_print(&admin->sources, clock_monotonic_ms(), body);
}

static int print_readiness(struct admin *admin, struct buffer *body)
{
    return admin_readiness_print(&admin->sources, body);
}

static int print_metrics(struct admin *admin, struct buffer *body)
{
    struct admin_process process;
    admin_process_read(&process);
    process.start_time_seconds = admin->start_time_seconds;
    admin_metrics_print(&admin->sources, admin->config, &process, clock_monotonic_ms(), body);
    return 200;
}

static int print_facts(struct admin *admin, struct buffer *body)
{
    const struct admin_sources *sources = &admin->sources;
    if (sources->write_facts && sources->write_facts(sources->context, body))
        return 200;
    buffer_add_string(body, "this edge is no part of a fleet\n");
    return 404;
}

static int print_reload(struct admin *admin, struct buffer *body)
{
    admin->sources.write_reload(admin->sources.context, body);
    return 200;
}

/* ---- asking for a reload ---- */

struct asked_reload {
    struct reload_asker asker;
    struct http_exchange *exchange; /* unwatched: it stays until it is answered */
};

static void on_told(struct reload_asker *asker, enum reload_result result, const char *text, size_t bytes)
{
    static const int statuses[] = {[RELOAD_TAKEN] = 200, [RELOAD_REFUSED] = 422, [RELOAD_NOT_NOW] = 503};
    struct asked_reload *asked = CONTAINER_OF(asker, struct asked_reload, asker);
    http_answer(asked->exchange, &(struct http_answer){.status = statuses[result],
                                     .content_type = "text/plain; charset=utf-8",
                                     .headers = "Cache-Control: no-store\r\n",
                                     .body = text,
                                     .body_bytes = bytes});
    free(asked);
}

static void ask_to_reload(struct admin *admin, struct http_exchange *exchange)
{
    struct asked_reload *asked = must_have(malloc(sizeof(*asked)));
    *asked = (struct asked_reload){.asker.told = on_told, .exchange = exchange};
    admin->sources.reload(admin->sources.context, &asked->asker);
}

/* ---- pages ---- */

static const struct page {
    const char *path;
    int (*print)(struct admin *admin, struct buffer *body);
    const char *content_type;
    bool names_people; /* so it wants the token, where there is one */
} pages[] = {
    {"/healthz", print_health, NULL, false},
    {"/readyz", print_readiness, NULL, false},
    {"/metrics", print_metrics, "text/plain; version=0.0.4; charset=utf-8", false},
    {"/facts", print_facts, "text/plain; charset=utf-8", true},
    {"/reload", print_reload, NULL, true},
};

static const struct page *page_find(struct http_text path)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (http_text_is(path, pages[i].path))
            return &pages[i];
    return NULL;
}

static void on_request(void *context, const struct http_request *request)
{
    struct admin *admin = context;
    const struct page *page = page_find(request->path);
    if (!page && admin->sources.request && admin->sources.request(admin->sources.request_context, request))
        return;
    if (!page || (page->print == print_reload && !admin->sources.reload)) {
        http_answer_error(request->exchange, 404, NULL,
            "there are /healthz, /readyz, /metrics, /facts and /reload here%s",
            admin->sources.request ? ", and the console, /" : "");
        return;
    }
    if (page->print == print_reload && strcmp(request->method, "POST") == 0) {
        if (admin_allows(admin->config, request, ADMIN_RELOADS))
            ask_to_reload(admin, request->exchange);
        return;
    }
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        http_answer_error(
            request->exchange, 405, "Allow: GET, HEAD\r\n", "%s takes GET and HEAD", page->path);
        return;
    }
    if (page->names_people && admin->config->edge.admin.token[0] &&
        !admin_allows(admin->config, request, ADMIN_LOOKS))
        return;
    struct buffer body = {0};
    struct http_answer answer = {.status = page->print(admin, &body),
        .content_type = page->content_type,
        .headers = "Cache-Control: no-store\r\n"};
    answer.body = body.bytes;
    answer.body_bytes = body.length;
    http_answer(request->exchange, &answer);
    buffer_deinit(&body);
}

static struct admin *make(const struct config *config, const struct admin_sources *sources)
{
    struct admin *admin = new_zeroed(sizeof(*admin));
    admin->config = config_ref(config);
    admin->sources = *sources;
    admin->sources.workers = new_copy(sources->workers, sources->worker_count * sizeof(*sources->workers));
    if (sources->turned_ms)
        admin->sources.turned_ms =
            new_copy(sources->turned_ms, sources->worker_count * sizeof(*sources->turned_ms));
    if (sources->apps)
        admin->sources.apps = new_copy(sources->apps, sources->worker_count * sizeof(*sources->apps));
    struct admin_process process;
    admin_process_read(&process);
    admin->start_time_seconds = process.start_time_seconds;
    return admin;
}

int admin_new(uv_loop_t *loop, struct wheel *wheel, const struct config *config,
    const struct admin_sources *sources, struct admin **admin)
{
    static const struct door_handlers handlers = {.request = on_request, .no_path_prefix = true};
    struct config_listen at = {.address = config->edge.admin.address, .port = config->edge.admin.port};
    int fd = sources->listener;
    if (fd > 0) {
        door_prepare_listener(fd);
        at.port = door_listener_port(fd);
    } else {
        fd = door_listen(&at, DOOR_ALONE, &at.port);
    }
    if (fd < 0) {
        log_error(
            "admin.listen", "cannot listen on %s port %u: %s", at.address, (unsigned)at.port, strerror(-fd));
        return fd;
    }
    struct admin *made = make(config, sources);
    made->port = at.port;
    made->listener = fd;
    made->door = door_new(loop, wheel, config, sources->node, &handlers, made);
    int error = door_add_listener(made->door, fd, &at);
    if (error) {
        admin_free(made);
        return error;
    }
    log_info("admin.listen", "health and metrics on %s port %u", at.address, (unsigned)at.port);
    *admin = made;
    return 0;
}

void admin_reload(struct admin *admin, const struct config *config)
{
    const struct config *before = admin->config;
    admin->config = config_ref(config);
    door_reload(admin->door, config);
    config_unref(before);
}

void admin_stop_accepting(struct admin *admin)
{
    door_stop_accepting(admin->door, true);
}

int admin_listener(const struct admin *admin)
{
    return admin->listener;
}

uint16_t admin_port(const struct admin *admin)
{
    return admin->port;
}

void admin_free(struct admin *admin)
{
    door_free(admin->door);
    free((void *)admin->sources.workers);
    free((void *)admin->sources.turned_ms);
    free((void *)admin->sources.apps);
    config_unref(admin->config);
    free(admin);
}
