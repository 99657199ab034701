/* Requests to other servers (endpoints of webhooks, other edges): libcurl's multi interface on a loop of libuv.
 *
 * libcurl, because it is the HTTP client whose faults are found by everyone: TLS with the system's certificates, names
 * looked up in threads of its own, connections kept for the next request, every timeout. What is said to whom is
 * decided here: no redirects, no proxies of the environment, nothing but HTTP, answers cut off at a bound.
 *
 * Thread: the loop's, for all of this header. `done` never comes from within client_post().
 */
#pragma once

#include "edge/base/buffer.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* Connections are kept and used again within one client; those that may lead to private addresses therefore need one
 * of their own, or they would lead there others, who may not. */
struct client;

/* How a request ended. */
enum client_result {
    CLIENT_DELIVERED,       /* 2xx */
    CLIENT_STATUS,          /* any other status */
    CLIENT_TIMED_OUT,       /* no connection in 3 s, or no whole answer in 10 s */
    CLIENT_UNREACHABLE,     /* no such name, refused, reset, an answer that is not HTTP */
    CLIENT_TLS,             /* a certificate that does not fit, no common version, … */
    CLIENT_ADDRESS_REFUSED, /* it is at a private address, and may not be */
    CLIENT_RESULTS,
};

struct client_request {
    /* (in) All is borrowed until done(). */
    const char *url;
    const char *ca_file; /* "": the system's */
    const struct curl_slist *headers;
    const char *body; /* NULL: GET; otherwise POST */
    size_t body_bytes;
    struct buffer
        *answer; /* the body of the answer is added to it, up to answer_max_bytes; NULL: it is thrown away */
    size_t answer_max_bytes;
    void (*done)(struct client_request *request, enum client_result result);
    /* the answer */
    long status;                 /* 0: there was none */
    char words[CURL_ERROR_SIZE]; /* what was wrong, for the log; "" after an answer */
    /* the client's */
    struct client *client;
    CURL *easy;
    bool address_refused;
    size_t answer_bytes; /* as they came; with headers where the answer is thrown away */
};

/* Never NULL. any_address: also private ones (edge/webhooks/address.h). The loop outlives the client. */
struct client *client_new(uv_loop_t *loop, bool any_address);

/* Begins a request; the struct must be zeroed but for what is (in). */
void client_post(struct client *client, struct client_request *request);

/* Ends a request without done(). Nothing happens if it runs no more. */
void client_cancel(struct client_request *request);

/* Closes all connections; no request may run. The client is gone when the loop has run its close callbacks. */
void client_close(struct client *client);
