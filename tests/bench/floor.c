/* The floor: what a server of this kind cannot do without, and nothing else.
 *
 *   bench_floor --port P     (prints the port; 0: a free one)
 *
 * One thread, one epoll. It takes every first request for an upgrade of the bench's clients and every POST
 * for a publish; it neither parses nor checks nor encodes: all answers are as long as the real ones and were
 * made before the first connection came. It does the system calls that the work asks for: accept, a read for
 * every message, one send for every message delivered. A request arrives in one piece, since the driver sends
 * it so.
 */
#include "tests/bench/messages.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PEERS_MAX = 20000,
    GROUPS_MAX = 4096,
    GROUP_MEMBERS_MAX = 16,
    EVENTS_A_TURN = 512,
    READ_BYTES = 65536,
    INFO_BYTES = 100,
    EVENT_DATA_BYTES = 100,
    CHANNEL_NUMBER_CHARS = 5,
};

struct text {
    char *bytes;
    size_t length;
};

/* A presence channel. */
struct group {
    int members[GROUP_MEMBERS_MAX];
    uint32_t count;
};

struct peer {
    enum { PEER_HTTP, PEER_WEBSOCKET } kind;
    int group;       /* -1: none */
    int listener_at; /* in the public channel's list; -1: not there */
};

static struct {
    int epoll, listener;
    struct peer peers[PEERS_MAX]; /* by descriptor */
    struct group groups[GROUPS_MAX];
    int subscribers[PEERS_MAX]; /* of the one public channel */
    int subscriber_count;
    struct text upgraded, established, added, removed, succeeded, published, event;
    struct text roster[GROUP_MEMBERS_MAX + 1];
    size_t roster_number_at; /* where the number of the channel stands: clients look at it */
    char buffer[READ_BYTES];
} floor_;

/* ---- the answers ---- */

static struct text copy(const char *text, size_t length)
{
    struct text made = {malloc(length), length};
    if (!made.bytes)
        abort();
    memcpy(made.bytes, text, length);
    return made;
}

/* As a WebSocket frame of a server (RFC 6455, 5.2). */
static struct text framed(const char *text)
{
    char frame[READ_BYTES];
    size_t length = strlen(text), head = 2;
    frame[0] = (char)0x81;
    frame[1] = (char)(length < 126 ? length : 126);
    if (length >= 126) {
        frame[head++] = (char)(length >> 8);
        frame[head++] = (char)length;
    }
    memcpy(frame + head, text, length);
    return copy(frame, head + length);
}

static struct text framed_presence(const char *event, const char *data)
{
    char channel[BENCH_CHANNEL_CHARS], escaped[READ_BYTES / 4], text[READ_BYTES / 2];
    message_channel("presence-bench", 0, channel);
    message_escape(data, escaped, sizeof escaped);
    message_format(text, sizeof text, "{\"event\":\"pusher_internal:%s\",\"channel\":\"%s\",\"data\":\"%s\"}",
        event, channel, escaped);
    return framed(text);
}

/* {"presence":{"ids":[…],"hash":{…},"count":n}} of n members. */
static struct text roster_of(uint32_t members)
{
    static const char head[] = "{\"user_id\":\"u0000000\",\"user_info\":";
    char data[1024], ids[1024] = "", hash[8192] = "", text[10240];
    size_t ids_length = 0, hash_length = 0;
    message_channel_data(0, INFO_BYTES, data, sizeof data);
    const char *info = data + sizeof head - 1;
    int info_length = (int)strlen(info) - 1;
    for (uint32_t i = 0; i < members; i++) {
        const char *comma = i ? "," : "";
        ids_length += message_format(ids + ids_length, sizeof ids - ids_length, "%s\"u%07u\"", comma, i);
        hash_length += message_format(
            hash + hash_length, sizeof hash - hash_length, "%s\"u%07u\":%.*s", comma, i, info_length, info);
    }
    message_format(
        text, sizeof text, "{\"presence\":{\"ids\":[%s],\"hash\":{%s},\"count\":%u}}", ids, hash, members);
    return framed_presence("subscription_succeeded", text);
}

