/* The transport over real sockets and libwebsockets. */
#include "tests/unit/edge/pusher/ws_peer.h"

#include "edge/pusher/websocket_frame.h"

static const char ping_text[] = "{\"event\":\"pusher:ping\",\"data\":{}}";
#define PONG_TEXT "{\"event\":\"pusher:pong\",\"data\":{}}"

static struct connection *only(void)
{
    return LIST_FIRST(&fake.worker.connections);
}

/* A text that says its number, and is known to be whole by its look. */
static struct frame *numbered_frame(unsigned number, size_t length)
{
    struct frame *frame = frame_new(length);
    for (size_t i = 0; i < length; i++)
        frame->text[i] = (char)('a' + (number + i) % 23);
    return websocket_seal(frame);
}

static void send_numbered(struct connection *connection, unsigned number, size_t length)
{
    struct frame *frame = numbered_frame(number, length);
    connection_send(connection, frame);
    frame_unref(frame);
}

static void expect_numbered(struct peer *peer, unsigned number, size_t length)
{
    struct peer_frame got = peer_next(peer);
    assert_int_equal(got.first, FIN | OP_TEXT);
    assert_int_equal(got.length, length);
    for (size_t i = 0; i < length; i++)
        if (got.bytes[i] != (char)('a' + (number + i) % 23))
            fail_msg("frame %u is damaged at byte %zu", number, i);
    peer_take(peer);
}

static void allow_large_outboxes(void)
{
    fake.config->edge.outbox_bytes = 64 << 20;
    fake.config->edge.outbox_worker_bytes = 256 << 20;
}

/* ---- beginning ---- */

static void a_handshake_is_answered_and_greeted(void **state)
{
    (void)state;
    struct peer peer = peer_connect(SAMPLE_PATH, "protocol=7&client=js&version=8.6.0", 0);
    peer_expect(&peer, FIN | OP_TEXT,
        "{\"event\":\"pusher:connection_established\","
        "\"data\":\"{\\\"socket_id\\\":\\\"1234.1234\\\",\\\"activity_timeout\\\":120}\"}");
    assert_int_equal(fake_app()->counters->connections, 1);
    peer_close(&peer);
    assert_int_equal(fake_app()->counters->connections, 0);
}

static void one_that_is_refused_hears_why(void **state)
{
    (void)state;
    struct peer peer = peer_connect("/app/nobody", "protocol=7", 0);
    peer_expect(&peer, FIN | OP_TEXT,
        "{\"event\":\"pusher:error\",\"data\":{\"message\":\"No app has this key\",\"code\":4001}}");
    peer_expect_close(&peer, 4001, "No app has this key");
    peer_close(&peer);
    assert_int_equal(fake.worker.connection_count, 0);
}

/* lws must not keep anything that is scarce for a connection that says nothing. */
static void many_silent_clients_are_greeted(void **state)
{
    enum { MANY = 100 };
    struct peer peers[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++)
        peers[i] = peer_open(0);
    assert_int_equal(fake.worker.connection_count, MANY);
    for (int i = 0; i < MANY; i++)
        peer_close(&peers[i]);
    assert_int_equal(fake.worker.connection_count, 0);
}

static void a_client_that_has_gone_before_the_answer_leaves_nothing(void **state)
{
    int client, server;
    struct linger reset = {.l_onoff = 1};
    (void)state;
    tcp_pair(&client, &server, 0);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(client);
    adopt(server, SAMPLE_PATH, "protocol=7");
    turn();
    assert_int_equal(fake.worker.connection_count, 0);
    assert_int_equal(fake_app()->counters->connections, 0);
}

/* ---- messages ---- */

