/* The body of POST /events and POST /batch_events, taken apart and checked whole, so that a body with one
 * mistake sends nothing. Pure; any thread. */
#pragma once

#include "edge/config/config.h"
#include "presence/store.h"

struct json_t;

struct event_item {
    const char *channel; /* NUL-terminated UTF-8 */
    const char *name;
    const char *data;
    size_t name_bytes, data_bytes;
    struct socket_id exclude; /* {0, 0}: nobody */
    unsigned info;            /* INFO_… that were asked for and that the channel has */
};

struct event_list {
    struct json_t *json; /* what the strings of the items point into */
    bool is_batch;
    size_t count;
    struct event_item items[]; /* one an event and channel; no channel twice in an event */
};

/* Why a body was refused: 400, or 413 for data over the app's limit. */
struct event_refusal {
    int status;
    char words[256]; /* what was expected and where: "channels[3]: must be …" */
};

/* Returns the events, to be freed with event_list_free(), or NULL and *refusal. `body` is only read during
 * the call. The limits are the app's. */
struct event_list *event_list_parse(
    const struct config_limits *limits, const char *body, size_t body_bytes, struct event_refusal *refusal);
struct event_list *event_list_parse_batch(
    const struct config_limits *limits, const char *body, size_t body_bytes, struct event_refusal *refusal);

void event_list_free(struct event_list *list);
