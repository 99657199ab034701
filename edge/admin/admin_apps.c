/* What is counted of apps, under soketi's names: for each app the sum over all workers, with app_id and port. */
#include "edge/admin/admin_pages.h"

#include "edge/base/exposition.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *name, *type, *help;
    size_t offset; /* in struct app_metrics */
};

static const struct row rows[] = {
#define ROW(name, prometheus, type, help) {prometheus, type, help, offsetof(struct app_metrics, name)},
    APP_METRICS(ROW)
#undef ROW
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct sums {
    const char *app_id;
    uint64_t values[ROWS];
};

struct all_sums {
    struct sums *list;
    size_t count, capacity;
};

static struct sums *append(struct all_sums *all, const char *app_id)
{
    all->list = grown(all->list, &all->capacity, all->count + 1, sizeof(*all->list));
    struct sums *sums = &all->list[all->count++];
    *sums = (struct sums){.app_id = app_id};
    return sums;
}

static void append_blocks(struct all_sums *all, const struct app_metrics_table *table)
{
    for (const struct app_metrics *block = app_metrics_first(table); block; block = block->next) {
        struct sums *sums = append(all, block->app_id);
        for (size_t i = 0; i < ROWS; i++)
            sums->values[i] = atomic_load_explicit(
                (const metric *)((const char *)block + rows[i].offset), memory_order_relaxed);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct sums *)a)->app_id, ((const struct sums *)b)->app_id);
}

/* One for each app, in the order of their ids. */
static void merge(struct all_sums *all)
{
    size_t kept = 0;
    if (all->count == 0)
        return;
    qsort(all->list, all->count, sizeof(*all->list), compare);
    for (size_t i = 1; i < all->count; i++) {
        if (compare(&all->list[kept], &all->list[i]) != 0) {
            all->list[++kept] = all->list[i];
            continue;
        }
        for (size_t r = 0; r < ROWS; r++)
            all->list[kept].values[r] += all->list[i].values[r];
    }
    all->count = kept + 1;
}

void admin_apps_print(const struct admin_sources *sources, const struct config *config, struct buffer *body)
{
    struct all_sums all = {0};
    if (!sources->apps)
        return;
    for (size_t i = 0; i < config->app_count; i++)
        append(&all, config->apps[i].id);
    for (size_t i = 0; i < sources->worker_count; i++)
        append_blocks(&all, sources->apps[i]);
    merge(&all);
    for (size_t r = 0; r < ROWS; r++) {
        exposition_begin(body, rows[r].name, rows[r].type, rows[r].help);
        for (size_t i = 0; i < all.count; i++) {
            buffer_printf(body, "%s{app_id=\"", rows[r].name);
            buffer_add_label(body, all.list[i].app_id);
            buffer_printf(
                body, "\",port=\"%u\"} %ju\n", (unsigned)sources->port, (uintmax_t)all.list[i].values[r]);
        }
    }
    free(all.list);
}
