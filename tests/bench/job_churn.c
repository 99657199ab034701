/* Clients that come, subscribe, talk and leave at random, while back ends publish to the same channels. */
#include "tests/bench/histogram.h"
#include "tests/bench/jobs.h"
#include "tests/bench/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 512, REQUEST_BYTES = 2048, ACTIONS_A_TURN_MAX = 200 };

/* The present job; there is one at a time. */
static struct {
    uint64_t begun_ns, until_ns, acted, published;
    uint64_t rate, publish_rate; /* a second */
    uint32_t clients, channels, users;
    uint64_t random;
    struct {
        char text[REQUEST_BYTES];
        size_t length;
    } requests[REQUESTS_MAX];
    uint32_t request_count;
} now;

static uint32_t random_below(uint32_t limit)
{
    now.random ^= now.random << 13;
    now.random ^= now.random >> 7;
    now.random ^= now.random << 17;
    return (uint32_t)((now.random >> 32) * limit >> 32);
}

static const char *random_channel(char name[BENCH_CHANNEL_CHARS])
{
    static const char *const prefixes[] = {"presence-churn", "presence-churn", "private-churn", "churn"};
    message_channel(prefixes[random_below(4)], random_below(now.channels), name);
    return name;
}

static void begin(struct driver *driver, const struct command *command)
{
    char body[REQUEST_BYTES], channel[BENCH_CHANNEL_CHARS];
    memset(&now, 0, sizeof now);
    now.begun_ns = clock_ns();
    now.until_ns = now.begun_ns + command_number(command, "ms", 10000) * MILLISECOND_NS;
    now.rate = command_number(command, "rate", 2000);
    now.publish_rate = command_number(command, "publishes", 200);
    now.channels = (uint32_t)command_number(command, "channels", 20);
    now.clients = (uint32_t)command_number(command, "n", driver->client_count);
    if (now.clients > driver->client_count)
        now.clients = driver->client_count;
    now.random = command_number(command, "seed", 1) * 0x9e3779b97f4a7c15u + 1;
    now.request_count = REQUESTS_MAX;
    for (uint32_t i = 0; i < now.request_count; i++) {
        size_t bytes = message_publish(random_channel(channel), i, 20 + random_below(500), body, sizeof body);
        now.requests[i].length =
            message_signed_post(&driver->app, body, bytes, now.requests[i].text, REQUEST_BYTES);
    }
    publishers_open(driver, 4);
}

static void talk(struct driver *driver, struct client *client)
{
    char text[512];
    if (strncmp(client->channel, "churn", 5) == 0) {
        static const char ping[] = "{\"event\":\"pusher:ping\",\"data\":{}}";
        client_say(driver, client, ping, sizeof ping - 1);
        return;
    }
    size_t length = message_format(text, sizeof text,
        "{\"event\":\"client-churn\",\"channel\":\"%s\",\"data\":{\"from\":%u}}", client->channel,
        client->number);
    client_say(driver, client, text, length);
}

static void leave_somehow(struct driver *driver, struct client *client)
{
    client_leave(driver, client, (enum client_farewell)random_below(3));
}

static void act_subscribed(struct driver *driver, struct client *client)
{
    switch (random_below(8)) {
    case 0:
    case 1:
        client_unsubscribe(driver, client);
        break;
    case 2:
    case 3:
        leave_somehow(driver, client);
        break;
    default:
        talk(driver, client);
    }
}

/* One random thing that a client in its state could do. */
static void act(struct driver *driver, struct client *client)
{
    char channel[BENCH_CHANNEL_CHARS];
    switch (client->state) {
    case CLIENT_FREE:
        client_open(driver, client);
        break;
    case CLIENT_CONNECTING:
    case CLIENT_UPGRADING:
    case CLIENT_GREETING:
        if (random_below(20) == 0)
            client_leave(driver, client, FAREWELL_RESET);
        break;
    case CLIENT_OPEN:
        if (random_below(10) == 0)
            leave_somehow(driver, client);
        else
            client_subscribe(driver, client, random_channel(channel), 20 + random_below(80));
        break;
    case CLIENT_SUBSCRIBING: /* before the answer is there */
        if (random_below(10) == 0)
            leave_somehow(driver, client);
        else if (random_below(10) == 0)
            client_unsubscribe(driver, client);
        break;
    case CLIENT_SUBSCRIBED:
        act_subscribed(driver, client);
        break;
    case CLIENT_CLOSING:
        break;
    }
}

static void publish_due(struct driver *driver, uint64_t passed_ns)
{
    uint64_t due = passed_ns * now.publish_rate / SECOND_NS;
    for (struct publisher *idle; now.published < due && (idle = publisher_idle());) {
        uint32_t i = random_below(now.request_count);
        publisher_send(driver, idle, i, now.requests[i].text, now.requests[i].length);
        now.published++;
    }
}

static bool settled(const struct driver *driver)
{
    return driver->opening == 0 && driver->publishers_busy == 0 &&
           client_count_in(driver, CLIENT_SUBSCRIBING) == 0 && client_count_in(driver, CLIENT_CLOSING) == 0;
}

static bool advance(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    *wait_ns = MILLISECOND_NS;
    if (now_ns >= now.until_ns)
        return settled(driver);
    uint64_t passed_ns = now_ns - now.begun_ns, due = passed_ns * now.rate / SECOND_NS;
    for (int i = 0; now.acted < due && i < ACTIONS_A_TURN_MAX; i++, now.acted++)
        act(driver, &driver->clients[random_below(now.clients)]);
    publish_due(driver, passed_ns);
    return false;
}

static void answer(struct driver *driver)
{
    (void)driver;
    printf(",\"actions\":%llu", (unsigned long long)now.acted);
}

const struct job job_churn = {
    .verb = "churn",
    .begin = begin,
    .advance = advance,
    .answer = answer,
};

/* ---- members ---- */

static bool advance_members(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    (void)driver, (void)now_ns, (void)wait_ns;
    return true;
}

static void answer_members(struct driver *driver)
{
    const char *comma = "";
    printf(",\"subscriptions\":[");
    for (uint32_t i = 0; i < driver->client_count; i++) {
        const struct client *client = &driver->clients[i];
        char user[BENCH_USER_CHARS];
        if (client->state != CLIENT_SUBSCRIBED)
            continue;
        message_user_id(client->user, user);
        printf("%s[\"%s\",\"%s\"]", comma, client->channel, user);
        comma = ",";
    }
    printf("]");
}

const struct job job_members = {
    .verb = "members",
    .advance = advance_members,
    .answer = answer_members,
};