static void messages_arrive_however_they_are_cut(void **state)
{
    struct buffer out = {0};
    (void)state;
    struct peer peer = peer_open(0);
    peer_say(&peer, ping_text);
    peer_expect(&peer, FIN | OP_TEXT, PONG_TEXT);
    /* In three fragments, with a WebSocket ping between them. */
    add_masked(&out, OP_TEXT, ping_text, 5);
    add_masked(&out, FIN | OP_PING, "x", 1);
    add_masked(&out, OP_CONTINUATION, &ping_text[5], 0);
    add_masked(&out, FIN | OP_CONTINUATION, &ping_text[5], strlen(ping_text) - 5);
    peer_write(&peer, out.bytes, out.length);
    struct peer_frame first = peer_next(&peer);
    bool pong_first = first.first == (FIN | OP_PONG);
    peer_expect(&peer, pong_first ? FIN | OP_PONG : FIN | OP_TEXT, pong_first ? "x" : PONG_TEXT);
    peer_expect(&peer, pong_first ? FIN | OP_TEXT : FIN | OP_PONG, pong_first ? PONG_TEXT : "x");
    /* The same, one byte at a time. */
    for (size_t i = 0; i < out.length; i++) {
        peer_write(&peer, out.bytes + i, 1);
        turn();
    }
    peer_next(&peer);
    peer_take(&peer);
    peer_next(&peer);
    peer_take(&peer);
    assert_int_equal(fake.worker.metrics.messages_received, 3);
    buffer_deinit(&out);
    peer_close(&peer);
}

static void several_messages_in_one_segment_are_answered_in_one_write(void **state)
{
    struct buffer out = {0};
    (void)state;
    struct peer peer = peer_open(0);
    uint64_t writes = fake.worker.metrics.socket_writes;
    for (int i = 0; i < 3; i++)
        add_masked(&out, FIN | OP_TEXT, ping_text, strlen(ping_text));
    peer_write(&peer, out.bytes, out.length);
    for (int i = 0; i < 3; i++)
        peer_expect(&peer, FIN | OP_TEXT, PONG_TEXT);
    assert_int_equal(fake.worker.metrics.socket_writes - writes, 1);
    buffer_deinit(&out);
    peer_close(&peer);
}

/* A message of exactly so many bytes: {"event":"pusher:ping","x":"…"} */
static char *padded_ping(size_t length)
{
    static const char head[] = "{\"event\":\"pusher:ping\",\"x\":\"", tail[] = "\"}";
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, 'x', length);
    memcpy(text, head, sizeof(head) - 1);
    memcpy(text + length - 2, tail, 2);
    return text;
}

static void a_message_is_as_large_as_it_may(void **state)
{
    size_t max = fake.config->edge.message_bytes;
    char *text = padded_ping(max + 1);
    (void)state;
    struct peer peer = peer_open(0);
    char *fits = padded_ping(max);
    peer_send(&peer, FIN | OP_TEXT, fits, max);
    peer_expect(&peer, FIN | OP_TEXT, PONG_TEXT);
    peer_send(&peer, FIN | OP_TEXT, text, max + 1);
    peer_expect(&peer, FIN | OP_TEXT,
        "{\"event\":\"pusher:error\",\"data\":{\"message\":\"The message is too large\",\"code\":null}}");
    peer_expect_close(&peer, 1009, "The message is too large");
    peer_close(&peer);
    free(fits);
    free(text);
}

static void fragments_do_not_get_around_the_limit(void **state)
{
    char piece[1000];
    (void)state;
    fake.config->edge.message_bytes = 10000;
    memset(piece, ' ', sizeof(piece));
    struct peer peer = peer_open(0);
    peer_send(&peer, OP_TEXT, piece, sizeof(piece));
    for (int i = 0; i < 10; i++)
        peer_send(&peer, OP_CONTINUATION, piece, sizeof(piece));
    peer_next(&peer);
    peer_take(&peer);
    peer_expect_close(&peer, 1009, "The message is too large");
    peer_close(&peer);
}

static void a_frame_that_only_claims_to_be_huge_is_refused_at_once(void **state)
{
    /* 2^62 bytes, of which a few come. */
    static const uint8_t head[] = {FIN | OP_TEXT, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};
    char some[1024] = {0};
    (void)state;
    struct peer peer = peer_open(0);
    peer_write(&peer, head, sizeof(head));
    peer_write(&peer, some, sizeof(some));
    peer_next(&peer);
    peer_take(&peer);
    peer_expect_close(&peer, 1009, "The message is too large");
    peer_close(&peer);
}

static void endless_empty_fragments_are_a_flood(void **state)
{
    (void)state;
    fake.config->edge.messages_per_second = 1;
    fake.config->edge.messages_burst = 20;
    struct peer peer = peer_open(0);
    peer_send(&peer, OP_TEXT, "{", 1);
    for (int i = 0; i < 25; i++)
        peer_send(&peer, OP_CONTINUATION, "", 0);
    peer_next(&peer);
    peer_take(&peer);
    peer_expect_close(&peer, 4100, "Too many messages");
    peer_close(&peer);
}

