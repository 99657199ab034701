/* Networks as text, and who is in them. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool has(const char *text, int family, const char *address)
{
    struct config_network network;
    unsigned char bytes[16] = {0};
    assert_true(config_network_read(text, &network));
    if (family != AF_UNIX)
        assert_int_equal(inet_pton(family, address, bytes), 1);
    return config_network_has(&network, family, bytes);
}

static void test_who_is_in(void **state)
{
    (void)state;
    assert_true(has("192.0.2.1", AF_INET, "192.0.2.1"));
    assert_false(has("192.0.2.1", AF_INET, "192.0.2.2"));
    assert_true(has("0.0.0.0/0", AF_INET, "203.0.113.7"));
    assert_false(has("0.0.0.0/0", AF_INET6, "::1"));
    for (int bits = 1; bits <= 32; bits++) { /* 255.255.255.254 differs from all ones in the last bit alone */
        struct config_network network = {.family = AF_INET, .bits = (uint8_t)bits};
        memset(network.bytes, 0xff, 4);
        const unsigned char other[16] = {0xff, 0xff, 0xff, 0xfe};
        assert_int_equal(config_network_has(&network, AF_INET, other), bits < 32);
    }
    assert_true(has("10.128.0.0/9", AF_INET, "10.200.1.1"));
    assert_false(has("10.128.0.0/9", AF_INET, "10.127.1.1"));
    assert_true(has("2001:db8::/33", AF_INET6, "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", AF_INET6, "2001:db8:8000::1"));
    assert_true(has("::1", AF_INET6, "::1"));
    assert_true(has("unix", AF_UNIX, NULL));
    assert_false(has("unix", AF_INET, "0.0.0.0"));
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1",
        "10.0.0.0/8/8", "10.0.0.0/8 ", "10.0.0/8", "10.1.0.0/8", "10.0.0.1/31", "2001:db8::/129",
        "2001:db8::1/64", "::/1000", "unix/8", "Unix", "example.com", "[::1]",
        "0123456789012345678901234567890123456789012345678901234567890123/8"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct config_network network;
        if (config_network_read(bad[i], &network))
            fail_msg("%s is taken for a network", bad[i]);
        assert_non_null(config_check_network(bad[i]));
    }
    assert_null(config_check_network("10.0.0.0/8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_is_in), cmocka_unit_test(test_what_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
