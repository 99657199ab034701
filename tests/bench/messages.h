/* The texts both sides of a measurement have to agree on: what a simulated client says, and so how long the
 * answers are that the floor keeps ready. Numbers have a fixed width, so that every frame of a kind is as
 * long as the next. Pure functions; `text` must have room for size bytes, or the process aborts. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* RFC 6455's own example. One key for all: what a server computes is the same, and the answer is known. */
#define BENCH_WEBSOCKET_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define BENCH_WEBSOCKET_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum {
    BENCH_CHANNEL_CHARS = 200,
    BENCH_USER_CHARS = 16,
};

/* "u0000042" */
void message_user_id(uint32_t number, char text[BENCH_USER_CHARS]);

/* prefix, and "-00042" behind it unless number is UINT32_MAX. */
void message_channel(const char *prefix, uint32_t number, char text[BENCH_CHANNEL_CHARS]);

/* {"user_id":"u0000042","user_info":{"name":"xxx"}}, with a user_info of info_bytes (0: none). */
size_t message_channel_data(uint32_t user, size_t info_bytes, char *text, size_t size);

/* {"event":"pusher:subscribe","data":{…}}; auth may be NULL, channel_data as well. */
size_t message_subscribe(
    const char *channel, const char *auth, const char *channel_data, char *text, size_t size);

/* What a back end posts to /events: an event with data of data_bytes that begins with the number. */
size_t message_publish(const char *channel, uint32_t number, size_t data_bytes, char *text, size_t size);

/* The signed POST request to /apps/{app_id}/events with that body. */
struct bench_app {
    const char *id, *key, *secret;
};
size_t message_signed_post(
    const struct bench_app *app, const char *body, size_t body_bytes, char *text, size_t size);

/* Appends `text` to out as the inside of a JSON string. Returns the new length. */
size_t message_escape(const char *text, char *out, size_t size);

/* snprintf that aborts when the text does not fit. */
size_t message_format(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
