#include "presence/redis/connection.h"

#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    READ_BYTES = 64 * 1024,
    FIRST_OUT_BYTES = 4096,
    /* Written but not yet taken by the kernel: a Redis this far behind is not coming back in time. */
    BACKLOG_BYTES = 256 * 1024 * 1024,
};

struct redis_connection {
    uv_loop_t *loop;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_prepare_t flush; /* runs before the loop waits: one write for all of a turn */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct addrinfo *found, *next; /* what the name stands for, and what of it is tried next */
    struct redis_address address;
    struct redis_connection_events events;
    void *context;
    redisReader *reader;
    struct tls_client *tls_client; /* NULL: no TLS */
    struct tls_stream *tls;        /* from connected to closed */
    char *out;
    size_t out_bytes, out_capacity;
    bool open, closing, resolving;
    unsigned handles; /* what libuv still holds */
    char input[READ_BYTES];
};

struct write {
    uv_write_t request;
    struct redis_connection *connection;
    char *bytes;
};

static void free_if_done(struct redis_connection *connection)
{
    if (connection->handles || connection->resolving)
        return;
    redisReaderFree(connection->reader);
    tls_stream_free(connection->tls);
    tls_client_unref(connection->tls_client);
    uv_freeaddrinfo(connection->found);
    free(connection->out);
    free(connection);
}

static void on_closed(uv_handle_t *handle)
{
    struct redis_connection *connection = handle->data;
    connection->handles--;
    free_if_done(connection);
}

void redis_connection_close(struct redis_connection *connection)
{
    if (!connection || connection->closing)
        return;
    connection->closing = true;
    connection->open = false;
    if (connection->resolving)
        uv_cancel((uv_req_t *)&connection->resolve);
    if (!uv_is_closing(&connection->handle)) /* on its way to the next address */
        uv_close(&connection->handle, on_closed);
    uv_close((uv_handle_t *)&connection->flush, on_closed);
}

static void lose(struct redis_connection *connection, const char *why)
{
    if (connection->closing)
        return;
    redis_connection_close(connection);
    connection->events.lost(connection->context, why);
}

/* ---- reading ---- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct redis_connection *connection = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(connection->input, READ_BYTES);
}

static void take_replies(struct redis_connection *connection)
{
    void *reply;
    while (!connection->closing) {
        if (redisReaderGetReply(connection->reader, &reply) != REDIS_OK) {
            lose(connection, "what it says is not Redis' protocol");
            return;
        }
        if (!reply)
            return;
        connection->events.reply(connection->context, reply);
        freeReplyObject(reply);
    }
}

static void take_in(struct redis_connection *connection, const char *bytes, size_t length)
{
    if (redisReaderFeed(connection->reader, bytes, length) != REDIS_OK)
        lose(connection, "what it says is not Redis' protocol");
    else
        take_replies(connection);
}

static void read_encrypted(struct redis_connection *connection, const char *bytes, size_t length);

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer)
{
    struct redis_connection *connection = stream->data;
    if (bytes < 0)
        lose(connection, bytes == UV_EOF ? "closed by the other side" : uv_strerror((int)bytes));
    else if (connection->tls)
        read_encrypted(connection, buffer->base, (size_t)bytes);
    else
        take_in(connection, buffer->base, (size_t)bytes);
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status)
{
    struct write *write = request->data;
    struct redis_connection *connection = write->connection;
    free(write->bytes);
    free(write);
    if (status < 0 && status != UV_ECANCELED)
        lose(connection, uv_strerror(status));
}

/* The bytes are libuv's until they are written, then freed. */
static void write_bytes(struct redis_connection *connection, char *bytes, size_t length)
{
    struct write *write = new_zeroed(sizeof *write);
    write->request.data = write;
    write->connection = connection;
    write->bytes = bytes;
    uv_buf_t buffer = uv_buf_init(bytes, (unsigned)length);
    int error = uv_write(&write->request, &connection->stream, &buffer, 1, on_written);
    if (error) {
        free(write->bytes);
        free(write);
        lose(connection, uv_strerror(error));
    }
}

static void on_flush(uv_prepare_t *prepare)
{
    struct redis_connection *connection = prepare->data;
    if (!connection->open || !connection->out_bytes)
        return;
    if (uv_stream_get_write_queue_size(&connection->stream) > BACKLOG_BYTES) {
        lose(connection, "it takes nothing any more");
        return;
    }
    char *bytes = connection->out;
    size_t length = connection->out_bytes;
    connection->out = NULL;
    connection->out_bytes = connection->out_capacity = 0;
    if (connection->tls) {
        tls_stream_write(connection->tls, bytes, length); /* a failure is told by what is read */
        free(bytes);
        length = tls_stream_take(connection->tls, &bytes);
    }
    if (length > 0)
        write_bytes(connection, bytes, length);
}

static void add(struct redis_connection *connection, const char *bytes, size_t length)
{
    size_t needed = connection->out_bytes + length;
    connection->out = grown(
        connection->out, &connection->out_capacity, needed > FIRST_OUT_BYTES ? needed : FIRST_OUT_BYTES, 1);
    memcpy(connection->out + connection->out_bytes, bytes, length);
    connection->out_bytes += length;
}

