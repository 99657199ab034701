#include "tests/unit/auth/vectors.h"

#include "auth/digest.h"
#include "auth/request_auth.h"

#include <stdlib.h>

#define SIGNATURE "&auth_signature="

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    vectors = vectors_load();
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

/* ---- requests signed here, the way SDKs do it, by a key "k" with the secret "s" at the time 1000 ---- */

/* Signs `signed_text` whole and returns query&auth_signature=… in a static buffer. */
static const char *signed_query(const char *signed_text, const char *query)
{
    static char whole[8192];
    char hex[SHA256_HEX_CHARS + 1];
    struct digest_piece piece = {signed_text, strlen(signed_text)};
    digest_hmac_sha256_hex("s", 1, &piece, 1, hex);
    int length = snprintf(whole, sizeof(whole), "%s" SIGNATURE "%s", query, hex);
    assert_in_range(length, 0, sizeof(whole) - 1);
    return whole;
}

static enum request_auth_verdict check_at(
    const char *method, const char *path, const char *query, const char *body, int64_t now_s, int64_t *skew_s)
{
    struct request_auth_input input = {.method = method,
        .path = path,
        .path_length = strlen(path),
        .query_length = strlen(query),
        .body = body,
        .body_length = body ? strlen(body) : 0,
        .key = "k",
        .secret = "s",
        .now_s = now_s};
    /* exactly as long as it is, so that a sanitizer sees a byte read past the end */
    char *exact = malloc(input.query_length ? input.query_length : 1);
    assert_non_null(exact);
    memcpy(exact, query, input.query_length);
    input.query = exact;
    enum request_auth_verdict verdict = request_auth(&input, skew_s);
    free(exact);
    return verdict;
}

static enum request_auth_verdict check(const char *path, const char *query)
{
    return check_at("GET", path, query, NULL, 1000, NULL);
}

/* Signs GET /p with this query, which is sorted already, and checks it. */
static enum request_auth_verdict check_signed(const char *query)
{
    char text[8192];
    snprintf(text, sizeof(text), "GET\n/p\n%s", query);
    return check("/p", signed_query(text, query));
}

#define GOOD "auth_key=k&auth_timestamp=1000&auth_version=1.0"

/* ---- the vector ---- */

static enum request_auth_verdict check_vector(const char *query, const char *body, const char *path)
{
    struct request_auth_input input = {.method = vector(vectors, "http", "method"),
        .path = path,
        .path_length = strlen(path),
        .query = query,
        .query_length = strlen(query),
        .body = body,
        .body_length = strlen(body),
        .key = vector(vectors, NULL, "key"),
        .secret = vector(vectors, NULL, "secret"),
        .now_s = 1353088179};
    return request_auth(&input, NULL);
}

static void vector_query(char *query, size_t size)
{
    const json_t *http = json_object_get(vectors, "http"), *parameters = json_object_get(http, "query");
    snprintf(query, size, "auth_key=%s&auth_timestamp=%s&auth_version=%s&body_md5=%s" SIGNATURE "%s",
        vector(parameters, NULL, "auth_key"), vector(parameters, NULL, "auth_timestamp"),
        vector(parameters, NULL, "auth_version"), vector(vectors, "http", "body_md5"),
        vector(vectors, "http", "auth_signature"));
}

static void test_vector(void **state)
{
    (void)state;
    char query[512];
    const char *body = vector(vectors, "http", "body"), *path = vector(vectors, "http", "path");
    vector_query(query, sizeof(query));
    assert_int_equal(check_vector(query, body, path), REQUEST_AUTH_GRANTED);
    assert_int_equal(check_vector(query, body, "/apps/4/events"), REQUEST_AUTH_WRONG_SIGNATURE);
    assert_int_equal(check_vector(query, "{}", path), REQUEST_AUTH_WRONG_BODY_MD5);
    assert_int_equal(check_vector(query, "", path), REQUEST_AUTH_WRONG_BODY_MD5);
}

