#include "edge/pusher/websocket_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* RFC 6455, 5.2: 7 bits, or 126 and 16 bits, or 127 and 64 bits; the shortest form. */
static void lengths_have_their_shortest_form(void **state)
{
    static const struct {
        size_t length, header_bytes;
        uint8_t header[10];
    } cases[] = {
        {0, 2, {0x81, 0}},
        {5, 2, {0x81, 5}},
        {125, 2, {0x81, 125}},
        {126, 4, {0x81, 126, 0, 126}},
        {65535, 4, {0x81, 126, 0xff, 0xff}},
        {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
        {0x123456, 10, {0x81, 127, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct frame *frame = frame_new(cases[i].length);
        memset(frame->text, 'x', cases[i].length);
        assert_ptr_equal(websocket_seal(frame), frame);
        assert_int_equal(frame_wire_bytes(frame), cases[i].header_bytes + cases[i].length);
        assert_memory_equal(frame_wire(frame), cases[i].header, cases[i].header_bytes);
        assert_ptr_equal(frame_wire(frame) + cases[i].header_bytes, frame->text);
        frame_unref(frame);
    }
}

static void a_ping_has_a_payload(void **state)
{
    struct frame *frame = websocket_ping_new();
    (void)state;
    assert_int_equal(frame_wire_bytes(frame), 6);
    assert_memory_equal(frame_wire(frame), "\x89\x04ping", 6);
    frame_unref(frame);
}

static void a_close_has_its_code_and_reason(void **state)
{
    struct frame *frame = websocket_close_new(4201, "late");
    (void)state;
    assert_int_equal(frame_wire_bytes(frame), 8);
    assert_memory_equal(frame_wire(frame), "\x88\x06\x10\x69late", 8);
    frame_unref(frame);
    frame = websocket_close_new(1000, "");
    assert_int_equal(frame_wire_bytes(frame), 4);
    assert_memory_equal(frame_wire(frame), "\x88\x02\x03\xe8", 4);
    frame_unref(frame);
}

/* A control frame may have 125 bytes, and its text must be UTF-8 (5.5.1): no half characters. */
static void a_long_reason_is_cut_between_characters(void **state)
{
    char reason[200];
    (void)state;
    memset(reason, 'r', sizeof(reason));
    memcpy(reason + 121, "\xe2\x82\xac", 3);
    reason[sizeof(reason) - 1] = '\0';
    struct frame *frame = websocket_close_new(4000, reason);
    assert_int_equal(frame->text_bytes, 2 + 121);
    frame_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_have_their_shortest_form),
        cmocka_unit_test(a_ping_has_a_payload),
        cmocka_unit_test(a_close_has_its_code_and_reason),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
