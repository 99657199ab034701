#include "tests/bench/client.h"

#include "auth/client_auth.h"
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define STARTS_WITH(text, length, word)                                                                      \
    ((length) >= sizeof(word) - 1 && !memcmp(text, word, sizeof(word) - 1))

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

static void watch(struct driver *driver, struct client *client, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(driver->epoll, operation, client->fd, &event) != 0) {
        perror("bench_driver: epoll_ctl");
        abort();
    }
    client->writing = events & EPOLLOUT;
}

/* The socket is gone, by whoever's will. */
static void end(struct driver *driver, struct client *client, bool wanted)
{
    bool was_opening = client->state >= CLIENT_CONNECTING && client->state <= CLIENT_GREETING;
    wire_end(client);
    close(client->fd);
    free(client->unread);
    free(client->unsent);
    client->unread = client->unsent = NULL;
    client->unread_bytes = client->unsent_bytes = 0;
    client->fd = -1;
    client->state = CLIENT_FREE;
    client->channel[0] = '\0';
    driver->counters.ended++;
    driver->opening -= was_opening;
    if (!wanted)
        driver->counters.failed++;
    if (driver->job && driver->job->on_ended)
        driver->job->on_ended(driver, client);
}

static void violate(struct driver *driver, struct client *client, const char *what)
{
    driver->counters.violations++;
    driver_note(driver, "client %u: %s", client->number, what);
    end(driver, client, false);
}

/* ---- writing ---- */

static void keep_unsent(struct driver *driver, struct client *client, const void *bytes, size_t length)
{
    client->unsent = realloc(client->unsent, client->unsent_bytes + length);
    if (!client->unsent)
        abort();
    memcpy(client->unsent + client->unsent_bytes, bytes, length);
    client->unsent_bytes += length;
    if (!client->writing)
        watch(driver, client, EPOLL_CTL_MOD, wire_wants(client));
}

/* An error is left to the next read, which sees it as well: nobody up the stack loses his client. */
static void put(struct driver *driver, struct client *client, const void *bytes, size_t length)
{
    if (client->unsent_bytes > 0) {
        keep_unsent(driver, client, bytes, length);
        return;
    }
    ssize_t sent = wire_send(client, bytes, length);
    if (sent < 0)
        sent = errno == EAGAIN ? 0 : (ssize_t)length;
    if ((size_t)sent < length)
        keep_unsent(driver, client, (const char *)bytes + sent, length - (size_t)sent);
}

static void put_unsent(struct driver *driver, struct client *client)
{
    ssize_t sent = wire_send(client, client->unsent, client->unsent_bytes);
    if (sent < 0)
        sent = errno == EAGAIN ? 0 : (ssize_t)client->unsent_bytes;
    client->unsent_bytes -= (size_t)sent;
    memmove(client->unsent, client->unsent + sent, client->unsent_bytes);
    if (client->unsent_bytes == 0)
        watch(driver, client, EPOLL_CTL_MOD, EPOLLIN);
}

static void put_frame(
    struct driver *driver, struct client *client, int opcode, const char *text, size_t length)
{
    static uint32_t noise = 2463534242u;
    uint8_t small[2048], *frame = length + 8 <= sizeof small ? small : malloc(length + 8), mask[4];
    if (!frame || length > UINT16_MAX)
        abort();
    noise ^= noise << 13, noise ^= noise >> 17, noise ^= noise << 5;
    memcpy(mask, &noise, sizeof mask);
    size_t head = 2;
    frame[0] = (uint8_t)(0x80 | opcode);
    frame[1] = (uint8_t)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        frame[head++] = (uint8_t)(length >> 8);
        frame[head++] = (uint8_t)length;
    }
    memcpy(frame + head, mask, sizeof mask);
    head += sizeof mask;
    for (size_t i = 0; i < length; i++)
        frame[head + i] = (uint8_t)text[i] ^ mask[i & 3];
    put(driver, client, frame, head + length);
    if (frame != small)
        free(frame);
}

void client_say(struct driver *driver, struct client *client, const char *text, size_t length)
{
    put_frame(driver, client, OP_TEXT, text, length);
}

/* ---- opening ---- */

