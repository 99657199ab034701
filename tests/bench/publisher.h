/* A back end's keep-alive connection to the HTTP API: one request on its way at a time. */
#pragma once

#include "tests/bench/client.h"

enum { PUBLISHERS_MAX = 64, PUBLISHER_ANSWER_BYTES = 4096 };

struct publisher {
    enum peer_kind kind;
    int fd; /* -1: not connected */
    bool busy;
    uint32_t request;  /* the caller's number for what is on its way */
    uint64_t asked_ns; /* when it was sent */
    size_t answer_bytes;
    char answer[PUBLISHER_ANSWER_BYTES];
};

/* Makes sure that `count` are connected. A failure ends the driver with a message. */
void publishers_open(struct driver *driver, uint32_t count);
void publishers_close(struct driver *driver);

/* The i-th, i < what was opened. */
struct publisher *publisher_at(uint32_t i);

/* One that is connected and idle, or NULL. */
struct publisher *publisher_idle(void);

/* Sends a whole request; the job's on_published is called when it was answered, with whatever status. */
void publisher_send(
    struct driver *driver, struct publisher *publisher, uint32_t number, const char *request, size_t length);

/* epoll said so. */
void publisher_on_ready(struct driver *driver, struct publisher *publisher);
