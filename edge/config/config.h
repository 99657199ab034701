/* The configuration: read and checked whole, immutable afterwards and so free to read from any thread.
 *
 * It is counted: who keeps one, or an app of one, holds a reference. A reload (edge/reload.h) makes a new one beside the
 * one that runs; the node and the workers go over to it one after the other, each between two turns of its loop, and
 * the old one is freed by whoever lets go of it last. So: never keep a pointer into a configuration without a
 * reference, and whatever is made from one and has to change with it (and is not counted itself) hangs on it.
 *
 * The file is JSON; lines whose first characters (after white space) are // are comments. Every key, with its
 * type, default, range, unit and sentence, stands in one table (config_table*.c); the checks, `rollcall
 * --explain` and conf/rollcall.schema.json are made from it. Defaults: a file that says `{}` is a valid
 * configuration.
 */
#pragma once

#include "edge/base/rate.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct tls_client;
struct tls_server;

struct config_certificate { /* files, as written */
    char *certificate, *key;
};

struct config_listen {
    char *address; /* IPv4 or IPv6 literal, or "unix:/path" */
    uint16_t port; /* 0: a free one, said in the log; ignored for unix sockets */
    bool proxy_protocol;
    struct {
        struct config_certificate *certificates;
        size_t certificate_count;  /* 0: no TLS */
        int min_version;           /* enum tls_version */
        struct tls_server *server; /* NULL: no TLS. Sessions keep references of their own */
    } tls;
};

/* The addresses whose first `bits` are those of `bytes`; AF_UNIX: all of unix sockets. */
struct config_network {
    uint8_t family; /* AF_INET, AF_INET6 or AF_UNIX */
    uint8_t bits;
    unsigned char bytes[16]; /* in network order */
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
    uint32_t watchlist_users;
    uint32_t cache_ttl_s; /* never 0 */
};

/* What is counted of an app, by id, over all configurations that have it without a break: they share it, and it goes
 * with the last. Any thread. */
struct app_counters {
    atomic_uint references;
    atomic_uint connections;
    atomic_uint elsewhere; /* connections on the other edges of the fleet, as last told */
    struct rate publishes; /* the node's alone, as the next one */
    bool summed;           /* connections are told to the store */
};

/* One pair; an app has several while it changes from an old one to a new. */
struct app_key {
    char *key;
    char *secret;
};

/* What webhooks tell of, in the order of presence/store.h's enum store_transition_kind. */
enum config_webhook_event {
    WEBHOOK_CHANNEL_OCCUPIED,
    WEBHOOK_CHANNEL_VACATED,
    WEBHOOK_MEMBER_ADDED,
    WEBHOOK_MEMBER_REMOVED,
    WEBHOOK_SUBSCRIPTION_COUNT,
    WEBHOOK_CLIENT_EVENT,
    WEBHOOK_CACHE_MISS,
    WEBHOOK_EVENTS, /* how many there are */
};

struct config_header {
    char *name, *value;
};

/* An endpoint of a back end. */
struct config_webhook {
    char *url; /* http or https, without user and fragment */
    char **events;
    size_t event_count;
    unsigned wants; /* 1 << WEBHOOK_…: what `events` says, all if there are none; 0: not enabled */
    char *prefix;   /* of channels; "": all */
    struct config_header *headers;
    size_t header_count;
    char *ca_file; /* "": the system's */
    bool enabled;
    bool allow_private_addresses;
};

struct app {
    const struct config *config; /* whose it is */
    char *id;
    char *key, *secret; /* the same as those of keys[0] */
    struct app_key *keys;
    size_t key_count; /* at least 1 */
    bool enabled;
    bool client_events;
    bool subscription_counts;
    bool user_authentication;
    bool require_authorization;
    uint32_t authorization_timeout_ms;
    char **allowed_origins; /* patterns, for config_origin_allowed(); none: all may */
    size_t allowed_origin_count;
    struct config_webhook *webhooks;
    size_t webhook_count;
    unsigned webhook_events; /* what any of them wants */
    struct config_limits limits;
    struct app_counters *counters;
};

/* A Redis of a fleet: at a fixed address, or under Sentinel. */
struct config_shard {
    char *name;
    char *address;             /* for config_endpoint_split(); "": under Sentinel */
    char *username, *password; /* "": the default user; none */
    bool leaving;              /* no partition is to be there */
    struct {
        char *master;     /* "": at an address */
        char **addresses; /* as above */
        size_t address_count;
        char *username, *password;
    } sentinel;
};

struct config_index;

