/* A door's life. */
#include "edge/door/door.h"
#include "edge/door/door_internal.h"
#include "edge/door/http_connection.h"

#include "presence/base/new.h"

#include <stdlib.h>

struct door *door_new(uv_loop_t *loop, struct wheel *wheel, const struct config *config,
    struct metrics *metrics, const struct door_handlers *handlers, void *context)
{
    struct door *door = must_have(malloc(sizeof(*door)));
    *door = (struct door){
        .loop = loop,
        .wheel = wheel,
        .config = config,
        .metrics = metrics,
        .handlers = *handlers,
        .context = context,
        .handles = 1,
    };
    LIST_INIT(&door->listeners);
    LIST_INIT(&door->open);
    LIST_INIT(&door->orphans);
    TAILQ_INIT(&door->ready);
    uv_idle_init(loop, &door->next_turn);
    door->next_turn.data = door;
    door_accept_init(door);
    return door;
}

void door_handle_closed(struct door *door)
{
    if (--door->handles == 0 && door->closing)
        free(door);
}

static void on_idle_closed(uv_handle_t *handle)
{
    door_handle_closed(handle->data);
}

size_t door_connections(const struct door *door)
{
    return door->connections;
}

void door_adopt(struct door *door, struct door_socket *socket)
{
    http_connection_adopt(door, socket);
}

void door_close_idle(struct door *door)
{
    http_connections_end_idle(door);
}

void door_close_connections(struct door *door)
{
    http_connections_end(door);
}

void door_free(struct door *door)
{
    door_stop_accepting(door, true);
    door->closing = true;
    http_connections_end(door);
    door_accept_close(door);
    uv_close((uv_handle_t *)&door->next_turn, on_idle_closed);
}
