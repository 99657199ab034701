/* The configuration: read once, checked whole, immutable afterwards and so free to read from any thread.
 *
 * The file is JSON; lines whose first characters (after white space) are // are comments. Every key, with its
 * type, default, range, unit and sentence, stands in one table (config_table.c); the checks, `rollcall
 * --explain` and conf/rollcall.schema.json are made from it. Defaults: a file that says `{}` is a valid
 * configuration.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config_listen {
    char *address; /* IPv4 or IPv6 literal, or "unix:/path" */
    uint16_t port; /* 0: a free one, said in the log; ignored for unix sockets */
    bool proxy_protocol;
};

struct config_limits { /* 0 is unlimited */
    uint32_t connections;
    uint32_t presence_members;
    uint32_t client_events_per_second;
    uint32_t publishes_per_second;
    uint32_t event_bytes;
    uint32_t event_name_chars;
    uint32_t channel_name_chars;
    uint32_t channels_per_publish;
    uint32_t batch_events;
    uint32_t channels_per_connection;
    uint32_t user_id_chars;
    uint32_t user_info_bytes;
};

/* Counters of an app, changed by every worker; they live as long as the configuration. Any thread. */
struct app_counters {
    atomic_uint connections;
};

struct app {
    char *id;
    char *key;
    char *secret;
    bool enabled;
    bool client_events;
    struct config_limits limits;
    struct app_counters *counters;
};

struct config_index;

struct config {
    struct {
        char *name;       /* a label for logs and metrics; default: the host's name */
        uint32_t workers; /* how many to start; a 0 in the file has become the number of cores */
        struct config_listen *listen;
        size_t listen_count;
        char *path_prefix; /* "" or "/something", in front of /app and /apps */
        struct {
            char *address;
            uint16_t port;
            bool enabled;
        } admin;
        uint32_t activity_timeout_s;
        uint32_t ping_after_ms;
        uint32_t pong_timeout_ms;
        uint32_t head_timeout_ms;       /* first byte to complete request head */
        uint32_t body_timeout_ms;       /* end of head to end of body */
        uint32_t keep_alive_timeout_ms; /* between requests */
        uint32_t head_bytes;
        uint32_t body_bytes;                     /* of one HTTP request; never 0 */
        uint32_t message_bytes;                  /* one WebSocket message from a client; never 0 */
        uint32_t messages_per_second;            /* everything a connection sends; 0: unlimited */
        uint32_t messages_burst;                 /* so many at once, after a silence */
        uint32_t connections_per_address;        /* 0: off */
        uint32_t accepts_per_address_per_second; /* 0: off */
        uint32_t outbox_bytes;
        uint32_t outbox_stall_ms;
        uint64_t outbox_worker_bytes;
        uint32_t mailbox_length;
        uint32_t drain_ms; /* SIGTERM: closes are spread over this time */
    } edge;
    struct {
        enum { PRESENCE_MEMORY, PRESENCE_REDIS } store;
    } presence;
    struct {
        int level;  /* enum log_level */
        int format; /* enum log_format */
    } log;
    struct app *apps;
    size_t app_count;
    struct config_index *index; /* apps by key and by id; private to config.c */
};

/* Reads and checks a file (at most 16 MiB). On success returns 0 and *config, to be freed with config_free().
 * Otherwise a negative errno (of reading the file; -EINVAL when it was read), and the problems, all that were
 * found, up to a hundred in words and the rest counted, are printed to `errors`, one a line:
 * conf/x.json:12: edge.listen[0].port: must be a whole number from 0 to 65535, but is 70000
 * Any thread; blocks on files. */
int config_load(const char *path, struct config **config, FILE *errors);

/* The same from memory; `name` stands for the path in messages, and files that the text names are looked for
 * in its folder. For tests, and for the fuzzer. */
int config_parse(const char *text, size_t length, const char *name, struct config **config, FILE *errors);

/* Overwrites the secrets before it frees them. NULL is ignored. */
void config_free(struct config *config);

/* The app of that key (as in ws://host/app/KEY), or of that id; NULL if there is none. Keys and ids are
 * compared whole. A hash lookup; any thread. The app lives as long as the configuration. */
const struct app *config_app_by_key(const struct config *config, const char *key, size_t length);
const struct app *config_app_by_id(const struct config *config, const char *id, size_t length);

/* The reference of all keys, as text. */
void config_explain(FILE *out);

/* The JSON Schema (draft 2020-12) of the file. */
void config_schema(FILE *out);