static void add_length(struct redis_connection *connection, char kind, size_t length)
{
    char text[32];
    int bytes = snprintf(text, sizeof text, "%c%zu\r\n", kind, length);
    add(connection, text, (size_t)bytes);
}

void redis_connection_send(
    struct redis_connection *connection, size_t argc, const char *const *argv, const size_t *argv_bytes)
{
    add_length(connection, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        add_length(connection, '$', argv_bytes[i]);
        add(connection, argv[i], argv_bytes[i]);
        add(connection, "\r\n", 2);
    }
}

/* ---- TLS ---- */

/* What the handshake, or an answer of TLS itself, has to say. */
static void send_encrypted(struct redis_connection *connection)
{
    char *bytes;
    size_t length = tls_stream_take(connection->tls, &bytes);
    if (length > 0)
        write_bytes(connection, bytes, length);
}

static void read_encrypted(struct redis_connection *connection, const char *bytes, size_t length)
{
    char plain[16 * 1024];
    ssize_t count = 1;
    tls_stream_feed(connection->tls, bytes, length);
    while (!connection->closing && (count = tls_stream_read(connection->tls, plain, sizeof plain)) > 0)
        take_in(connection, plain, (size_t)count);
    if (connection->closing)
        return;
    send_encrypted(connection); /* also the alert that says what we do not like */
    if (connection->closing)
        return;
    if (count < 0) {
        lose(connection, count == -EPIPE ? "closed by the other side" : tls_stream_why(connection->tls));
    } else if (!connection->open && tls_stream_is_open(connection->tls)) {
        connection->open = true;
        connection->events.opened(connection->context);
    }
}

/* ---- opening: every address that the name stands for is tried, in the order of the resolver ---- */

static void on_connected(uv_connect_t *request, int status);

static int connect_to_next(struct redis_connection *connection)
{
    const struct addrinfo *to = connection->next;
    connection->next = to->ai_next;
    return uv_tcp_connect(&connection->connect, &connection->tcp, to->ai_addr, on_connected);
}

static void on_closed_for_next(uv_handle_t *handle)
{
    struct redis_connection *connection = handle->data;
    if (connection->closing) {
        on_closed(handle);
        return;
    }
    uv_tcp_init(connection->loop, &connection->tcp);
    int error = connect_to_next(connection);
    if (error)
        lose(connection, uv_strerror(error));
}

static void on_connected(uv_connect_t *request, int status)
{
    struct redis_connection *connection = request->data;
    if (status == UV_ECANCELED || connection->closing)
        return;
    if (status < 0 && connection->next) {
        uv_close(&connection->handle, on_closed_for_next);
        return;
    }
    if (status == 0)
        status = uv_read_start(&connection->stream, on_room, on_read);
    if (status < 0) {
        lose(connection, uv_strerror(status));
        return;
    }
    if (!connection->address.is_unix) {
        uv_tcp_nodelay(&connection->tcp, 1);
        uv_tcp_keepalive(&connection->tcp, 1, 10);
    }
    if (connection->tls_client && !connection->address.is_unix) {
        connection->tls = tls_stream_new(connection->tls_client, connection->address.host);
        read_encrypted(connection, NULL, 0);
        return;
    }
    connection->open = true;
    connection->events.opened(connection->context);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct redis_connection *connection = request->data;
    connection->resolving = false;
    connection->found = connection->next = found;
    if (connection->closing) {
        free_if_done(connection);
        return;
    }
    if (status == 0)
        status = connect_to_next(connection);
    if (status < 0)
        lose(connection, uv_strerror(status));
}

/* What fails at once is told from the loop, not from within open(). */
static void on_failed_at_once(uv_prepare_t *prepare)
{
    struct redis_connection *connection = prepare->data;
    lose(connection, "it cannot be resolved");
}

static int start(struct redis_connection *connection)
{
    const struct redis_address *address = &connection->address;
    char port[8];
    if (address->is_unix) {
        uv_pipe_connect(&connection->connect, &connection->pipe, address->host, on_connected);
        return 0;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    snprintf(port, sizeof port, "%u", address->port);
    int error =
        uv_getaddrinfo(connection->loop, &connection->resolve, on_resolved, address->host, port, &hints);
    connection->resolving = error == 0;
    return error;
}

struct redis_connection *redis_connection_open(uv_loop_t *loop, const struct redis_address *address,
    struct tls_client *tls, const struct redis_connection_events *events, void *context)
{
    struct redis_connection *connection = new_zeroed(sizeof *connection);
    connection->loop = loop;
    connection->address = *address;
    connection->tls_client = tls_client_ref(tls);
    connection->events = *events;
    connection->context = context;
    connection->reader = must_have(redisReaderCreate());
    if (address->is_unix)
        uv_pipe_init(loop, &connection->pipe, 0);
    else
        uv_tcp_init(loop, &connection->tcp);
    uv_prepare_init(loop, &connection->flush);
    connection->handles = 2;
    connection->handle.data = connection->flush.data = connection;
    connection->connect.data = connection->resolve.data = connection;
    uv_prepare_start(&connection->flush, start(connection) ? on_failed_at_once : on_flush);
    return connection;
}
