/* Signing in as a user (protocol.md, "Sign-in, users, watchlist"). */
#include "edge/pusher/connection_private.h"

#include "auth/client_auth.h"
#include "presence/base/new.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void user_free(struct user *user)
{
    if (!user)
        return;
    free(user->id);
    free(user->info);
    frame_unref(user->success);
    free(user);
}

static bool refuse(struct connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct connection *connection, const char *format, ...)
{
    char words[WORDS_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    connection_words(words, format, arguments);
    va_end(arguments);
    connection_complain(connection, 0, "%s", words);
    return false;
}

static bool check_signature(struct connection *connection, const struct message_signin *said)
{
    char socket_id[SOCKET_ID_CHARS], expected[WORDS_MAX_BYTES / 2];
    socket_id_print(connection->id, socket_id);
    const struct app_key *pair = connection_pair_of(connection, said->auth);
    struct auth_input input = {
        .key = pair->key,
        .secret = pair->secret,
        .socket_id = socket_id,
        .auth = said->auth.bytes,
        .auth_length = said->auth.length,
    };
    if (auth_user(&input, said->user_data.bytes, said->user_data.length, expected, sizeof(expected)) ==
        AUTH_GRANTED)
        return true;
    return refuse(connection, "Invalid signature: Expected HMAC SHA256 hex digest of %.*s, but got %.*s",
        QUOTE(((struct json_text){expected, strlen(expected)})), QUOTE(said->auth));
}

/* The id, or NULL: a string that is not empty. */
static const char *id_in(const json_t *user_data)
{
    const char *id = json_string_value(json_object_get(user_data, "id"));
    return id && *id ? id : NULL;
}

/* Sizes are the user's without his watchlist: SDKs put that into the same user_data. */
static bool check_sizes(
    struct connection *connection, const struct message_signin *said, const json_t *user_data)
{
    const struct config_limits *limits = &connection->app->limits;
    const char *id = id_in(user_data);
    size_t watchlist_bytes = 0;
    char *watchlist = json_dumps(json_object_get(user_data, "watchlist"), JSON_COMPACT | JSON_ENCODE_ANY);
    if (watchlist)
        watchlist_bytes = strlen(watchlist);
    free(watchlist);
    size_t bytes = said->user_data.length > watchlist_bytes ? said->user_data.length - watchlist_bytes : 0;
    if (limits->user_id_chars &&
        json_text_characters((struct json_text){id, strlen(id)}) > limits->user_id_chars)
        return refuse(
            connection, "user_data.id is too long: it may have at most %u characters", limits->user_id_chars);
    if (limits->user_info_bytes && bytes > limits->user_info_bytes)
        return refuse(connection,
            "user_data is too large: without its watchlist it may have at most %u bytes",
            limits->user_info_bytes);
    return true;
}

static bool check_watchlist(struct connection *connection, const json_t *watchlist)
{
    size_t i;
    const json_t *id;
    if (!watchlist)
        return true;
    if (!json_is_array(watchlist))
        return refuse(connection, "user_data.watchlist must be a list of user ids");
    json_array_foreach(
        watchlist, i, id) if (!json_is_string(id) || json_string_length(id) == 0) return refuse(connection,
        "user_data.watchlist[%zu] must be a string that is not empty", i);
    return true;
}

static bool check_user(
    struct connection *connection, const struct message_signin *said, const json_t *user_data)
{
    const json_t *info = json_object_get(user_data, "user_info");
    if (!json_is_object(user_data) || !id_in(user_data))
        return refuse(connection, "user_data must be a JSON object with an id, a string that is not empty");
    if (info && !json_is_object(info) && !json_is_null(info))
        return refuse(connection, "user_data.user_info must be an object");
    return check_sizes(connection, said, user_data) &&
           check_watchlist(connection, json_object_get(user_data, "watchlist"));
}

/* Once signed in a connection stays that user's: as himself again it is told so again, as another it is refused. */
static void sign_in_again(struct connection *connection, const char *id, struct frame *success)
{
    if (strcmp(connection->user->id, id) == 0)
        connection_send(connection, success);
    else
        refuse(connection, "This connection is signed in as another user already");
    frame_unref(success);
}

static void sign_in(struct connection *connection, const json_t *user_data, struct frame *success)
{
    const json_t *info = json_object_get(user_data, "user_info");
    struct user *user = new_zeroed(sizeof(*user));
    user->id = new_text(id_in(user_data));
    if (json_is_object(info))
        user->info = json_dumps(info, JSON_COMPACT);
    user->success = success;
    connection->user = user;
    connection_watch_users(connection, json_object_get(user_data, "watchlist"));
}

void connection_signin(struct connection *connection, struct message *message)
{
    struct message_signin said;
    const char *why;
    if (!connection->app->user_authentication) {
        refuse(connection, "Signing in is not enabled for this app");
        return;
    }
    if (message_read_signin(message, &said, &why) != 0) {
        refuse(connection, "The message %s", why);
        return;
    }
    if (!check_signature(connection, &said))
        return;
    json_t *user_data = json_loadb(said.user_data.bytes, said.user_data.length, JSON_REJECT_DUPLICATES, NULL);
    if (!user_data) {
        refuse(connection, "user_data must be JSON, and no key may stand in it twice");
        return;
    }
    if (check_user(connection, &said, user_data)) {
        struct frame *success = event_signin_success(said.user_data.bytes, said.user_data.length);
        if (connection->user)
            sign_in_again(connection, id_in(user_data), success);
        else
            sign_in(connection, user_data, success);
    }
    json_decref(user_data);
}
