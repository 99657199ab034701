#include "edge/base/mailbox.h"

static void on_wake(uv_async_t *handle)
{
    struct mailbox *mailbox = handle->data;
    struct mail_queue pile = STAILQ_HEAD_INITIALIZER(pile);
    uv_mutex_lock(&mailbox->lock);
    STAILQ_CONCAT(&pile, &mailbox->queue);
    uv_mutex_unlock(&mailbox->lock);

    size_t run = 0;
    struct mail *mail;
    while ((mail = STAILQ_FIRST(&pile))) {
        STAILQ_REMOVE_HEAD(&pile, next);
        mail->run(mail, mailbox->receiver);
        run++;
    }
    atomic_fetch_sub_explicit(&mailbox->waiting, run, memory_order_relaxed);
}

int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop, size_t capacity, void *receiver)
{
    *mailbox = (struct mailbox){.capacity = capacity, .receiver = receiver};
    STAILQ_INIT(&mailbox->queue);
    int error = uv_mutex_init(&mailbox->lock);
    if (error)
        return error;
    error = uv_async_init(loop, &mailbox->wake, on_wake);
    if (error) {
        uv_mutex_destroy(&mailbox->lock);
        return error;
    }
    mailbox->wake.data = mailbox;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct mailbox *mailbox = handle->data;
    uv_mutex_destroy(&mailbox->lock);
}

void mailbox_close(struct mailbox *mailbox)
{
    uv_close((uv_handle_t *)&mailbox->wake, on_closed);
}

bool mailbox_has_room(const struct mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->waiting, memory_order_relaxed) < mailbox->capacity;
}

bool mailbox_is_empty(const struct mailbox *mailbox)
{
    return atomic_load(&mailbox->waiting) == 0;
}

static void post_pile(struct mailbox *mailbox, struct mail_queue *pile, size_t count)
{
    /* Counted before it can be taken: a receiver that subtracts first would make the count wrap, and the mailbox look
     * full for a moment. */
    atomic_fetch_add_explicit(&mailbox->waiting, count, memory_order_relaxed);
    uv_mutex_lock(&mailbox->lock);
    STAILQ_CONCAT(&mailbox->queue, pile);
    uv_mutex_unlock(&mailbox->lock);
    uv_async_send(&mailbox->wake);
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    struct mail_queue pile = STAILQ_HEAD_INITIALIZER(pile);
    STAILQ_INSERT_TAIL(&pile, mail, next);
    post_pile(mailbox, &pile, 1);
}

void outgoing_init(struct outgoing *outgoing, struct mailbox *to)
{
    *outgoing = (struct outgoing){.to = to};
    STAILQ_INIT(&outgoing->queue);
}

void outgoing_add(struct outgoing *outgoing, struct mail *mail)
{
    STAILQ_INSERT_TAIL(&outgoing->queue, mail, next);
    outgoing->count++;
}

void outgoing_flush(struct outgoing *outgoing)
{
    if (outgoing->count == 0)
        return;
    post_pile(outgoing->to, &outgoing->queue, outgoing->count);
    outgoing->count = 0;
}
