/* From bytes to handlers: what a connection makes of its input. */
#include "edge/base/log.h"
#include "edge/door/forwarded.h"
#include "edge/door/http_connection.h"
#include "edge/door/proxy_protocol.h"

#include "presence/base/new.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static void take(struct http_input *in, size_t count)
{
    in->bytes += count;
    in->length -= count;
}

static void refuse(struct http_connection *c, int status, const char *why)
{
    http_connection_refuse(c, &(struct http_refusal){.status = status, .why = why});
}

/* ---- from a request to its handler ---- */

/* A complete request and what it was made of. */
struct arrival {
    struct http_request *request;
    const struct http_head *head;
    struct http_text head_text; /* which the request points into */
    struct http_text rest;      /* what was read behind it */
    struct address client;
    bool is_proxied; /* he is another one than the peer */
};

static void hand_over(struct http_connection *c, struct http_request *request)
{
    struct door *door = c->door;
    int fd = c->fd;
    request->tls = c->tls;
    http_connection_detach(c);
    c->fd = -1;
    c->tls = NULL;
    request->exchange = NULL;
    door->handlers.upgrade(door->context, fd, request);
}

/* True if the request was an upgrade, good or bad. */
static bool try_upgrade(struct http_connection *c, const struct arrival *arrival)
{
    struct http_request *request = arrival->request;
    struct http_refusal refusal;
    switch (http_upgrade_check(request, arrival->head, &refusal)) {
    case HTTP_UPGRADE_NONE:
        return false;
    case HTTP_UPGRADE_REFUSED:
        http_connection_refuse(c, &refusal);
        return true;
    case HTTP_UPGRADE_WEBSOCKET:
        break;
    }
    if (!c->door->handlers.upgrade)
        refuse(c, 400, "no WebSocket is spoken at this address");
    else if (arrival->rest.length > 0)
        refuse(c, 400, "a client must wait for the answer to its upgrade before it sends more");
    else if (arrival->is_proxied && door_seat_refused_client(c->door, &arrival->client, &request->seat))
        refuse(c, 429, "your address has as many connections as it may, or opens them too quickly");
    else
        hand_over(c, request);
    return true;
}

static void split_target(struct http_request *request, struct http_text target)
{
    const char *mark = memchr(target.bytes, '?', target.length);
    size_t path = mark ? (size_t)(mark - target.bytes) : target.length;
    request->path = request->full_path = (struct http_text){target.bytes, path};
    request->query = mark ? (struct http_text){mark + 1, target.length - path - 1}
                          : (struct http_text){target.bytes + path, 0};
}

static bool take_prefix_off(const struct door *door, struct http_request *request)
{
    const char *prefix = door->config->edge.path_prefix;
    size_t length = prefix ? strlen(prefix) : 0;
    struct http_text *path = &request->path;
    if (length == 0 || door->handlers.no_path_prefix || http_text_is(*path, "*"))
        return true;
    if (path->length < length || memcmp(path->bytes, prefix, length) != 0)
        return false;
    if (path->length == length) {
        *path = (struct http_text){"/", 1};
        return true;
    }
    if (path->bytes[length] != '/')
        return false;
    *path = (struct http_text){path->bytes + length, path->length - length};
    return true;
}

static void add_text(struct buffer *buffer, struct http_text text)
{
    if (text.length > 0)
        buffer_add(buffer, text.bytes, text.length);
}

/* The request goes along in the form it has while its body comes: the head as it is, the body decoded. */
static void move(struct http_connection *c, void *home, const struct arrival *arrival)
{
    struct door *door = c->door;
    struct door_socket *socket = new_zeroed(sizeof(*socket));
    *socket = (struct door_socket){.fd = c->fd, .tls = c->tls, .peer = c->peer, .seat = c->seat};
    add_text(&socket->head, arrival->head_text);
    add_text(&socket->body, (struct http_text){arrival->request->body, arrival->request->body_bytes});
    add_text(&socket->rest, arrival->rest);
    http_connection_detach(c);
    c->fd = -1;
    c->tls = NULL;
    door->handlers.move(door->context, home, socket);
}