static void binary_messages_are_refused(void **state)
{
    (void)state;
    struct peer peer = peer_open(0);
    peer_send(&peer, FIN | OP_BINARY, "{}", 2);
    peer_next(&peer);
    peer_take(&peer);
    peer_expect_close(&peer, 1003, "Messages must be text, not binary");
    peer_close(&peer);
}

static void what_is_not_utf8_is_refused(void **state)
{
    (void)state;
    struct peer peer = peer_open(0);
    /* A character that the last, empty fragment cuts off. */
    peer_send(&peer, OP_TEXT, "{\"event\":\"\xe2\x82", 12);
    peer_send(&peer, FIN | OP_CONTINUATION, "", 0);
    peer_next(&peer);
    peer_take(&peer);
    peer_expect_close(&peer, 1007, "The message is not UTF-8");
    peer_close(&peer);
}

static void what_is_no_websocket_ends_the_connection(void **state)
{
    static const char *const garbage[] = {
        "\x83\x80\x01\x02\x03\x04",          /* reserved opcode */
        "\xf1\x80\x01\x02\x03\x04",          /* reserved bits */
        "\x80\x80\x01\x02\x03\x04",          /* continues nothing */
        "\x09\x80\x01\x02\x03\x04",          /* a fragmented ping */
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n", /* a second request */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        struct peer peer = peer_open(0);
        peer_write(&peer, garbage[i], strlen(garbage[i]));
        shutdown(peer.fd, SHUT_WR);
        peer_expect_end(&peer);
        peer_close(&peer);
        assert_int_equal(fake.worker.connection_count, 0);
    }
}

/* ---- pings ---- */

static void a_ping_is_answered_and_heard(void **state)
{
    (void)state;
    struct peer peer = peer_open(0);
    struct connection *connection = only();
    connection->heard_ms = 0;
    connection->liveness = CONNECTION_PINGED;
    connection->transport->ping(connection);
    peer_expect(&peer, FIN | OP_PING, "ping");
    assert_int_equal(connection->liveness, CONNECTION_PINGED);
    peer_send(&peer, FIN | OP_PONG, "ping", 4);
    turn();
    assert_int_equal(connection->liveness, CONNECTION_QUIET);
    assert_true(connection->heard_ms > 0);
    peer_close(&peer);
}

/* libwebsockets writes pongs by itself whenever it finds the socket writable. While a frame of ours is half
 * sent they must wait. */
static void a_pong_never_lands_in_a_half_sent_frame(void **state)
{
    enum { FRAMES = 40, LENGTH = 300000 };
    unsigned pongs = 0, next = 0;
    (void)state;
    allow_large_outboxes();
    struct peer peer = peer_open(8192);
    for (unsigned i = 0; i < FRAMES; i++) {
        send_numbered(only(), i, LENGTH);
        turn();
        if (i % 4 == 0)
            peer_send(&peer, FIN | OP_PING, "hello", 5);
        turn();
    }
    assert_true(only()->blocked);
    while (next < FRAMES) {
        struct peer_frame frame = peer_next(&peer); /* fails by itself where a header is none */
        if (frame.first == (FIN | OP_PONG)) {
            assert_int_equal(frame.length, 5);
            pongs++;
            peer_take(&peer);
            continue;
        }
        expect_numbered(&peer, next++, LENGTH);
        if (next % 3 == 0 && next < FRAMES - 3)
            peer_send(&peer, FIN | OP_PING, "hello", 5);
    }
    turn();
    assert_true(pongs > 0);
    assert_false(only()->blocked);
    assert_int_equal(only()->partial_bytes, 0);
    assert_int_equal(fake.worker.outbox_bytes, 0);
    /* Small frames go straight again, behind pongs that were due. */
    send_numbered(only(), 7, 10);
    while (peer_next(&peer).first == (FIN | OP_PONG))
        peer_take(&peer);
    expect_numbered(&peer, 7, 10);
    peer_close(&peer);
}

/* ---- ending ---- */

