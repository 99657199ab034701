/* A transport that only notes what a connection has it do. Takes frames until the test says that the client
 * takes no more. Comes after fake_worker.h. */
#pragma once

#include "tests/unit/edge/pusher/fake_worker.h"

static struct {
    struct connection *connection; /* NULL when it has ended */
    struct buffer said;            /* the texts of all frames that were written, one a line */
    size_t writes, pings, resets, closes;
    size_t frames_taken_max; /* of one flush; the client takes no more after that */
    int close_code;
    char close_why[256];
} wire;

static void wire_note_frame(struct connection *connection)
{
    struct frame *frame = outbox_at(&connection->outbox, 0);
    buffer_add(&wire.said, frame->text, frame->text_bytes);
    buffer_add(&wire.said, "\n", 1);
    outbox_pop(&connection->outbox);
}

static void wire_flush(struct connection *connection)
{
    size_t taken = 0;
    while (connection->outbox.count > 0 && taken < wire.frames_taken_max) {
        wire_note_frame(connection);
        taken++;
    }
    wire.writes += taken > 0;
    connection_wrote(connection, taken, connection->outbox.count > 0);
}

static void wire_ping(struct connection *connection)
{
    (void)connection;
    wire.pings++;
}

static void wire_close(struct connection *connection, int code, const char *reason)
{
    wire_flush(connection);
    wire.closes++;
    wire.close_code = code;
    snprintf(wire.close_why, sizeof(wire.close_why), "%s", reason ? reason : "");
    wire.connection = NULL;
    connection_closed(connection);
}

static void wire_reset(struct connection *connection)
{
    wire_flush(connection);
    wire.resets++;
    wire.connection = NULL;
    connection_closed(connection);
}

static const struct transport wire_transport = {wire_flush, wire_ping, wire_close, wire_reset};

/* A connection of the only app that has said pusher:connection_established; its socket id is 1234.1234. */
static struct connection *wire_open(void)
{
    struct admission admission = {.app = app_ref(fake_app()), .key = &fake_app()->keys[0], .protocol = 7};
    atomic_fetch_add(&fake_app()->counters->connections, 1);
    atomic_fetch_add(&fake.connections, 1);
    wire.frames_taken_max = SIZE_MAX;
    wire.connection = connection_new(&fake.worker, &wire_transport, -1, &admission, NULL);
    connection_opened(wire.connection);
    connection_flush_dirty(&fake.worker);
    return wire.connection;
}

static inline int wire_begin(void **state)
{
    memset(&wire, 0, sizeof(wire));
    if (fake_begin(state) != 0)
        return -1;
    wire_open();
    wire.said.length = 0;
    wire.writes = 0;
    return 0;
}

static inline int wire_end(void **state)
{
    if (wire.connection)
        connection_closed(wire.connection);
    buffer_deinit(&wire.said);
    return fake_end(state);
}

/* A message of the client, and the end of the turn. */
static inline void wire_receive(const char *text)
{
    connection_receive(wire.connection, text, strlen(text));
    connection_flush_dirty(&fake.worker);
}

static inline bool wire_has_said(const char *part)
{
    return wire.said.length > 0 && memmem(wire.said.bytes, wire.said.length, part, strlen(part));
}

/* The client was told exactly these lines since the last time; each ends with a newline. */
static inline void wire_assert_said(const char *expected)
{
    if (wire.said.length != strlen(expected) || memcmp(wire.said.bytes, expected, wire.said.length) != 0)
        fail_msg("said:\n%.*sinstead of:\n%s", (int)wire.said.length, wire.said.bytes, expected);
    wire.said.length = 0;
}

static inline void wire_assert_silent(void)
{
    if (wire.said.length > 0)
        fail_msg("said: %.*s", (int)wire.said.length, wire.said.bytes);
}