static bool try_move(struct http_connection *c, const struct arrival *arrival)
{
    struct door *door = c->door;
    void *home = door->handlers.home ? door->handlers.home(door->context, arrival->request) : NULL;
    if (home)
        move(c, home, arrival);
    return home != NULL;
}

static void identify(struct http_connection *c, struct arrival *arrival)
{
    struct http_request *request = arrival->request;
    arrival->is_proxied = forwarded_is_trusted(c->door->config, &c->peer);
    arrival->client = forwarded_client(c->door->config, request, &c->peer);
    request->tls = NULL;
    request->secure = arrival->client.secure;
    request->seat = c->seat;
    address_print(&arrival->client, request->peer);
}

static void handle(struct http_connection *c, const struct arrival *arrival)
{
    struct http_request *request = arrival->request;
    struct door *door = c->door;
    struct door_seat *visited = NULL;
    c->state = HTTP_ANSWER_DUE;
    if (arrival->is_proxied)
        request->seat = visited = door_seat_visit(&arrival->client, door->config, door_now_ms(door));
    door->handlers.request(door->context, request);
    door_seat_part(visited);
}

static void dispatch(struct http_connection *c, struct arrival *arrival)
{
    struct door *door = c->door;
    c->has_asked = true;
    arrival->request->exchange = &c->exchange;
    identify(c, arrival);
    split_target(arrival->request, arrival->head->target);
    wheel_cancel(&c->deadline);
    if (!take_prefix_off(door, arrival->request)) {
        c->state = HTTP_ANSWER_DUE;
        http_answer_error(
            &c->exchange, 404, NULL, "paths begin with %s here", door->config->edge.path_prefix);
    } else if (!try_upgrade(c, arrival) && !try_move(c, arrival)) {
        handle(c, arrival);
    }
}

/* ---- reading ---- */

static void refuse_malformed(struct http_connection *c, const struct http_refusal *refusal)
{
    metric_add(&c->door->metrics->http_malformed, 1);
    http_connection_refuse(c, refusal);
}

static bool read_proxy(struct http_connection *c, struct http_input *in)
{
    struct proxy_protocol header;
    long used = proxy_protocol_parse(in->bytes, in->length, &header);
    if (used == 0)
        return false;
    if (used < 0) {
        char text[ADDRESS_TEXT_BYTES];
        address_print(&c->peer, text);
        metric_add(&c->door->metrics->http_malformed, 1);
        log_warn(
            "proxy.malformed", "%s did not begin with a PROXY header, which this listener expects", text);
        http_connection_end(c);
        return false;
    }
    if (header.has_client) {
        c->peer = address_from((const struct sockaddr *)&header.client);
        c->peer.secure = header.secure || c->tls;
        if (door_seat_refused(c->door, &c->peer, &c->seat)) {
            http_connection_end(c);
            return false;
        }
    }
    take(in, (size_t)used);
    c->state = c->tls ? HTTP_SHAKES_HANDS : HTTP_READS_HEAD;
    if (c->tls) {
        tls_session_feed(c->tls, in->bytes, in->length);
        take(in, in->length);
    }
    return true;
}

/* Some clients send one CRLF too many after a body (RFC 9112, 2.2). */
static bool skip_blank_line(struct http_connection *c, struct http_input *in)
{
    if (c->blank_skipped || in->length < 2 || memcmp(in->bytes, "\r\n", 2) != 0)
        return false;
    c->blank_skipped = true;
    take(in, 2);
    return true;
}

static void remember(struct http_connection *c, const struct http_head *head)
{
    c->is_head = head->is_head;
    c->http_1_0 = head->http_1_0;
    c->keep_alive = head->keep_alive;
    c->chunked = head->chunked;
    c->content_length = head->content_length;
}

static void say_continue(struct http_connection *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    /* Everything before was sent, so this fits into the kernel's buffer, or the connection is broken. */
    struct iovec piece = {.iov_base = (void *)(uintptr_t)line, .iov_len = sizeof(line) - 1};
    if (http_connection_send(c, &piece, 1) != sizeof(line) - 1)
        http_connection_end(c);
}

