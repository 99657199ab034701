#include "tests/bench/histogram.h"
#include "tests/bench/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The present job; there is one at a time. */
static struct {
    uint32_t first, users, each;
    size_t map_bytes;   /* of one client: a bit for each of the users */
    uint8_t *seen;      /* all clients' maps */
    uint32_t *counts;   /* of each client */
    uint64_t remaining; /* removals not told yet, over all clients */
    uint64_t begun_ns;
    struct histogram latency;
} now;

static void begin(struct driver *driver, const struct command *command)
{
    free(now.seen);
    free(now.counts);
    memset(&now, 0, sizeof now);
    now.first = (uint32_t)command_number(command, "first", 0);
    now.users = (uint32_t)command_number(command, "users", 1);
    now.each = (uint32_t)command_number(command, "each", 1);
    now.map_bytes = now.users / 8 + 1;
    now.seen = calloc(driver->client_count, now.map_bytes);
    now.counts = calloc(driver->client_count, sizeof *now.counts);
    if (!now.seen || !now.counts)
        abort();
    now.remaining = (uint64_t)client_count_in(driver, CLIENT_SUBSCRIBED) * now.each;
    now.begun_ns = clock_ns();
}

/* The user's number; UINT32_MAX when it is none of ours. */
static uint32_t removed_user(const char *text, size_t length)
{
    static const char key[] = "\\\"user_id\\\":\\\"u";
    const char *found = memmem(text, length, key, sizeof key - 1);
    if (!found)
        return UINT32_MAX;
    uint32_t number = 0;
    for (found += sizeof key - 1; found < text + length && *found >= '0' && *found <= '9'; found++)
        number = number * 10 + (uint32_t)(*found - '0');
    return number;
}

static void on_removed(struct driver *driver, struct client *client, const char *text, size_t length)
{
    size_t index = (size_t)(client - driver->clients);
    uint32_t user = removed_user(text, length), bit = user - now.first;
    uint8_t *map = now.seen + index * now.map_bytes;
    bool known = user >= now.first && bit < now.users &&
                 memmem(text, length, client->channel, strlen(client->channel));
    if (!known || map[bit / 8] & 1u << bit % 8 || now.counts[index] == now.each) {
        driver->counters.violations++;
        driver_note(driver, "client %u was told that u%u left: %s", client->number, user,
            !known ? "who should have stayed" : "again, or one too many");
        return;
    }
    map[bit / 8] |= (uint8_t)(1u << bit % 8);
    now.counts[index]++;
    now.remaining--;
    histogram_add(&now.latency, clock_ns() - now.begun_ns);
}

static bool advance(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns)
{
    (void)driver, (void)now_ns, (void)wait_ns;
    return now.remaining == 0;
}

static void answer(struct driver *driver)
{
    (void)driver;
    printf(",\"remaining\":%llu", (unsigned long long)now.remaining);
    answer_latency(&now.latency);
}

const struct job job_removals = {
    .verb = "removals",
    .begin = begin,
    .on_removed = on_removed,
    .advance = advance,
    .answer = answer,
};
