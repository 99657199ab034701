/* A TLS connection that has become a WebSocket: libwebsockets reads and writes one end of a socket pair, and the bridge
 * carries bytes between the other end and the client.
 *
 *   client ══ TLS ══ socket │ bridge │ inner end ── outer end │ libwebsockets
 *                                ▲
 *                                └── tls_bridge_send(): our own frames, which do not go through the pair
 *
 * What is read costs two system calls more than without TLS; what we send, most of all there is, none. Whole frames
 * meet whole frames: libwebsockets writes a frame (a pong, an answer to a close) in one piece, and what one call of
 * tls_bridge_send() brings is not divided either.
 *
 * A bridge lives until libwebsockets has closed its end, and then for as long as the client needs to take what is left
 * and to close, BRIDGE_LINGER_MS at most. It is freed by itself.
 *
 * Thread: that of the loop.
 */
#pragma once

#include "edge/base/wheel.h"
#include "edge/tls/session.h"

#include <uv.h>

enum { BRIDGE_LINGER_MS = 5000 }; /* as long as libwebsockets gives a socket that it closes */

struct tls_bridge;
LIST_HEAD(tls_bridge_list, tls_bridge);

/* Bridges of one loop; all zeroes but for loop and wheel is a good beginning. */
struct tls_bridges {
    uv_loop_t *loop;
    struct wheel *wheel;
    struct tls_bridge_list open;
    char scratch[TLS_RECORD_BYTES];
};

/* Takes over fd and session, whose handshake is done. *outer is the end for libwebsockets, the caller's to close.
 * `writable(context)` is called when everything that waited has been sent, if more than nothing did. NULL when no
 * descriptor is left; fd and session are gone then, too. */
struct tls_bridge *tls_bridge_new(struct tls_bridges *bridges, int fd, struct tls_session *session,
    int *outer, void (*writable)(void *context), void *context);

/* Encrypts and sends all pieces; what the socket does not take waits here. The bytes, or -1 when the client is gone. */
ssize_t tls_bridge_send(struct tls_bridge *bridge, const struct iovec *pieces, size_t count);

/* Bytes of ciphertext that wait for the client. */
size_t tls_bridge_waiting_bytes(const struct tls_bridge *bridge);

/* Carries at once what libwebsockets has written so far. */
void tls_bridge_carry(struct tls_bridge *bridge);

/* `writable` is not called any more. To be said before the connection it is for goes. */
void tls_bridge_part(struct tls_bridge *bridge);

/* Bridges whose client has not taken everything yet. */
size_t tls_bridges_unsent(const struct tls_bridges *bridges);

/* Ends all of them, in whatever state. The memory goes with the close callbacks of the loop. */
void tls_bridges_end(struct tls_bridges *bridges);
