#include "auth/digest.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void hmac(const void *secret, size_t secret_length, const char *text, char *hex)
{
    struct digest_piece piece = {text, strlen(text)};
    digest_hmac_sha256_hex(secret, secret_length, &piece, 1, hex);
}

/* RFC 4231, test cases 1, 2, 6 and 7: a short key, a shorter one, and two longer than a block. */
static void test_hmac_of_rfc_4231(void **state)
{
    (void)state;
    char hex[SHA256_HEX_CHARS + 1];
    unsigned char key[131];
    memset(key, 0x0b, 20);
    hmac(key, 20, "Hi There", hex);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac("Jefe", 4, "what do ya want for nothing?", hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    hmac(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First", hex);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac(key, sizeof(key),
        "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
        "to be hashed before being used by the HMAC algorithm.",
        hex);
    assert_string_equal(hex, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* The longest key that is not hashed, and one byte more; digests from OpenSSL's command line. */
static void test_hmac_at_the_block_size(void **state)
{
    (void)state;
    char hex[SHA256_HEX_CHARS + 1];
    char key[65];
    memset(key, 'k', sizeof(key));
    hmac(key, 64, "text", hex);
    assert_string_equal(hex, "0414bb1d8c0c4556cdb2028727b16610ae377b1a194b6db1f853d4297f2329bc");
    hmac(key, 65, "text", hex);
    assert_string_equal(hex, "5b69580123e3d7e788b7e8352ac37a3247b911c5ec0837147b74109a6382d3f5");
}

static void test_pieces_are_one_text(void **state)
{
    (void)state;
    char whole[SHA256_HEX_CHARS + 1], pieced[SHA256_HEX_CHARS + 1];
    const char *text = "what do ya want for nothing?";
    hmac("Jefe", 4, text, whole);
    struct digest_piece single[64];
    for (size_t i = 0; i < strlen(text); i++)
        single[i] = (struct digest_piece){text + i, 1};
    single[strlen(text)] = (struct digest_piece){NULL, 0};
    digest_hmac_sha256_hex("Jefe", 4, single, strlen(text) + 1, pieced);
    assert_string_equal(pieced, whole);
    digest_hmac_sha256_hex("Jefe", 4, single, strlen(text) - 1, pieced);
    assert_string_not_equal(pieced, whole);
}

static void test_nothing_at_all(void **state)
{
    (void)state;
    char hex[SHA256_HEX_CHARS + 1];
    digest_hmac_sha256_hex(NULL, 0, NULL, 0, hex);
    assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* RFC 1321, A.5 */
static void test_md5(void **state)
{
    (void)state;
    char hex[MD5_HEX_CHARS + 1];
    digest_md5_hex(NULL, 0, hex);
    assert_string_equal(hex, "d41d8cd98f00b204e9800998ecf8427e");
    digest_md5_hex("message digest", 14, hex);
    assert_string_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0");
    digest_md5_hex("message digesT", 14, hex);
    assert_string_not_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0");
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(digest_equal("abc", 3, "abc", 3));
    assert_true(digest_equal("", 0, "", 0));
    assert_false(digest_equal("abc", 3, "abd", 3));
    assert_false(digest_equal("xbc", 3, "abc", 3));
    assert_false(digest_equal("abc", 3, "abcd", 4));
    assert_false(digest_equal("", 0, "a", 1));
}

static void *digest_many(void *wrong)
{
    char hex[SHA256_HEX_CHARS + 1], md5[MD5_HEX_CHARS + 1];
    for (int i = 0; i < 2000; i++) {
        hmac("Jefe", 4, "what do ya want for nothing?", hex);
        digest_md5_hex("message digest", 14, md5);
        if (strcmp(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843") != 0 ||
            strcmp(md5, "f96b697d7cb7938d525a2f31aaf161d0") != 0)
            *(int *)wrong = 1;
    }
    return NULL;
}

/* Each thread has contexts of its own, and they go with it (the leak sanitizer looks). */
static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    int wrong[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, digest_many, &wrong[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac_of_rfc_4231),
        cmocka_unit_test(test_hmac_at_the_block_size),
        cmocka_unit_test(test_pieces_are_one_text),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_md5),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
