#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t sim_draw(struct sim *sim, uint64_t below)
{
    uint64_t x = (sim->random += 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return below ? x % below : x;
}

bool sim_chance(struct sim *sim, unsigned percent)
{
    return sim_draw(sim, 100) < percent;
}

int64_t sim_between(struct sim *sim, int64_t low, int64_t high)
{
    return low + (int64_t)sim_draw(sim, (uint64_t)(high - low + 1));
}

/* A binary heap by time, then by the order of scheduling. */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->serial < b->serial;
}

static void swap(struct event **a, struct event **b)
{
    struct event *c = *a;
    *a = *b;
    *b = c;
}

struct event *sim_later(struct sim *sim, int64_t at_us, event_run run)
{
    struct event *event = fake_alloc(sizeof(*event));
    event->at_us = at_us < sim->now_us ? sim->now_us : at_us;
    event->serial = sim->serial++;
    event->run = run;
    if (sim->events == sim->room) {
        sim->room = sim->room ? 2 * sim->room : 256;
        sim->heap = fake_realloc(sim->heap, sim->room * sizeof(struct event *));
    }
    size_t at = sim->events++;
    sim->heap[at] = event;
    while (at && is_before(sim->heap[at], sim->heap[(at - 1) / 2])) {
        swap(&sim->heap[at], &sim->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    return event;
}

static struct event *take_first(struct sim *sim)
{
    struct event *first = sim->heap[0];
    sim->heap[0] = sim->heap[--sim->events];
    for (size_t at = 0;;) {
        size_t least = at, left = 2 * at + 1;
        for (size_t child = left; child < left + 2 && child < sim->events; child++) {
            if (is_before(sim->heap[child], sim->heap[least]))
                least = child;
        }
        if (least == at)
            return first;
        swap(&sim->heap[at], &sim->heap[least]);
        at = least;
    }
}

void message_free(struct message *message)
{
    if (!message)
        return;
    for (size_t i = 0; i < message->argc; i++)
        free(message->argv[i]);
    free(message->argv);
    free(message->argv_bytes);
    fake_reply_free(message->reply);
    free(message);
}

void sim_run_until(struct sim *sim, int64_t until_us)
{
    while (!sim->failure[0] && sim->events && sim->heap[0]->at_us <= until_us) {
        struct event *event = take_first(sim);
        sim->now_us = event->at_us;
        sim->steps++;
        event->run(sim, event);
        message_free(event->message);
        free(event);
    }
    if (!sim->failure[0])
        sim->now_us = until_us;
}

void sim_drop_events(struct sim *sim)
{
    for (size_t i = 0; i < sim->events; i++) {
        message_free(sim->heap[i]->message);
        free(sim->heap[i]);
    }
    free(sim->heap);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    if (sim->failure[0])
        return;
    int used = snprintf(sim->failure, sizeof(sim->failure), "at %.3f s: ", (double)sim->now_us / 1e6);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->failure + used, sizeof(sim->failure) - (size_t)used, format, arguments);
    va_end(arguments);
}

void sim_trace(struct sim *sim, const char *format, ...)
{
    if (!sim->options.trace && !sim->options.digest)
        return;
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (sim->options.trace)
        printf("%9.3f  %s\n", (double)sim->now_us / 1e6, text);
    sim->digest ^= (uint64_t)sim->now_us;
    for (const char *c = text; *c; c++)
        sim->digest = (sim->digest ^ (unsigned char)*c) * 0x100000001b3u; /* FNV-1a */
}
