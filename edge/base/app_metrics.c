#include "edge/base/app_metrics.h"

#include "presence/base/new.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A block and a text that is looked for: both begin with a pointer to the id. */
struct keyed {
    const char *app_id;
    struct app_metrics *metrics;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct keyed *)a)->app_id, ((const struct keyed *)b)->app_id);
}

static struct keyed *make_keyed(struct app_metrics_table *table, const char *app_id)
{
    size_t bytes = strlen(app_id) + 1;
    struct keyed *keyed = must_have(malloc(sizeof(*keyed)));
    struct app_metrics *metrics = new_zeroed(sizeof(*metrics) + bytes);
    metrics->app_id = memcpy(metrics + 1, app_id, bytes);
    *keyed = (struct keyed){.app_id = metrics->app_id, .metrics = metrics};
    metrics->next = atomic_load_explicit(&table->first, memory_order_relaxed);
    atomic_store_explicit(&table->first, metrics, memory_order_release);
    return keyed;
}

struct app_metrics *app_metrics_of(struct app_metrics_table *table, const char *app_id)
{
    struct keyed wanted = {.app_id = app_id};
    struct keyed **found = tfind(&wanted, &table->by_id, compare);
    if (!found)
        found = must_have(tsearch(make_keyed(table, app_id), &table->by_id, compare));
    return (*found)->metrics;
}

const struct app_metrics *app_metrics_first(const struct app_metrics_table *table)
{
    return atomic_load_explicit(&table->first, memory_order_acquire);
}

void app_metrics_deinit(struct app_metrics_table *table)
{
    struct app_metrics *metrics = atomic_load_explicit(&table->first, memory_order_relaxed), *next;
    for (; metrics; metrics = next) {
        next = metrics->next;
        free(metrics);
    }
    tdestroy(table->by_id, free);
    *table = (struct app_metrics_table){0};
}
