/* Shards: commands in flight, their deadlines, and what each kind of answer asks for. */
#include "presence/engine/engine_internal.h"

#include "presence/base/new.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command *command_new_of(
    struct shard *shard, enum script script, void (*on_reply)(struct command *, const struct reply *))
{
    struct command *command = new_zeroed(sizeof *command);
    *command = (struct command){.engine = shard->engine, .shard = shard, .script = script};
    command->on_reply = on_reply;
    return command;
}

struct command *command_new_at(struct partition *partition, struct shard *shard, uint64_t layout,
    enum script script, void (*on_reply)(struct command *, const struct reply *))
{
    char base[sizeof partition->base];
    struct engine *engine = partition->engine;
    struct command *command = command_new_of(shard, script, on_reply);
    command->partition = partition;
    command->keys = 1;
    layout_print_base(base, sizeof base, partition, layout);
    args_string(&command->args, base);
    if (script == SCRIPT_HELLO || script == SCRIPT_HEARTBEAT) {
        command->keys = 2;
        args_printf(&command->args, "%s:shard", engine->options.prefix);
    }
    if (script != SCRIPT_HELLO) {
        args_printf(&command->args, "%s\n%s\n%" PRIu64 "\n%s", engine->options.cluster, shard->name, layout,
            engine->settings);
        args_string(&command->args, partition->timeline);
        args_number(&command->args, partition->owner);
        args_string(&command->args, partition->incarnation);
    }
    return command;
}

struct command *command_new(
    struct partition *partition, enum script script, void (*on_reply)(struct command *, const struct reply *))
{
    return command_new_at(partition, partition->shard, partition->here, script, on_reply);
}

static void command_free(struct command *command)
{
    args_deinit(&command->args);
    free(command);
}

void command_send(struct command *command)
{
    struct engine *engine = command->engine;
    struct shard *shard = command->shard;
    size_t argc = command->args.count;
    const char **argv = new_array(argc + 1, sizeof *argv);
    size_t *argv_bytes = new_array(argc + 1, sizeof *argv_bytes);
    for (size_t i = 0; i < argc; i++)
        argv[i] = args_at(&command->args, i, &argv_bytes[i]);
    command->serial = ++engine->command_serial;
    command->deadline_ms = engine_now(engine) + engine->options.command_ms;
    TAILQ_INSERT_TAIL(&shard->in_flight, command, link);
    shard->in_flight_count++;
    engine->counters.commands++;
    struct engine_request request = {command->script, command->keys, argc, argv, argv_bytes};
    engine->io.send(engine->io_context, shard->index, &request);
    free(argv);
    free(argv_bytes);
    args_deinit(&command->args); /* what has to be sent again is kept by who sends it */
}

static void finish(struct command *command, const struct reply *reply)
{
    command->on_reply(command, reply);
    command_free(command);
}

static void on_nothing(struct command *command, const struct reply *reply)
{
    (void)command;
    (void)reply;
}

void commands_give_up(struct partition *partition)
{
    struct command *command;
    TAILQ_FOREACH (command, &partition->shard->in_flight, link) {
        void (*on_reply)(struct command *, const struct reply *) = command->on_reply;
        if (command->partition != partition)
            continue;
        command->on_reply = on_nothing;
        on_reply(command, NULL);
        command->partition = NULL;
    }
}

void engine_reply(struct engine *engine, unsigned index, const struct reply *reply)
{
    struct shard *shard = &engine->shards[index];
    struct command *command = TAILQ_FIRST(&shard->in_flight);
    if (!command)
        return; /* of a connection that was given up */
    engine_enter(engine);
    shard->last_reply_ms = engine_now(engine);
    TAILQ_REMOVE(&shard->in_flight, command, link);
    shard->in_flight_count--;
    finish(command, reply);
    engine_leave(engine);
}

static bool begins(const struct reply *reply, const char *word)
{
    size_t length = strlen(word);
    return reply->bytes >= length && !memcmp(reply->text, word, length);
}

static bool begins_one(const struct reply *reply, const char *const *words)
{
    for (; *words; words++) {
        if (begins(reply, *words))
            return true;
    }
    return false;
}

static enum answer on_error(struct command *command, const struct reply *reply)
{
    static const char *const lost[] = {"READONLY", "NOSCRIPT", "MASTERDOWN", "UNBLOCKED", "UNKNOWN", NULL};
    static const char *const wait[] = {
        "NOREPLICAS", "LOADING", "BUSY", "MISCONF", "TRYAGAIN", "CLUSTERDOWN", NULL};
    static const char *const denied[] = {"WRONGPASS", "NOAUTH", "NOPERM", NULL};
    struct engine *engine = command->engine;
    char text[200];
    size_t length = reply->bytes < sizeof text ? reply->bytes : sizeof text - 1;
    memcpy(text, reply->text, length);
    text[length] = '\0';
    if (begins(reply, "OOM")) {
        engine->counters.out_of_memory++;
        return ANSWER_OOM;
    }
    if (begins_one(reply, lost)) {
        engine_note(command->shard, command->partition, NOTE_REFUSED, 0, NULL, text);
        shard_reset(command->shard, text);
        return ANSWER_NONE;
    }
    if (begins_one(reply, denied) || strstr(text, "The user executing the script can't")) {
        shard_quarantine(command->shard, text);
        return ANSWER_NONE;
    }
    if (begins_one(reply, wait)) {
        if (command->partition)
            command->partition->stalled_ms = engine_now(engine) + WAIT_MS;
        engine_log(engine, ENGINE_WARN, "redis.busy", "shard %s: %s", command->shard->name, text);
        return ANSWER_WAIT;
    }
    engine_log(engine, ENGINE_ALARM, "redis.error", "shard %s: %s", command->shard->name, text);
    return ANSWER_FAILED;
}