static int bound_socket(const struct driver *driver, const struct client *client)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct sockaddr_in source = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(driver->source + client->number % driver->source_count)};
    int yes = 1;
    /* The port is chosen when connecting, by the whole of the two addresses: one source has 28,000 ports to
     * each destination, not 28,000 altogether. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&source, sizeof source) == 0 &&
        (connect(fd, (const struct sockaddr *)&driver->server, sizeof driver->server) == 0 ||
            errno == EINPROGRESS))
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

void client_open(struct driver *driver, struct client *client)
{
    client->fd = bound_socket(driver, client);
    if (client->fd < 0) {
        driver->counters.failed++;
        driver_note(driver, "client %u cannot connect: %s", client->number, strerror(errno));
        return;
    }
    client->state = CLIENT_CONNECTING;
    driver->opening++;
    watch(driver, client, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void on_connected(struct driver *driver, struct client *client)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        driver_note(driver, "client %u cannot connect: %s", client->number, strerror(error));
        end(driver, client, false);
        return;
    }
    char request[512];
    size_t length = message_format(request, sizeof request,
        "GET /app/%s?protocol=7&client=js&version=8.4.0&flash=false HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " BENCH_WEBSOCKET_KEY "\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n",
        driver->app.key);
    client->state = CLIENT_UPGRADING;
    watch(driver, client, EPOLL_CTL_MOD, EPOLLIN);
    wire_begin(driver, client);
    put(driver, client, request, length);
}

/* ---- subscribing ---- */

size_t client_prepare_subscribe(const struct driver *driver, const struct client *client, const char *channel,
    size_t info_bytes, char *text, size_t size)
{
    char data[2048], auth[256];
    const char *channel_data = NULL;
    size_t data_bytes = 0;
    bool presence = strncmp(channel, "presence-", 9) == 0;
    if (!presence && strncmp(channel, "private-", 8) != 0)
        return message_subscribe(channel, NULL, NULL, text, size);
    if (presence) {
        data_bytes = message_channel_data(client->user, info_bytes, data, sizeof data);
        channel_data = data;
    }
    if (!auth_channel_sign(driver->app.key, driver->app.secret, client->socket_id, channel, channel_data,
            data_bytes, auth, sizeof auth))
        abort();
    return message_subscribe(channel, auth, channel_data, text, size);
}

void client_subscribe(struct driver *driver, struct client *client, const char *channel, size_t info_bytes)
{
    char text[4096];
    size_t length = client_prepare_subscribe(driver, client, channel, info_bytes, text, sizeof text);
    client->state = CLIENT_SUBSCRIBING;
    message_format(client->channel, sizeof client->channel, "%s", channel);
    client_say(driver, client, text, length);
}

void client_unsubscribe(struct driver *driver, struct client *client)
{
    char text[256];
    size_t length = message_format(text, sizeof text,
        "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"%s\"}}", client->channel);
    client->state = CLIENT_OPEN;
    client->channel[0] = '\0';
    driver->counters.unsubscribed++;
    client_say(driver, client, text, length);
}

void client_leave(struct driver *driver, struct client *client, enum client_farewell farewell)
{
    static const char going_away[2] = {0x03, (char)0xe9}; /* 1001 */
    if (farewell == FAREWELL_RESET) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        end(driver, client, true);
        return;
    }
    if (client->state >= CLIENT_CONNECTING && client->state <= CLIENT_GREETING)
        driver->opening--;
    client->state = CLIENT_CLOSING;
    client->channel[0] = '\0';
    if (farewell == FAREWELL_CLOSE_FRAME)
        put_frame(driver, client, OP_CLOSE, going_away, sizeof going_away);
    else
        shutdown(client->fd, SHUT_WR);
}

/* ---- reading ---- */

/* The value of the top-level "event": quotes inside strings are escaped, so this text is found nowhere else.
 */
static const char *event_name(const char *text, size_t length, size_t *left)
{
    static const char key[] = "\"event\":\"";
    const char *found = memmem(text, length, key, sizeof key - 1);
    if (!found)
        return NULL;
    found += sizeof key - 1;
    *left = length - (size_t)(found - text);
    return found;
}

