/* Users' own channels: the connection in its user's, and as a watcher in those of his watchlist. */
#include "edge/pusher/connection_private.h"

#include <jansson.h>
#include <string.h>

/* A subscription to the channel of a user, as himself or as a watcher. */
static void ask_for(struct connection *connection, const char *id, bool as_himself)
{
    struct buffer name = {0};
    buffer_add_string(&name, CHANNEL_USER_PREFIX);
    buffer_add_string(&name, id);
    struct subscription *subscription =
        subscription_new(name.bytes, name.length, as_himself ? id : NULL, strlen(id));
    subscription->kind = CHANNEL_USER;
    connection_ask_node(connection, subscription);
    buffer_deinit(&name);
}

static const char *watched_id(const struct subscription *subscription)
{
    return subscription->name + strlen(CHANNEL_USER_PREFIX);
}

static bool stands_before(const json_t *list, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(json_string_value(json_array_get(list, i)),
                json_string_value(json_array_get(list, index))) == 0)
            return true;
    return false;
}

void connection_watch_users(struct connection *connection, const json_t *watchlist)
{
    uint32_t max = connection->app->limits.watchlist_users;
    size_t count = json_array_size(watchlist);
    if (!node_port_has_room(&connection->worker->node)) {
        connection_end(connection, PUSHER_OVER_CAPACITY, "The server is over capacity");
        return;
    }
    if (max && count > max) {
        connection->user->watchlist_cut = true;
        count = max;
    }
    ask_for(connection, connection->user->id, true);
    for (size_t i = 0; i < count; i++) {
        if (stands_before(watchlist, i))
            continue;
        connection->user->watched_missing++;
        ask_for(connection, json_string_value(json_array_get(watchlist, i)), false);
    }
}

static bool is_watched(const struct subscription *subscription)
{
    return subscription->kind == CHANNEL_USER && !subscription->user_id;
}

/* The state of the whole watchlist in one event, once all of it is known. */
static void tell_all(struct connection *connection)
{
    struct buffer online = {0}, offline = {0};
    struct subscription *subscription;
    LIST_FOREACH (subscription, &connection->subscriptions, of_connection) {
        if (!is_watched(subscription))
            continue;
        struct buffer *ids = subscription->online ? &online : &offline;
        if (ids->length > 0)
            buffer_add_string(ids, ",");
        buffer_add_json_text(ids, watched_id(subscription));
    }
    if (online.length + offline.length > 0) {
        struct frame *frame = event_watchlist(&online, &offline);
        connection_send(connection, frame);
        frame_unref(frame);
    }
    buffer_deinit(&online);
    buffer_deinit(&offline);
}

static void tell_if_complete(struct connection *connection)
{
    struct user *user = connection->user;
    /* Not before signin_success, whose answer comes first anyway. */
    if (user->told || user->watched_missing > 0 || user->success)
        return;
    user->told = true;
    tell_all(connection);
}

static void succeed(struct connection *connection)
{
    struct user *user = connection->user;
    connection->authorized = true;
    connection_send(connection, user->success);
    frame_unref(user->success);
    user->success = NULL;
    if (user->watchlist_cut)
        connection_complain(connection, PUSHER_WATCHLIST_LIMIT,
            "The watchlist is too long: the first %u users are watched",
            connection->app->limits.watchlist_users);
}

void connection_user_subscribed(struct subscription *subscription)
{
    struct connection *connection = subscription->connection;
    if (subscription->result != STORE_OK) {
        /* Signing in must not half succeed; the client comes back and tries again. */
        connection_unlink(subscription);
        connection_end(connection, PUSHER_OVER_CAPACITY, "Users cannot be looked up now, please reconnect");
        return;
    }
    if (is_watched(subscription))
        connection->user->watched_missing--;
    else
        succeed(connection);
    tell_if_complete(connection);
}

void connection_user_changed(struct subscription *subscription, bool online, struct frame *frame)
{
    struct connection *connection = subscription->connection;
    subscription->online = online;
    if (connection->user->told)
        connection_send_lazy(connection, frame);
}
