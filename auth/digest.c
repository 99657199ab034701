/* Digests with libcrypto, on the path of every subscription and every publish: the algorithms are looked up
 * once a process and the contexts are made once a thread, so that a digest costs its blocks and little more.
 *
 * HMAC is put together from SHA-256 here: EVP_MAC of OpenSSL 3.0 looks its digest up again with every key.
 */
#include "auth/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SHA256_BLOCK_BYTES = 64, SHA256_BYTES = 32, MD5_BYTES = 16 };

struct contexts {
    EVP_MD_CTX *sha256;
    EVP_MD_CTX *md5;
};

static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key; /* frees a thread's contexts with the thread */
static EVP_MD *sha256, *md5;
static _Thread_local struct contexts *contexts;

static void must(int worked)
{
    if (!worked)
        abort(); /* out of memory, or a libcrypto without SHA-256: nothing can be authenticated */
}

static void free_contexts(void *of_thread)
{
    struct contexts *gone = of_thread;
    EVP_MD_CTX_free(gone->sha256);
    EVP_MD_CTX_free(gone->md5);
    free(gone);
    contexts = NULL;
}

static void fetch_algorithms(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    /* A checksum here, not a protection: also where the system's policy wants FIPS only. */
    md5 = EVP_MD_fetch(NULL, "MD5", "-fips");
    must(sha256 && md5);
    must(pthread_key_create(&contexts_key, free_contexts) == 0);
}

static struct contexts *make_contexts(void)
{
    must(pthread_once(&algorithms_once, fetch_algorithms) == 0);
    struct contexts *made = malloc(sizeof(*made));
    must(made != NULL);
    made->sha256 = EVP_MD_CTX_new();
    made->md5 = EVP_MD_CTX_new();
    must(made->sha256 && made->md5);
    must(pthread_setspecific(contexts_key, made) == 0);
    contexts = made;
    return made;
}

static struct contexts *own_contexts(void)
{
    return contexts ? contexts : make_contexts();
}

static void write_hex(const unsigned char *bytes, size_t length, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * length] = '\0';
}

/* The secret as one block: RFC 2104 has longer ones hashed and shorter ones padded with zeroes. */
static void make_key_block(
    EVP_MD_CTX *context, const void *secret, size_t secret_length, unsigned char block[SHA256_BLOCK_BYTES])
{
    memset(block, 0, SHA256_BLOCK_BYTES);
    if (secret_length > SHA256_BLOCK_BYTES) {
        must(EVP_DigestInit_ex2(context, sha256, NULL));
        must(EVP_DigestUpdate(context, secret, secret_length));
        must(EVP_DigestFinal_ex(context, block, NULL));
    } else if (secret_length > 0) {
        memcpy(block, secret, secret_length);
    }
}

/* Begins a digest with the key block, every byte of it xor'ed with `pad`. */
static void begin_padded(EVP_MD_CTX *context, const unsigned char key[SHA256_BLOCK_BYTES], unsigned char pad)
{
    unsigned char block[SHA256_BLOCK_BYTES];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = key[i] ^ pad;
    must(EVP_DigestInit_ex2(context, sha256, NULL));
    must(EVP_DigestUpdate(context, block, sizeof(block)));
    OPENSSL_cleanse(block, sizeof(block));
}

void digest_hmac_sha256_hex(const void *secret, size_t secret_length, const struct digest_piece *pieces,
    size_t count, char hex[SHA256_HEX_CHARS + 1])
{
    EVP_MD_CTX *context = own_contexts()->sha256;
    unsigned char key[SHA256_BLOCK_BYTES], digest[SHA256_BYTES];

    make_key_block(context, secret, secret_length, key);
    begin_padded(context, key, 0x36);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].length > 0)
            must(EVP_DigestUpdate(context, pieces[i].bytes, pieces[i].length));
    }
    must(EVP_DigestFinal_ex(context, digest, NULL));
    begin_padded(context, key, 0x5c);
    must(EVP_DigestUpdate(context, digest, sizeof(digest)));
    must(EVP_DigestFinal_ex(context, digest, NULL));
    OPENSSL_cleanse(key, sizeof(key));
    write_hex(digest, sizeof(digest), hex);
}

void digest_md5_hex(const void *bytes, size_t length, char hex[MD5_HEX_CHARS + 1])
{
    EVP_MD_CTX *context = own_contexts()->md5;
    unsigned char digest[MD5_BYTES];
    must(EVP_DigestInit_ex2(context, md5, NULL));
    if (length > 0)
        must(EVP_DigestUpdate(context, bytes, length));
    must(EVP_DigestFinal_ex(context, digest, NULL));
    write_hex(digest, sizeof(digest), hex);
}

bool digest_equal(const char *a, size_t a_length, const char *b, size_t b_length)
{
    return a_length == b_length && CRYPTO_memcmp(a, b, a_length) == 0;
}
