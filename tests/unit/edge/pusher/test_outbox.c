#include "edge/pusher/outbox.h"

#include "edge/pusher/websocket_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void push_number(struct outbox *outbox, unsigned number)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%u", number);
    struct frame *frame = websocket_seal(frame_copy(text, (size_t)length));
    outbox_push(outbox, frame);
    frame_unref(frame);
}

static unsigned number_at(const struct outbox *outbox, uint32_t i)
{
    return (unsigned)strtoul(outbox_at(outbox, i)->text, NULL, 10);
}

static void frames_come_out_in_order(void **state)
{
    struct outbox outbox;
    unsigned in = 0, out = 0;
    (void)state;
    outbox_init(&outbox);
    /* Grows and shrinks, so that the ring wraps at many places. */
    for (unsigned round = 1; round < 60; round++) {
        for (unsigned i = 0; i < round % 23 + 1; i++)
            push_number(&outbox, in++);
        for (uint32_t i = 0; i < outbox.count; i++)
            assert_int_equal(number_at(&outbox, i), out + i);
        for (unsigned i = 0; i < round % 17 + 1 && outbox.count > 0; i++, out++)
            outbox_pop(&outbox);
        assert_int_equal(outbox.count, in - out);
    }
    outbox_deinit(&outbox);
    assert_int_equal(outbox.count, 0);
    assert_int_equal(outbox.bytes, 0);
}

static void bytes_are_those_on_the_wire(void **state)
{
    struct outbox outbox;
    (void)state;
    outbox_init(&outbox);
    push_number(&outbox, 1);
    push_number(&outbox, 100);
    assert_int_equal(outbox.bytes, (2 + 1) + (2 + 3));
    outbox_pop(&outbox);
    assert_int_equal(outbox.bytes, 2 + 3);
    outbox_deinit(&outbox);
}

static void an_emptied_outbox_holds_no_memory(void **state)
{
    struct outbox outbox;
    (void)state;
    outbox_init(&outbox);
    for (unsigned i = 0; i < OUTBOX_INLINE; i++)
        push_number(&outbox, i);
    assert_null(outbox.more);
    push_number(&outbox, 9);
    assert_non_null(outbox.more);
    while (outbox.count > 0)
        outbox_pop(&outbox);
    assert_null(outbox.more);
    push_number(&outbox, 5);
    assert_int_equal(number_at(&outbox, 0), 5);
    outbox_deinit(&outbox);
}

static void references_are_given_back(void **state)
{
    struct frame *frame = websocket_seal(frame_copy("x", 1));
    struct outbox outbox;
    (void)state;
    outbox_init(&outbox);
    for (int i = 0; i < 10; i++)
        outbox_push(&outbox, frame);
    assert_int_equal(frame->references, 11);
    outbox_pop(&outbox);
    assert_int_equal(frame->references, 10);
    outbox_deinit(&outbox);
    assert_int_equal(frame->references, 1);
    frame_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_in_order),
        cmocka_unit_test(bytes_are_those_on_the_wire),
        cmocka_unit_test(an_emptied_outbox_holds_no_memory),
        cmocka_unit_test(references_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
