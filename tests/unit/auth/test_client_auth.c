#include "tests/unit/auth/vectors.h"

#include "auth/client_auth.h"
#include "auth/digest.h"

static json_t *vectors;
static const char *key, *secret, *socket_id;

static int load(void **state)
{
    (void)state;
    vectors = vectors_load();
    key = vector(vectors, NULL, "key");
    secret = vector(vectors, NULL, "secret");
    socket_id = vector(vectors, NULL, "socket_id");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static struct auth_input input_of(const char *auth)
{
    return (struct auth_input){key, secret, socket_id, auth, auth ? strlen(auth) : 0};
}

static enum auth_verdict channel(const char *auth, const char *name, const char *data)
{
    char expected[256];
    struct auth_input input = input_of(auth);
    return auth_channel(&input, name, data, data ? strlen(data) : 0, expected, sizeof(expected));
}

static enum auth_verdict user(const char *auth, const char *data)
{
    char expected[256];
    struct auth_input input = input_of(auth);
    return auth_user(&input, data, strlen(data), expected, sizeof(expected));
}

static const char *auth_of(const char *group)
{
    static char auth[128];
    snprintf(auth, sizeof(auth), "%s:%s", key, vector(vectors, group, "signature"));
    return auth;
}

/* Every single character changed, cut off or added must be noticed. */
static void refuse_tampered(const char *good, enum auth_verdict (*check)(const char *auth))
{
    char auth[130];
    size_t length = strlen(good);
    for (size_t i = 0; i < length; i++) {
        memcpy(auth, good, length + 1);
        auth[i] = (char)(auth[i] ^ 1);
        assert_int_equal(check(auth), AUTH_DENIED);
        auth[i] = '\0';
        assert_int_equal(check(auth), AUTH_DENIED);
    }
    snprintf(auth, sizeof(auth), "%s0", good);
    assert_int_equal(check(auth), AUTH_DENIED);
    snprintf(auth, sizeof(auth), " %s", good);
    assert_int_equal(check(auth), AUTH_DENIED);
}

static enum auth_verdict check_private(const char *auth)
{
    return channel(auth, vector(vectors, "private", "channel"), NULL);
}

static enum auth_verdict check_presence(const char *auth)
{
    return channel(auth, vector(vectors, "presence", "channel"), vector(vectors, "presence", "channel_data"));
}

static enum auth_verdict check_user(const char *auth)
{
    return user(auth, vector(vectors, "user", "user_data"));
}

static void test_private(void **state)
{
    (void)state;
    assert_int_equal(check_private(auth_of("private")), AUTH_GRANTED);
    refuse_tampered(auth_of("private"), check_private);
    assert_int_equal(channel(auth_of("private"), "private-foobaz", NULL), AUTH_DENIED);
    assert_int_equal(channel(auth_of("private"), vector(vectors, "private", "channel"), ""), AUTH_DENIED);
}

static void test_presence(void **state)
{
    (void)state;
    const char *name = vector(vectors, "presence", "channel");
    assert_int_equal(check_presence(auth_of("presence")), AUTH_GRANTED);
    refuse_tampered(auth_of("presence"), check_presence);
    assert_int_equal(channel(auth_of("presence"), name, NULL), AUTH_DENIED);
    /* the same JSON, other bytes; and the name that belongs to the digest in Pusher's documentation */
    assert_int_equal(
        channel(auth_of("presence"), name, "{\"user_id\": 10,\"user_info\":{\"name\":\"Mr. Channels\"}}"),
        AUTH_DENIED);
    assert_int_equal(
        channel(auth_of("presence"), name, "{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Pusher\"}}"),
        AUTH_DENIED);
}

static void test_user(void **state)
{
    (void)state;
    assert_int_equal(check_user(auth_of("user")), AUTH_GRANTED);
    refuse_tampered(auth_of("user"), check_user);
    assert_int_equal(user(auth_of("user"), "{\"id\":\"12346\"}"), AUTH_DENIED);
}

/* A digest for one kind is none for another, and none for another socket, secret or key. */
static void test_not_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(check_presence(auth_of("private")), AUTH_DENIED);
    assert_int_equal(check_user(auth_of("presence")), AUTH_DENIED);
    const char *name = vector(vectors, "private", "channel");
    struct auth_input input = input_of(auth_of("private"));
    input.socket_id = "1234.1235";
    assert_int_equal(auth_channel(&input, name, NULL, 0, NULL, 0), AUTH_DENIED);
    input = input_of(auth_of("private"));
    input.secret = "7ad3773142a6692b25b9";
    assert_int_equal(auth_channel(&input, name, NULL, 0, NULL, 0), AUTH_DENIED);
    input = input_of(auth_of("private"));
    input.key = "278d425bdf160c739804";
    assert_int_equal(auth_channel(&input, name, NULL, 0, NULL, 0), AUTH_DENIED);
    input = input_of(auth_of("private"));
    input.key = "278d425bdf160c7398031";
    assert_int_equal(auth_channel(&input, name, NULL, 0, NULL, 0), AUTH_DENIED);
}

