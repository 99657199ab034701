/* Sockets that move from one door to another, streams whose client takes its time, and exchanges that are reset. */
#include "door_world.h"

/* Two doors on one loop. Paths that begin with /there belong to the second, those with /back to the first. */
static struct {
    struct world *here, *there;
    unsigned moves;
    size_t waiting; /* what on_taken() was told last */
    unsigned taken;
    bool ends_when_taken;
} two;

static bool begins_with(struct http_text path, const char *prefix)
{
    return path.length >= strlen(prefix) && memcmp(path.bytes, prefix, strlen(prefix)) == 0;
}

static void *find_home(void *context, const struct http_request *request)
{
    assert_int_equal(request->exchange != NULL, true);
    if (begins_with(request->path, "/there") && context == two.here)
        return two.there;
    return begins_with(request->path, "/back") && context == two.there ? two.here : NULL;
}

struct moving {
    uv_timer_t timer;
    struct world *to;
    struct door_socket *socket;
};

static void on_moving_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_timer_t *)handle, struct moving, timer));
}

static void arrive(uv_timer_t *timer)
{
    struct moving *moving = CONTAINER_OF(timer, struct moving, timer);
    door_adopt(moving->to->door, moving->socket);
    uv_close((uv_handle_t *)timer, on_moving_closed);
}

/* As by mail: in a later turn of the loop. */
static void move(void *context, void *home, struct door_socket *socket)
{
    struct moving *moving = calloc(1, sizeof(*moving));
    assert_non_null(moving);
    (void)context;
    two.moves++;
    moving->to = home;
    moving->socket = socket;
    uv_timer_init(&two.here->loop, &moving->timer);
    uv_timer_start(&moving->timer, arrive, 1, 0);
}

static const struct door_handlers handlers = {
    .request = on_request, .upgrade = on_upgrade, .home = find_home, .move = move};

static int begin(void **state)
{
    (void)state;
    memset(&two, 0, sizeof(two));
    two.here = world_new_with(&handlers, NULL);
    world_listen(two.here, "127.0.0.1", false);
    /* the second borrows loop and wheel of the first */
    two.there = calloc(1, sizeof(*two.there));
    assert_non_null(two.there);
    two.there->door = door_new(
        &two.here->loop, &two.here->wheel, &two.here->config, &two.there->metrics, &handlers, two.there);
    return 0;
}

static int end(void **state)
{
    (void)state;
    door_free(two.there->door);
    world_free(two.here);
    free(two.there);
    return 0;
}

