#include "tests/bench/publisher.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct publisher publishers[PUBLISHERS_MAX];
static uint32_t opened;

static void connect_one(struct driver *driver, struct publisher *publisher)
{
    int yes = 1;
    *publisher = (struct publisher){.kind = PEER_PUBLISHER};
    publisher->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (publisher->fd < 0 ||
        connect(publisher->fd, (const struct sockaddr *)&driver->api, sizeof driver->api) != 0) {
        perror("bench_driver: a publisher cannot connect");
        exit(1);
    }
    setsockopt(publisher->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = publisher};
    if (epoll_ctl(driver->epoll, EPOLL_CTL_ADD, publisher->fd, &event) != 0)
        abort();
}

void publishers_open(struct driver *driver, uint32_t count)
{
    if (count > PUBLISHERS_MAX) {
        fprintf(stderr, "bench_driver: at most %d publishers\n", PUBLISHERS_MAX);
        exit(2);
    }
    for (uint32_t i = 0; i < count; i++)
        if (i >= opened || publishers[i].fd < 0)
            connect_one(driver, &publishers[i]);
    if (count > opened)
        opened = count;
}

static void lose(struct driver *driver, struct publisher *publisher)
{
    close(publisher->fd);
    publisher->fd = -1;
    if (publisher->busy)
        driver->publishers_busy--;
    publisher->busy = false;
}

void publishers_close(struct driver *driver)
{
    for (uint32_t i = 0; i < opened; i++)
        if (publishers[i].fd >= 0)
            lose(driver, &publishers[i]);
    opened = 0;
}

struct publisher *publisher_at(uint32_t i)
{
    return &publishers[i];
}

struct publisher *publisher_idle(void)
{
    for (uint32_t i = 0; i < opened; i++)
        if (publishers[i].fd >= 0 && !publishers[i].busy)
            return &publishers[i];
    return NULL;
}

void publisher_send(
    struct driver *driver, struct publisher *publisher, uint32_t number, const char *request, size_t length)
{
    publisher->busy = true;
    publisher->request = number;
    publisher->answer_bytes = 0;
    publisher->asked_ns = clock_ns();
    driver->publishers_busy++;
    while (length > 0) {
        ssize_t sent = send(publisher->fd, request, length, MSG_NOSIGNAL);
        if (sent < 0)
            return; /* the read sees it */
        request += sent;
        length -= (size_t)sent;
    }
}

/* How long the whole answer is, 0 when that is not known yet. */
static size_t answer_length(const struct publisher *publisher)
{
    const char *answer = publisher->answer;
    const char *end = memmem(answer, publisher->answer_bytes, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - answer) + 4;
    for (const char *line = answer; line < end; line++) {
        if (strncasecmp(line, "\r\ncontent-length:", 17) == 0)
            return head + strtoul(line + 17, NULL, 10);
    }
    return head;
}

static void on_answer(struct driver *driver, struct publisher *publisher)
{
    bool good = memcmp(publisher->answer, "HTTP/1.1 200 ", 13) == 0;
    if (good) {
        driver->counters.published++;
    } else {
        driver->counters.publish_failed++;
        driver_note(driver, "a publish was answered %.*s",
            (int)(publisher->answer_bytes < 200 ? publisher->answer_bytes : 200), publisher->answer);
    }
    publisher->busy = false;
    driver->publishers_busy--;
    if (driver->job && driver->job->on_published)
        driver->job->on_published(driver, publisher);
}

void publisher_on_ready(struct driver *driver, struct publisher *publisher)
{
    if (publisher->fd < 0)
        return;
    size_t room = sizeof publisher->answer - 1 - publisher->answer_bytes;
    ssize_t got = recv(publisher->fd, publisher->answer + publisher->answer_bytes, room, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        /* Idle connections may be closed by the server; publishers_open() makes new ones. */
        if (publisher->busy) {
            driver->counters.publish_failed++;
            driver_note(driver, "a publisher's connection ended before the answer");
        }
        lose(driver, publisher);
        return;
    }
    publisher->answer_bytes += (size_t)got;
    publisher->answer[publisher->answer_bytes] = '\0';
    size_t whole = answer_length(publisher);
    if (whole > 0 && publisher->answer_bytes >= whole && publisher->busy)
        on_answer(driver, publisher);
}