static void on_established(struct driver *driver, struct client *client, const char *text, size_t length)
{
    static const char key[] = "\\\"socket_id\\\":\\\"";
    const char *found = memmem(text, length, key, sizeof key - 1);
    const char *close_quote =
        found ? memchr(found + sizeof key - 1, '\\', length - (size_t)(found - text) - sizeof key + 1) : NULL;
    if (!close_quote || client->state != CLIENT_GREETING) {
        violate(driver, client, "an unexpected connection_established");
        return;
    }
    found += sizeof key - 1;
    message_format(client->socket_id, sizeof client->socket_id, "%.*s", (int)(close_quote - found), found);
    client->state = CLIENT_OPEN;
    driver->opening--;
    driver->counters.opened++;
    if (driver->job && driver->job->on_open)
        driver->job->on_open(driver, client);
}

/* One that has been given up meanwhile is nobody's. */
static void on_succeeded(struct driver *driver, struct client *client, const char *text, size_t length)
{
    if (client->state != CLIENT_SUBSCRIBING ||
        !memmem(text, length, client->channel, strlen(client->channel)))
        return;
    client->state = CLIENT_SUBSCRIBED;
    driver->counters.subscribed++;
    if (driver->job && driver->job->on_subscribed)
        driver->job->on_subscribed(driver, client);
}

/* What is said in front of a close of 4200 is no error. */
static void on_error(struct driver *driver, struct client *client, const char *text, size_t length)
{
    static const char come_back[] = "\"code\":4200";
    if (memmem(text, length, come_back, sizeof come_back - 1))
        return;
    driver->counters.errors++;
    driver_note(driver, "client %u was told %.*s", client->number, (int)(length < 200 ? length : 200), text);
}

static void on_text(struct driver *driver, struct client *client, const char *text, size_t length)
{
    static const char pong[] = "{\"event\":\"pusher:pong\",\"data\":{}}";
    size_t left;
    const char *name = event_name(text, length, &left);
    driver->counters.frames++;
    if (!name)
        violate(driver, client, "a message without an event");
    else if (STARTS_WITH(name, left, "pusher_internal:member_added\""))
        driver->counters.added++;
    else if (STARTS_WITH(name, left, "pusher_internal:member_removed\"")) {
        driver->counters.removed++;
        if (driver->job && driver->job->on_removed)
            driver->job->on_removed(driver, client, text, length);
    } else if (STARTS_WITH(name, left, "pusher_internal:subscription_succeeded\""))
        on_succeeded(driver, client, text, length);
    else if (STARTS_WITH(name, left, "pusher:connection_established\""))
        on_established(driver, client, text, length);
    else if (STARTS_WITH(name, left, "pusher:ping\""))
        client_say(driver, client, pong, sizeof pong - 1);
    else if (STARTS_WITH(name, left, "pusher:error\"") ||
             STARTS_WITH(name, left, "pusher:subscription_error\""))
        on_error(driver, client, text, length);
    else if (!STARTS_WITH(name, left, "pusher")) {
        client->events++;
        driver->counters.events++;
        if (driver->job && driver->job->on_event)
            driver->job->on_event(driver, client, text, length);
    }
}

static void on_close(struct driver *driver, struct client *client, const char *text, size_t length)
{
    unsigned code = length >= 2 ? (unsigned)((uint8_t)text[0] << 8 | (uint8_t)text[1]) : 0;
    bool wanted = client->state == CLIENT_CLOSING;
    if (!wanted && code == 4200)
        driver->counters.sent_away++;
    else if (!wanted && code) /* our own farewell leaves the rest unread until the socket ends */
        driver_note(
            driver, "client %u was closed with %u %.*s", client->number, code, (int)(length - 2), text + 2);
    end(driver, client, wanted || code == 4200);
}

static void on_frame(
    struct driver *driver, struct client *client, int opcode, const char *text, size_t length)
{
    switch (opcode) {
    case OP_TEXT:
        on_text(driver, client, text, length);
        break;
    case OP_PING:
        driver->counters.pings++;
        put_frame(driver, client, OP_PONG, text, length);
        break;
    case OP_PONG:
        break;
    case OP_CLOSE:
        on_close(driver, client, text, length);
        break;
    default:
        violate(driver, client, "a frame of a kind that this server never sends");
    }
}

