/* The listener itself: a real socket, asked by a blocking client on another thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/admin/admin.h"
#include "edge/base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
    uv_loop_t loop;
    struct wheel wheel;
    struct config *config;
    struct metrics worker, node;
    struct metrics *workers[1];
    atomic_uint_least64_t turned_ms;
    bool alive;
    struct readiness readiness;
    struct admin *admin;
    uv_async_t stop;
};

static bool alive(void *context)
{
    return ((struct server *)context)->alive;
}

static bool write_facts(void *context, struct buffer *out)
{
    (void)context;
    buffer_add_string(out, "somebody\n");
    return true;
}

static enum reload_result reload_result;
static struct reload_asker *reload_asker;

static void tell_later(uv_timer_t *timer)
{
    static const char text[] = "x.json:1: words\n";
    uv_close((uv_handle_t *)timer, NULL);
    reload_asker->told(reload_asker, reload_result, text, sizeof(text) - 1);
}

static void reload(void *context, struct reload_asker *asker)
{
    static uv_timer_t timer;
    reload_asker = asker;
    uv_timer_init(&((struct server *)context)->loop, &timer);
    uv_timer_start(&timer, tell_later, 20, 0);
}

static void write_reload(void *context, struct buffer *out)
{
    (void)context;
    buffer_add_string(out, "{\"generation\":1}\n");
}

static void on_stop(uv_async_t *async)
{
    struct server *server = async->data;
    admin_free(server->admin);
    uv_close((uv_handle_t *)async, NULL);
}

static int start(struct server *server, const char *edge)
{
    char text[256];
    snprintf(text, sizeof(text), "{\"edge\": {%s}}", edge);
    *server = (struct server){.alive = true};
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_AUTO);
    assert_int_equal(config_parse(text, strlen(text), "x.json", &server->config, stderr), 0);
    assert_int_equal(uv_loop_init(&server->loop), 0);
    wheel_init(&server->wheel, uv_now(&server->loop));
    uv_async_init(&server->loop, &server->stop, on_stop);
    server->stop.data = server;
    struct metrics *workers[] = {&server->worker};
    const atomic_uint_least64_t *turned_ms[] = {&server->turned_ms};
    struct admin_sources sources = {.workers = workers,
        .worker_count = 1,
        .node = &server->node,
        .turned_ms = turned_ms,
        .alive = alive,
        .readiness = &server->readiness,
        .write_facts = write_facts,
        .reload = reload,
        .write_reload = write_reload,
        .context = server};
    return admin_new(&server->loop, &server->wheel, server->config, &sources, &server->admin);
}

static void end(struct server *server)
{
    uv_run(&server->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&server->loop), 0);
    config_unref(server->config);
}

struct question {
    struct server *server;
    const char *request;
    char answer[65536];
};

static void ask(void *context)
{
    struct question *question = context;
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons(admin_port(question->server->admin)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t length = 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        write(fd, question->request, strlen(question->request)) > 0) {
        ssize_t got;
        while ((got = read(fd, question->answer + length, sizeof(question->answer) - 1 - length)) > 0)
            length += (size_t)got;
    }
    question->answer[length] = '\0';
    close(fd);
    uv_async_send(&question->server->stop);
}

/* The whole answer to a request with further header lines, whose connection is closed after it. */
static const char *answer_with(struct server *server, const char *line, const char *headers)
{
    static struct question question;
    static char request[512];
    snprintf(
        request, sizeof(request), "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", line, headers);
    question.server = server;
    question.request = request;
    uv_thread_t thread;
    assert_int_equal(uv_thread_create(&thread, ask, &question), 0);
    end(server);
    uv_thread_join(&thread);
    return question.answer;
}

static const char *answer_to(struct server *server, const char *line)
{
    return answer_with(server, line, "");
}

static void assert_answer(const char *answer, int status, const char *const parts[])
{
    char first[32];
    snprintf(first, sizeof(first), "HTTP/1.1 %d ", status);
    assert_int_equal(strncmp(answer, first, strlen(first)), 0);
    for (; *parts; parts++)
        if (!strstr(answer, *parts))
            fail_msg("no %s in %s", *parts, answer);
}

#define PARTS(...)                                                                                           \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

