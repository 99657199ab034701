#include "presence/redis/shard_link.h"

#include "presence/base/new.h"
#include "presence/redis/setup_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shard_link {
    uv_loop_t *loop;
    struct shard_link_options options;
    struct shard_link_events events;
    void *context;
    struct redis_connection *commands, *bus;
    struct redis_address address;
    struct redis_address checked; /* whose setup has been looked at */
    uv_timer_t timer;             /* until the next attempt, or of the present one */
    enum link_state {
        LINK_WAITING, /* for the timer */
        LINK_FINDING,
        LINK_OPENING, /* the connection, then what greets it */
        LINK_UP,
    } state;
    unsigned greeted; /* answers to the greeting so far */
    bool bus_up, bus_greeted;
    char sha[SCRIPT_COUNT][41];
};

static void try_later(struct shard_link *link, uint64_t ms);
static void open_bus(struct shard_link *link);
static void on_timer(uv_timer_t *timer);

static void send_words(struct redis_connection *connection, size_t count, const char *const *words)
{
    size_t bytes[8];
    for (size_t i = 0; i < count; i++)
        bytes[i] = strlen(words[i]);
    redis_connection_send(connection, count, words, bytes);
}

static bool send_auth(struct shard_link *link, struct redis_connection *connection)
{
    const char *username = link->options.username ? link->options.username : "default";
    if (!link->options.password)
        return false;
    send_words(connection, 3, (const char *const[]){"AUTH", username, link->options.password});
    return true;
}

static void drop_bus(struct shard_link *link)
{
    redis_connection_close(link->bus);
    link->bus = NULL;
    link->bus_up = false;
}

static void drop_both(struct shard_link *link)
{
    redis_connection_close(link->commands);
    link->commands = NULL;
    drop_bus(link);
}

/* What was up is lost, or what was tried has failed. */
static void give_up(struct shard_link *link, const char *why, uint64_t again_ms)
{
    bool was_up = link->state == LINK_UP, bus_was_up = link->bus_up;
    drop_both(link);
    try_later(link, again_ms);
    if (bus_was_up)
        link->events.bus_down(link->context, why);
    if (was_up)
        link->events.down(link->context, why);
}

/* Returns how long to wait before the next attempt. */
static uint64_t quarantine(struct shard_link *link)
{
    struct master_finder *finder = link->options.finder;
    uint64_t wait_ms = finder->operations->reject(finder, &link->address, link->options.quarantine_ms);
    return wait_ms ? wait_ms : link->options.retry_ms;
}

static void reject(struct shard_link *link, const char *why)
{
    char text[512], address[REDIS_ADDRESS_TEXT];
    uint64_t wait_ms = quarantine(link);
    snprintf(text, sizeof text, "shard %.64s: %.120s: %.250s", link->options.name,
        redis_address_print(&link->address, address), why);
    link->events.alarm(link->context, text);
    give_up(link, why, wait_ms);
}

/* ---- replies ---- */

/* Of one that is no array. */
static struct reply reply_of(const redisReply *from)
{
    struct reply reply = {.type = REPLY_NIL, .text = ""};
    switch (from->type) {
    case REDIS_REPLY_ERROR:
        reply.type = REPLY_ERROR;
        break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        reply.type = REPLY_TEXT;
        break;
    case REDIS_REPLY_INTEGER:
        reply.type = REPLY_INTEGER;
        reply.integer = from->integer;
        return reply;
    default:
        return reply;
    }
    reply.text = from->str;
    reply.bytes = (size_t)from->len;
    return reply;
}

static size_t count_flat(const redisReply *from)
{
    size_t count = 0;
    if (from->type != REDIS_REPLY_ARRAY)
        return 1;
    for (size_t i = 0; i < from->elements; i++)
        count += count_flat(from->element[i]);
    return count;
}

/* Returns where the next one goes. */
static struct reply *flatten(const redisReply *from, struct reply *to)
{
    if (from->type != REDIS_REPLY_ARRAY) {
        *to = reply_of(from);
        return to + 1;
    }
    for (size_t i = 0; i < from->elements; i++)
        to = flatten(from->element[i], to);
    return to;
}

static void pass_reply(struct shard_link *link, const redisReply *from)
{
    size_t count = count_flat(from);
    struct reply *elements = new_array(count + 1, sizeof *elements);
    flatten(from, elements);
    struct reply reply = *elements;
    if (from->type == REDIS_REPLY_ARRAY)
        reply = (struct reply){.type = REPLY_ARRAY, .text = "", .elements = elements, .count = count};
    link->events.reply(link->context, &reply);
    free(elements);
}

static bool says(const redisReply *reply, const char *word)
{
    return (reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_STRING ||
               reply->type == REDIS_REPLY_ERROR) &&
           !strncasecmp(reply->str, word, strlen(word));
}

static void tell_chosen(struct shard_link *link)
{
    char text[512], address[REDIS_ADDRESS_TEXT];
    snprintf(text, sizeof text, "shard %.64s: connected to %.300s", link->options.name,
        redis_address_print(&link->address, address));
    link->events.chosen(link->context, text);
}