static void begin_body(
    struct http_connection *c, struct http_input *in, size_t head_bytes, const struct http_head *head)
{
    buffer_add(&c->head, in->bytes, head_bytes);
    take(in, head_bytes);
    c->chunks = (struct http_chunks){0};
    c->state = HTTP_READS_BODY;
    http_connection_set_deadline(c, c->door->config->edge.body_timeout_ms);
    if (head->expects_continue && in->length == 0)
        say_continue(c);
}

static bool read_head(struct http_connection *c, struct http_input *in)
{
    struct http_request request;
    struct http_head head;
    struct http_refusal refusal;
    if (skip_blank_line(c, in))
        return true;
    if (in->length == 1 && in->bytes[0] == '\r')
        return false; /* perhaps the half of such a line */
    long scanned =
        http_head_scan(&c->scan, in->bytes, in->length, c->door->config->edge.head_bytes, &refusal);
    if (scanned == 0)
        return false;
    size_t head_bytes = scanned > 0 ? (size_t)scanned : 0;
    bool good = scanned > 0 && http_head_parse(in->bytes, head_bytes, &request, &head, &refusal);
    if (scanned > 0)
        remember(c, &head);
    if (!good) {
        refuse_malformed(c, &refusal);
        return false;
    }
    if (head.content_length > c->door->config->edge.body_bytes) {
        refuse(c, 413, "the body is too large");
        return false;
    }
    size_t rest = in->length - head_bytes;
    if (head.chunked || rest < head.content_length) {
        begin_body(c, in, head_bytes, &head);
        return c->state == HTTP_READS_BODY;
    }
    request.body = in->bytes + head_bytes;
    request.body_bytes = head.content_length;
    struct http_text head_text = {in->bytes, head_bytes};
    take(in, head_bytes + request.body_bytes);
    dispatch(
        c, &(struct arrival){
               .request = &request, .head = &head, .head_text = head_text, .rest = {in->bytes, in->length}});
    return true;
}

/* The body is complete: reads the kept head once more, whose texts now have a place to point to. */
static void finish_body(struct http_connection *c, struct http_text rest)
{
    struct http_request request;
    struct http_head head;
    struct http_refusal refusal;
    struct buffer head_text = c->head, body = c->body;
    c->head = c->body = (struct buffer){0};
    if (http_head_parse(head_text.bytes, head_text.length, &request, &head, &refusal)) {
        request.body = body.bytes ? body.bytes : "";
        request.body_bytes = body.length;
        remember(c, &head);
        dispatch(c, &(struct arrival){.request = &request,
                        .head = &head,
                        .head_text = {head_text.bytes, head_text.length},
                        .rest = rest});
    } else {
        refuse_malformed(c, &refusal); /* it was good before; but never go on with half a request */
    }
    buffer_deinit(&head_text);
    buffer_deinit(&body);
}

static bool read_body(struct http_connection *c, struct http_input *in)
{
    size_t used, limit = c->door->config->edge.body_bytes;
    bool done;
    if (c->chunked) {
        struct http_refusal refusal;
        enum http_chunks_result result =
            http_chunks_feed(&c->chunks, in->bytes, in->length, limit, &c->body, &used, &refusal);
        if (result == HTTP_CHUNKS_REFUSED) {
            refuse_malformed(c, &refusal);
            return false;
        }
        done = result == HTTP_CHUNKS_DONE;
    } else {
        size_t missing = (size_t)c->content_length - c->body.length;
        used = in->length < missing ? in->length : missing;
        buffer_add(&c->body, in->bytes, used);
        done = used == missing;
    }
    take(in, used);
    if (done)
        finish_body(c, (struct http_text){in->bytes, in->length});
    return done;
}

bool http_connection_step(struct http_connection *c, struct http_input *in)
{
    if (c->state == HTTP_ARRIVES) {
        finish_body(c, (struct http_text){in->bytes, in->length});
        return true;
    }
    if (in->length == 0)
        return false;
    switch ((enum http_connection_state)c->state) {
    case HTTP_READS_PROXY:
        return read_proxy(c, in);
    case HTTP_READS_HEAD:
        return read_head(c, in);
    case HTTP_READS_BODY:
        return read_body(c, in);
    default:
        return false;
    }
}
