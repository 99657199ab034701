/* A connection's way from one configuration to another. */
#include "edge/pusher/connection_private.h"

#include <string.h>

/* Pages and back ends change their pair one after the other, and nobody who is in is thrown out for it. */
static const struct app_key *same_key(const struct app *app, const struct app_key *before)
{
    for (size_t i = 0; i < app->key_count; i++)
        if (strcmp(app->keys[i].key, before->key) == 0)
            return &app->keys[i];
    return &app->keys[0];
}

/* An app that was gone and has come back counts anew. */
static void count_there(const struct app *app, const struct app *before)
{
    if (app->counters == before->counters)
        return;
    atomic_fetch_add(&app->counters->connections, 1);
    atomic_fetch_sub(&before->counters->connections, 1);
}

/* Nobody told those who are in that they would have to show themselves: their time begins now. */
static void begin_authorization(struct connection *connection, const struct app *app)
{
    if (app->require_authorization && !connection->app->require_authorization)
        connection->opened_ms = worker_now_ms(connection->worker);
}

static void go_over(struct connection *connection, const struct app *app)
{
    const struct app *before = connection->app;
    count_there(app, before);
    begin_authorization(connection, app);
    connection->key = same_key(app, connection->key);
    connection->app = app_ref(app);
    app_unref(before);
}

void connection_reload(struct connection *connection, const struct config *config)
{
    if (!connection->app)
        return;
    const struct app *app = config_app_by_id(config, connection->app->id, strlen(connection->app->id));
    connection->leaves_with = !app ? PUSHER_NO_SUCH_APP : !app->enabled ? PUSHER_APP_DISABLED : 0;
    if (!connection->leaves_with)
        connection->leaves_ms = 0;
    if (app)
        go_over(connection, app);
    if (connection->state == CONNECTION_OPEN)
        connection_watch_anew(connection);
}
