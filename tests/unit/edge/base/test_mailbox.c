#include "edge/base/mailbox.h"

#include "edge/base/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SENDERS = 4, EACH = 5000 };

struct letter {
    struct mail mail;
    unsigned sender, number;
};

struct receiver {
    uv_loop_t loop;
    struct mailbox mailbox;
    unsigned next[SENDERS];
    unsigned received;
    unsigned out_of_order;
};

static void on_letter(struct mail *mail, void *context)
{
    struct letter *letter = CONTAINER_OF(mail, struct letter, mail);
    struct receiver *receiver = context;
    if (letter->number != receiver->next[letter->sender]++)
        receiver->out_of_order++;
    free(letter);
    if (++receiver->received == SENDERS * EACH)
        mailbox_close(&receiver->mailbox);
}

struct sender {
    uv_thread_t thread;
    struct receiver *receiver;
    unsigned number;
};

/* Never full with so much room: a count that wraps for a moment would say so. */
static void assert_has_room(struct mailbox *mailbox)
{
    if (!mailbox_has_room(mailbox))
        abort();
}

static void send_all(void *context)
{
    struct sender *sender = context;
    struct outgoing outgoing;
    outgoing_init(&outgoing, &sender->receiver->mailbox);
    for (unsigned i = 0; i < EACH; i++) {
        struct letter *letter = malloc(sizeof(*letter));
        *letter = (struct letter){.mail.run = on_letter, .sender = sender->number, .number = i};
        /* piles and single mails from one sender keep one order as long as the pile goes first */
        assert_has_room(&sender->receiver->mailbox);
        if (i % 7 == 0) {
            outgoing_flush(&outgoing);
            mailbox_post(&sender->receiver->mailbox, &letter->mail);
        } else {
            outgoing_add(&outgoing, &letter->mail);
        }
    }
    outgoing_flush(&outgoing);
}

static void test_many_senders_keep_their_order(void **state)
{
    (void)state;
    struct receiver receiver = {0};
    struct sender senders[SENDERS];
    assert_int_equal(uv_loop_init(&receiver.loop), 0);
    assert_int_equal(mailbox_init(&receiver.mailbox, &receiver.loop, SENDERS * EACH + 1, &receiver), 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.receiver = &receiver, .number = i};
        uv_thread_create(&senders[i].thread, send_all, &senders[i]);
    }
    uv_run(&receiver.loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < SENDERS; i++)
        uv_thread_join(&senders[i].thread);
    assert_int_equal(receiver.received, SENDERS * EACH);
    assert_int_equal(receiver.out_of_order, 0);
    assert_int_equal(uv_loop_close(&receiver.loop), 0);
}

static void test_says_when_it_is_full(void **state)
{
    (void)state;
    struct receiver receiver = {0};
    assert_int_equal(uv_loop_init(&receiver.loop), 0);
    assert_int_equal(mailbox_init(&receiver.mailbox, &receiver.loop, 2, &receiver), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(mailbox_has_room(&receiver.mailbox));
        struct letter *letter = malloc(sizeof(*letter));
        *letter = (struct letter){.mail.run = on_letter, .number = i};
        mailbox_post(&receiver.mailbox, &letter->mail);
    }
    assert_false(mailbox_has_room(&receiver.mailbox));
    assert_false(mailbox_is_empty(&receiver.mailbox));
    uv_run(&receiver.loop, UV_RUN_ONCE);
    assert_int_equal(receiver.received, 2);
    assert_true(mailbox_has_room(&receiver.mailbox));
    assert_true(mailbox_is_empty(&receiver.mailbox));
    mailbox_close(&receiver.mailbox);
    uv_run(&receiver.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&receiver.loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_senders_keep_their_order),
        cmocka_unit_test(test_says_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
