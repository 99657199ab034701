#include "auth/client_auth.h"

#include "auth/digest.h"

#include <stdio.h>
#include <string.h>

enum { PIECES_MAX = 5 };

/* The string to sign, in the pieces it comes in. */
struct to_sign {
    struct digest_piece pieces[PIECES_MAX];
    size_t count;
};

static void add_piece(struct to_sign *to_sign, const char *bytes, size_t length)
{
    to_sign->pieces[to_sign->count++] = (struct digest_piece){bytes, length};
}

static void add_word(struct to_sign *to_sign, const char *word)
{
    add_piece(to_sign, word, strlen(word));
}

static struct to_sign channel_to_sign(
    const char *socket_id, const char *channel, const char *channel_data, size_t channel_data_length)
{
    struct to_sign to_sign = {.count = 0};
    add_word(&to_sign, socket_id);
    add_word(&to_sign, ":");
    add_word(&to_sign, channel);
    if (channel_data) {
        add_word(&to_sign, ":");
        add_piece(&to_sign, channel_data, channel_data_length);
    }
    return to_sign;
}

static void sign(const char *secret, const struct to_sign *to_sign, char hex[SHA256_HEX_CHARS + 1])
{
    digest_hmac_sha256_hex(secret, strlen(secret), to_sign->pieces, to_sign->count, hex);
}

/* The pieces as one text, cut to size. */
static void write_to_sign(const struct to_sign *to_sign, char *text, size_t size)
{
    if (size == 0)
        return;
    size_t length = 0;
    for (size_t i = 0; i < to_sign->count; i++) {
        size_t room = size - 1 - length;
        size_t taken = to_sign->pieces[i].length < room ? to_sign->pieces[i].length : room;
        if (taken > 0)
            memcpy(text + length, to_sign->pieces[i].bytes, taken);
        length += taken;
    }
    text[length] = '\0';
}

/* Whether auth is "key:hex" with the right key and the right digest. */
static enum auth_verdict check(
    const struct auth_input *input, const struct to_sign *to_sign, char *expected, size_t expected_size)
{
    char hex[SHA256_HEX_CHARS + 1];
    size_t key_length = strlen(input->key);
    sign(input->secret, to_sign, hex);
    if (input->auth && input->auth_length == key_length + 1 + SHA256_HEX_CHARS) {
        const char *given = input->auth + key_length + 1;
        bool key_fits = digest_equal(input->auth, key_length, input->key, key_length);
        bool digest_fits = digest_equal(given, SHA256_HEX_CHARS, hex, SHA256_HEX_CHARS);
        if (key_fits && digest_fits && given[-1] == ':')
            return AUTH_GRANTED;
    }
    write_to_sign(to_sign, expected, expected_size);
    return AUTH_DENIED;
}

enum auth_verdict auth_channel(const struct auth_input *input, const char *channel, const char *channel_data,
    size_t channel_data_length, char *expected, size_t expected_size)
{
    struct to_sign to_sign = channel_to_sign(input->socket_id, channel, channel_data, channel_data_length);
    return check(input, &to_sign, expected, expected_size);
}

enum auth_verdict auth_user(const struct auth_input *input, const char *user_data, size_t user_data_length,
    char *expected, size_t expected_size)
{
    struct to_sign to_sign = {.count = 0};
    add_word(&to_sign, input->socket_id);
    add_word(&to_sign, "::user::");
    add_piece(&to_sign, user_data, user_data_length);
    return check(input, &to_sign, expected, expected_size);
}

_Bool auth_channel_sign(const char *key, const char *secret, const char *socket_id, const char *channel,
    const char *channel_data, size_t channel_data_length, char *auth, size_t size)
{
    size_t key_length = strlen(key);
    if (size < key_length + 1 + SHA256_HEX_CHARS + 1)
        return false;
    struct to_sign to_sign = channel_to_sign(socket_id, channel, channel_data, channel_data_length);
    snprintf(auth, size, "%s:", key);
    sign(secret, &to_sign, auth + key_length + 1);
    return true;
}
