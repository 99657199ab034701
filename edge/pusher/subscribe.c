/* Subscriptions: every refusal, and the node's answers. */
#include "edge/pusher/connection_private.h"

#include "auth/client_auth.h"
#include "edge/base/hash.h"
#include "presence/base/new.h"

#include <errno.h>
#include <string.h>

/* What a client asks for. */
struct wish {
    struct message_subscription said;
    enum channel_kind kind;
    struct message_user user; /* presence only */
};

static uint32_t hash_of(struct json_text name)
{
    return hash_text(name.bytes, name.length);
}

struct subscription *connection_subscription(struct connection *connection, struct json_text channel)
{
    uint32_t hash = hash_of(channel);
    struct subscription *subscription;
    LIST_FOREACH (subscription, &connection->subscriptions, of_connection)
        if (subscription->name_hash == hash && subscription->kind != CHANNEL_USER &&
            json_text_is(channel, subscription->name))
            return subscription;
    return NULL;
}

/* pusher:error, and pusher:subscription_error, which pusher-js turns into its callback. Returns false. */
static bool refuse(struct connection *connection, struct json_text channel, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(struct connection *connection, struct json_text channel, const char *format, ...)
{
    char words[WORDS_MAX_BYTES], name[QUOTE_MAX_BYTES + 1];
    va_list arguments;
    va_start(arguments, format);
    connection_words(words, format, arguments);
    va_end(arguments);
    snprintf(name, sizeof(name), "%.*s", QUOTE(channel));
    connection_complain(connection, 0, "%s", words);
    struct frame *frame = event_subscription_error(name, words);
    connection_send(connection, frame);
    frame_unref(frame);
    return false;
}

/* ---- what is asked for ---- */

/* "#server-to-user-ID" is for the connection signed in as that user; its name may hold any character of an id. */
static bool check_server_to_user(struct connection *connection, struct json_text channel)
{
    size_t prefix = strlen(CHANNEL_SERVER_TO_USER_PREFIX);
    struct json_text id = {channel.bytes + prefix, channel.length - prefix};
    if (connection->user && json_text_is(id, connection->user->id))
        return true;
    return refuse(connection, channel, "Channel %.*s is only for a connection that is signed in as that user",
        QUOTE(channel));
}

static bool is_server_to_user(struct json_text channel)
{
    size_t prefix = strlen(CHANNEL_SERVER_TO_USER_PREFIX);
    return channel.length > prefix && memcmp(channel.bytes, CHANNEL_SERVER_TO_USER_PREFIX, prefix) == 0;
}

static bool check_channel(struct connection *connection, struct wish *wish)
{
    struct json_text channel = wish->said.channel;
    char name[WORDS_MAX_BYTES];
    uint32_t max_chars = connection->app->limits.channel_name_chars;
    if (is_server_to_user(channel)) {
        wish->kind = CHANNEL_SERVER_TO_USER;
        return check_server_to_user(connection, channel);
    }
    if (channel.length >= sizeof(name) || !channel_name_valid(channel.bytes, channel.length, max_chars))
        return refuse(connection, channel,
            "Invalid channel name %.*s: it must be 1 to %u characters of A-Z a-z 0-9 _ - = @ , . ;",
            QUOTE(channel), max_chars ? max_chars : (unsigned)sizeof(name) - 1);
    snprintf(name, sizeof(name), "%.*s", (int)channel.length, channel.bytes);
    wish->kind = channel_kind_of(name);
    return true;
}

/* A channel it already has is no refusal: that subscription goes on, so there is no subscription_error. */
static bool check_new(struct connection *connection, const struct wish *wish)
{
    uint32_t max = connection->app->limits.channels_per_connection;
    if (connection_subscription(connection, wish->said.channel)) {
        connection_complain(
            connection, 0, "Existing subscription to channel %.*s", QUOTE(wish->said.channel));
        return false;
    }
    if (max && connection->subscription_count >= max)
        return refuse(
            connection, wish->said.channel, "This connection has %u subscriptions, as many as it may", max);
    return true;
}

static bool needs_signature(enum channel_kind kind)
{
    return kind == CHANNEL_PRIVATE || kind == CHANNEL_ENCRYPTED || kind == CHANNEL_PRESENCE;
}

static bool check_signature(struct connection *connection, const struct wish *wish)
{
    const struct message_subscription *said = &wish->said;
    bool presence = wish->kind == CHANNEL_PRESENCE;
    char socket_id[SOCKET_ID_CHARS], name[WORDS_MAX_BYTES], expected[WORDS_MAX_BYTES / 2];
    if (!needs_signature(wish->kind))
        return true;
    if (presence && !said->channel_data.bytes && !connection->user)
        return refuse(connection, said->channel,
            "Invalid signature: a presence channel needs channel_data, a string with a JSON object");
    socket_id_print(connection->id, socket_id);
    snprintf(name, sizeof(name), "%.*s", (int)said->channel.length, said->channel.bytes);
    const struct app_key *pair = connection_pair_of(connection, said->auth);
    struct auth_input input = {
        .key = pair->key,
        .secret = pair->secret,
        .socket_id = socket_id,
        .auth = said->auth.bytes ? said->auth.bytes : "",
        .auth_length = said->auth.length,
    };
    if (auth_channel(&input, name, presence ? said->channel_data.bytes : NULL, said->channel_data.length,
            expected, sizeof(expected)) == AUTH_GRANTED)
        return true;
    return refuse(connection, said->channel,
        "Invalid signature: Expected HMAC SHA256 hex digest of %.*s, but got %.*s",
        (int)json_text_cut((struct json_text){expected, strlen(expected)}, sizeof(expected) - 4), expected,
        QUOTE(said->auth));
}

/* Who leaves channel_data out is whoever he has signed in as. */
static struct message_user signed_in_user(const struct connection *connection)
{
    const struct user *user = connection->user;
    return (struct message_user){
        .id = {user->id, strlen(user->id)},
        .info = {user->info, user->info ? strlen(user->info) : 0},
    };
}

static bool check_user(struct connection *connection, struct message *message, struct wish *wish)
{
    const struct config_limits *limits = &connection->app->limits;
    const char *why;
    if (wish->kind != CHANNEL_PRESENCE)
        return true;
    if (!wish->said.channel_data.bytes) {
        wish->user = signed_in_user(connection);
        return true;
    }
    if (message_read_user(message, wish->said.channel_data, &wish->user, &why) != 0)
        return refuse(connection, wish->said.channel, "channel_data %s", why);
    if (limits->user_id_chars && json_text_characters(wish->user.id) > limits->user_id_chars)
        return refuse(connection, wish->said.channel,
            "user_id is too long: it may have at most %u characters", limits->user_id_chars);
    if (limits->user_info_bytes && wish->user.info.length > limits->user_info_bytes)
        return refuse(connection, wish->said.channel,
            "user_info is too large: it may have at most %u bytes of JSON", limits->user_info_bytes);
    return true;
}

static void ask_for(struct connection *connection, const struct wish *wish)
{
    const struct json_text *channel = &wish->said.channel, *id = &wish->user.id, *info = &wish->user.info;
    bool presence = wish->kind == CHANNEL_PRESENCE;
    struct subscription *subscription =
        subscription_new(channel->bytes, channel->length, presence ? id->bytes : NULL, id->length);
    if (info->bytes)
        subscription->user_info = new_copy(info->bytes, info->length);
    subscription->kind = wish->kind;
    connection_ask_node(connection, subscription);
}

void connection_subscribe(struct connection *connection, struct message *message)
{
    struct wish wish = {0};
    const char *why;
    if (message_read_subscription(message, &wish.said, &why) != 0) {
        connection_complain(connection, 0, "The message %s", why);
        return;
    }
    if (!check_channel(connection, &wish) || !check_new(connection, &wish) ||
        !check_signature(connection, &wish) || !check_user(connection, message, &wish))
        return;
    if (!node_port_has_room(&connection->worker->node)) {
        /* A stock client would not try a refused channel again before it has reconnected. */
        connection_end(connection, PUSHER_OVER_CAPACITY, "The server is over capacity");
        return;
    }
    ask_for(connection, &wish);
}

/* ---- the connection's list ---- */

void connection_ask_node(struct connection *connection, struct subscription *subscription)
{
    subscription->app = app_ref(connection->app);
    subscription->worker = connection->worker->number;
    subscription->name_hash = hash_of((struct json_text){subscription->name, strlen(subscription->name)});
    subscription->connection = connection;
    LIST_INSERT_HEAD(&connection->subscriptions, subscription, of_connection);
    connection->subscription_count += subscription->kind != CHANNEL_USER;
    node_subscribe(&connection->worker->node, subscription);
}

void connection_unlink(struct subscription *subscription)
{
    LIST_REMOVE(subscription, of_connection);
    subscription->connection->subscription_count -= subscription->kind != CHANNEL_USER;
    subscription->connection = NULL;
}

/* ---- giving up ---- */

static void give_up(
    struct connection *connection, struct subscription *subscription, enum store_reason reason)
{
    connection_unlink(subscription);
    subscription->reason = reason;
    node_unsubscribe(&connection->worker->node, subscription);
}

void connection_unsubscribe(struct connection *connection, struct message *message)
{
    struct message_subscription said;
    const char *why;
    if (message_read_subscription(message, &said, &why) != 0) {
        connection_complain(connection, 0, "The message %s", why);
        return;
    }
    struct subscription *subscription = connection_subscription(connection, said.channel);
    if (subscription)
        give_up(connection, subscription, STORE_UNSUBSCRIBED);
    else
        connection_complain(connection, 0, "No current subscription to channel %.*s", QUOTE(said.channel));
}

void connection_give_up_subscriptions(struct connection *connection)
{
    while (!LIST_EMPTY(&connection->subscriptions))
        give_up(connection, LIST_FIRST(&connection->subscriptions), connection->reason);
}

/* ---- the node's answers ---- */

static void send_answer(struct connection *connection, struct frame **frame)
{
    if (!*frame)
        return;
    connection_send(connection, *frame);
    frame_unref(*frame);
    *frame = NULL;
}

void connection_subscribed(struct subscription *subscription)
{
    struct connection *connection = subscription->connection;
    struct json_text channel = {subscription->name, strlen(subscription->name)};
    if (subscription->kind == CHANNEL_USER) {
        connection_user_subscribed(subscription);
        return;
    }
    if (subscription->result == STORE_OK) {
        connection->authorized |= needs_signature(subscription->kind);
        send_answer(connection, &subscription->answer);
        send_answer(connection, &subscription->cached);
        return;
    }
    connection_unlink(subscription);
    if (subscription->result == STORE_FULL)
        refuse(connection, channel, "Channel %s has %u members, as many as it may", subscription->name,
            connection->app->limits.presence_members);
    else
        refuse(connection, channel, "Channel %s cannot be subscribed to now: its presence cannot be reached",
            subscription->name);
}