static void test_shapes(void **state)
{
    (void)state;
    char upper[128];
    snprintf(upper, sizeof(upper), "%s", auth_of("private"));
    for (char *c = strchr(upper, ':'); *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
    assert_int_equal(check_private(upper), AUTH_DENIED);
    assert_int_equal(check_private(""), AUTH_DENIED);
    assert_int_equal(check_private(":"), AUTH_DENIED);
    assert_int_equal(check_private(key), AUTH_DENIED);
    assert_int_equal(check_private(NULL), AUTH_DENIED);
    assert_int_equal(check_private(vector(vectors, "private", "signature")), AUTH_DENIED);
}

/* A zero inside is a byte like any other, not an end. */
static void test_zero_bytes(void **state)
{
    (void)state;
    char auth[128], expected[64];
    assert_true(auth_channel_sign(key, secret, socket_id, "presence-x", "a\0b", 3, auth, sizeof(auth)));
    struct auth_input input = input_of(auth);
    assert_int_equal(auth_channel(&input, "presence-x", "a\0b", 3, expected, sizeof(expected)), AUTH_GRANTED);
    assert_int_equal(auth_channel(&input, "presence-x", "a\0c", 3, expected, sizeof(expected)), AUTH_DENIED);
    assert_int_equal(auth_channel(&input, "presence-x", "a", 1, expected, sizeof(expected)), AUTH_DENIED);
}

static void test_expected(void **state)
{
    (void)state;
    char expected[64];
    struct auth_input input = input_of("key:wrong");
    assert_int_equal(
        auth_channel(&input, "presence-x", "{\"user_id\":1}", 13, expected, sizeof(expected)), AUTH_DENIED);
    assert_string_equal(expected, "1234.1234:presence-x:{\"user_id\":1}");
    assert_int_equal(auth_channel(&input, "private-x", NULL, 0, expected, sizeof(expected)), AUTH_DENIED);
    assert_string_equal(expected, "1234.1234:private-x");
    assert_int_equal(auth_user(&input, "{}", 2, expected, sizeof(expected)), AUTH_DENIED);
    assert_string_equal(expected, "1234.1234::user::{}");
}

/* Cut to every size there is, never written past it. */
static void test_expected_is_cut(void **state)
{
    (void)state;
    struct auth_input input = input_of("key:wrong");
    const char whole[] = "1234.1234:private-x";
    for (size_t size = 0; size <= sizeof(whole); size++) {
        char expected[32];
        memset(expected, '#', sizeof(expected));
        auth_channel(&input, "private-x", NULL, 0, expected, size);
        if (size > 0) {
            assert_memory_equal(expected, whole, size - 1);
            assert_int_equal(expected[size - 1], '\0');
        }
        assert_int_equal(expected[size], '#');
    }
}

static void test_sign(void **state)
{
    (void)state;
    char auth[128];
    const char *name = vector(vectors, "private", "channel");
    size_t needed = strlen(key) + 1 + SHA256_HEX_CHARS + 1;
    assert_true(auth_channel_sign(key, secret, socket_id, name, NULL, 0, auth, needed));
    assert_string_equal(auth, auth_of("private"));
    assert_false(auth_channel_sign(key, secret, socket_id, name, NULL, 0, auth, needed - 1));
    const char *data = vector(vectors, "presence", "channel_data");
    assert_true(auth_channel_sign(key, secret, socket_id, vector(vectors, "presence", "channel"), data,
        strlen(data), auth, sizeof(auth)));
    assert_string_equal(auth, auth_of("presence"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_not_elsewhere),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_expected),
        cmocka_unit_test(test_expected_is_cut),
        cmocka_unit_test(test_sign),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