static void test_pages(void **state)
{
    (void)state;
    struct server server;
    assert_int_equal(start(&server, "\"admin\": {\"port\": 0}"), 0);
    assert_answer(answer_to(&server, "GET /healthz"), 200,
        PARTS("{\"alive\":true,", "Content-Type: application/json", "Cache-Control: no-store"));
    start(&server, "\"admin\": {\"port\": 0}");
    server.alive = false;
    assert_answer(answer_to(&server, "GET /healthz?verbose"), 503, PARTS("{\"alive\":false,"));
    start(&server, "\"admin\": {\"port\": 0}");
    assert_answer(answer_to(&server, "GET /readyz"), 200, PARTS("{\"ready\":true,\"reasons\":[]}"));
    start(&server, "\"admin\": {\"port\": 0}");
    readiness_set(&server.readiness, READINESS_DRAINING, "a signal");
    assert_answer(answer_to(&server, "GET /readyz"), 503,
        PARTS("{\"ready\":false,\"reasons\":[{\"reason\":\"draining\""));
}

static void test_metrics_count_this_listener_too(void **state)
{
    (void)state;
    struct server server;
    start(&server, "\"admin\": {\"port\": 0}");
    metric_add(&server.worker.connections, 7);
    assert_answer(answer_to(&server, "GET /metrics"), 200,
        PARTS("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
            "rollcall_connections{worker=\"0\"} 7\n", "rollcall_sockets_accepted_total{worker=\"node\"} 1\n",
            "process_open_fds "));
}

static void test_refusals(void **state)
{
    (void)state;
    struct server server;
    start(&server, "\"admin\": {\"port\": 0}");
    assert_answer(answer_to(&server, "GET /"), 404,
        PARTS("{\"error\":\"there are /healthz, /readyz, /metrics, /facts and /reload here\"}"));
    start(&server, "\"admin\": {\"port\": 0}");
    assert_answer(answer_to(&server, "GET /metrics/"), 404, PARTS("{\"error\":"));
    start(&server, "\"admin\": {\"port\": 0}");
    assert_answer(answer_to(&server, "DELETE /metrics"), 405,
        PARTS("Allow: GET, HEAD\r\n", "{\"error\":\"/metrics takes GET and HEAD\"}"));
    start(&server, "\"admin\": {\"port\": 0}");
    const char *answer = answer_to(&server, "HEAD /healthz");
    assert_answer(answer, 200, PARTS("Content-Length: "));
    assert_null(strstr(answer, "alive"));
}

#define NONE "Content-Length: 0\r\n"

static void test_a_reload_is_answered_when_it_is_over(void **state)
{
    static const struct {
        enum reload_result result;
        int status;
    } cases[] = {{RELOAD_TAKEN, 200}, {RELOAD_REFUSED, 422}, {RELOAD_NOT_NOW, 503}};
    (void)state;
    struct server server;
    for (size_t i = 0; i < 3; i++) {
        reload_result = cases[i].result;
        assert_int_equal(start(&server, "\"admin\": {\"port\": 0}"), 0);
        assert_answer(answer_with(&server, "POST /reload", NONE), cases[i].status,
            PARTS("Content-Type: text/plain; charset=utf-8", "Cache-Control: no-store",
                "\r\n\r\nx.json:1: words\n"));
    }
    assert_int_equal(start(&server, "\"admin\": {\"port\": 0}"), 0);
    assert_answer(answer_to(&server, "GET /reload"), 200, PARTS("{\"generation\":1}\n"));
    assert_int_equal(start(&server, "\"admin\": {\"port\": 0}"), 0);
    assert_answer(answer_to(&server, "DELETE /reload"), 405, PARTS("{\"error\":"));
}

static void test_a_reload_wants_the_token_and_no_other_site(void **state)
{
    static const char admin[] = "\"admin\": {\"port\": 0, \"token\": \"12345678\"}";
    (void)state;
    struct server server;
    reload_result = RELOAD_TAKEN;
    assert_int_equal(start(&server, admin), 0);
    assert_answer(answer_with(&server, "POST /reload", NONE), 401, PARTS("WWW-Authenticate: Bearer"));
    assert_int_equal(start(&server, admin), 0);
    assert_answer(answer_to(&server, "GET /reload"), 401, PARTS("WWW-Authenticate: Bearer"));
    assert_int_equal(start(&server, admin), 0);
    assert_answer(answer_with(&server, "POST /reload", NONE "Authorization: Bearer 12345678\r\n"), 200,
        PARTS("x.json:1: words"));
    assert_int_equal(start(&server, "\"admin\": {\"port\": 0}"), 0);
    assert_answer(answer_with(&server, "POST /reload", NONE "Origin: http://elsewhere.example\r\n"), 403,
        PARTS("another site"));
}

