/* A worker for tests of connections: real loop, wheel and configuration, but a node that only notes what it is
 * asked and answers when the test says so. Included once a test program. Its functions stand in for those of
 * edge/node/port.c, which is then not linked. */
#pragma once

#include "edge/pusher/connection_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ASKED_MAX = 64 };

static struct {
    struct worker worker;
    struct config *config;
    bool busy; /* the node's mailbox is full */
    struct subscription *asked[ASKED_MAX];
    size_t asked_count;
    size_t given_up;
    struct publish *published[ASKED_MAX];
    size_t published_count;
    atomic_uint connections; /* of the process */
    atomic_bool full;        /* its memory */
} fake;

static const char FAKE_CONFIG[] = "{\"apps\":[{\"id\":\"1\",\"key\":\"278d425bdf160c739803\","
                                  "\"secret\":\"7ad3773142a6692b25b8\",\"client_events\":true,"
                                  "\"keys\":[{\"key\":\"second-key\",\"secret\":\"second-secret\"}]}]}";

/* The only app, to be changed by tests. */
static inline struct app *fake_app(void)
{
    return &fake.config->apps[0];
}

static int fake_begin(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    if (config_parse(FAKE_CONFIG, sizeof(FAKE_CONFIG) - 1, "test", &fake.config, stderr) != 0)
        return -1;
    struct worker *worker = &fake.worker;
    worker->config = fake.config;
    worker->edge_number = 1234;
    worker->next_serial = 1234;
    worker->serial_step = 1;
    uv_loop_init(&worker->loop);
    wheel_init(&worker->wheel, worker_now_ms(worker));
    connection_lists_init(worker);
    return 0;
}

static int fake_end(void **state)
{
    (void)state;
    connection_lists_close(&fake.worker);
    uv_run(&fake.worker.loop, UV_RUN_DEFAULT);
    app_metrics_deinit(&fake.worker.apps);
    config_unref(fake.config);
    return uv_loop_close(&fake.worker.loop);
}

/* The node's answer to the i-th subscription; `done` of it is over when it is refused. */
static inline void fake_answer(size_t i, enum store_result result)
{
    struct subscription *subscription = fake.asked[i];
    subscription->result = result;
    if (result == STORE_OK) {
        subscription->state = SUBSCRIPTION_ACTIVE;
        if (subscription->kind != CHANNEL_USER)
            subscription->answer = event_subscription_succeeded(subscription->name, NULL);
        connection_subscribed(subscription);
        return;
    }
    connection_subscribed(subscription);
    subscription_free(subscription);
}

/* ---- what edge/node/port.c does otherwise ---- */

bool node_port_has_room(const struct node_port *port)
{
    (void)port;
    return !fake.busy;
}

atomic_uint *node_connections(struct node *node)
{
    (void)node;
    return &fake.connections;
}

atomic_bool *node_is_full(struct node *node)
{
    (void)node;
    return &fake.full;
}

void node_subscribe(struct node_port *port, struct subscription *subscription)
{
    assert_ptr_equal(port, &fake.worker.node);
    assert_true(fake.asked_count < ASKED_MAX);
    fake.asked[fake.asked_count++] = subscription;
}

void node_unsubscribe(struct node_port *port, struct subscription *subscription)
{
    assert_ptr_equal(port, &fake.worker.node);
    assert_null(subscription->connection);
    fake.given_up++;
    subscription_free(subscription);
}

void node_publish(struct node_port *port, struct publish *publish)
{
    assert_ptr_equal(port, &fake.worker.node);
    assert_true(fake.published_count < ASKED_MAX);
    fake.published[fake.published_count++] = publish;
}
