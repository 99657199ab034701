#include "presence/redis/questioner.h"

#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

struct questioner {
    uv_loop_t *loop;
    uv_timer_t deadline;
    struct redis_address address;
    struct questioner_options options;
    struct questioner_events events;
    void *context;
    struct redis_connection *connection;
    bool open, authenticated, asking;
    unsigned answered;
    uint64_t asked_ms;
};

static void send_words(struct questioner *questioner, const char *const *words)
{
    size_t bytes[QUESTION_WORDS], count = 0;
    for (; count < QUESTION_WORDS && words[count]; count++)
        bytes[count] = strlen(words[count]);
    redis_connection_send(questioner->connection, count, words, bytes);
}

static void send_questions(struct questioner *questioner)
{
    questioner->answered = 0;
    for (unsigned i = 0; i < questioner->options.count; i++)
        send_words(questioner, questioner->options.questions[i].words);
}

static void finish(struct questioner *questioner, enum asked asked, const char *why)
{
    bool was_asking = questioner->asking;
    questioner->asking = false;
    uv_timer_stop(&questioner->deadline);
    if (asked != ASKED_WELL) {
        redis_connection_close(questioner->connection);
        questioner->connection = NULL;
        questioner->open = false;
    }
    if (was_asking)
        questioner->events.finished(questioner->context, asked, why);
}

static void on_opened(void *context)
{
    struct questioner *questioner = context;
    const struct questioner_options *options = &questioner->options;
    questioner->open = true;
    questioner->authenticated = !options->password;
    if (options->password) {
        const char *username = options->username ? options->username : "default";
        send_words(questioner, (const char *[QUESTION_WORDS]){"AUTH", username, options->password});
    }
    send_questions(questioner);
}

static void on_reply(void *context, const redisReply *reply)
{
    struct questioner *questioner = context;
    if (!questioner->authenticated) {
        questioner->authenticated = true;
        if (reply->type == REDIS_REPLY_ERROR)
            finish(questioner, ASKED_REFUSED, reply->str);
        return;
    }
    if (!questioner->asking)
        return;
    questioner->events.replied(questioner->context, questioner->answered, reply);
    if (++questioner->answered == questioner->options.count)
        finish(questioner, ASKED_WELL, NULL);
}

static void on_lost(void *context, const char *why)
{
    struct questioner *questioner = context;
    questioner->connection = NULL; /* it closes itself */
    finish(questioner, ASKED_LOST, why);
}

static void on_deadline(uv_timer_t *timer)
{
    finish(timer->data, ASKED_LOST, "it does not answer in time");
}

void questioner_ask(struct questioner *questioner)
{
    static const struct redis_connection_events events = {on_opened, on_reply, on_lost};
    if (questioner->asking)
        return;
    questioner->asking = true;
    questioner->asked_ms = uv_now(questioner->loop);
    uv_timer_start(&questioner->deadline, on_deadline, questioner->options.answer_ms, 0);
    if (questioner->open)
        send_questions(questioner);
    else
        questioner->connection = redis_connection_open(
            questioner->loop, &questioner->address, questioner->options.tls, &events, questioner);
}

bool questioner_is_asking(const struct questioner *questioner)
{
    return questioner->asking;
}

uint64_t questioner_asked_ms(const struct questioner *questioner)
{
    return questioner->asked_ms;
}

struct questioner *questioner_new(uv_loop_t *loop, const struct redis_address *address,
    const struct questioner_options *options, const struct questioner_events *events, void *context)
{
    struct questioner *questioner = new_zeroed(sizeof *questioner);
    questioner->loop = loop;
    questioner->address = *address;
    questioner->options = *options;
    questioner->events = *events;
    questioner->context = context;
    uv_timer_init(loop, &questioner->deadline);
    questioner->deadline.data = questioner;
    return questioner;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void questioner_free(struct questioner *questioner)
{
    if (!questioner)
        return;
    redis_connection_close(questioner->connection);
    questioner->connection = NULL;
    uv_close((uv_handle_t *)&questioner->deadline, on_closed);
}
