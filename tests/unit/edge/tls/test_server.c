/* Certificates: what is read of them, which one a client gets, and what is said of those that are wrong. */
#include "tls_world.h"

static void test_what_is_read(void **state)
{
    (void)state;
    struct made made = make("common.test", "DNS:A.test,DNS:*.B.test,IP:192.0.2.1", -DAY_S, 2 * DAY_S, NULL);
    struct tls_server *server = tls_server_new(TLS_VERSION_1_2);
    assert_string_equal(add(server, made.certificate_pem, made.key_pem).words, "");
    const struct tls_certificate *certificate = tls_server_certificate(server, 0);
    assert_int_equal(tls_server_count(server), 1);
    assert_string_equal(certificate->file, "a.pem");
    assert_string_equal(certificate->subject, "common.test");
    assert_true(llabs(certificate->expires_s - time(NULL) - 2 * DAY_S) < 60);
    assert_true(llabs(certificate->begins_s - time(NULL) + DAY_S) < 60);
    assert_null(tls_server_oddity(server, 0));
    tls_server_unref(server);
    made_free(&made);
}

static void add_good(struct tls_server *server, const char *common, const char *alternatives)
{
    struct made made = make(common, alternatives, -DAY_S, DAY_S, NULL);
    assert_string_equal(add(server, made.certificate_pem, made.key_pem).words, "");
    made_free(&made);
}

static void test_choice(void **state)
{
    (void)state;
    struct tls_server *server = tls_server_new(TLS_VERSION_1_2);
    add_good(server, "first.test", NULL);
    add_good(server, "ignored.test", "DNS:a.test,DNS:*.wild.test");
    add_good(server, NULL, "DNS:b.test,DNS:one.wild.test");
    static const struct {
        const char *name;
        size_t index;
    } choices[] = {
        {NULL, 0},
        {"", 0},
        {"unknown.test", 0},
        {"first.test", 0},
        {"FIRST.test", 0},
        {"a.test", 1},
        {"A.TEST", 1},
        {"x.wild.test", 1},
        {"one.wild.test", 1}, /* the first that is for it */
        {"wild.test", 0},
        {".wild.test", 0},
        {"x.y.wild.test", 0},
        {"*.wild.test", 1},
        {"ignored.test", 0},
        {"b.test", 2},
        {"b.test.", 0},
        {"bb.test", 0},
    };
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
        if (tls_server_choose(server, choices[i].name) != choices[i].index)
            fail_msg("%s: not %zu", choices[i].name, choices[i].index);
    assert_string_equal(tls_server_certificate(server, 2)->subject, "b.test");
    tls_server_unref(server);
}

/* A name with a NUL in it could pass for another. */
static void test_name_with_nul(void **state)
{
    (void)state;
    struct made made = make("good.test", NULL, -DAY_S, DAY_S, NULL);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, "bank.test\0.evil.test", 20);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, name);
    X509_add1_ext_i2d(made.certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT);
    X509_sign(made.certificate, made.key, EVP_sha256());
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, made.certificate);
    char *pem = text_of(bio);
    struct tls_server *server = tls_server_new(TLS_VERSION_1_2);
    add_good(server, "first.test", NULL);
    assert_string_equal(add(server, pem, made.key_pem).words, "");
    assert_int_equal(tls_server_choose(server, "bank.test"), 0);
    tls_server_unref(server);
    GENERAL_NAMES_free(names);
    free(pem);
    made_free(&made);
}

static void test_chain(void **state)
{
    (void)state;
    struct made authority = make("authority", NULL, -DAY_S, DAY_S, NULL);
    struct made leaf = make("leaf.test", NULL, -DAY_S, DAY_S, &authority);
    struct made other = make("other.test", NULL, -DAY_S, DAY_S, NULL);
    char *good, *odd;
    assert_true(asprintf(&good, "remarks\n%s%s", leaf.certificate_pem, authority.certificate_pem) > 0);
    assert_true(asprintf(&odd, "%s%s", leaf.certificate_pem, other.certificate_pem) > 0);
    struct tls_server *server = tls_server_new(TLS_VERSION_1_2);
    assert_string_equal(add(server, good, leaf.key_pem).words, "");
    assert_null(tls_server_oddity(server, 0));
    assert_string_equal(add(server, odd, leaf.key_pem).words, "");
    assert_non_null(tls_server_oddity(server, 1));
    tls_server_unref(server);
    free(good);
    free(odd);
    made_free(&authority);
    made_free(&leaf);
    made_free(&other);
}

static void assert_problem(struct tls_problem problem, enum tls_part part, const char *words)
{
    assert_int_equal(problem.part, part);
    if (strncmp(problem.words, words, strlen(words)) != 0)
        fail_msg("not \"%s\": %s", words, problem.words);
}

static void test_what_is_wrong(void **state)
{
    (void)state;
    struct made made = make("a.test", NULL, -DAY_S, DAY_S, NULL),
                other = make("b.test", NULL, -DAY_S, DAY_S, NULL);
    const char *chain = made.certificate_pem, *key = made.key_pem;
    struct tls_server *server = tls_server_new(TLS_VERSION_1_2);
    assert_problem(add(server, "", key), TLS_PART_CERTIFICATE, "holds no certificate in PEM");
    assert_problem(add(server, key, key), TLS_PART_CERTIFICATE, "holds a key, but no certificate");
    assert_problem(add(server, chain, ""), TLS_PART_KEY, "holds no key in PEM");
    assert_problem(add(server, chain, chain), TLS_PART_KEY, "holds a certificate, but no key");
    assert_problem(add(server, chain, other.key_pem), TLS_PART_KEY, "holds the key of another certificate");
    assert_int_equal(tls_server_count(server), 0);
    assert_int_equal(ERR_peek_error(), 0);
    tls_server_unref(server);
    made_free(&made);
    made_free(&other);
}

/* Cut anywhere, a file is refused or, in the space behind the last line, whole. */
static void test_cut_files(void **state)
{
    (void)state;
    struct made made = make("a.test", "DNS:a.test", -DAY_S, DAY_S, NULL);
    size_t chain_bytes = strlen(made.certificate_pem), key_bytes = strlen(made.key_pem);
    for (size_t cut = 0; cut < chain_bytes - 2; cut += 7) {
        struct tls_server *server = tls_server_new(TLS_VERSION_1_2);
        struct tls_problem problem;
        assert_int_equal(tls_server_add(server, "a.pem", (struct tls_pem){made.certificate_pem, cut},
                             pem_of(made.key_pem), &problem),
            -EINVAL);
        assert_int_equal(problem.part, TLS_PART_CERTIFICATE);
        size_t key_cut = cut < key_bytes - 2 ? cut : 0;
        assert_int_equal(tls_server_add(server, "a.pem", pem_of(made.certificate_pem),
                             (struct tls_pem){made.key_pem, key_cut}, &problem),
            -EINVAL);
        assert_int_equal(problem.part, TLS_PART_KEY);
        tls_server_unref(server);
    }
    made_free(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_name_with_nul),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