static void a_request_is_handled_where_it_belongs(void **state)
{
    (void)state;
    struct client client = client_new(two.here);
    say(&client, "POST /there?q HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
    hear(&client, "POST /there ?q [body] 127.0.0.1");
    assert_int_equal(two.there->requests, 1);
    assert_int_equal(two.here->requests, 0);
    assert_int_equal(door_connections(two.here->door), 0);
    assert_int_equal(door_connections(two.there->door), 1);
    /* the connection stays there, for requests that belong anywhere, until one belongs elsewhere */
    forget(&client);
    say(&client, "GET /any HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /any ");
    assert_int_equal(two.there->requests, 2);
    say(&client, "GET /back HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /back ");
    assert_int_equal(two.here->requests, 1);
    assert_int_equal(two.moves, 2);
    assert_int_equal(door_connections(two.here->door), 1);
    client_free(&client);
}

static const char pipelined[] =
    "POST /there/1 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na"
    "POST /there/2 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n"
    "GET /back/3 HTTP/1.1\r\n" HOST "\r\n"
    "POST /back/4 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"
    "POST /there/5 HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 1\r\n\r\nc";

static void assert_five_answers(struct client *client)
{
    WAIT_UNTIL(two.here, has_ended(client));
    assert_false(client->was_reset);
    static const char *const answers[] = {
        "/there/1 ? [a]", "/there/2 ? [b]", "/back/3 ? []", "/back/4 ? []", "/there/5 ? [c]"};
    const char *at = client->text;
    for (size_t i = 0; i < 5; i++) {
        at = strstr(at, answers[i]);
        if (!at)
            fail_msg("no %s in its place in\n%s", answers[i], client->text);
    }
    assert_int_equal(count_of(client, "HTTP/1.1 200"), 5);
}

static void what_was_read_behind_a_request_goes_along(void **state)
{
    (void)state;
    struct client client = client_new(two.here);
    say(&client, pipelined);
    assert_five_answers(&client);
    assert_int_equal(two.moves, 3);
    client_free(&client);
}

static void one_byte_at_a_time(void **state)
{
    (void)state;
    struct client client = client_new(two.here);
    for (const char *at = pipelined; *at; at++) {
        say_bytes(&client, at, 1);
        turn(two.here, 2);
    }
    assert_five_answers(&client);
    client_free(&client);
}

static void a_client_that_leaves_on_the_way_is_noticed(void **state)
{
    (void)state;
    struct client client = client_new(two.here);
    say(&client, "GET /there HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(two.here, two.moves == 1);
    client_free(&client);
    WAIT_UNTIL(two.here, two.there->requests == 1);
    WAIT_UNTIL(two.here, door_connections(two.there->door) == 0);
}

static void a_door_that_stops_answers_what_it_adopts_and_closes(void **state)
{
    (void)state;
    door_stop_accepting(two.there->door, false);
    struct client client = client_new(two.here);
    say(&client, "GET /there HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(two.here, has_ended(&client));
    assert_true(has(&client, "HTTP/1.1 200"));
    assert_true(has(&client, "\r\nConnection: close\r\n"));
    client_free(&client);
}

static void a_seat_goes_along_and_says_when_it_is_full(void **state)
{
    (void)state;
    two.here->config.edge.connections_per_address = 2;
    struct client client = client_of(two.here, connect_from(two.here->port, 0x7f000063));
    say(&client, "GET /there/late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(two.here, two.there->requests == 1);
    struct client second = client_of(two.here, connect_from(two.here->port, 0x7f000063));
    say(&second, "GET /any HTTP/1.1\r\n" HOST "\r\n");
    hear(&second, "HTTP/1.1 200");
    struct client third = client_of(two.here, connect_from(two.here->port, 0x7f000063));
    WAIT_UNTIL(two.here, has_ended(&third)); /* the one that moved has its place still */
    client_free(&client);
    WAIT_UNTIL(two.here, door_connections(two.there->door) == 0);
    struct client fourth = client_of(two.here, connect_from(two.here->port, 0x7f000063));
    say(&fourth, "GET /any HTTP/1.1\r\n" HOST "\r\n");
    hear(&fourth, "HTTP/1.1 200");
    client_free(&second);
    client_free(&third);
    client_free(&fourth);
}

static void seats_are_full_at_the_limit(void **state)
{
    (void)state;
    struct config *config = &two.here->config;
    assert_true(door_seat_share(NULL, config));
    two.here->keep_seats = true;
    config->edge.connections_per_address = 2;
    struct client client = client_of(two.here, connect_from(two.here->port, 0x7f000062));
    say(&client,
        "GET /ws HTTP/1.1\r\n" HOST
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n");
    WAIT_UNTIL(two.here, two.here->upgrades == 1);
    assert_true(door_seat_share(two.here->kept_seat, config));
    assert_false(door_seat_share(two.here->kept_seat, config));
    config->edge.connections_per_address = 0;
    assert_true(door_seat_share(two.here->kept_seat, config));
    door_seat_leave(two.here->kept_seat);
    door_seat_leave(two.here->kept_seat);
    client_free(&client);
}

/* ---- streams ---- */

static void on_taken(void *context, size_t waiting_bytes)
{
    struct http_exchange *exchange = context;
    assert_true(waiting_bytes < two.waiting);
    two.waiting = waiting_bytes;
    two.taken++;
    if (waiting_bytes == 0 && two.ends_when_taken) {
        http_stream_write(exchange, "end", 3);
        http_stream_end(exchange);
    }
}

static void on_stream_gone(void *context)
{
    (void)context;
    two.here->gone++;
}

static struct http_exchange *begin_stream(struct client *client)
{
    say(client, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(two.here, two.here->late_count == 1);
    struct http_exchange *exchange = two.here->late[0];
    http_exchange_watch(exchange, on_stream_gone, exchange);
    http_stream_watch(exchange, on_taken);
    http_stream_begin(exchange, 200, "text/plain", NULL);
    hear(client, "Transfer-Encoding: chunked");
    return exchange;
}

/* More than a client's kernel takes. */
static void fill(struct http_exchange *exchange)
{
    char *bytes = calloc(1, 1 << 20);
    while (two.waiting < (8 << 20))
        two.waiting = http_stream_write(exchange, bytes, 1 << 20);
    free(bytes);
}

static void who_streams_is_told_what_the_client_takes(void **state)
{
    (void)state;
    struct client client = client_new(two.here);
    struct http_exchange *exchange = begin_stream(&client);
    two.ends_when_taken = true;
    fill(exchange);
    turn(two.here, 20);
    size_t before = two.waiting;
    assert_true(before > 0);
    WAIT_UNTIL(two.here, (receive(&client), two.waiting == 0));
    assert_true(two.taken > 1);
    WAIT_UNTIL(two.here, (receive(&client), client.length > 8 && memcmp(client.text + client.length - 10,
                                                                     "end\r\n0\r\n\r\n", 10) == 0));
    assert_int_equal(two.here->gone, 0);
    /* the connection is as good as any */
    forget(&client);
    say(&client, "GET /again HTTP/1.1\r\n" HOST "\r\n");
    hear(&client, "GET /again ");
    client_free(&client);
}

static void a_reset_ends_a_stream_and_tells_nobody(void **state)
{
    (void)state;
    struct client client = client_new(two.here);
    struct http_exchange *exchange = begin_stream(&client);
    fill(exchange);
    http_exchange_reset(exchange);
    WAIT_UNTIL(two.here, has_ended(&client));
    assert_true(client.was_reset);
    assert_int_equal(two.here->gone, 0);
    assert_int_equal(door_connections(two.here->door), 0);
    client_free(&client);
}

static void a_reset_also_ends_what_was_not_begun_and_whose_client_has_gone(void **state)
{
    (void)state;
    struct client client = client_new(two.here);
    say(&client, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(two.here, two.here->late_count == 1);
    http_exchange_reset(two.here->late[0]);
    WAIT_UNTIL(two.here, has_ended(&client));
    client_free(&client);
    client = client_new(two.here);
    say(&client, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    WAIT_UNTIL(two.here, two.here->late_count == 2);
    struct linger linger = {.l_onoff = 1};
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    client_free(&client);
    WAIT_UNTIL(two.here, door_connections(two.here->door) == 0);
    http_exchange_reset(two.here->late[1]);
}

static void the_end_of_a_stream_is_that_of_its_connection_when_the_door_has_stopped(void **state)
{
    (void)state;
    struct client client = client_new(two.here);
    struct http_exchange *exchange = begin_stream(&client);
    door_stop_accepting(two.here->door, false);
    http_stream_write(exchange, "last", 4);
    http_stream_end(exchange);
    WAIT_UNTIL(two.here, has_ended(&client));
    assert_false(client.was_reset);
    assert_true(has(&client, "last\r\n0\r\n\r\n"));
    client_free(&client);
}

#define DOORS_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOORS_TEST(a_request_is_handled_where_it_belongs),
        DOORS_TEST(what_was_read_behind_a_request_goes_along),
        DOORS_TEST(one_byte_at_a_time),
        DOORS_TEST(a_client_that_leaves_on_the_way_is_noticed),
        DOORS_TEST(a_door_that_stops_answers_what_it_adopts_and_closes),
        DOORS_TEST(a_seat_goes_along_and_says_when_it_is_full),
        DOORS_TEST(seats_are_full_at_the_limit),
        DOORS_TEST(who_streams_is_told_what_the_client_takes),
        DOORS_TEST(a_reset_ends_a_stream_and_tells_nobody),
        DOORS_TEST(the_end_of_a_stream_is_that_of_its_connection_when_the_door_has_stopped),
        DOORS_TEST(a_reset_also_ends_what_was_not_begun_and_whose_client_has_gone),
    };
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
