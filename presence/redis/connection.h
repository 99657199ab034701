/* One connection to a Redis: a libuv stream, hiredis' parser, and nothing else. Replies come in the order of
 * the commands; who sends what knows what comes.
 *
 * hiredis' own asynchronous context is not used: of a channel that is left and entered again at once, its
 * release 0.14 forgets the callback, and names are resolved in a blocking call.
 *
 * Thread: that of the loop. Callbacks may close the connection.
 */
#pragma once

#include "presence/redis/address.h"
#include "presence/tls/client.h"

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <uv.h>

struct redis_connection;

struct redis_connection_events {
    void (*opened)(void *context);
    void (*reply)(void *context, const redisReply *reply);
    /* It could not be opened, or has been lost; it is closed already, and freed later. Not called after
     * redis_connection_close(). */
    void (*lost)(void *context, const char *why);
};

/* Resolves (without blocking) and connects, to the first address of the name that accepts. With `tls` (kept with a
 * reference; NULL: none) it is open when the server has proved who it is; sockets of the file system have no TLS. Never NULL: what goes wrong is told as `lost`, later. */
struct redis_connection *redis_connection_open(uv_loop_t *loop, const struct redis_address *address,
    struct tls_client *tls, const struct redis_connection_events *events, void *context);

/* Adds a command; what is added in one turn of the loop leaves in one write. */
void redis_connection_send(
    struct redis_connection *connection, size_t argc, const char *const *argv, const size_t *argv_bytes);

/* No callback comes any more. The memory goes when libuv has let go of it. NULL is allowed. */
void redis_connection_close(struct redis_connection *connection);