/* Not one byte of the query may differ. */
static void test_vector_tampered(void **state)
{
    (void)state;
    char query[512];
    vector_query(query, sizeof(query));
    for (size_t i = 0; query[i]; i++) {
        char was = query[i];
        query[i] = (char)(was ^ 1);
        assert_int_not_equal(
            check_vector(query, vector(vectors, "http", "body"), vector(vectors, "http", "path")),
            REQUEST_AUTH_GRANTED);
        query[i] = was;
    }
}

/* Cut off after each byte: refused, and not read beyond. */
static void test_every_prefix(void **state)
{
    (void)state;
    char whole[512], cut[512];
    snprintf(whole, sizeof(whole), "%s", signed_query("GET\n/p\n" GOOD "&q=a%", GOOD "&q=a%25"));
    assert_int_equal(check("/p", whole), REQUEST_AUTH_GRANTED);
    for (size_t length = 0; length < strlen(whole); length++) {
        snprintf(cut, sizeof(cut), "%.*s", (int)length, whole);
        assert_int_not_equal(check("/p", cut), REQUEST_AUTH_GRANTED);
    }
}

/* ---- what is signed ---- */

static void test_order_and_case(void **state)
{
    (void)state;
    const char *text = "GET\n/p\n" GOOD "&filter=X&info=a,B";
    const char *shuffled = "INFO=a,B&auth_version=1.0&Filter=X&auth_timestamp=1000&auth_key=k";
    assert_int_equal(check("/p", signed_query(text, shuffled)), REQUEST_AUTH_GRANTED);
    const char *other_value = "INFO=A,b&auth_version=1.0&Filter=X&auth_timestamp=1000&auth_key=k";
    assert_int_equal(check("/p", signed_query(text, other_value)), REQUEST_AUTH_WRONG_SIGNATURE);
    const char *unsorted = "GET\n/p\n" GOOD "&info=a,B&filter=X";
    assert_int_equal(check("/p", signed_query(unsorted, shuffled)), REQUEST_AUTH_WRONG_SIGNATURE);
}

static void test_signature_may_stand_anywhere(void **state)
{
    (void)state;
    char hex[SHA256_HEX_CHARS + 1], query[512];
    struct digest_piece piece = {"GET\n/p\n" GOOD, strlen("GET\n/p\n" GOOD)};
    digest_hmac_sha256_hex("s", 1, &piece, 1, hex);
    snprintf(query, sizeof(query), "auth_signature=%s&" GOOD, hex);
    assert_int_equal(check("/p", query), REQUEST_AUTH_GRANTED);
    snprintf(query, sizeof(query), "&&auth_signature=%s&&" GOOD "&", hex);
    assert_int_equal(check("/p", query), REQUEST_AUTH_GRANTED);
    snprintf(query, sizeof(query), "auth_signature=%s&" GOOD "&x=", hex);
    assert_int_equal(check("/p", query), REQUEST_AUTH_WRONG_SIGNATURE);
}

static void test_values_are_signed_decoded(void **state)
{
    (void)state;
    const char *query = GOOD "&info=user_count%2Csubscription_count";
    const char *decoded = "GET\n/p\n" GOOD "&info=user_count,subscription_count";
    assert_int_equal(check("/p", signed_query(decoded, query)), REQUEST_AUTH_GRANTED);
    const char *escaped = "GET\n/p\n" GOOD "&info=user_count%2Csubscription_count";
    assert_int_equal(check("/p", signed_query(escaped, query)), REQUEST_AUTH_WRONG_SIGNATURE);
}

/* '+' as node's SDK leaves it, and as those that write forms mean it; %2B is a plus to both. */
static void test_plus(void **state)
{
    (void)state;
    const char *plus = "GET\n/p\n" GOOD "&q=a+b", *space = "GET\n/p\n" GOOD "&q=a b";
    assert_int_equal(check("/p", signed_query(plus, GOOD "&q=a+b")), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/p", signed_query(space, GOOD "&q=a+b")), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/p", signed_query(space, GOOD "&q=a%20b")), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/p", signed_query(plus, GOOD "&q=a%2Bb")), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/p", signed_query(space, GOOD "&q=a%2Bb")), REQUEST_AUTH_WRONG_SIGNATURE);
    assert_int_equal(check("/p", signed_query(plus, GOOD "&q=a%20b")), REQUEST_AUTH_WRONG_SIGNATURE);
}