/* Returns how long the first frame is, 0 when it is not complete, and SIZE_MAX when it cannot be one. */
static size_t frame_parse(
    const char *bytes, size_t length, int *opcode, const char **text, size_t *text_bytes)
{
    const uint8_t *b = (const uint8_t *)bytes;
    if (length < 2)
        return 0;
    if ((b[0] & 0xf0) != 0x80 || (b[1] & 0x80))
        return SIZE_MAX;
    size_t head = (b[1] & 127) == 126 ? 4 : (b[1] & 127) == 127 ? 10 : 2;
    if (length < head)
        return 0;
    uint64_t size = head == 2 ? b[1] & 127u : 0;
    for (size_t i = 2; i < head; i++)
        size = size << 8 | b[i];
    if (size > SCRATCH_BYTES - head)
        return SIZE_MAX;
    *opcode = b[0] & 15;
    *text = bytes + head;
    *text_bytes = size;
    return length - head >= size ? head + size : 0;
}

/* Returns how much of it was the handshake's answer; 0 when that is not complete or was not good. */
static size_t on_answer(struct driver *driver, struct client *client, const char *bytes, size_t length)
{
    const char *head_end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!head_end)
        return 0;
    size_t head = (size_t)(head_end - bytes) + 4;
    if (!STARTS_WITH(bytes, length, "HTTP/1.1 101 ") ||
        !memmem(bytes, head, ": " BENCH_WEBSOCKET_ACCEPT "\r\n", sizeof BENCH_WEBSOCKET_ACCEPT + 3)) {
        violate(driver, client, "the upgrade was refused");
        return 0;
    }
    client->state = CLIENT_GREETING;
    return head;
}

/* Returns how much was used. The client may have ended. */
static size_t consume(struct driver *driver, struct client *client, const char *bytes, size_t length)
{
    size_t used = 0;
    if (client->state == CLIENT_UPGRADING && (used = on_answer(driver, client, bytes, length)) == 0)
        return 0;
    while (client->fd >= 0) {
        int opcode;
        const char *text;
        size_t text_bytes;
        size_t frame = frame_parse(bytes + used, length - used, &opcode, &text, &text_bytes);
        if (frame == 0)
            break;
        if (frame == SIZE_MAX) {
            violate(driver, client, "bytes that are no frame of a server");
            break;
        }
        used += frame;
        on_frame(driver, client, opcode, text, text_bytes);
    }
    return used;
}

static void keep_unread(struct client *client, const char *bytes, size_t length)
{
    char *kept = length > 0 ? malloc(length) : NULL;
    if (length > 0 && !kept)
        abort();
    if (kept)
        memcpy(kept, bytes, length);
    free(client->unread);
    client->unread = kept;
    client->unread_bytes = length;
}

/* One read a turn: epoll says so again when there is more. */
static void on_readable(struct driver *driver, struct client *client)
{
    if (client->unread_bytes > 0)
        memcpy(driver->scratch, client->unread, client->unread_bytes);
    size_t room = SCRATCH_BYTES - client->unread_bytes;
    ssize_t got = wire_receive(client, driver->scratch + client->unread_bytes, room);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        if (client->state != CLIENT_CLOSING)
            driver_note(driver, "client %u: the connection ended: %s", client->number,
                got < 0 ? strerror(errno) : "end of stream");
        end(driver, client, client->state == CLIENT_CLOSING);
        return;
    }
    driver->counters.bytes += (uint64_t)got;
    size_t length = client->unread_bytes + (size_t)got;
    size_t used = consume(driver, client, driver->scratch, length);
    if (client->fd >= 0 && (client->unread_bytes > 0 || used < length))
        keep_unread(client, driver->scratch + used, length - used);
}

void client_on_ready(struct driver *driver, struct client *client, uint32_t events)
{
    if (client->fd < 0)
        return; /* it ended earlier in this turn */
    if (client->state == CLIENT_CONNECTING)
        on_connected(driver, client);
    else if (client->unsent_bytes > 0 && ((events & EPOLLOUT) || client->ssl))
        put_unsent(driver, client);
    if (client->fd >= 0 && (events & ~(uint32_t)EPOLLOUT))
        on_readable(driver, client);
}

uint32_t client_count_in(const struct driver *driver, enum client_state state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < driver->client_count; i++)
        count += driver->clients[i].state == state;
    return count;
}
