#include "edge/console/samples.h"

#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "presence/base/new.h"

#include <stdlib.h>

static const struct {
    const char *name;
    size_t offset; /* in struct metrics */
} columns[] = {
#define COLUMN(name)                                                                                         \
    {                                                                                                        \
#name, offsetof(struct metrics, name)                                                                \
    }
    COLUMN(connections),
    COLUMN(subscriptions),
    COLUMN(channels),
    COLUMN(connections_opened),
    COLUMN(connections_closed),
    COLUMN(messages_received),
    COLUMN(frames_sent),
    COLUMN(bytes_received),
    COLUMN(bytes_sent),
    COLUMN(publishes),
    COLUMN(http_requests),
    COLUMN(outbox_bytes),
#undef COLUMN
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

struct sample {
    int64_t wall_ms;
    uint64_t values[COLUMNS];
};

struct samples {
    struct wheel *wheel;
    struct wheel_timer timer;
    struct metrics *const *workers;
    size_t worker_count;
    struct metrics *node;
    uint64_t count;
    struct sample kept[SAMPLES_KEPT]; /* the n-th at n modulo their number */
};

static uint64_t value_of(struct metrics *block, size_t column)
{
    return atomic_load_explicit((metric *)((char *)block + columns[column].offset), memory_order_relaxed);
}

static void take(const struct samples *samples, struct sample *sample)
{
    sample->wall_ms = clock_wall_ms();
    for (size_t c = 0; c < COLUMNS; c++) {
        sample->values[c] = value_of(samples->node, c);
        for (size_t w = 0; w < samples->worker_count; w++)
            sample->values[c] += value_of(samples->workers[w], c);
    }
}

static void on_due(struct wheel_timer *timer, uint64_t now_ms)
{
    struct samples *samples = CONTAINER_OF(timer, struct samples, timer);
    take(samples, &samples->kept[samples->count++ % SAMPLES_KEPT]);
    wheel_set(samples->wheel, timer, now_ms + SAMPLES_EVERY_MS);
}

struct samples *samples_new(
    struct wheel *wheel, struct metrics *const *workers, size_t worker_count, struct metrics *node)
{
    struct samples *samples = new_zeroed(sizeof(*samples));
    samples->wheel = wheel;
    samples->workers = workers;
    samples->worker_count = worker_count;
    samples->node = node;
    samples->timer.expired = on_due;
    on_due(&samples->timer, clock_monotonic_ms());
    return samples;
}

void samples_free(struct samples *samples)
{
    wheel_cancel(&samples->timer);
    free(samples);
}

uint64_t samples_last(const struct samples *samples)
{
    return samples->count;
}

static void write_row(const struct sample *sample, struct buffer *json)
{
    buffer_printf(json, "[%jd", (intmax_t)sample->wall_ms);
    for (size_t c = 0; c < COLUMNS; c++)
        buffer_printf(json, ",%ju", (uintmax_t)sample->values[c]);
    buffer_add_string(json, "]");
}

void samples_write(const struct samples *samples, uint64_t after, struct buffer *json)
{
    uint64_t oldest = samples->count > SAMPLES_KEPT ? samples->count - SAMPLES_KEPT : 0;
    uint64_t first = after > oldest ? after : oldest;
    buffer_printf(
        json, "{\"every_ms\":%d,\"next\":%ju,\"names\":[", SAMPLES_EVERY_MS, (uintmax_t)samples->count);
    for (size_t c = 0; c < COLUMNS; c++)
        buffer_printf(json, "%s\"%s\"", c ? "," : "", columns[c].name);
    buffer_add_string(json, "],\"rows\":[");
    for (uint64_t n = first; n < samples->count; n++) {
        buffer_add_string(json, n > first ? "," : "");
        write_row(&samples->kept[n % SAMPLES_KEPT], json);
    }
    buffer_add_string(json, "]}");
}

void samples_write_now(const struct samples *samples, struct buffer *json)
{
    struct sample sample;
    take(samples, &sample);
    for (size_t c = 0; c < COLUMNS; c++)
        buffer_printf(json, "%s\"%s\":%ju", c ? "," : "{", columns[c].name, (uintmax_t)sample.values[c]);
    buffer_add_string(json, "}");
}