static void test_path_as_sent_or_decoded_once(void **state)
{
    (void)state;
    const char *as_sent = "GET\n/u/auth0%7C1\n" GOOD, *decoded = "GET\n/u/auth0|1\n" GOOD;
    assert_int_equal(check("/u/auth0%7C1", signed_query(as_sent, GOOD)), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/u/auth0%7C1", signed_query(decoded, GOOD)), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/u/auth0%257C1", signed_query(as_sent, GOOD)), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/u/auth0%257C1", signed_query(decoded, GOOD)), REQUEST_AUTH_WRONG_SIGNATURE);
    assert_int_equal(check("/u/auth0|1", signed_query(as_sent, GOOD)), REQUEST_AUTH_WRONG_SIGNATURE);
    /* a path that cannot be decoded is still good as sent */
    assert_int_equal(check("/u/%zz", signed_query("GET\n/u/%zz\n" GOOD, GOOD)), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/u/%zz", signed_query("GET\n/u/zz\n" GOOD, GOOD)), REQUEST_AUTH_WRONG_SIGNATURE);
}

static void test_method(void **state)
{
    (void)state;
    const char *query = signed_query("POST\n/p\n" GOOD, GOOD);
    assert_int_equal(check_at("POST", "/p", query, NULL, 1000, NULL), REQUEST_AUTH_GRANTED);
    assert_int_equal(check_at("GET", "/p", query, NULL, 1000, NULL), REQUEST_AUTH_WRONG_SIGNATURE);
}

static void test_parameters_of_one_name_keep_their_order(void **state)
{
    (void)state;
    assert_int_equal(check_signed(GOOD "&q=2&q=1"), REQUEST_AUTH_GRANTED);
    assert_int_equal(check("/p", signed_query("GET\n/p\n" GOOD "&q=1&q=2", GOOD "&q=2&q=1")),
        REQUEST_AUTH_WRONG_SIGNATURE);
    /* a name without '=' counts as one with an empty value; an empty name is a name */
    assert_int_equal(
        check("/p", signed_query("GET\n/p\n=v&" GOOD "&q=", GOOD "&q&=v")), REQUEST_AUTH_GRANTED);
}

/* ---- refusals ---- */

static void test_what_is_missing_or_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        enum request_auth_verdict verdict;
    } cases[] = {
        {GOOD, REQUEST_AUTH_GRANTED},
        {"auth_timestamp=1000&auth_version=1.0", REQUEST_AUTH_NO_KEY},
        {"auth_key=&auth_timestamp=1000&auth_version=1.0", REQUEST_AUTH_WRONG_KEY},
        {"auth_key=K&auth_timestamp=1000&auth_version=1.0", REQUEST_AUTH_WRONG_KEY},
        {"auth_key=kk&auth_timestamp=1000&auth_version=1.0", REQUEST_AUTH_WRONG_KEY},
        {"auth_key=k&auth_version=1.0", REQUEST_AUTH_NO_TIMESTAMP},
        {"auth_key=k&auth_timestamp=&auth_version=1.0", REQUEST_AUTH_BAD_TIMESTAMP},
        {"auth_key=k&auth_timestamp=-1000&auth_version=1.0", REQUEST_AUTH_BAD_TIMESTAMP},
        {"auth_key=k&auth_timestamp=1e3&auth_version=1.0", REQUEST_AUTH_BAD_TIMESTAMP},
        {"auth_key=k&auth_timestamp=1000.5&auth_version=1.0", REQUEST_AUTH_BAD_TIMESTAMP},
        {"auth_key=k&auth_timestamp=18446744073709552616&auth_version=1.0", REQUEST_AUTH_BAD_TIMESTAMP},
        {"auth_key=k&auth_timestamp=1000", REQUEST_AUTH_BAD_VERSION},
        {"auth_key=k&auth_timestamp=1000&auth_version=1.1", REQUEST_AUTH_BAD_VERSION},
        {"auth_key=k&auth_key=k&auth_timestamp=1000&auth_version=1.0", REQUEST_AUTH_MALFORMED_QUERY},
        {GOOD "&q=%", REQUEST_AUTH_MALFORMED_QUERY},
        {GOOD "&q=%0", REQUEST_AUTH_MALFORMED_QUERY},
        {GOOD "&q=%00", REQUEST_AUTH_MALFORMED_QUERY},
        {GOOD "&%zz=", REQUEST_AUTH_MALFORMED_QUERY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(check_signed(cases[i].query), cases[i].verdict);
    assert_int_equal(check("/p", GOOD), REQUEST_AUTH_NO_SIGNATURE);
    assert_int_equal(check("/p", GOOD SIGNATURE), REQUEST_AUTH_WRONG_SIGNATURE);
    assert_int_equal(check("/p", ""), REQUEST_AUTH_NO_KEY);
}

static void test_no_query_at_all(void **state)
{
    (void)state;
    struct request_auth_input input = {
        .method = "GET", .path = "/p", .path_length = 2, .key = "k", .secret = "s", .now_s = 1000};
    assert_int_equal(request_auth(&input, NULL), REQUEST_AUTH_NO_KEY);
    char value[8];
    assert_int_equal(request_query_get(NULL, 0, "q", value, sizeof(value)), -1);
}

static void test_upper_case_signature(void **state)
{
    (void)state;
    char query[512];
    snprintf(query, sizeof(query), "%s", signed_query("GET\n/p\n" GOOD, GOOD));
    assert_int_equal(check("/p", query), REQUEST_AUTH_GRANTED);
    bool changed = false;
    for (char *c = strstr(query, SIGNATURE) + strlen(SIGNATURE); *c; c++) {
        if (*c >= 'a') {
            *c = (char)(*c - 'a' + 'A');
            changed = true;
        }
    }
    assert_true(changed);
    assert_int_equal(check("/p", query), REQUEST_AUTH_WRONG_SIGNATURE);
}

static void test_window(void **state)
{
    (void)state;
    char query[512];
    int64_t skew = 0;
    snprintf(query, sizeof(query), "%s", signed_query("GET\n/p\n" GOOD, GOOD));
    assert_int_equal(check_at("GET", "/p", query, NULL, 1600, &skew), REQUEST_AUTH_GRANTED);
    assert_int_equal(check_at("GET", "/p", query, NULL, 400, &skew), REQUEST_AUTH_GRANTED);
    assert_int_equal(check_at("GET", "/p", query, NULL, 1601, &skew), REQUEST_AUTH_OLD_TIMESTAMP);
    assert_int_equal(skew, -601);
    assert_int_equal(check_at("GET", "/p", query, NULL, 399, &skew), REQUEST_AUTH_OLD_TIMESTAMP);
    assert_int_equal(skew, 601);
    assert_int_equal(check_at("GET", "/p", query, NULL, INT64_MAX, NULL), REQUEST_AUTH_OLD_TIMESTAMP);
}

static void test_body(void **state)
{
    (void)state;
    const char *with = GOOD "&body_md5=99914b932bd37a50b983c5e7c90ae93b"; /* {} */
    const char *empty = GOOD "&body_md5=d41d8cd98f00b204e9800998ecf8427e";
    char text[512];
    snprintf(text, sizeof(text), "POST\n/p\n%s", with);
    assert_int_equal(
        check_at("POST", "/p", signed_query(text, with), "{}", 1000, NULL), REQUEST_AUTH_GRANTED);
    assert_int_equal(
        check_at("POST", "/p", signed_query(text, with), "{ }", 1000, NULL), REQUEST_AUTH_WRONG_BODY_MD5);
    assert_int_equal(
        check_at("POST", "/p", signed_query(text, with), NULL, 1000, NULL), REQUEST_AUTH_WRONG_BODY_MD5);
    assert_int_equal(check_at("POST", "/p", signed_query("POST\n/p\n" GOOD, GOOD), "{}", 1000, NULL),
        REQUEST_AUTH_NO_BODY_MD5);
    /* Python's SDK sends the digest of the empty body with a GET */
    snprintf(text, sizeof(text), "GET\n/p\n%s", empty);
    assert_int_equal(
        check_at("GET", "/p", signed_query(text, empty), NULL, 1000, NULL), REQUEST_AUTH_GRANTED);
}

/* As many parameters as are allowed, in the worst order, and one more. */
static void test_many_parameters(void **state)
{
    (void)state;
    for (int extra = 60; extra <= 61; extra++) { /* three of GOOD and the signature come on top */
        char sorted[4096] = "GET\n/p\n" GOOD, reversed[4096] = "";
        for (int i = 0; i < extra; i++)
            snprintf(sorted + strlen(sorted), sizeof(sorted) - strlen(sorted), "&q%02d=", i);
        for (int i = extra; i-- > 0;)
            snprintf(reversed + strlen(reversed), sizeof(reversed) - strlen(reversed), "q%02d&", i);
        strcat(reversed, GOOD);
        assert_int_equal(check("/p", signed_query(sorted, reversed)),
            extra == 60 ? REQUEST_AUTH_GRANTED : REQUEST_AUTH_TOO_MANY_PARAMETERS);
    }
}

static void test_words(void **state)
{
    (void)state;
    for (int verdict = REQUEST_AUTH_DENIED; verdict <= REQUEST_AUTH_WRONG_SIGNATURE; verdict++) {
        const char *words = request_auth_words((enum request_auth_verdict)verdict);
        assert_non_null(words);
        assert_true(strlen(words) > 0);
        assert_null(strchr(words, '\n'));
    }
}

/* ---- single parameters ---- */

static int get(const char *query, const char *name, char *value, size_t size)
{
    return request_query_get(query, strlen(query), name, value, size);
}

static void test_query_get(void **state)
{
    (void)state;
    char value[8];
    assert_int_equal(get("a=1&b=x%2Cy&c", "b", value, sizeof(value)), 3);
    assert_string_equal(value, "x,y");
    assert_int_equal(get("a=1&b=2", "a", value, sizeof(value)), 1);
    assert_string_equal(value, "1");
    assert_int_equal(get("a=1&a=2", "a", value, sizeof(value)), 1);
    assert_string_equal(value, "1");
    assert_int_equal(get("INFO=x", "info", value, sizeof(value)), 1);
    assert_int_equal(get("%69nfo=x", "info", value, sizeof(value)), 1);
    assert_int_equal(get("c", "c", value, sizeof(value)), 0);
    assert_string_equal(value, "");
    assert_int_equal(get("c=a+b", "c", value, sizeof(value)), 3);
    assert_string_equal(value, "a+b");
    assert_int_equal(get("c=a=b", "c", value, sizeof(value)), 3);
    assert_string_equal(value, "a=b");
}

static void test_query_get_absent(void **state)
{
    (void)state;
    char value[8];
    assert_int_equal(get("", "a", value, sizeof(value)), -1);
    assert_int_equal(get("aa=1&b=a", "a", value, sizeof(value)), -1);
    assert_int_equal(get("inf=1&info2=2", "info", value, sizeof(value)), -1);
    assert_int_equal(get("%zz=1", "a", value, sizeof(value)), -1);
}

static void test_query_get_malformed(void **state)
{
    (void)state;
    char value[8];
    assert_int_equal(get("a=%", "a", value, sizeof(value)), -2);
    assert_int_equal(get("a=%4", "a", value, sizeof(value)), -2);
    assert_int_equal(get("a=%00", "a", value, sizeof(value)), -2);
    assert_int_equal(get("a=1234567", "a", value, sizeof(value)), 7);
    assert_int_equal(get("a=12345678", "a", value, sizeof(value)), -2);
    assert_int_equal(get("a=", "a", value, 0), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector),
        cmocka_unit_test(test_vector_tampered),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_order_and_case),
        cmocka_unit_test(test_signature_may_stand_anywhere),
        cmocka_unit_test(test_values_are_signed_decoded),
        cmocka_unit_test(test_plus),
        cmocka_unit_test(test_path_as_sent_or_decoded_once),
        cmocka_unit_test(test_method),
        cmocka_unit_test(test_parameters_of_one_name_keep_their_order),
        cmocka_unit_test(test_what_is_missing_or_wrong),
        cmocka_unit_test(test_no_query_at_all),
        cmocka_unit_test(test_upper_case_signature),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_many_parameters),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_query_get),
        cmocka_unit_test(test_query_get_absent),
        cmocka_unit_test(test_query_get_malformed),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