static void a_close_arrives_behind_eight_megabytes(void **state)
{
    enum { FRAMES = 8, LENGTH = 1 << 20 };
    (void)state;
    allow_large_outboxes();
    struct peer peer = peer_open(16384);
    for (unsigned i = 0; i < FRAMES; i++)
        send_numbered(only(), i, LENGTH);
    turn();
    assert_true(only()->blocked);
    connection_end(only(), PUSHER_RECONNECT, "bye");
    turn();
    /* For us it is over; libwebsockets sends the rest. */
    assert_int_equal(fake.worker.connection_count, 0);
    for (unsigned i = 0; i < FRAMES; i++)
        expect_numbered(&peer, i, LENGTH);
    peer_expect(
        &peer, FIN | OP_TEXT, "{\"event\":\"pusher:error\",\"data\":{\"message\":\"bye\",\"code\":4200}}");
    peer_expect_close(&peer, 4200, "bye");
    peer_close(&peer);
}

/* Bytes that nobody has read make the kernel answer a close with a reset, which throws away at the client what
 * it had not read yet. */
static void a_close_is_readable_although_more_was_sent(void **state)
{
    char noise[3000];
    (void)state;
    memset(noise, ' ', sizeof(noise));
    struct peer peer = peer_open(0);
    connection_end(only(), PUSHER_RECONNECT, "bye");
    peer_send(&peer, FIN | OP_TEXT, noise, sizeof(noise));
    connection_flush_dirty(&fake.worker);
    turn();
    peer_next(&peer);
    peer_take(&peer);
    peer_expect_close(&peer, 4200, "bye");
    assert_int_equal(peer.error, 0);
    peer_close(&peer);
}

static void a_clients_close_is_answered(void **state)
{
    (void)state;
    struct peer peer = peer_open(0);
    peer_say(&peer, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}");
    turn();
    assert_int_equal(fake.asked_count, 1);
    peer_send(&peer, FIN | OP_CLOSE, "\x03\xe8", 2);
    peer_expect_close(&peer, 1000, "");
    assert_int_equal(fake.given_up, 1);
    assert_int_equal(fake.worker.connection_count, 0);
    peer_close(&peer);
}

static void a_client_that_vanishes_gives_everything_up(void **state)
{
    struct linger reset = {.l_onoff = 1};
    (void)state;
    for (int abort = 0; abort < 2; abort++) {
        struct peer peer = peer_open(0);
        peer_say(&peer, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}");
        turn();
        if (abort)
            setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        peer_close(&peer);
        turn();
        assert_int_equal(fake.given_up, abort + 1);
        assert_int_equal(fake.worker.connection_count, 0);
    }
}

static void a_dead_socket_is_found_by_writing(void **state)
{
    (void)state;
    struct peer peer = peer_open(0);
    struct linger reset = {.l_onoff = 1};
    setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(peer.fd);
    /* Within the same turn in which the reset has come, but libwebsockets was not told. */
    send_numbered(only(), 1, 100);
    connection_flush_dirty(&fake.worker);
    assert_int_equal(fake.worker.connection_count, 0);
    turn();
    buffer_deinit(&peer.in);
}

static void a_slow_reader_is_reset_and_others_are_not(void **state)
{
    enum { LENGTH = 100000 };
    (void)state;
    struct peer slow = peer_open(8192);
    struct connection *victim = only();
    struct peer quick = peer_open(0);
    struct connection *other = only();
    assert_ptr_not_equal(victim, other);
    fake.config->edge.outbox_bytes = 1 << 20;
    for (unsigned i = 0; i < 200 && fake.worker.connection_count == 2; i++) {
        struct frame *frame = numbered_frame(i, LENGTH);
        connection_send(victim, frame);
        connection_send(other, frame);
        frame_unref(frame);
        turn();
        expect_numbered(&quick, i, LENGTH);
    }
    assert_int_equal(fake.worker.connection_count, 1);
    assert_int_equal(fake.worker.metrics.slow_readers, 1);
    assert_int_equal(fake.worker.outbox_bytes, 0);
    peer_expect_end(&slow);
    assert_int_equal(slow.error, ECONNRESET);
    send_numbered(other, 3, 10);
    expect_numbered(&quick, 3, 10);
    peer_close(&slow);
    peer_close(&quick);
}

