/* Reloading: another configuration in place of the one that runs; the whole of it, or nothing.
 *
 *   SIGHUP ──────┐          thread of the pool       main thread             workers
 *   POST /reload ┴─ ask ──▶ read, check, compare ──▶ node, admin, log ──▶ each goes over ──▶ taken ──▶ told
 *
 * There is one at a time. Who asks while one is under way is told of the next, which reads the file after he asked.
 * Thread: the main one, for all of this header.
 */
#pragma once

#include "edge/base/buffer.h"
#include "edge/config/config.h"

#include <sys/queue.h>
#include <uv.h>

struct reload;

enum reload_result {
    RELOAD_TAKEN,   /* everyone goes by the new configuration */
    RELOAD_REFUSED, /* it is wrong: the one before stays */
    RELOAD_NOT_NOW, /* the process stops */
};

/* Who asks; his own until he is told. */
struct reload_asker {
    STAILQ_ENTRY(reload_asker) next;
    /* Once. `text`: lines for people, what has changed, what waits for a restart, or what is wrong and where. */
    void (*told)(struct reload_asker *asker, enum reload_result result, const char *text, size_t bytes);
};

/* The rest of the process. */
struct reload_host {
    /* What of it may still fail. False with a sentence in `problem`: nothing has changed, and the configuration is refused.
     */
    bool (*prepare)(void *context, const struct config *config, char *problem, size_t problem_bytes);
    /* Has everyone go over to the configuration, each keeping a reference; then, now or later, reload_taken(). */
    void (*go_over)(void *context, const struct config *config);
    /* A reload begins, or (false) no other follows the one that has ended. Not after reload_stop(). */
    void (*under_way)(void *context, bool is);
    void *context;
};

/* `config` was loaded from that file, and runs; a reference is kept. Nothing is read before someone asks. Never NULL. */
struct reload *reload_new(
    uv_loop_t *loop, const char *path, const struct config *config, const struct reload_host *host);

/* asker NULL: only the log is told, as always. */
void reload_ask(struct reload *reload, struct reload_asker *asker);

/* Everyone has let go of the configuration before. */
void reload_taken(struct reload *reload);

/* From now on nothing is reloaded: who asks, or has asked for what is not on its way to everyone yet, is told so. */
void reload_stop(struct reload *reload);

/* Generation, times and the last result, as one JSON object; and in Prometheus' text format. */
void reload_write_state(const struct reload *reload, struct buffer *out);
void reload_write_metrics(const struct reload *reload, struct buffer *out);

/* After reload_stop(), when the loop has run out: until then a file may still be being read. */
void reload_free(struct reload *reload);