struct config {
    atomic_uint references;
    struct {
        char *name;       /* a label for logs and metrics; default: the host's name */
        uint32_t workers; /* how many to start; a 0 in the file has become the number of cores */
        struct config_listen *listen;
        size_t listen_count;
        char **trusted_proxies; /* whose X-Forwarded-For is believed */
        size_t trusted_proxy_count;
        struct config_network *trusted_networks; /* the same, read */
        char *path_prefix;                       /* "" or "/something", in front of /app and /apps */
        char *fallback_host;                     /* told to clients of the HTTP fallback; "": none */
        struct {
            char *address;
            uint16_t port;
            bool enabled;
            char *token; /* "": none */
            bool allow_changes;
            char **peers; /* for config_endpoint_split(); the other edges' admin listeners */
            size_t peer_count;
        } admin;
        uint64_t memory_bytes;       /* resident; above that nobody new; 0: unlimited */
        uint32_t accepts_per_second; /* of the process; 0: unlimited */
        uint32_t connections; /* of the process; a 0 in the file has become what the descriptors allow */
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
        uint32_t balancer_wait_ms; /* SIGTERM: not ready for this time, before the closes begin; 0: none */
        char *hand_over;           /* where a successor asks for the listening sockets; "": nowhere */
        uint32_t drain_ms;         /* then: closes are spread over this time */
        char *state_dir;           /* for the last good addresses of masters; "": none */
    } edge;
    struct {
        enum { PRESENCE_MEMORY, PRESENCE_REDIS } store;
        uint32_t partitions;
        uint32_t heartbeat_ms; /* H of presence.md; L, S and D are the next three */
        uint32_t lease_ms;
        uint32_t scrub_ms;
        uint32_t data_ttl_ms;
        uint32_t retire_grace_ms; /* after a planned stop, beyond edge.drain_ms */
        bool ready_when_blind;    /* /readyz, while a shard is out of reach */
    } presence;
    struct {
        char *cluster;
        char *prefix; /* of all keys; no braces */
        struct {
            bool enabled;
            char *ca_file, *certificate, *key, *server_name; /* files as written; "": none */
            struct tls_client *client;                       /* NULL: no TLS */
        } tls;
        struct config_shard *shards;
        size_t shard_count; /* 0 with PRESENCE_MEMORY, at least 1 with PRESENCE_REDIS */
    } redis;
    struct {
        int level;  /* enum log_level */
        int format; /* enum log_format */
    } log;
    char *include;    /* as written; the apps of its files are in the list below */
    struct app *apps; /* those of the file, then those of the included files in the order of their names */
    size_t app_count;
    char *warnings; /* lines about what is odd but accepted, like those of config_load(); "": nothing is */
    struct config_index *index; /* private to config_index.c */
};

/* Reads and checks a file (at most 16 MiB, and as much in the files that it includes). On success returns 0 and *config, to be freed with config_unref().
 * Otherwise a negative errno (of reading the file; -EINVAL when it was read), and the problems, all that were
 * found, up to a hundred in words and the rest counted, are printed to `errors`, one a line:
 * conf/x.json:12: edge.listen[0].port: must be a whole number from 0 to 65535, but is 70000
 * Any thread; blocks on files. */
int config_load(const char *path, struct config **config, FILE *errors);

/* The same from memory; `name` stands for the path in messages, and files that the text names are looked for
 * in its folder. For tests, and for the fuzzer. */
int config_parse(const char *text, size_t length, const char *name, struct config **config, FILE *errors);

/* Paths of keys, such as `log.level`, `edge.listen[0].port` and `apps["7"].limits.connections`, or with a word behind
 * it, `apps["8"] (new)`. */
enum { CONFIG_CHANGES_MAX = 100 };
struct config_paths {
    size_t count; /* of which so many have texts, at most CONFIG_CHANGES_MAX */
    char *texts[CONFIG_CHANGES_MAX];
};

/* What a new configuration changes. */
struct config_changes {
    struct config_paths taken;
    struct config_paths waiting; /* need a restart: the new configuration has the old values */
};

/* config_load() for a configuration that will take the place of `running`. What of it needs a restart (the table says
 * so of each key) gets the value that runs, and the mixture is checked again. Apps that both have share their counters.
 * *changes, to be freed with config_changes_free(), is set on success, else empty. */
int config_reload(const char *path, const struct config *running, struct config **config,
    struct config_changes *changes, FILE *errors);
void config_changes_free(struct config_changes *changes);

/* One more reference, or one less; those who load one have its first. The last one overwrites the secrets before it
 * frees them. NULL is ignored. Any thread. */
const struct config *config_ref(const struct config *config);
void config_unref(const struct config *config);

/* Of a file only edge.admin, with defaults for what is not there or wrong, and for all else; path NULL: an empty file.
 * For asking the server of that file something: whether the rest is good is not looked at. 0 or a negative errno after a
 * line on `errors`: it cannot be read, or is no JSON. Any thread; blocks on files. */
int config_peek(const char *path, struct config **config, FILE *errors);

/* How many configurations the process has. Any thread. */
unsigned config_count(void);

/* A reference to an app is one to the configuration that it is of. NULL is ignored. Any thread. */
const struct app *app_ref(const struct app *app);
void app_unref(const struct app *app);

/* The app of that key (as in ws://host/app/KEY, percent-decoded), or of that id; NULL if there is none. Keys
 * and ids are compared whole. A hash lookup; any thread. The app lives as long as the configuration. */
const struct app *config_app_by_key(const struct config *config, const char *key, size_t length);
const struct app *config_app_by_id(const struct config *config, const char *id, size_t length);

/* The pair of a key, to check a signature with, and in *app whose it is. NULL in both if there is none. As
 * above. */
const struct app_key *config_key_find(
    const struct config *config, const char *key, size_t length, const struct app **app);

/* The name of an event of webhooks, such as "channel_occupied". Any thread. */
const char *config_webhook_event_name(enum config_webhook_event event);

/* Whether a page of that origin (the value of the header Origin; NULL: there was none, so it is no browser)
 * may use the app. Any thread. */
bool config_origin_allowed(const struct app *app, const char *origin, size_t length);

/* Whether an address (4 or 16 bytes in network order; of AF_UNIX none) is in the network. Any thread. */
bool config_network_has(const struct config_network *network, int family, const unsigned char *bytes);

/* Where a Redis or a Sentinel listens. */
struct config_endpoint {
    char host[254]; /* a name, an address without brackets, or the path of a socket */
    uint16_t port;  /* 0: a socket of the file system */
};

/* Takes "host:port", "[v6]:port" or "unix:/path" apart. False: it is none of these. Any thread. */
bool config_endpoint_split(const char *text, struct config_endpoint *endpoint);

/* The reference of all keys, as text. */
void config_explain(FILE *out);

/* The same as a manual page, rollcall.json(5), in roff for man(1). */
void config_manual(FILE *out);

/* The JSON Schema (draft 2020-12) of the file. */
void config_schema(FILE *out);
