/* The frames a client gets, in the words of protocol.md "Server → client". Each returns a sealed frame with
 * one reference. Pure functions; any thread. */
#pragma once

#include "edge/base/buffer.h"
#include "presence/roster.h"
#include "presence/store.h"

struct frame *event_connection_established(struct socket_id id, uint32_t activity_timeout_s);

/* code 0: null. */
struct frame *event_error(int code, const char *message);
struct frame *event_ping(void);
struct frame *event_pong(void);

/* roster NULL: a channel without one. */
struct frame *event_subscription_succeeded(const char *channel, const struct roster *roster);

/* pusher:subscription_error: {"type":"AuthError","error":…,"status":401}, whatever the reason (protocol.md). */
struct frame *event_subscription_error(const char *channel, const char *message);
struct frame *event_member_added(const char *channel, const struct member *member);
struct frame *event_member_removed(const char *channel, const struct member *member);

struct frame *event_subscription_count(const char *channel, uint64_t count);
struct frame *event_cache_miss(const char *channel);

/* user_data as the client sent it. */
struct frame *event_signin_success(const char *user_data, size_t length);

/* pusher_internal:watchlist_events. The lists are JSON strings with commas between them; at most one is empty. */
struct frame *event_watchlist(const struct buffer *online, const struct buffer *offline);
struct frame *event_watchlist_online(const char *user_id);
struct frame *event_watchlist_offline(const char *user_id);

/* An event of a back end: data is the string as published, encoded as a JSON string. */
struct frame *event_published(
    const char *channel, const char *name, size_t name_bytes, const char *data, size_t data_bytes);

/* A client event: data is JSON text, passed on as it came; user_id NULL on private channels. */
struct frame *event_from_client(const char *channel, const char *name, size_t name_bytes,
    const char *data_json, size_t data_bytes, const char *user_id);

/* "edge.serial" in decimal. text has room for SOCKET_ID_CHARS. */
enum { SOCKET_ID_CHARS = 48 };
void socket_id_print(struct socket_id id, char text[SOCKET_ID_CHARS]);

/* False when the text is not of that form or does not fit. "0.0" is not a socket id. */
bool socket_id_parse(const char *text, size_t length, struct socket_id *id);