bool reply_is(const struct reply *reply, size_t at, const char *text)
{
    if (at >= reply->count || reply->elements[at].type != REPLY_TEXT)
        return false;
    const struct reply *element = &reply->elements[at];
    return element->bytes == strlen(text) && !memcmp(element->text, text, element->bytes);
}

uint64_t reply_number(const struct reply *reply, size_t at)
{
    if (at >= reply->count)
        return 0;
    const struct reply *element = &reply->elements[at];
    if (element->type == REPLY_INTEGER)
        return element->integer > 0 ? (uint64_t)element->integer : 0;
    uint64_t number = 0;
    for (size_t i = 0; element->type == REPLY_TEXT && i < element->bytes && i < 18; i++) {
        if (element->text[i] < '0' || element->text[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(element->text[i] - '0');
    }
    return number;
}

void shard_alarm(struct shard *shard, struct partition *partition, const char *why)
{
    uint64_t now = engine_now(shard->engine);
    if (shard->alarm_ms && now - shard->alarm_ms < ALARM_EVERY_MS)
        return; /* its other partitions say the same */
    shard->alarm_ms = now;
    engine_note(shard, partition, NOTE_REFUSED, 0, NULL, why);
    if (partition)
        engine_log(shard->engine, ENGINE_ALARM, "redis.refused", "shard %s, partition %u: %s", shard->name,
            partition->index, why);
    else
        engine_log(shard->engine, ENGINE_ALARM, "redis.refused", "shard %s: %s", shard->name, why);
}

static void refuse_one(struct command *command, const char *why)
{
    if (command->partition)
        partition_refuse(command->partition, why);
    else
        shard_alarm(command->shard, NULL, why);
}

static enum answer refuse(struct command *command, const struct reply *reply)
{
    char why[512] = "";
    struct args words = {0};
    command->shard->blank = false; /* unless it says so now */
    for (size_t i = 0; i < reply->count && i < 3; i++)
        args_add(&words, reply->elements[i].text, reply->elements[i].text ? reply->elements[i].bytes : 0);
    size_t ignored;
    if (reply_is(reply, 0, "WRONGSHARD") && reply->count >= 3) {
        snprintf(why, sizeof why, "this is shard %.60s of cluster %.60s, not shard %.60s of cluster %.60s",
            args_at(&words, 2, &ignored), args_at(&words, 1, &ignored), command->shard->name,
            command->engine->options.cluster);
        shard_quarantine(command->shard, why);
    } else if (reply_is(reply, 0, "SETTINGS") && reply->count >= 2) {
        command->engine->other_settings_ms = engine_now(command->engine);
        snprintf(why, sizeof why,
            "the fleet is configured as \"%.90s\" (format, partitions, heartbeat_ms, lease_ms), this edge as "
            "\"%.90s\"",
            args_at(&words, 1, &ignored), command->engine->settings);
        refuse_one(command, why);
    } else if (reply_is(reply, 0, "UNSURE")) {
        partition_unsure(command->partition);
    } else {
        const char *word = words.count ? args_at(&words, 0, &ignored) : "nothing";
        snprintf(why, sizeof why, "%.60s", word);
        if (!strcmp(word, "FOREIGN"))
            snprintf(why, sizeof why, "it holds data that is not of this cluster, and no stamp");
        refuse_one(command, why);
    }
    args_deinit(&words);
    return ANSWER_REFUSED;
}

enum answer command_answer(struct command *command, const struct reply *reply)
{
    if (!reply)
        return ANSWER_NONE;
    if (reply->type == REPLY_ERROR)
        return on_error(command, reply);
    if (reply->type != REPLY_ARRAY || !reply->count)
        return ANSWER_FAILED;
    if (reply_is(reply, 0, "OK"))
        return ANSWER_OK;
    if (reply_is(reply, 0, "DUP"))
        return ANSWER_DUP;
    if (reply_is(reply, 0, "GAP"))
        return ANSWER_GAP;
    if (reply_is(reply, 0, "NOSTAMP") || reply_is(reply, 0, "NEWTIMELINE") || reply_is(reply, 0, "NOOWNER")) {
        if (command->partition->state == PARTITION_READY)
            partition_hello(command->partition);
        return ANSWER_GREET;
    }
    if (reply_is(reply, 0, "NEWLAYOUT") && reply->count > 2 && command->partition) {
        layout_adopt(
            command->partition, reply_number(reply, 1), reply->elements[2].text, reply->elements[2].bytes);
        return ANSWER_NONE; /* where it asked, nobody will ever answer */
    }
    return refuse(command, reply);
}

static bool is_on(const struct partition *partition, const struct shard *shard)
{
    return partition->shard == shard;
}

void shard_lost(struct shard *shard, const char *why)
{
    struct engine *engine = shard->engine;
    if (shard->up) {
        shard->down_since_ms = engine_now(engine);
        shard->frozen = true;
        engine_note(shard, NULL, NOTE_FROZEN, 0, NULL, why);
        if (why)
            engine_log(engine, ENGINE_WARN, "redis.lost", "shard %s: %s", shard->name, why);
    }
    shard->up = shard->blank = shard->usable = false;
    for (unsigned i = 0; i < engine->options.partitions; i++) {
        if (is_on(&engine->partitions[i], shard))
            partition_lost(&engine->partitions[i]);
    }
    struct commands unanswered;
    TAILQ_INIT(&unanswered);
    TAILQ_CONCAT(&unanswered, &shard->in_flight, link);
    shard->in_flight_count = 0;
    struct command *command;
    while ((command = TAILQ_FIRST(&unanswered))) {
        TAILQ_REMOVE(&unanswered, command, link);
        finish(command, NULL);
    }
}

static void lose_both(struct shard *shard, const char *why)
{
    shard->engine->counters.resets++;
    shard_lost(shard, why);
    engine_bus_down(shard->engine, shard->index, why);
}

void shard_reset(struct shard *shard, const char *why)
{
    lose_both(shard, why);
    shard->engine->io.reset(shard->engine->io_context, shard->index, why);
}

void shard_quarantine(struct shard *shard, const char *why)
{
    engine_log(shard->engine, ENGINE_ALARM, "redis.quarantine", "shard %s: %s", shard->name, why);
    engine_note(shard, NULL, NOTE_REFUSED, 0, NULL, why);
    lose_both(shard, why);
    shard->engine->io.quarantine(shard->engine->io_context, shard->index, why);
}

bool shard_confirmed(const struct shard *shard)
{
    const struct engine_io *io = &shard->engine->io;
    return !io->confirmed || io->confirmed(shard->engine->io_context, shard->index);
}

void engine_shard_up(struct engine *engine, unsigned index)
{
    struct shard *shard = &engine->shards[index];
    engine_enter(engine);
    if (shard->up)
        shard_lost(shard, "another connection took its place");
    shard->up = true;
    shard->replication_id[0] = '\0';
    shard->next_info_ms = engine_now(engine) + engine->options.heartbeat_ms;
    layout_ask(shard);
    for (unsigned i = 0; i < engine->options.partitions && shard->up; i++) {
        if (is_on(&engine->partitions[i], shard))
            partition_hello(&engine->partitions[i]);
    }
    engine_leave(engine);
}

void engine_shard_down(struct engine *engine, unsigned index, const char *why)
{
    engine_enter(engine);
    shard_lost(&engine->shards[index], why);
    engine_leave(engine);
}

/* Data can be rolled back in place, under an open connection: the instance then has another replication id. */
static void on_info(struct command *command, const struct reply *reply)
{
    static const char field[] = "master_replid:";
    struct shard *shard = command->shard;
    if (!reply || reply->type != REPLY_TEXT) {
        if (reply && reply->type == REPLY_ERROR)
            on_error(command, reply);
        return;
    }
    const char *at = memmem(reply->text, reply->bytes, field, sizeof field - 1);
    size_t id_bytes = strlen(shard->replication_id);
    if (!at || !id_bytes)
        return;
    at += sizeof field - 1;
    if ((size_t)(reply->text + reply->bytes - at) >= id_bytes && !memcmp(at, shard->replication_id, id_bytes))
        return;
    for (unsigned i = 0; i < shard->engine->options.partitions && shard->up; i++) {
        struct partition *partition = &shard->engine->partitions[i];
        if (is_on(partition, shard) && partition->state == PARTITION_READY)
            partition_hello(partition);
    }
}

void shard_info(struct shard *shard)
{
    command_send(command_new_of(shard, SCRIPT_COUNT, on_info));
}

void shard_tick(struct shard *shard)
{
    uint64_t now = engine_now(shard->engine);
    struct command *oldest = TAILQ_FIRST(&shard->in_flight);
    bool tilted = now < shard->engine->tilted_until_ms;
    if (!tilted && oldest && now >= oldest->deadline_ms &&
        now - shard->last_reply_ms >= shard->engine->options.command_ms) {
        shard->engine->counters.timeouts++;
        shard_reset(shard, "no answer in time");
    }
    if (shard->up && now >= shard->next_info_ms) {
        shard->next_info_ms = now + shard->engine->options.heartbeat_ms;
        shard_info(shard);
        layout_ask(shard);
    }
    if (!tilted)
        bus_tick(shard);
}
