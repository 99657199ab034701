#include "edge/tls/tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_BYTES = 16, AES_KEY_BYTES = 32, MAC_KEY_BYTES = 32 };

struct key {
    unsigned char name[NAME_BYTES], aes[AES_KEY_BYTES], mac[MAC_KEY_BYTES];
    uint64_t made_s;
    bool is_there;
};

static struct {
    pthread_mutex_t lock; /* held for a copy, never while a ticket is worked on */
    struct key now, before;
    uint64_t added_s;
} tickets = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time); /* keys age while the machine sleeps */
    return (uint64_t)time.tv_sec + tickets.added_s;
}

static bool make(struct key *key, uint64_t at_s)
{
    unsigned char bytes[NAME_BYTES + AES_KEY_BYTES + MAC_KEY_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    memcpy(key->name, bytes, NAME_BYTES);
    memcpy(key->aes, bytes + NAME_BYTES, AES_KEY_BYTES);
    memcpy(key->mac, bytes + NAME_BYTES + AES_KEY_BYTES, MAC_KEY_BYTES);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    key->made_s = at_s;
    key->is_there = true;
    return true;
}

/* Under the lock: drops and makes what is due. */
static bool rotate(void)
{
    uint64_t at_s = now_s();
    if (tickets.now.is_there && at_s - tickets.now.made_s >= TLS_TICKET_KEY_S) {
        tickets.before = tickets.now;
        OPENSSL_cleanse(&tickets.now, sizeof(tickets.now));
    }
    if (tickets.before.is_there && at_s - tickets.before.made_s >= UINT64_C(2) * TLS_TICKET_KEY_S)
        OPENSSL_cleanse(&tickets.before, sizeof(tickets.before));
    return tickets.now.is_there || make(&tickets.now, at_s);
}

/* The key to seal with. */
static bool take_present(struct key *key)
{
    pthread_mutex_lock(&tickets.lock);
    bool good = rotate();
    *key = tickets.now;
    pthread_mutex_unlock(&tickets.lock);
    return good;
}

/* The key of that name. *is_old: its tickets should be replaced. */
static bool take_named(const unsigned char *name, struct key *key, bool *is_old)
{
    pthread_mutex_lock(&tickets.lock);
    bool good = rotate();
    *is_old = !good || memcmp(tickets.now.name, name, NAME_BYTES) != 0;
    *key = *is_old ? tickets.before : tickets.now;
    pthread_mutex_unlock(&tickets.lock);
    return key->is_there && memcmp(key->name, name, NAME_BYTES) == 0;
}

static bool set_mac(EVP_MAC_CTX *mac, const struct key *key)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 done, 2 done and give a new ticket, 0 no such ticket, -1 error. */
static int on_ticket(SSL *ssl, unsigned char name[NAME_BYTES], unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int seals)
{
    struct key key;
    bool is_old = false;
    int result = -1;
    if (seals) {
        if (take_present(&key) && RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
            EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.aes, iv) == 1 && set_mac(mac, &key))
            result = 1;
        memcpy(name, key.name, NAME_BYTES);
    } else if (!take_named(name, &key, &is_old)) {
        result = 0;
    } else if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.aes, iv) == 1 && set_mac(mac, &key)) {
        /* With 1.3 a client uses a ticket once (RFC 8446, C.4), and gets the next. */
        result = is_old || SSL_version(ssl) >= TLS1_3_VERSION ? 2 : 1;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return result;
}

void tls_tickets_use(SSL_CTX *context)
{
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    SSL_CTX_set_timeout(context, TLS_TICKET_KEY_S);
}

void tls_tickets_age(uint64_t seconds)
{
    pthread_mutex_lock(&tickets.lock);
    tickets.added_s += seconds;
    pthread_mutex_unlock(&tickets.lock);
}