static void on_warning(void *context, const char *text)
{
    struct shard_link *link = context;
    link->events.warning(link->context, text);
}

/* Once for each address: it is not news when the connection was only lost. */
static void check_setup(struct shard_link *link, const redisReply *reply)
{
    char address[REDIS_ADDRESS_TEXT];
    if (reply->type != REDIS_REPLY_STRING || redis_address_equal(&link->address, &link->checked))
        return;
    link->checked = link->address;
    setup_check_instance(reply->str, link->options.name, redis_address_print(&link->address, address),
        link->options.replicated, on_warning, link);
}

static void on_info(struct shard_link *link, const redisReply *info)
{
    char version[24], why[100];
    if (info->type == REDIS_REPLY_STRING && setup_is_too_old(info->str, version, sizeof version)) {
        snprintf(why, sizeof why, "it is Redis %s; 7.0 or newer is needed", version);
        reject(link, why);
        return;
    }
    check_setup(link, info);
}

/* AUTH, ROLE, INFO, then one SCRIPT LOAD a script. */
static void on_greeting(struct shard_link *link, const redisReply *reply)
{
    unsigned at = link->greeted++, auth = link->options.password ? 1 : 0;
    if (reply->type == REDIS_REPLY_ERROR) {
        if (says(reply, "LOADING") || says(reply, "BUSY") || says(reply, "READONLY"))
            give_up(link, reply->str, link->options.retry_ms);
        else
            reject(link, reply->str);
    } else if (at < auth) {
        return;
    } else if (at == auth) {
        if (reply->type != REDIS_REPLY_ARRAY || !reply->elements || !says(reply->element[0], "master"))
            reject(link, "it is not a master");
    } else if (at == auth + 1) {
        on_info(link, reply);
    } else {
        unsigned script = at - auth - 2;
        if (reply->type != REDIS_REPLY_STRING || reply->len != 40) {
            reject(link, "it does not load scripts as Redis does");
            return;
        }
        memcpy(link->sha[script], reply->str, 41);
        if (script + 1 < SCRIPT_COUNT)
            return;
        link->state = LINK_UP;
        uv_timer_stop(&link->timer);
        tell_chosen(link);
        open_bus(link);
        link->events.up(link->context);
    }
}

static void on_reply(void *context, const redisReply *reply)
{
    struct shard_link *link = context;
    if (link->state == LINK_UP)
        pass_reply(link, reply);
    else
        on_greeting(link, reply);
}

static void on_opened(void *context)
{
    struct shard_link *link = context;
    link->greeted = 0;
    send_auth(link, link->commands);
    send_words(link->commands, 1, (const char *const[]){"ROLE"});
    send_words(link->commands, 1, (const char *const[]){"INFO"});
    for (unsigned i = 0; i < SCRIPT_COUNT; i++) {
        const char *words[] = {"SCRIPT", "LOAD", script_texts[i].text};
        send_words(link->commands, 3, words);
    }
}

static void on_lost(void *context, const char *why)
{
    struct shard_link *link = context;
    link->commands = NULL; /* it closes itself */
    give_up(link, why, link->options.retry_ms);
}

/* ---- the bus ---- */

static void bus_is_up(struct shard_link *link)
{
    uv_timer_stop(&link->timer);
    link->bus_up = true;
    link->events.bus_up(link->context);
}

static void on_bus_opened(void *context)
{
    struct shard_link *link = context;
    link->bus_greeted = !send_auth(link, link->bus);
    if (link->bus_greeted)
        bus_is_up(link);
}

static void on_bus_reply(void *context, const redisReply *reply)
{
    struct shard_link *link = context;
    if (!link->bus_greeted && reply->type != REDIS_REPLY_ERROR) {
        link->bus_greeted = true;
        bus_is_up(link);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        reject(link, reply->str);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        const redisReply *topic = reply->element[1], *what = reply->element[2];
        if (says(reply->element[0], "message") && topic->str && what->str)
            link->events.bus_message(link->context, topic->str, what->str, (size_t)what->len);
        else if (says(reply->element[0], "subscribe") && topic->str)
            link->events.bus_subscribed(link->context, topic->str);
    }
}

static void on_bus_lost(void *context, const char *why)
{
    struct shard_link *link = context;
    bool was_up = link->bus_up;
    link->bus = NULL;
    link->bus_up = false;
    /* The instance may be gone, or another: the commands tell. Their connection opens the next bus. */
    try_later(link, link->options.retry_ms);
    if (was_up)
        link->events.bus_down(link->context, why);
}

static void open_bus(struct shard_link *link)
{
    static const struct redis_connection_events events = {on_bus_opened, on_bus_reply, on_bus_lost};
    link->bus_greeted = link->bus_up = false;
    link->bus = redis_connection_open(link->loop, &link->address, link->options.tls, &events, link);
    uv_timer_start(&link->timer, on_timer, link->options.open_ms, 0);
}

/* ---- attempts ---- */