static void test_the_path_prefix_is_for_clients_only(void **state)
{
    (void)state;
    struct server server;
    start(&server, "\"path_prefix\": \"/realtime\", \"admin\": {\"port\": 0}");
    assert_answer(answer_to(&server, "GET /readyz"), 200, PARTS("{\"ready\":true,\"reasons\":[]}"));
    start(&server, "\"path_prefix\": \"/realtime\", \"admin\": {\"port\": 0}");
    assert_answer(answer_to(&server, "GET /realtime/readyz"), 404, PARTS("{\"error\":"));
}

static void test_a_port_that_is_taken(void **state)
{
    (void)state;
    struct server first, second;
    char edge[64];
    start(&first, "\"admin\": {\"port\": 0}");
    snprintf(edge, sizeof(edge), "\"admin\": {\"port\": %u}", (unsigned)admin_port(first.admin));
    log_to_fd(-1);
    assert_int_equal(start(&second, edge), -EADDRINUSE);
    log_to_fd(STDERR_FILENO);
    uv_close((uv_handle_t *)&second.stop, NULL);
    end(&second);
    uv_async_send(&first.stop);
    end(&first);
}

static const char *facts_with(const char *headers)
{
    struct server server;
    assert_int_equal(start(&server, "\"admin\": {\"port\": 0, \"token\": \"sesame-1\"}"), 0);
    return answer_with(&server, "GET /facts", headers);
}

static void test_who_is_connected_is_told_to_those_with_the_token(void **state)
{
    (void)state;
    assert_answer(facts_with("Authorization: Bearer sesame-1\r\n"), 200, PARTS("somebody\n"));
    assert_answer(facts_with("authorization: bearer sesame-1\r\n"), 200, PARTS("somebody\n"));
    static const char *const wrong[] = {
        "",
        "Authorization: Bearer sesame-2\r\n",
        "Authorization: Bearer sesame-\r\n",
        "Authorization: Bearer sesame-11\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer Sesame-1\r\n",
        "Authorization: Basic sesame-1\r\n",
        "Authorization: sesame-1\r\n",
        "Cookie: token=sesame-1\r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *answer = facts_with(wrong[i]);
        assert_answer(
            answer, 401, PARTS("WWW-Authenticate: Bearer realm=\"rollcall\"\r\n", "edge.admin.token"));
        assert_null(strstr(answer, "somebody"));
    }
}

static void test_other_sites_have_no_way_in(void **state)
{
    (void)state;
#define RIGHT "Authorization: Bearer sesame-1\r\n"
    assert_answer(
        facts_with(RIGHT "Origin: http://x\r\nSec-Fetch-Site: same-origin\r\n"), 200, PARTS("somebody\n"));
    assert_answer(facts_with(RIGHT "Sec-Fetch-Site: none\r\n"), 200, PARTS("somebody\n"));
    static const char *const others[] = {
        RIGHT "Origin: http://evil.example\r\n",
        RIGHT "Origin: http://x.evil.example\r\n",
        RIGHT "Origin: null\r\n",
        RIGHT "Sec-Fetch-Site: cross-site\r\n",
        RIGHT "Sec-Fetch-Site: same-site\r\n",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const char *answer = facts_with(others[i]);
        assert_answer(answer, 403, PARTS("another site"));
        assert_null(strstr(answer, "Access-Control"));
    }
#undef RIGHT
}

static void test_without_a_token_health_and_metrics_are_open(void **state)
{
    (void)state;
    struct server server;
    static const char *const lines[] = {"GET /healthz", "GET /readyz", "GET /metrics", "GET /facts"};
    for (size_t i = 0; i < 4; i++) {
        start(&server, "\"admin\": {\"port\": 0}");
        assert_answer(answer_to(&server, lines[i]), 200, PARTS("Cache-Control: no-store"));
    }
    for (size_t i = 0; i < 3; i++) {
        start(&server, "\"admin\": {\"port\": 0, \"token\": \"sesame-1\"}");
        assert_answer(answer_to(&server, lines[i]), 200, PARTS("Cache-Control: no-store"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_metrics_count_this_listener_too),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_who_is_connected_is_told_to_those_with_the_token),
        cmocka_unit_test(test_other_sites_have_no_way_in),
        cmocka_unit_test(test_without_a_token_health_and_metrics_are_open),
        cmocka_unit_test(test_a_reload_is_answered_when_it_is_over),
        cmocka_unit_test(test_a_reload_wants_the_token_and_no_other_site),
        cmocka_unit_test(test_the_path_prefix_is_for_clients_only),
        cmocka_unit_test(test_a_port_that_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
