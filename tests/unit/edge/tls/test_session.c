/* A connection's TLS: handshakes, whole and byte by byte, what is written to those who do not read, and tickets. */
#include "tls_world.h"

#include "edge/tls/tickets.h"

#include <time.h>

struct pair {
    struct tls_server *server;
    struct tls_session *session;
    struct tls_client client;
    int fd;
};

static void begin_pair(struct pair *pair)
{
    int fds[2];
    socket_pair(fds);
    pair->fd = fds[0];
    pair->session = tls_session_new(pair->server, fds[0]);
    client_init(&pair->client, fds[1]);
}

static void end_pair(struct pair *pair)
{
    tls_session_free(pair->session);
    close(pair->fd);
    client_deinit(&pair->client);
}

static int begin(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    pair->server = server_with("a.test", NULL);
    begin_pair(pair);
    *state = pair;
    return 0;
}

static int end(void **state)
{
    struct pair *pair = *state;
    end_pair(pair);
    tls_server_unref(pair->server);
    free(pair);
    return 0;
}

static ssize_t read_here(struct pair *pair, char *bytes)
{
    return tls_session_read(pair->session, bytes, TLS_RECORD_BYTES);
}

static void test_words_both_ways(void **state)
{
    struct pair *pair = *state;
    char here[TLS_RECORD_BYTES], there[100];
    struct iovec pieces[] = {{"hel", 3}, {NULL, 0}, {"lo", 2}};
    assert_int_equal(shake_hands(&pair->client, pair->session), TLS_HANDSHAKE_DONE);
    assert_string_equal(SSL_get_version(pair->client.ssl), "TLSv1.3");
    assert_int_equal(read_here(pair, here), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(SSL_write(pair->client.ssl, "good day", 8), 8);
    assert_int_equal(read_here(pair, here), 8);
    assert_memory_equal(here, "good day", 8);
    assert_int_equal(tls_session_send(pair->session, pieces, 3), 5);
    assert_int_equal(SSL_read(pair->client.ssl, there, sizeof(there)), 5);
    assert_memory_equal(there, "hello", 5);
}

static void test_goodbye(void **state)
{
    struct pair *pair = *state;
    char here[TLS_RECORD_BYTES], there[10];
    shake_hands(&pair->client, pair->session);
    tls_session_say_end(pair->session);
    assert_int_equal(SSL_read(pair->client.ssl, there, sizeof(there)), 0);
    assert_int_equal(SSL_get_error(pair->client.ssl, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(tls_session_send(pair->session, &(struct iovec){"x", 1}, 1), -1);
    SSL_shutdown(pair->client.ssl);
    assert_int_equal(read_here(pair, here), 0);
}

/* Many clients end without one. */
static void test_end_without_goodbye(void **state)
{
    struct pair *pair = *state;
    char here[TLS_RECORD_BYTES];
    shake_hands(&pair->client, pair->session);
    SSL_write(pair->client.ssl, "bye", 3);
    shutdown(pair->client.fd, SHUT_RDWR);
    assert_int_equal(read_here(pair, here), 3);
    assert_int_equal(read_here(pair, here), 0);
    assert_int_equal(read_here(pair, here), 0);
}

/* The client's bytes reach the server one by one, those behind the last of the handshake too. */
static void test_byte_by_byte(void **state)
{
    struct pair *pair = *state;
    struct tls_client late;
    enum tls_failure failure;
    const char *words;
    char here[TLS_RECORD_BYTES], byte;
    int fds[2], wire[2];
    socket_pair(fds);  /* client to us */
    socket_pair(wire); /* us to the session */
    struct tls_session *session = tls_session_new(pair->server, wire[1]);
    client_init(&late, fds[0]);
    enum tls_handshake result = TLS_HANDSHAKE_MORE;
    size_t bytes = 0, failures = 0;
    while (result == TLS_HANDSHAKE_MORE && failures < 100) {
        SSL_do_handshake(late.ssl);
        if (read(fds[1], &byte, 1) == 1) {
            assert_int_equal(write(wire[0], &byte, 1), 1);
            bytes++;
        } else {
            failures++;
        }
        result = tls_session_handshake(session, &failure, &words);
        for (ssize_t count; (count = read(wire[0], here, sizeof(here))) > 0;)
            assert_int_equal(write(fds[1], here, (size_t)count), count);
    }
    assert_int_equal(result, TLS_HANDSHAKE_DONE);
    assert_true(bytes > 200);
    assert_int_equal(SSL_write(late.ssl, "slowly", 6), 6);
    ssize_t got = -1;
    while (got < 0 && read(fds[1], &byte, 1) == 1) {
        assert_int_equal(write(wire[0], &byte, 1), 1);
        got = tls_session_read(session, here, sizeof(here));
    }
    assert_int_equal(got, 6);
    tls_session_free(session);
    client_deinit(&late);
    close(fds[1]);
    close(wire[0]);
    close(wire[1]);
}

/* As behind a PROXY header: the hello was read already. */
static void test_fed(void **state)
{
    struct pair *pair = *state;
    char hello[4096];
    SSL_do_handshake(pair->client.ssl);
    ssize_t length = read(pair->fd, hello, sizeof(hello));
    assert_true(length > 100);
    tls_session_feed(pair->session, hello, 10);
    tls_session_feed(pair->session, hello + 10, (size_t)length - 10);
    assert_int_equal(shake_hands(&pair->client, pair->session), TLS_HANDSHAKE_DONE);
}

static void assert_fails(struct pair *pair, const char *bytes, size_t length, enum tls_failure expected)
{
    enum tls_failure failure = TLS_FAILURE_COUNT;
    const char *words;
    assert_int_equal(write(pair->client.fd, bytes, length), (ssize_t)length);
    if (expected == TLS_FAILURE_CLOSED)
        shutdown(pair->client.fd, SHUT_RDWR);
    assert_int_equal(tls_session_handshake(pair->session, &failure, &words), TLS_HANDSHAKE_FAILED);
    assert_string_equal(tls_failure_name(failure), tls_failure_name(expected));
    assert_int_equal(tls_session_send(pair->session, &(struct iovec){"x", 1}, 1), -1);
    end_pair(pair);
    begin_pair(pair);
}

static void test_failures(void **state)
{
    struct pair *pair = *state;
    static const char old[] = "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x01"
                              "01234567890123456789012345678901\x00\x00\x04\x00\x2f\x00\xff\x01\x00";
    assert_fails(pair, "GET / HTTP/1.1\r\n\r\n", 18, TLS_FAILURE_PLAIN_HTTP);
    assert_fails(pair, "SSH-2.0-x\r\n\r\n", 13, TLS_FAILURE_PROTOCOL);
    assert_fails(pair, "\x16\x03\x01\x7f\x01\x02\x03\x04\x05\x06\x07\x08", 12, TLS_FAILURE_PROTOCOL);
    assert_fails(pair, "\x16\x03\x01", 3, TLS_FAILURE_CLOSED);
    assert_fails(pair, old, sizeof(old) - 1, TLS_FAILURE_VERSION);
}

/* Nothing but what fits waits with _send(), everything with _send_all(); in the end the client has every byte. */
static void test_slow_reader(void **state)
{
    struct pair *pair = *state;
    size_t size = 1 << 20, taken = 0, got = 0;
    char *bytes = malloc(size), *back = malloc(2 * size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    shake_hands(&pair->client, pair->session);
    struct iovec piece = {bytes, size};
    ssize_t sent = tls_session_send(pair->session, &piece, 1);
    assert_true(sent > 0 && (size_t)sent < size);
    assert_in_range(tls_session_waiting_bytes(pair->session), 1, TLS_RECORD_BYTES + 256);
    taken = (size_t)sent;
    assert_int_equal(tls_session_send(pair->session, &(struct iovec){bytes + taken, 10}, 1), 0);
    struct iovec rest[] = {{bytes + taken, 100}, {bytes + taken + 100, size - taken - 100}};
    assert_int_equal(tls_session_send_all(pair->session, rest, 2), size - taken);
    assert_true(tls_session_waiting_bytes(pair->session) > size - taken);
    while (got < size) {
        int count = SSL_read(pair->client.ssl, back + got, (int)(2 * size - got));
        got += count > 0 ? (size_t)count : 0;
        assert_true(tls_session_flush(pair->session));
    }
    assert_int_equal(tls_session_waiting_bytes(pair->session), 0);
    assert_int_equal(got, size);
    assert_memory_equal(bytes, back, size);
    free(bytes);
    free(back);
}

/* Whoever makes us answer with each of his records, and reads nothing, is not read for ever. */
static void test_key_updates(void **state)
{
    struct pair *pair = *state;
    char here[TLS_RECORD_BYTES];
    shake_hands(&pair->client, pair->session);
    for (int i = 0; i < 20000; i++) {
        SSL_key_update(pair->client.ssl, SSL_KEY_UPDATE_REQUESTED);
        if (SSL_do_handshake(pair->client.ssl) != 1 || read_here(pair, here) >= 0 || errno != EAGAIN)
            break;
    }
    assert_true(tls_session_waiting_bytes(pair->session) < 256 * 1024);
}

static void test_dead_client(void **state)
{
    struct pair *pair = *state;
    shake_hands(&pair->client, pair->session);
    shutdown(pair->fd, SHUT_WR);
    assert_int_equal(tls_session_send(pair->session, &(struct iovec){"x", 1}, 1), -1);
    assert_false(tls_session_flush(pair->session));
}

/* ---- tickets ---- */

static bool resumes(struct pair *pair, SSL_SESSION *ticket, SSL_SESSION **next)
{
    end_pair(pair);
    begin_pair(pair);
    SSL_set_session(pair->client.ssl, ticket);
    assert_int_equal(shake_hands(&pair->client, pair->session), TLS_HANDSHAKE_DONE);
    *next = pair->client.ticket;
    if (*next)
        SSL_SESSION_up_ref(*next);
    return SSL_session_reused(pair->client.ssl);
}

static void test_tickets_age(void **state)
{
    struct pair *pair = *state;
    SSL_SESSION *next, *other;
    shake_hands(&pair->client, pair->session);
    SSL_SESSION *first = pair->client.ticket;
    assert_non_null(first);
    SSL_SESSION_up_ref(first);
    tls_tickets_age(TLS_TICKET_KEY_S - 60);
    assert_true(resumes(pair, first, &next));
    assert_non_null(next); /* one for the next time */
    tls_tickets_age(TLS_TICKET_KEY_S - 60);
    assert_true(resumes(pair, next, &other)); /* its key seals no more, but opens */
    SSL_SESSION_free(other);
    tls_tickets_age(2 * 60 + 1);
    assert_false(resumes(pair, next, &other));
    SSL_SESSION_free(other);
    SSL_SESSION_free(first);
    SSL_SESSION_free(next);
}

/* After a reload there is another server, with other contexts. */
static void test_tickets_of_another_server(void **state)
{
    struct pair *pair = *state;
    SSL_SESSION *next;
    shake_hands(&pair->client, pair->session);
    SSL_SESSION *ticket = pair->client.ticket;
    SSL_SESSION_up_ref(ticket);
    tls_server_unref(pair->server);
    pair->server = server_with("a.test", NULL);
    assert_true(resumes(pair, ticket, &next));
    SSL_SESSION_free(next);
    SSL_SESSION_free(ticket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_words_both_ways, begin, end),
        cmocka_unit_test_setup_teardown(test_goodbye, begin, end),
        cmocka_unit_test_setup_teardown(test_end_without_goodbye, begin, end),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, begin, end),
        cmocka_unit_test_setup_teardown(test_fed, begin, end),
        cmocka_unit_test_setup_teardown(test_failures, begin, end),
        cmocka_unit_test_setup_teardown(test_slow_reader, begin, end),
        cmocka_unit_test_setup_teardown(test_key_updates, begin, end),
        cmocka_unit_test_setup_teardown(test_dead_client, begin, end),
        cmocka_unit_test_setup_teardown(test_tickets_age, begin, end),
        cmocka_unit_test_setup_teardown(test_tickets_of_another_server, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