static void prepare_answers(void)
{
    static const char upgraded[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: " BENCH_WEBSOCKET_ACCEPT "\r\n\r\n";
    static const char published[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    char data[1024], text[1024], body[1024];
    floor_.upgraded = copy(upgraded, sizeof upgraded - 1);
    floor_.published = copy(published, sizeof published - 1);
    floor_.established = framed("{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":"
                                "\\\"1234567890123456.12345\\\",\\\"activity_timeout\\\":120}\"}");
    message_channel_data(0, INFO_BYTES, data, sizeof data);
    floor_.added = framed_presence("member_added", data);
    floor_.removed = framed_presence("member_removed", "{\"user_id\":\"u0000000\"}");
    floor_.succeeded =
        framed("{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"bench-fanout\","
               "\"data\":\"{}\"}");
    for (uint32_t i = 0; i <= GROUP_MEMBERS_MAX; i++)
        floor_.roster[i] = roster_of(i);
    static const char prefix[] = "presence-bench-";
    const char *name = memmem(floor_.roster[1].bytes, floor_.roster[1].length, prefix, sizeof prefix - 1);
    floor_.roster_number_at = (size_t)(name - floor_.roster[1].bytes) + sizeof prefix - 1;
    memset(body, 'd', EVENT_DATA_BYTES);
    body[EVENT_DATA_BYTES] = '\0';
    message_format(
        text, sizeof text, "{\"event\":\"bench-event\",\"channel\":\"bench-fanout\",\"data\":\"%s\"}", body);
    floor_.event = framed(text);
}

/* ---- the work ---- */

static void say(int fd, const struct text *text)
{
    ssize_t sent = send(fd, text->bytes, text->length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        return; /* the read sees it */
    if (sent < (ssize_t)text->length) {
        fprintf(stderr, "bench_floor: a client reads too slowly\n");
        exit(1);
    }
}

static void leave_group(int fd, struct peer *peer)
{
    struct group *group = &floor_.groups[peer->group];
    for (uint32_t i = 0; i < group->count; i++)
        if (group->members[i] == fd)
            group->members[i--] = group->members[--group->count];
    for (uint32_t i = 0; i < group->count; i++)
        say(group->members[i], &floor_.removed);
}

static void on_end(int fd)
{
    struct peer *peer = &floor_.peers[fd];
    if (peer->group >= 0)
        leave_group(fd, peer);
    if (peer->listener_at >= 0) {
        int last = floor_.subscribers[--floor_.subscriber_count];
        floor_.subscribers[peer->listener_at] = last;
        floor_.peers[last].listener_at = peer->listener_at;
    }
    close(fd);
}

static void join_group(int fd, struct peer *peer, const char *number)
{
    peer->group = atoi(number) % GROUPS_MAX;
    struct group *group = &floor_.groups[peer->group];
    for (uint32_t i = 0; i < group->count; i++)
        say(group->members[i], &floor_.added);
    if (group->count == GROUP_MEMBERS_MAX) {
        fprintf(stderr, "bench_floor: more than %d members in a channel\n", GROUP_MEMBERS_MAX);
        exit(1);
    }
    group->members[group->count++] = fd;
    struct text *roster = &floor_.roster[group->count];
    memcpy(roster->bytes + floor_.roster_number_at, number, CHANNEL_NUMBER_CHARS);
    say(fd, roster);
}

/* A masked text frame; unmasked as far as needed: to the channel's name. */
static void on_message(int fd, struct peer *peer, uint8_t *frame, size_t length)
{
    static const char presence[] = "presence-bench-";
    size_t head = (frame[1] & 127) == 126 ? 4 : 2;
    uint8_t *mask = frame + head;
    if ((frame[0] & 15) == 8) {
        on_end(fd);
        return;
    }
    if ((frame[0] & 15) != 1 || length < head + 4)
        return;
    head += 4;
    for (size_t i = head; i < length; i++)
        frame[i] ^= mask[(i - head) & 3];
    const char *channel = memmem(frame + head, length - head, presence, sizeof presence - 1);
    if (channel) {
        join_group(fd, peer, channel + sizeof presence - 1);
        return;
    }
    peer->listener_at = floor_.subscriber_count;
    floor_.subscribers[floor_.subscriber_count++] = fd;
    say(fd, &floor_.succeeded);
}

static void on_request(int fd, struct peer *peer)
{
    if (floor_.buffer[0] == 'G') {
        peer->kind = PEER_WEBSOCKET;
        say(fd, &floor_.upgraded);
        say(fd, &floor_.established);
        return;
    }
    for (int i = 0; i < floor_.subscriber_count; i++)
        say(floor_.subscribers[i], &floor_.event);
    say(fd, &floor_.published);
}

static void on_readable(int fd)
{
    struct peer *peer = &floor_.peers[fd];
    ssize_t got = recv(fd, floor_.buffer, sizeof floor_.buffer - 1, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        on_end(fd);
        return;
    }
    floor_.buffer[got] = '\0';
    if (peer->kind == PEER_HTTP)
        on_request(fd, peer);
    else
        on_message(fd, peer, (uint8_t *)floor_.buffer, (size_t)got);
}

static void on_connections(void)
{
    for (int fd; (fd = accept4(floor_.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= PEERS_MAX || epoll_ctl(floor_.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            abort();
        floor_.peers[fd] = (struct peer){.kind = PEER_HTTP, .group = -1, .listener_at = -1};
    }
}

static int listen_on(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)atoi(port))};
    socklen_t size = sizeof address;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* accepted sockets inherit it */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("bench_floor: cannot listen");
        exit(1);
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "--port") != 0) {
        fprintf(stderr, "usage: bench_floor --port P\n");
        return 2;
    }
    prepare_answers();
    floor_.listener = listen_on(argv[2]);
    floor_.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event listening = {.events = EPOLLIN, .data.fd = floor_.listener}, events[EVENTS_A_TURN];
    if (epoll_ctl(floor_.epoll, EPOLL_CTL_ADD, floor_.listener, &listening) != 0)
        abort();
    for (;;) {
        int count = epoll_wait(floor_.epoll, events, EVENTS_A_TURN, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == floor_.listener)
                on_connections();
            else
                on_readable(events[i].data.fd);
        }
    }
}
