/* Keeps a connection to one Redis or Sentinel and asks it the same questions, over and over. What is asked
 * once too often costs nothing: while an answer is out, it waits for that.
 *
 * Thread: that of the loop. Callbacks must not free the questioner.
 */
#pragma once

#include "presence/redis/connection.h"

enum { QUESTION_WORDS = 6, QUESTIONS_MAX = 3 };

/* NULL-terminated; the words stay valid as long as the questioner. */
struct question {
    const char *words[QUESTION_WORDS];
};

enum asked {
    ASKED_WELL,    /* every question has its reply */
    ASKED_REFUSED, /* not with this user and password */
    ASKED_LOST,    /* it cannot be reached, or says nothing */
};

struct questioner_events {
    void (*replied)(void *context, unsigned question, const redisReply *reply);
    /* A round of questions is over. `why` says what went wrong. */
    void (*finished)(void *context, enum asked asked, const char *why);
};

struct questioner_options {
    const char *username, *password; /* NULL: the default user; no AUTH. Stay valid */
    struct tls_client *tls;          /* NULL: none. Stays valid */
    uint32_t answer_ms;              /* so long unanswered is lost: 1000 */
    struct question questions[QUESTIONS_MAX];
    unsigned count;
};

struct questioner;

/* Copies the options, not the words. Never NULL. */
struct questioner *questioner_new(uv_loop_t *loop, const struct redis_address *address,
    const struct questioner_options *options, const struct questioner_events *events, void *context);

void questioner_ask(struct questioner *questioner);
bool questioner_is_asking(const struct questioner *questioner);

/* When the last round was begun; uv_now()'s ms. An answer is as old as its
 * question: a process that stood still reads old answers late. */
uint64_t questioner_asked_ms(const struct questioner *questioner);

/* No callback comes any more. NULL is allowed. */
void questioner_free(struct questioner *questioner);
