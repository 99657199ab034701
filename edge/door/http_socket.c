/* Bytes in and out of a connection's socket, as they are or through TLS. */
#include "edge/base/log.h"
#include "edge/door/http_connection.h"

#include <errno.h>
#include <sys/socket.h>

/* In front of TLS stands at most the PROXY header, which is not encrypted. */
static bool is_encrypted(const struct http_connection *c)
{
    return c->tls && c->state != HTTP_READS_PROXY;
}

ssize_t http_connection_receive(struct http_connection *c, char *bytes, size_t room)
{
    if (is_encrypted(c))
        return tls_session_read(c->tls, bytes, room);
    return recv(c->fd, bytes, room, MSG_DONTWAIT);
}

ssize_t http_connection_send(struct http_connection *c, struct iovec *pieces, size_t count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t sent;
    if (is_encrypted(c)) {
        sent = tls_session_send(c->tls, pieces, count);
        errno = EPIPE;
        return sent;
    }
    do {
        sent = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 && (errno == EAGAIN || errno == ENOBUFS) ? 0 : sent;
}

/* ---- the handshake ---- */

void http_connection_handshake_failed(struct http_connection *c, enum tls_failure failure, const char *words)
{
    char text[ADDRESS_TEXT_BYTES];
    address_print(&c->peer, text);
    metric_add(&c->door->metrics->tls_failures[failure], 1);
    log_debug("tls.handshake", "no TLS with %s: %s", text, words ? words : tls_failure_name(failure));
}

/* Who speaks HTTP to a port of TLS gets words, in HTTP, and no TLS. */
static void refuse_plain(struct http_connection *c)
{
    tls_session_free(c->tls);
    c->tls = NULL;
    c->state = HTTP_READS_HEAD;
    metric_add(&c->door->metrics->http_malformed, 1);
    http_connection_refuse(
        c, &(struct http_refusal){
               .status = 400, .why = "this port speaks TLS: use https:// or wss://, not http:// or ws://"});
}

bool http_connection_shake_hands(struct http_connection *c)
{
    enum tls_failure failure;
    const char *words;
    switch (tls_session_handshake(c->tls, &failure, &words)) {
    case TLS_HANDSHAKE_MORE:
        return false;
    case TLS_HANDSHAKE_DONE:
        metric_add(&c->door->metrics->tls_handshakes, 1);
        c->state = HTTP_READS_HEAD;
        c->opened_ms = door_now_ms(c->door); /* the first request could not come before */
        http_connection_set_deadline(c, c->door->config->edge.head_timeout_ms);
        return true;
    case TLS_HANDSHAKE_FAILED:
        break;
    }
    http_connection_handshake_failed(c, failure, words);
    if (failure == TLS_FAILURE_PLAIN_HTTP)
        refuse_plain(c);
    else if (failure == TLS_FAILURE_CLOSED)
        http_connection_end(c);
    else
        http_connection_linger(c); /* the alert that says why is on its way */
    return false;
}
