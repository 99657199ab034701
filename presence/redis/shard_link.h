/* A shard's two connections, for commands and for the bus, to one instance that has shown itself to be a
 * master: found, opened, authenticated, its scripts loaded; and found again when lost.
 *
 *   find ─▶ open commands ─▶ AUTH, ROLE, SCRIPT LOAD … ─▶ up ─▶ open bus ─▶ AUTH ─▶ bus up
 *     ▲                                                    │
 *     └───────────── wait a little ◀── lost, reset ◀───────┘
 *
 * The bus follows the commands: both speak to the same instance, always.
 */
#pragma once

#include "presence/engine/engine.h"
#include "presence/redis/connection.h"
#include "presence/redis/finder.h"

struct tls_client;

struct shard_link;

struct shard_link_options {
    const char *name;
    const char *username;         /* NULL: the default user, or none */
    const char *password;         /* NULL: no AUTH */
    struct tls_client *tls;       /* stays valid; NULL: none */
    struct master_finder *finder; /* the link's to free, and to be told by */
    bool replicated;              /* under Sentinel: its setup is expected to survive a failover */
    uint32_t open_ms;             /* to be up after an attempt began: 3000 */
    uint32_t retry_ms;            /* between attempts: 200, with jitter */
    uint32_t quarantine_ms;       /* after an instance proved wrong: 2000 */
};

struct shard_link_events {
    void (*up)(void *context);
    void (*down)(void *context, const char *why); /* of what was up */
    void (*reply)(void *context, const struct reply *reply);
    void (*bus_up)(void *context);
    void (*bus_down)(void *context, const char *why);
    void (*bus_subscribed)(void *context, const char *topic);
    void (*bus_message)(void *context, const char *topic, const char *message, size_t bytes);
    /* Something that people must see to; a sentence that names shard and instance. */
    void (*alarm)(void *context, const char *text);
    void (*warning)(void *context, const char *text); /* of its setup */
    void (*chosen)(void *context, const char *text);  /* a master that is up; for the log. */
};

/* Begins at once. Copies its options. Never NULL. */
struct shard_link *shard_link_new(uv_loop_t *loop, const struct shard_link_options *options,
    const struct shard_link_events *events, void *context);

/* Only while up. */
void shard_link_send(struct shard_link *link, const struct engine_request *request);
void shard_link_subscribe(struct shard_link *link, const char *topic);
void shard_link_unsubscribe(struct shard_link *link, const char *topic);

/* Gives up both connections, or the bus, without telling `down`, and begins anew. as_wrong: what is there was not
 * what is looked for: not there again for a while. */
void shard_link_reset(struct shard_link *link, bool as_wrong);
void shard_link_bus_reset(struct shard_link *link);

bool shard_link_confirmed(const struct shard_link *link);

/* For people who look: where it stands. address: of the instance that is, or was last, spoken to; port 0 and no socket:
 * none yet. */
struct shard_link_status {
    struct redis_address address;
    bool is_up, is_bus_up; /* up: it has shown itself to be a master */
    bool is_confirmed;     /* as shard_link_confirmed() */
    bool is_replicated;    /* under Sentinel */
};
void shard_link_status(const struct shard_link *link, struct shard_link_status *status);

/* Closes; no callback comes any more; the memory goes with the loop's next turns. */
void shard_link_free(struct shard_link *link);
