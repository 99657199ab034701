/* TLS towards servers, without any socket: handshakes byte by byte, and certificates that are not good. */
#include "presence/tls/client.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A server of OpenSSL's own between two memories, with a certificate that it signed itself. */
struct server {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    char *pem; /* of its certificate */
};

static X509 *certificate_for(EVP_PKEY *key, const char *names, long expires_s)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -86400);
    X509_gmtime_adj(X509_getm_notAfter(certificate), expires_s);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
        (const unsigned char *)"common.test", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void server_init(struct server *server, const char *names, long expires_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = certificate_for(key, names, expires_s);
    BIO *text = BIO_new(BIO_s_mem());
    char *bytes;
    PEM_write_bio_X509(text, certificate);
    long length = BIO_get_mem_data(text, &bytes);
    *server = (struct server){.context = SSL_CTX_new(TLS_server_method()),
        .in = BIO_new(BIO_s_mem()),
        .out = BIO_new(BIO_s_mem()),
        .pem = strndup(bytes, (size_t)length)};
    SSL_CTX_use_certificate(server->context, certificate);
    SSL_CTX_use_PrivateKey(server->context, key);
    server->ssl = SSL_new(server->context);
    SSL_set_bio(server->ssl, server->in, server->out);
    SSL_set_accept_state(server->ssl);
    BIO_free(text);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void server_deinit(struct server *server)
{
    SSL_free(server->ssl);
    SSL_CTX_free(server->context);
    free(server->pem);
}

static struct tls_client *client_of(const char *authority, const char *server_name)
{
    struct tls_problem problem;
    const struct tls_client_options options = {
        .authorities = {authority, strlen(authority)}, .server_name = server_name};
    struct tls_client *client = tls_client_new(&options, &problem);
    assert_non_null(client);
    return client;
}

/* Carries what each has for the other, `piece` bytes at a time to the client, until it is open or has failed. */
static ssize_t shake_hands(struct tls_stream *stream, struct server *server, size_t piece)
{
    ssize_t result = 0;
    for (int turn = 0; turn < 20 && result == 0 && !tls_stream_is_open(stream); turn++) {
        char *bytes, plain[256];
        size_t length = tls_stream_take(stream, &bytes);
        BIO_write(server->in, bytes, (int)length);
        free(bytes);
        SSL_do_handshake(server->ssl);
        char come[16384];
        int count = BIO_read(server->out, come, sizeof(come));
        for (int at = 0; at < count && result >= 0; at += (int)piece) {
            size_t left = (size_t)(count - at);
            tls_stream_feed(stream, come + at, left < piece ? left : piece);
            result = tls_stream_read(stream, plain, sizeof(plain));
        }
    }
    return result;
}

static void test_words_both_ways(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 20000; piece = piece * 30 + 1) {
        struct server server;
        char *bytes, here[64] = "", there[64] = "";
        server_init(&server, "DNS:redis.test", 86400);
        struct tls_client *client = client_of(server.pem, "");
        struct tls_stream *stream = tls_stream_new(client, "redis.test");
        tls_client_unref(client); /* the stream has a reference */
        assert_int_equal(shake_hands(stream, &server, piece), 0);
        assert_true(tls_stream_is_open(stream));
        assert_string_equal(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name), "redis.test");
        assert_int_equal(tls_stream_write(stream, "PING", 4), 0);
        size_t length = tls_stream_take(stream, &bytes);
        BIO_write(server.in, bytes, (int)length);
        free(bytes);
        assert_int_equal(SSL_read(server.ssl, there, sizeof(there)), 4);
        assert_string_equal(there, "PING");
        SSL_write(server.ssl, "PONG", 4);
        SSL_shutdown(server.ssl);
        char come[4096];
        tls_stream_feed(stream, come, (size_t)BIO_read(server.out, come, sizeof(come)));
        assert_int_equal(tls_stream_read(stream, here, sizeof(here)), 4);
        assert_string_equal(here, "PONG");
        assert_int_equal(tls_stream_read(stream, here, sizeof(here)), -EPIPE);
        assert_string_equal(tls_stream_why(stream), "");
        tls_stream_free(stream);
        server_deinit(&server);
    }
}

