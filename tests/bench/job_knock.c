/* Newcomers at a steady rate, who only want to be let in. */
#include "tests/bench/jobs.h"

#include <string.h>

/* The present job; there is one at a time. */
static struct {
    uint64_t begun_ns, until_ns, knocked;
    uint64_t rate; /* a second */
    uint32_t cursor;
} now;

static void begin(struct driver *driver, const struct command *command)
{
    (void)driver;
    memset(&now, 0, sizeof now);
    now.begun_ns = clock_ns();
    now.until_ns = now.begun_ns + command_number(command, "ms", 1000) * MILLISECOND_NS;
    now.rate = command_number(command, "rate", 300);
}

static struct client *next_free(struct driver *driver)
{
    for (uint32_t tried = 0; tried < driver->client_count; tried++) {
        struct client *client = &driver->clients[now.cursor];
        now.cursor = (now.cursor + 1) % driver->client_count;
        if (client->state == CLIENT_FREE)
            return client;
    }
    driver_note(driver, "no client is free to knock");
    return NULL;
}

static void on_open(struct driver *driver, struct client *client)
{
    client_leave(driver, client, FAREWELL_CLOSE_FRAME);
}

static bool advance(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    *wait_ns = MILLISECOND_NS;
    if (now_ns >= now.until_ns)
        return client_count_in(driver, CLIENT_FREE) == driver->client_count;
    uint64_t due = (now_ns - now.begun_ns) * now.rate / SECOND_NS;
    for (struct client *client; now.knocked < due && (client = next_free(driver)); now.knocked++)
        client_open(driver, client);
    return false;
}

const struct job job_knock = {.verb = "knock", .begin = begin, .on_open = on_open, .advance = advance};
