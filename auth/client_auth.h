/* The signatures a client brings: for private and presence channels, and for signing in.
 *
 * `auth` is "key:hex"; hex is the HMAC-SHA256 of the string to sign with the app's secret (protocol.md,
 * "Strings to sign"). A verdict's zero value is "denied". Pure functions; any thread.
 */
#pragma once

#include <stddef.h>

enum auth_verdict {
    AUTH_DENIED = 0,
    AUTH_GRANTED,
};

struct auth_input {
    const char *key;    /* the app's */
    const char *secret; /* the app's */
    const char *socket_id;
    const char *auth; /* as the client sent it */
    size_t auth_length;
};

/* socket_id:channel, and :channel_data where channel_data is not NULL (the bytes as sent). On denial the
 * string that should have been signed is written to `expected`, cut to its size and NUL-terminated:
 * protocol.md has the refusal quote it. */
enum auth_verdict auth_channel(const struct auth_input *input, const char *channel, const char *channel_data,
    size_t channel_data_length, char *expected, size_t expected_size);

/* socket_id::user::user_data */
enum auth_verdict auth_user(const struct auth_input *input, const char *user_data, size_t user_data_length,
    char *expected, size_t expected_size);

/* "key:hex" for a channel, for the demo page's own route and for tests. auth has room for size bytes; returns
 * false if that is too little. */
_Bool auth_channel_sign(const char *key, const char *secret, const char *socket_id, const char *channel,
    const char *channel_data, size_t channel_data_length, char *auth, size_t size);