/* A server with a certificate for `names` and a client that wants `whom`. */
static void assert_verdict(
    const char *names, long expires_s, const char *server_name, const char *host, const char *words)
{
    struct server server, other;
    server_init(&server, names, expires_s);
    server_init(&other, names, 86400);
    bool is_stranger = words && strstr(words, "self-signed");
    struct tls_client *client = client_of(is_stranger ? other.pem : server.pem, server_name);
    struct tls_stream *stream = tls_stream_new(client, host);
    ssize_t result = shake_hands(stream, &server, 20000);
    if (words ? result != -EPROTO || !strstr(tls_stream_why(stream), words) : result != 0)
        fail_msg("%s for %s%s: %zd, \"%s\"", names, host, server_name, result, tls_stream_why(stream));
    assert_int_equal(tls_stream_is_open(stream), words == NULL);
    tls_stream_free(stream);
    tls_client_unref(client);
    server_deinit(&server);
    server_deinit(&other);
}

static void test_certificates(void **state)
{
    (void)state;
    assert_verdict("DNS:a.test", 86400, "", "a.test", NULL);
    assert_verdict("DNS:a.test", 86400, "", "b.test", "hostname mismatch");
    assert_verdict("DNS:a.test", 86400, "", "common.test", "hostname mismatch");
    assert_verdict("DNS:*.a.test", 86400, "", "x.a.test", NULL);
    assert_verdict("DNS:*.a.test", 86400, "", "a.test", "hostname mismatch");
    assert_verdict("DNS:a.test", 86400, "a.test", "192.0.2.1", NULL);
    assert_verdict("DNS:a.test", 86400, "b.test", "a.test", "hostname mismatch");
    assert_verdict("IP:192.0.2.1", 86400, "", "192.0.2.1", NULL);
    assert_verdict("IP:192.0.2.1", 86400, "", "192.0.2.2", "IP address mismatch");
    assert_verdict("DNS:192.0.2.1", 86400, "", "192.0.2.1", "IP address mismatch");
    assert_verdict("IP:2001:db8:0:0:0:0:0:1", 86400, "", "2001:db8::1", NULL);
    assert_verdict("DNS:a.test", -1, "", "a.test", "expired");
    assert_verdict("DNS:a.test", 86400, "", "a.test", "self-signed");
}

/* Nobody's name is not anybody's. */
static void test_no_name(void **state)
{
    (void)state;
    struct server server;
    server_init(&server, "DNS:a.test", 86400);
    struct tls_client *client = client_of(server.pem, "");
    struct tls_stream *stream = tls_stream_new(client, "");
    char *bytes, plain[8];
    assert_int_equal(tls_stream_take(stream, &bytes), 0);
    assert_int_equal(tls_stream_read(stream, plain, sizeof(plain)), -EPROTO);
    assert_false(tls_stream_is_open(stream));
    tls_stream_free(stream);
    tls_client_unref(client);
    server_deinit(&server);
}

static void test_garbage(void **state)
{
    (void)state;
    struct server server;
    char plain[8];
    server_init(&server, "DNS:a.test", 86400);
    struct tls_client *client = client_of(server.pem, "");
    struct tls_stream *stream = tls_stream_new(client, "a.test");
    tls_stream_feed(stream, "-ERR this is no TLS\r\n", 21);
    assert_int_equal(tls_stream_read(stream, plain, sizeof(plain)), -EPROTO);
    assert_int_equal(strncmp(tls_stream_why(stream), "TLS: ", 5), 0);
    tls_stream_free(stream);
    tls_client_unref(client);
    server_deinit(&server);
}

static void test_authorities(void **state)
{
    (void)state;
    struct tls_problem problem;
    struct tls_client_options options = {.authorities = {"", 0}, .server_name = ""};
    assert_null(tls_client_new(&options, &problem));
    assert_int_equal(problem.part, TLS_PART_AUTHORITIES);
    options.authorities =
        (struct tls_pem){"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 57};
    assert_null(tls_client_new(&options, &problem));
    assert_non_null(strstr(problem.words, "cannot be read, number 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_both_ways),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_no_name),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_authorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
