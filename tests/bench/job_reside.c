/* People who stay while the servers are restarted under them, and what is published to them. */
#include "tests/bench/histogram.h"
#include "tests/bench/jobs.h"
#include "tests/bench/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REMEMBERED = 1 << 16, /* events: how late they may still come and be known */
    INFO_BYTES = 100,     /* of a member, as for job_open */
    PUBLISHERS = 4,
    REQUEST_BYTES = 2048,
};

struct home {
    char channel[64]; /* "": this client has never been subscribed */
    uint64_t left_ns; /* 0: he is there */
};

/* Across jobs. */
static struct {
    struct home *homes;
    uint64_t sent_ns[REMEMBERED];
    uint32_t published;
    uint64_t longest_away_ns;
    struct histogram latency;
} always;

/* The present job; there is one at a time. */
static struct {
    uint64_t begun_ns, until_ns, rate, bytes, asked;
    uint32_t away, cursor;
    bool settle;
} now;

/* ---- those who stay ---- */

static struct home *home_of(struct driver *driver, const struct client *client)
{
    return &always.homes[client - driver->clients];
}

static void come_back(struct driver *driver, struct client *client)
{
    struct home *home = home_of(driver, client);
    if (home->left_ns == 0) {
        home->left_ns = clock_ns();
        now.away++;
    }
    if (client->state == CLIENT_FREE)
        client_open(driver, client);
}

static void note_return(struct home *home)
{
    if (home->left_ns == 0)
        return;
    uint64_t away_ns = clock_ns() - home->left_ns;
    if (away_ns > always.longest_away_ns)
        always.longest_away_ns = away_ns;
    home->left_ns = 0;
    now.away--;
}

static void begin(struct driver *driver, const struct command *command)
{
    memset(&now, 0, sizeof now);
    now.begun_ns = clock_ns();
    now.until_ns = now.begun_ns + command_number(command, "ms", 1000) * MILLISECOND_NS;
    now.rate = command_number(command, "rate", 20);
    now.bytes = command_number(command, "bytes", 100);
    now.settle = command_number(command, "settle", 0);
    if (command_number(command, "fresh", 0)) {
        always.longest_away_ns = 0;
        memset(&always.latency, 0, sizeof always.latency);
    }
    if (!always.homes)
        always.homes = calloc(driver->client_count, sizeof *always.homes);
    if (!always.homes)
        abort();
    for (uint32_t i = 0; i < driver->client_count; i++) {
        struct client *client = &driver->clients[i];
        struct home *home = &always.homes[i];
        now.away += home->left_ns != 0;
        if (client->state == CLIENT_SUBSCRIBED) { /* perhaps only just, between two jobs */
            message_format(home->channel, sizeof home->channel, "%s", client->channel);
            note_return(home);
        } else if (home->channel[0] && client->state == CLIENT_FREE) { /* he left between two jobs */
            come_back(driver, client);
        } else if (home->channel[0] && client->state == CLIENT_OPEN) {
            client_subscribe(driver, client, home->channel, INFO_BYTES);
        }
    }
}

static void on_ended(struct driver *driver, struct client *client)
{
    if (home_of(driver, client)->channel[0])
        come_back(driver, client);
}

static void on_open(struct driver *driver, struct client *client)
{
    client_subscribe(driver, client, home_of(driver, client)->channel, INFO_BYTES);
}

static void on_subscribed(struct driver *driver, struct client *client)
{
    note_return(home_of(driver, client));
}

/* ---- what is published ---- */

static const char *next_channel(struct driver *driver)
{
    for (uint32_t tried = 0; tried < driver->client_count; tried++) {
        now.cursor =
            (now.cursor + 7919) % driver->client_count; /* a prime: all, in no order that means anything */
        if (always.homes[now.cursor].channel[0])
            return always.homes[now.cursor].channel;
    }
    return NULL;
}

static void publish_due(struct driver *driver, uint64_t now_ns)
{
    char body[REQUEST_BYTES], request[REQUEST_BYTES];
    uint64_t due = (now_ns - now.begun_ns) * now.rate / SECOND_NS;
    publishers_open(driver, PUBLISHERS);
    for (struct publisher *idle; now.asked < due && (idle = publisher_idle()); now.asked++) {
        const char *channel = next_channel(driver);
        if (!channel)
            return;
        uint32_t number = always.published++ % REMEMBERED;
        size_t bytes = message_publish(channel, number, now.bytes, body, sizeof body);
        size_t length = message_signed_post(&driver->app, body, bytes, request, sizeof request);
        always.sent_ns[number] = clock_ns();
        publisher_send(driver, idle, number, request, length);
    }
}

static void on_event(struct driver *driver, struct client *client, const char *text, size_t length)
{
    static const char key[] = "\"data\":\"";
    const char *data = memmem(text, length, key, sizeof key - 1);
    unsigned long number = data ? strtoul(data + sizeof key - 1, NULL, 10) : REMEMBERED;
    /* The data are digits and then letters, so that strtoul() ends inside of the text. */
    if (number >= REMEMBERED || always.sent_ns[number] == 0) {
        driver->counters.violations++;
        driver_note(driver, "client %u: an event that nobody has published", client->number);
        return;
    }
    histogram_add(&always.latency, clock_ns() - always.sent_ns[number]);
}

static bool advance(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    *wait_ns = MILLISECOND_NS;
    if (now_ns >= now.until_ns)
        return driver->publishers_busy == 0 && (!now.settle || now.away == 0);
    publish_due(driver, now_ns);
    return false;
}

static void answer(struct driver *driver)
{
    (void)driver;
    printf(",\"away\":%u,\"away_ms\":%.1f", now.away, (double)always.longest_away_ns / MILLISECOND_NS);
    answer_latency(&always.latency);
}

const struct job job_reside = {
    .verb = "reside",
    .begin = begin,
    .on_open = on_open,
    .on_subscribed = on_subscribed,
    .on_event = on_event,
    .on_ended = on_ended,
    .advance = advance,
    .answer = answer,
};
