#include "auth/percent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Decodes from a copy of exactly that size, so that a sanitizer sees a byte read past the end. */
static ptrdiff_t decode(const char *text, size_t length, char *decoded)
{
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    ptrdiff_t result = percent_decode(exact, length, decoded);
    free(exact);
    return result;
}

static void expect(const char *text, const char *wanted)
{
    char decoded[64];
    ptrdiff_t length = decode(text, strlen(text), decoded);
    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(decoded, wanted, strlen(wanted));
}

static void refuse(const char *text)
{
    char decoded[64];
    assert_int_equal(decode(text, strlen(text), decoded), -1);
}

static void test_decodes_once(void **state)
{
    (void)state;
    expect("", "");
    expect("plain", "plain");
    expect("auth0%7C1", "auth0|1");
    expect("auth0%7c1", "auth0|1");
    expect("%257C", "%7C");
    expect("a+b", "a+b");
    expect("%e4%b8%AD", "\xe4\xb8\xad");
    expect("%25%25", "%%");
}

static void test_refuses_what_is_cut_or_not_hexadecimal(void **state)
{
    (void)state;
    refuse("%");
    refuse("a%");
    refuse("%7");
    refuse("%g0");
    refuse("%0g");
    refuse("% 7");
    refuse("%-1");
    refuse("ok%20%");
}

static void test_in_place(void **state)
{
    (void)state;
    char text[] = "%41%42c%44";
    assert_int_equal(percent_decode(text, strlen(text), text), 4);
    assert_memory_equal(text, "ABcD", 4);
}

static void test_every_byte(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        static const char digits[] = "0123456789ABCDEF";
        const char text[3] = {'%', digits[byte / 16], digits[byte % 16]};
        char decoded[3];
        assert_int_equal(decode(text, sizeof(text), decoded), 1);
        assert_int_equal((unsigned char)decoded[0], byte);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decodes_once),
        cmocka_unit_test(test_refuses_what_is_cut_or_not_hexadecimal),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