static void on_found(void *context, const struct redis_address *address)
{
    static const struct redis_connection_events events = {on_opened, on_reply, on_lost};
    struct shard_link *link = context;
    if (link->state != LINK_FINDING)
        return;
    link->state = LINK_OPENING;
    link->address = *address;
    link->commands = redis_connection_open(link->loop, address, link->options.tls, &events, link);
}

static void on_timer(uv_timer_t *timer)
{
    struct shard_link *link = timer->data;
    struct master_finder *finder = link->options.finder;
    if (link->state == LINK_UP) {
        drop_bus(link); /* not opened in time, or none: its loss was told */
        open_bus(link);
    } else if (link->state == LINK_WAITING) {
        link->state = LINK_FINDING;
        uv_timer_start(&link->timer, on_timer, link->options.open_ms, 0);
        finder->operations->find(finder, on_found, link);
    } else {
        give_up(link, "it does not answer in time", link->options.retry_ms);
    }
}

/* Half of it to all of it, so that a fleet does not come in step. */
static void try_later(struct shard_link *link, uint64_t ms)
{
    uint64_t jitter = uv_hrtime() / 1000 % (ms / 2 + 1);
    if (link->state != LINK_UP || !link->commands)
        link->state = LINK_WAITING;
    uv_timer_start(&link->timer, on_timer, ms / 2 + jitter, 0);
}

/* Another has become the master, and proved itself. */
static void on_moved(void *context, const char *why)
{
    struct shard_link *link = context;
    if (link->state == LINK_UP || link->state == LINK_OPENING)
        give_up(link, why, 0);
}

static void on_finder_alarm(void *context, const char *text)
{
    struct shard_link *link = context;
    link->events.alarm(link->context, text);
}

struct shard_link *shard_link_new(uv_loop_t *loop, const struct shard_link_options *options,
    const struct shard_link_events *events, void *context)
{
    struct shard_link *link = new_zeroed(sizeof *link);
    link->loop = loop;
    link->options = *options;
    link->options.name = new_text(options->name);
    link->options.username = new_text(options->username);
    link->options.password = new_text(options->password);
    link->events = *events;
    link->context = context;
    options->finder->moved = on_moved;
    options->finder->alarm = on_finder_alarm;
    options->finder->context = link;
    uv_timer_init(loop, &link->timer);
    link->timer.data = link;
    uv_timer_start(&link->timer, on_timer, 0, 0);
    return link;
}

void shard_link_send(struct shard_link *link, const struct engine_request *request)
{
    if (link->state != LINK_UP)
        return;
    if (request->script == SCRIPT_COUNT) {
        send_words(link->commands, 2, (const char *const[]){"INFO", "replication"});
        return;
    }
    char keys[12];
    size_t argc = request->argc + 3;
    const char **argv = new_array(argc, sizeof *argv);
    size_t *bytes = new_array(argc, sizeof *bytes);
    snprintf(keys, sizeof keys, "%u", request->keys);
    argv[0] = "EVALSHA", bytes[0] = 7;
    argv[1] = link->sha[request->script], bytes[1] = 40;
    argv[2] = keys, bytes[2] = strlen(keys);
    memcpy(argv + 3, request->argv, request->argc * sizeof *argv);
    memcpy(bytes + 3, request->argv_bytes, request->argc * sizeof *bytes);
    redis_connection_send(link->commands, argc, argv, bytes);
    free(argv);
    free(bytes);
}

void shard_link_subscribe(struct shard_link *link, const char *topic)
{
    if (link->bus_up)
        send_words(link->bus, 2, (const char *const[]){"SUBSCRIBE", topic});
}

void shard_link_unsubscribe(struct shard_link *link, const char *topic)
{
    if (link->bus_up)
        send_words(link->bus, 2, (const char *const[]){"UNSUBSCRIBE", topic});
}

void shard_link_reset(struct shard_link *link, bool as_wrong)
{
    uint64_t wait_ms = as_wrong ? quarantine(link) : link->options.retry_ms;
    drop_both(link);
    try_later(link, wait_ms);
}

void shard_link_bus_reset(struct shard_link *link)
{
    drop_bus(link);
    try_later(link, link->options.retry_ms);
}

void shard_link_status(const struct shard_link *link, struct shard_link_status *status)
{
    *status = (struct shard_link_status){
        .address = link->address,
        .is_up = link->state == LINK_UP,
        .is_bus_up = link->bus_up,
        .is_confirmed = shard_link_confirmed(link),
        .is_replicated = link->options.replicated,
    };
}

bool shard_link_confirmed(const struct shard_link *link)
{
    struct master_finder *finder = link->options.finder;
    return finder->operations->confirmed(finder);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct shard_link *link = handle->data;
    free((char *)link->options.name);
    free((char *)link->options.username);
    free((char *)link->options.password);
    free(link);
}

void shard_link_free(struct shard_link *link)
{
    struct master_finder *finder = link->options.finder;
    drop_both(link);
    finder->operations->free(finder);
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}
