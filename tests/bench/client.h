/* A simulated Pusher client: a socket, the WebSocket handshake, masked frames, one subscription at a time.
 *
 *   FREE ─open─▶ CONNECTING ─▶ UPGRADING ─▶ GREETING ─established─▶ OPEN ◀─▶ SUBSCRIBING ─▶ SUBSCRIBED
 *    ▲                                                                                        │
 *    └──────────── the socket has ended ◀── CLOSING ◀── Close frame or FIN sent ◀─────────────┘
 *
 * Clients live in one array and are never freed while the driver runs. It answers WebSocket and Pusher pings
 * as long as the process runs: a stopped process is a dead client. It reads JSON by searching for strings;
 * what the server sends is checked by the tests that use the official clients, here only what the load needs.
 */
#pragma once

#include "tests/bench/messages.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First in everything that epoll points to. */
enum peer_kind { PEER_COMMANDS, PEER_CLIENT, PEER_PUBLISHER };

enum client_state {
    CLIENT_FREE,
    CLIENT_CONNECTING,
    CLIENT_UPGRADING,
    CLIENT_GREETING,
    CLIENT_OPEN,
    CLIENT_SUBSCRIBING,
    CLIENT_SUBSCRIBED,
    CLIENT_CLOSING,
};

struct ssl_st;     /* OpenSSL's SSL */
struct ssl_ctx_st; /* and SSL_CTX */

struct client {
    enum peer_kind kind;
    enum client_state state;
    int fd;
    uint32_t number;
    uint32_t user;
    uint32_t events; /* received since the job began, beyond the protocol's own */
    bool writing;    /* epoll tells when there is room */
    bool pending;    /* the job waits for it */
    uint32_t place;  /* the how-many-eth of its job */
    char socket_id[44];
    char channel[64];
    char *unread; /* the beginning of a frame whose end has not come yet */
    size_t unread_bytes;
    char *unsent;
    size_t unsent_bytes;
    struct ssl_st *ssl; /* NULL: no TLS */
};

/* Never reset; a command's answer prints them all. */
struct counters {
    uint64_t opened, subscribed, unsubscribed, ended;
    uint64_t frames, bytes, events, added, removed, pings;
    uint64_t errors;         /* pusher:error and pusher:subscription_error */
    uint64_t failed;         /* sockets that could not connect, or ended when we did not ask for it */
    uint64_t sent_away;      /* ended by a close of 4200, "come back": not among the failed */
    uint64_t violations;     /* bytes that are no valid server frame or no valid handshake */
    uint64_t published;      /* requests answered with 200 */
    uint64_t publish_failed; /* answered otherwise */
};

/* Everything there is one of in a driver. */
struct driver {
    int epoll;
    struct sockaddr_in server, api; /* where clients connect; where is published */
    in_addr_t source;               /* host order: the first of source_count addresses that clients bind to */
    uint32_t source_count;
    struct bench_app app;
    struct ssl_ctx_st *tls; /* clients speak it; NULL: they do not */
    struct client *clients;
    uint32_t client_count;
    struct counters counters;
    char error[256]; /* the last pusher:error or failure, for the answer */
    char *scratch;   /* what was read in this turn */
    const struct job *job;
    uint64_t job_deadline_ns;
    uint32_t opening; /* clients between FREE and OPEN or SUBSCRIBED */
    uint32_t publishers_busy;
};

enum { SCRATCH_BYTES = 1 << 20 };

struct command;
struct publisher;

/* What the driver is doing for the present command. Each of these may be NULL, but for advance. */
struct job {
    const char *verb;
    void (*begin)(struct driver *driver, const struct command *command);
    void (*on_open)(struct driver *driver, struct client *client);
    void (*on_subscribed)(struct driver *driver, struct client *client);
    void (*on_event)(struct driver *driver, struct client *client, const char *text, size_t length);
    void (*on_removed)(struct driver *driver, struct client *client, const char *text, size_t length);
    void (*on_ended)(struct driver *driver, struct client *client);
    void (*on_published)(struct driver *driver, struct publisher *publisher);
    /* After every turn of the loop: does what is next; true when the job is done. *wait_ns holds a second; a
     * job that wants to be called earlier although nothing came lowers it. */
    bool (*advance)(struct driver *driver, uint64_t now_ns, uint64_t *wait_ns);
    /* Prints more members of the answer, each with a comma in front. */
    void (*answer)(struct driver *driver);
};

/* Begins to connect a FREE client. On failure counts it and leaves it FREE. */
void client_open(struct driver *driver, struct client *client);

/* Sends a text frame. */
void client_say(struct driver *driver, struct client *client, const char *text, size_t length);

/* The signed pusher:subscribe for client->user on a channel. Returns its length. */
size_t client_prepare_subscribe(const struct driver *driver, const struct client *client, const char *channel,
    size_t info_bytes, char *text, size_t size);

/* Sends that message, and waits for the answer. */
void client_subscribe(struct driver *driver, struct client *client, const char *channel, size_t info_bytes);
void client_unsubscribe(struct driver *driver, struct client *client);

enum client_farewell {
    FAREWELL_CLOSE_FRAME, /* waits for the server to end the connection */
    FAREWELL_FIN,         /* the same, without a word */
    FAREWELL_RESET,
};
void client_leave(struct driver *driver, struct client *client, enum client_farewell farewell);

/* epoll said so. */
void client_on_ready(struct driver *driver, struct client *client, uint32_t events);

/* Any of the driver's clients in that state. */
uint32_t client_count_in(const struct driver *driver, enum client_state state);

uint64_t clock_ns(void);

/* Keeps the words for the answer; the first since the job began are the ones that explain most. */
void driver_note(struct driver *driver, const char *format, ...) __attribute__((format(printf, 2, 3)));
