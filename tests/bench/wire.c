#include "tests/bench/wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

SSL_CTX *wire_tls_new(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        abort();
    SSL_CTX_set_mode(
        tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return tls;
}

void wire_begin(const struct driver *driver, struct client *client)
{
    if (!driver->tls)
        return;
    client->ssl = SSL_new(driver->tls);
    if (!client->ssl || !SSL_set_fd(client->ssl, client->fd))
        abort();
    SSL_set_connect_state(client->ssl);
}

void wire_end(struct client *client)
{
    SSL_free(client->ssl);
    client->ssl = NULL;
}

static ssize_t outcome(struct client *client, int result)
{
    int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(client->ssl, result);
    if (error == SSL_ERROR_NONE)
        return result;
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

ssize_t wire_send(struct client *client, const void *bytes, size_t length)
{
    if (!client->ssl)
        return send(client->fd, bytes, length, MSG_NOSIGNAL);
    ERR_clear_error();
    return outcome(client, SSL_write(client->ssl, bytes, (int)length));
}

ssize_t wire_receive(struct client *client, void *bytes, size_t room)
{
    if (!client->ssl)
        return recv(client->fd, bytes, room, 0);
    ERR_clear_error();
    return outcome(client, SSL_read(client->ssl, bytes, (int)room));
}

uint32_t wire_wants(const struct client *client)
{
    return client->ssl && !SSL_is_init_finished(client->ssl) ? EPOLLIN : EPOLLIN | EPOLLOUT;
}
