#include "tests/bench/histogram.h"
#include "tests/bench/jobs.h"
#include "tests/bench/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DISTINCT_DEFAULT = 1000, REQUEST_BYTES_MAX = 70000 };

struct request {
    char *text;
    size_t length;
};

/* The present job; there is one at a time. */
static struct {
    struct request *requests; /* signed before anything is sent: the driver must not be what is slow */
    uint32_t distinct;
    uint32_t wanted, sent, answered;
    uint32_t subscribers;
    uint64_t delivered;
    uint64_t interval_ns, first_ns; /* 0: when the one before has arrived everywhere */
    uint64_t *sent_ns;              /* of each event */
    bool verify;
    struct histogram latency;
} now;

static void forget(void)
{
    for (uint32_t i = 0; i < now.distinct; i++)
        free(now.requests[i].text);
    free(now.requests);
    free(now.sent_ns);
    memset(&now, 0, sizeof now);
}

static void sign_all(struct driver *driver, const char *channel, uint32_t count, size_t bytes)
{
    static char body[REQUEST_BYTES_MAX], text[REQUEST_BYTES_MAX];
    now.distinct = count;
    now.requests = calloc(count, sizeof *now.requests);
    if (!now.requests)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        size_t body_bytes = message_publish(channel, i, bytes, body, sizeof body);
        struct request *request = &now.requests[i];
        request->length = message_signed_post(&driver->app, body, body_bytes, text, sizeof text);
        request->text = strndup(text, request->length);
        if (!request->text)
            abort();
    }
}

static void send_next(struct driver *driver, struct publisher *publisher)
{
    struct request *request = &now.requests[now.sent % now.distinct];
    if (now.sent_ns)
        now.sent_ns[now.sent] = clock_ns();
    publisher_send(driver, publisher, now.sent++, request->text, request->length);
}

/* ---- publish ---- */

static void begin_publish(struct driver *driver, const struct command *command)
{
    forget();
    now.wanted = (uint32_t)command_number(command, "n", DISTINCT_DEFAULT);
    uint32_t distinct = (uint32_t)command_number(command, "distinct", DISTINCT_DEFAULT);
    sign_all(driver, command_text(command, "channel", "bench-publish"), distinct,
        command_number(command, "bytes", 100));
    publishers_open(driver, (uint32_t)command_number(command, "connections", 16));
}

static void on_published(struct driver *driver, struct publisher *publisher)
{
    now.answered++;
    if (!now.sent_ns)
        histogram_add(&now.latency, clock_ns() - publisher->asked_ns);
    if (!now.sent_ns && now.sent < now.wanted)
        send_next(driver, publisher);
}

static bool advance_publish(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    (void)now_ns, (void)wait_ns;
    for (struct publisher *idle; now.sent < now.wanted && (idle = publisher_idle());)
        send_next(driver, idle);
    return now.answered == now.wanted;
}

static void answer(struct driver *driver)
{
    (void)driver;
    answer_latency(&now.latency);
}

const struct job job_publish = {
    .verb = "publish",
    .begin = begin_publish,
    .on_published = on_published,
    .advance = advance_publish,
    .answer = answer,
};

/* ---- fanout ---- */

static void begin_fanout(struct driver *driver, const struct command *command)
{
    forget();
    now.wanted = (uint32_t)command_number(command, "events", 100);
    now.subscribers =
        (uint32_t)command_number(command, "subscribers", client_count_in(driver, CLIENT_SUBSCRIBED));
    now.verify = command_number(command, "verify", 1);
    uint64_t rate = command_number(command, "rate", 0);
    now.interval_ns = rate ? SECOND_NS / rate : 0;
    sign_all(driver, command_text(command, "channel", "bench-fanout"), now.wanted,
        command_number(command, "bytes", 100));
    now.sent_ns = calloc(now.wanted, sizeof *now.sent_ns);
    if (!now.sent_ns)
        abort();
    for (uint32_t i = 0; i < driver->client_count; i++)
        driver->clients[i].events = 0;
    publishers_open(driver, (uint32_t)command_number(command, "connections", now.interval_ns ? 8 : 1));
    now.first_ns = clock_ns();
}

/* Each event bears its number, and every subscriber gets all of them in their order. */
static void on_event(struct driver *driver, struct client *client, const char *text, size_t length)
{
    char number[32];
    uint32_t place = client->events - 1;
    size_t digits = message_format(number, sizeof number, "\"%08u", place);
    if (place >= now.sent || (now.verify && !memmem(text, length, number, digits))) {
        driver->counters.violations++;
        driver_note(driver, "client %u: not the event that is next", client->number);
        return;
    }
    now.delivered++;
    histogram_add(&now.latency, clock_ns() - now.sent_ns[place]);
}

static bool advance_fanout(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    bool all_have_it = now.delivered >= (uint64_t)now.sent * now.subscribers && now.answered == now.sent;
    if (now.sent == now.wanted)
        return all_have_it;
    uint64_t due_ns = now.first_ns + now.sent * now.interval_ns;
    if (now.interval_ns && now_ns < due_ns) {
        if (due_ns - now_ns < *wait_ns)
            *wait_ns = due_ns - now_ns;
        return false;
    }
    struct publisher *idle = publisher_idle();
    if (idle && (now.interval_ns || all_have_it))
        send_next(driver, idle);
    if (now.interval_ns < *wait_ns && now.interval_ns)
        *wait_ns = now.interval_ns;
    return false;
}

const struct job job_fanout = {
    .verb = "fanout",
    .begin = begin_fanout,
    .on_event = on_event,
    .on_published = on_published,
    .advance = advance_fanout,
    .answer = answer,
};
