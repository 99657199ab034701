#include "tests/bench/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The present job; there is one at a time. */
static struct {
    uint32_t wanted, started, settled, window;
    const char *channel; /* NULL: none */
    char channel_text[128];
    uint32_t from;    /* the place of the first */
    uint32_t members; /* in each channel; 0: all in one */
    size_t info_bytes;
    uint64_t added_at_end;
    uint32_t cursor;
    enum client_farewell farewell;
    uint64_t until_ns;
} now;

static void begin(struct driver *driver, const struct command *command)
{
    memset(&now, 0, sizeof now);
    now.wanted = (uint32_t)command_number(command, "n", 1);
    now.window = (uint32_t)command_number(command, "window", 64);
    now.from = (uint32_t)command_number(command, "from", 0);
    now.members = (uint32_t)command_number(command, "members", 0);
    now.info_bytes = command_number(command, "info", 100);
    now.added_at_end = driver->counters.added + command_number(command, "added", 0);
    const char *channel = command_text(command, "channel", NULL);
    if (channel) {
        message_format(now.channel_text, sizeof now.channel_text, "%s", channel);
        now.channel = now.channel_text;
    }
}

/* One after the other into as many channels as are needed: neighbours in time are strangers, so that what they
 * cost is not what a crowd would. */
static void channel_of(uint32_t place, char name[BENCH_CHANNEL_CHARS])
{
    uint32_t channels = now.members ? (now.wanted + now.members - 1) / now.members : 1;
    uint32_t number = now.members ? (now.from / now.members) + (place - now.from) % channels : UINT32_MAX;
    message_channel(now.channel, number, name);
}

static void settle(struct client *client)
{
    now.settled += client->pending;
    client->pending = false;
}

/* The next client in that state; NULL when there is none. */
static struct client *next_in(struct driver *driver, enum client_state state)
{
    for (uint32_t tried = 0; tried < driver->client_count; tried++) {
        struct client *client = &driver->clients[now.cursor];
        now.cursor = (now.cursor + 1) % driver->client_count;
        if (client->state == state)
            return client;
    }
    driver_note(driver, "no client is in the state that this needs");
    return NULL;
}

static void on_settled(struct driver *driver, struct client *client)
{
    (void)driver;
    settle(client);
}

static bool all_done(const struct driver *driver)
{
    return now.started == now.wanted && now.settled == now.started &&
           driver->counters.added >= now.added_at_end;
}

/* ---- open ---- */

static void on_open(struct driver *driver, struct client *client)
{
    if (!client->pending)
        return;
    if (!now.channel) {
        settle(client);
        return;
    }
    char channel[BENCH_CHANNEL_CHARS];
    channel_of(client->place, channel);
    client_subscribe(driver, client, channel, now.info_bytes);
}

static bool advance_open(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    (void)now_ns, (void)wait_ns;
    while (now.started < now.wanted && now.started - now.settled < now.window) {
        struct client *client = next_in(driver, CLIENT_FREE);
        if (!client) {
            now.wanted = now.started;
            break;
        }
        client->place = now.from + now.started++;
        client->pending = true;
        client_open(driver, client);
        if (client->state == CLIENT_FREE)
            settle(client);
    }
    return all_done(driver);
}

const struct job job_open = {
    .verb = "open",
    .begin = begin,
    .on_open = on_open,
    .on_subscribed = on_settled,
    .on_ended = on_settled,
    .advance = advance_open,
};

/* ---- subscribe ---- */

struct prepared {
    struct client *client;
    char *text;
    size_t length;
};

static void prepare(struct driver *driver, struct prepared *prepared, struct client *client, uint32_t place)
{
    char text[4096], channel[BENCH_CHANNEL_CHARS];
    client->place = place;
    channel_of(place, channel);
    prepared->client = client;
    prepared->length = client_prepare_subscribe(driver, client, channel, now.info_bytes, text, sizeof text);
    prepared->text = strndup(text, prepared->length);
    if (!prepared->text)
        abort();
    message_format(client->channel, sizeof client->channel, "%s", channel);
    client->state = CLIENT_SUBSCRIBING;
    client->pending = true;
}

static void begin_subscribe(struct driver *driver, const struct command *command)
{
    begin(driver, command);
    struct prepared *all = calloc(now.wanted, sizeof *all);
    if (!all || !now.channel)
        abort();
    for (; now.started < now.wanted; now.started++) {
        struct client *client = next_in(driver, CLIENT_OPEN);
        if (!client)
            break;
        prepare(driver, &all[now.started], client, now.from + now.started);
    }
    now.wanted = now.started;
    for (uint32_t i = 0; i < now.wanted; i++) {
        client_say(driver, all[i].client, all[i].text, all[i].length);
        free(all[i].text);
    }
    free(all);
}

static bool advance_subscribe(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    (void)now_ns, (void)wait_ns;
    return all_done(driver);
}

const struct job job_subscribe = {
    .verb = "subscribe",
    .begin = begin_subscribe,
    .on_subscribed = on_settled,
    .on_ended = on_settled,
    .advance = advance_subscribe,
};

/* ---- leave ---- */

static enum client_farewell farewell_of(const char *word)
{
    if (strcmp(word, "reset") == 0)
        return FAREWELL_RESET;
    if (strcmp(word, "close") == 0)
        return FAREWELL_CLOSE_FRAME;
    if (strcmp(word, "fin") == 0)
        return FAREWELL_FIN;
    fprintf(stderr, "bench_driver: how=%s: must be reset, close or fin\n", word);
    exit(2);
}

static void begin_leave(struct driver *driver, const struct command *command)
{
    begin(driver, command);
    now.wanted = (uint32_t)command_number(command, "n", UINT32_MAX);
    now.farewell = farewell_of(command_text(command, "how", "close"));
    for (uint32_t i = 0; i < driver->client_count && now.started < now.wanted; i++) {
        struct client *client = &driver->clients[i];
        if (client->fd < 0)
            continue;
        now.started++;
        client->pending = true;
        client_leave(driver, client, now.farewell);
    }
    now.wanted = now.started;
}

const struct job job_leave = {
    .verb = "leave",
    .begin = begin_leave,
    .on_ended = on_settled,
    .advance = advance_subscribe,
};

/* ---- wait ---- */

static void begin_wait(struct driver *driver, const struct command *command)
{
    (void)driver;
    now.until_ns = clock_ns() + command_number(command, "ms", 1000) * MILLISECOND_NS;
}

static bool advance_wait(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    (void)driver;
    if (now_ns >= now.until_ns)
        return true;
    if (now.until_ns - now_ns < *wait_ns)
        *wait_ns = now.until_ns - now_ns;
    return false;
}

const struct job job_wait = {
    .verb = "wait",
    .begin = begin_wait,
    .advance = advance_wait,
};