/* What is acknowledged counts as progress, although our own outbox does not become shorter meanwhile. */
static void a_large_frame_on_a_slow_line_is_no_stall(void **state)
{
    enum { LENGTH = 6 << 20 };
    (void)state;
    fake.config->edge.outbox_stall_ms = 800;
    struct peer peer = peer_open(8192);
    uint64_t now_ms = worker_now_ms(&fake.worker);
    send_numbered(only(), 0, LENGTH);
    turn();
    assert_true(only()->blocked);
    for (int i = 0; i < 40; i++) {
        char bytes[4096];
        for (int j = 0; j < 4; j++)
            if (recv(peer.fd, bytes, sizeof(bytes), 0) > 0)
                turn();
        now_ms += 100;
        wheel_run(&fake.worker.wheel, now_ms);
        turn();
    }
    assert_int_equal(fake.worker.connection_count, 1);
    assert_true(only()->partial_bytes > 0);
    /* Now nothing is read. */
    for (int i = 0; i < 20; i++) {
        now_ms += 100;
        wheel_run(&fake.worker.wheel, now_ms);
        turn();
    }
    assert_int_equal(fake.worker.connection_count, 0);
    assert_int_equal(fake.worker.metrics.slow_readers, 1);
    peer_close(&peer);
}

static void an_unread_pong_saves_its_sender(void **state)
{
    (void)state;
    fake.config->edge.ping_after_ms = 1000;
    fake.config->edge.pong_timeout_ms = 1000;
    struct peer peer = peer_open(0);
    uint64_t now_ms = worker_now_ms(&fake.worker) + 1;
    only()->liveness = CONNECTION_PINGED;
    only()->pinged_ms = now_ms;
    wheel_set(&fake.worker.wheel, &only()->deadline, now_ms + 100);
    /* The loop is held up while the answer comes. */
    peer_send(&peer, FIN | OP_PONG, "ping", 4);
    wheel_run(&fake.worker.wheel, now_ms + 5000);
    assert_int_equal(only()->state, CONNECTION_OPEN);
    turn();
    assert_int_equal(only()->liveness, CONNECTION_QUIET);
    peer_close(&peer);
}

static void a_host_ends_with_connections_still_open(void **state)
{
    (void)state;
    struct peer peers[5];
    allow_large_outboxes();
    for (int i = 0; i < 5; i++)
        peers[i] = peer_open(8192);
    send_numbered(only(), 1, 5 << 20); /* one is in the middle of a frame */
    turn();
    websocket_host_free(host);
    assert_int_equal(fake.worker.connection_count, 0);
    for (int i = 0; i < 5; i++) {
        close(peers[i].fd);
        buffer_deinit(&peers[i].in);
    }
    host = fake.worker.websockets = websocket_host_new(&fake.worker);
    assert_non_null(host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ws_begin, ws_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_is_answered_and_greeted),
        TEST(one_that_is_refused_hears_why),
        TEST(many_silent_clients_are_greeted),
        TEST(a_client_that_has_gone_before_the_answer_leaves_nothing),
        TEST(messages_arrive_however_they_are_cut),
        TEST(several_messages_in_one_segment_are_answered_in_one_write),
        TEST(a_message_is_as_large_as_it_may),
        TEST(fragments_do_not_get_around_the_limit),
        TEST(a_frame_that_only_claims_to_be_huge_is_refused_at_once),
        TEST(endless_empty_fragments_are_a_flood),
        TEST(binary_messages_are_refused),
        TEST(what_is_not_utf8_is_refused),
        TEST(what_is_no_websocket_ends_the_connection),
        TEST(a_ping_is_answered_and_heard),
        TEST(a_pong_never_lands_in_a_half_sent_frame),
        TEST(a_close_arrives_behind_eight_megabytes),
        TEST(a_close_is_readable_although_more_was_sent),
        TEST(a_clients_close_is_answered),
        TEST(a_client_that_vanishes_gives_everything_up),
        TEST(a_dead_socket_is_found_by_writing),
        TEST(a_slow_reader_is_reset_and_others_are_not),
        TEST(a_large_frame_on_a_slow_line_is_no_stall),
        TEST(an_unread_pong_saves_its_sender),
        TEST(a_host_ends_with_connections_still_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
