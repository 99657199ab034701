/* Mailboxes: how threads hand values to each other.
 *
 * Every thread has one mailbox, on its own loop. Mail is a small struct embedded in whatever is handed over;
 * the receiver's thread runs it. From one sender mail arrives in the order it was posted; a whole pile is
 * taken at once and run in one turn of the loop.
 *
 * Bounds: mail that begins something (a subscription, a publish) asks mailbox_has_room() first and is refused
 * when the receiver is behind; mail that ends or answers something is always taken, because whatever it
 * answers was counted when it began.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <uv.h>

struct mail {
    STAILQ_ENTRY(mail) next;
    /* Called on the receiver's thread; from then on the mail, and what it is embedded in, is the receiver's.
     */
    void (*run)(struct mail *mail, void *receiver);
};

STAILQ_HEAD(mail_queue, mail);

struct mailbox {
    uv_async_t wake;
    uv_mutex_t lock; /* guards queue */
    struct mail_queue queue;
    atomic_size_t waiting;
    size_t capacity;
    void *receiver;
};

/* What one sender has for one receiver during one turn of its loop; sent as one pile. */
struct outgoing {
    struct mailbox *to;
    struct mail_queue queue;
    size_t count;
};

/* Returns 0 or a negative errno; afterwards mailbox_close() must be called. Receiver's thread, or before it
 * runs. */
int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop, size_t capacity, void *receiver);

/* Stops waking the loop and runs no more mail; mail that still waits is dropped. Receiver's thread. The
 * struct must stay until the loop has run its close callbacks. */
void mailbox_close(struct mailbox *mailbox);

/* False when more than `capacity` mails wait. Any thread. */
bool mailbox_has_room(const struct mailbox *mailbox);

/* True when all mail that was posted has been run; of mail that is being posted in this moment nothing is known. Any
 * thread. */
bool mailbox_is_empty(const struct mailbox *mailbox);

/* Hands over one mail at once. Any thread. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

void outgoing_init(struct outgoing *outgoing, struct mailbox *to);

/* Keeps the mail until outgoing_flush(), which the sender calls at the end of each turn of its loop. */
void outgoing_add(struct outgoing *outgoing, struct mail *mail);
void outgoing_flush(struct outgoing *outgoing);
