/* The server itself: time, roles, scripts' names, publish and subscribe. */
#include "tests/sim/fake_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_reply *run_time(struct call *call)
{
    char text[24];
    struct fake_reply *reply = fake_array();
    snprintf(text, sizeof(text), "%" PRId64, call->redis->now_us / 1000000);
    fake_push(reply, fake_text(text));
    snprintf(text, sizeof(text), "%" PRId64, call->redis->now_us % 1000000);
    fake_push(reply, fake_text(text));
    return reply;
}

static struct fake_reply *run_ping(struct call *call)
{
    return call->argc > 1 ? fake_bulk(call->argv[1].data, call->argv[1].size) : fake_status("PONG");
}

static struct fake_reply *run_echo(struct call *call)
{
    return fake_bulk(call->argv[1].data, call->argv[1].size);
}

/* AUTH, SELECT, CLIENT, READONLY: what a client sends when it connects, and nothing here depends on. */
static struct fake_reply *run_ok(struct call *call)
{
    (void)call;
    return fake_status("OK");
}

static struct fake_reply *run_config(struct call *call)
{
    if (!call_is(call, 1, "GET"))
        return fake_error("ERR Unknown subcommand or wrong number of arguments for 'config'");
    return fake_array();
}

static struct fake_reply *run_role(struct call *call)
{
    struct fake_reply *reply = fake_array();
    fake_push(reply, fake_text(call->redis->replica ? "slave" : "master"));
    if (call->redis->replica) {
        fake_push(reply, fake_text("master"));
        fake_push(reply, fake_integer(6379));
        fake_push(reply, fake_text("connected"));
        fake_push(reply, fake_integer(0));
    } else {
        fake_push(reply, fake_integer(0));
        fake_push(reply, fake_array());
    }
    return reply;
}

static bool wants(const struct call *call, const char *section)
{
    bool all = call->argc == 1;
    for (size_t i = 1; i < call->argc; i++)
        all = all || call_is(call, i, section) || call_is(call, i, "all") || call_is(call, i, "everything") ||
              call_is(call, i, "default");
    return all;
}

static struct fake_reply *run_info(struct call *call)
{
    const struct fake_redis *redis = call->redis;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    if (wants(call, "server"))
        fprintf(out, "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n");
    if (wants(call, "memory"))
        fprintf(out, "%s# Memory\r\nused_memory:1000000\r\nmaxmemory:0\r\n", call->argc == 1 ? "\r\n" : "");
    if (wants(call, "replication"))
        fprintf(out,
            "%s# Replication\r\nrole:%s\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
            "master_replid:%s\r\nmaster_replid2:%s\r\nmaster_repl_offset:0\r\nsecond_repl_offset:-1\r\n"
            "repl_backlog_active:0\r\nrepl_backlog_size:1048576\r\nrepl_backlog_first_byte_offset:0\r\n"
            "repl_backlog_histlen:0\r\n",
            call->argc == 1 ? "\r\n" : "", redis->replica ? "slave" : "master", redis->replication_id,
            redis->old_replication_id);
    fclose(out);
    struct fake_reply *reply = fake_bulk(text, size);
    free(text);
    return reply;
}

static struct fake_reply *run_flushall(struct call *call)
{
    data_clear(&call->redis->data);
    call->redis->changes++;
    return fake_status("OK");
}

/* Scripts. */

static struct fake_reply *run_eval(struct call *call)
{
    return script_evaluate(call, false, false);
}

static struct fake_reply *run_evalsha(struct call *call)
{
    return script_evaluate(call, true, false);
}

static struct fake_reply *run_eval_ro(struct call *call)
{
    return script_evaluate(call, false, true);
}

static struct fake_reply *run_evalsha_ro(struct call *call)
{
    return script_evaluate(call, true, true);
}

static struct fake_reply *script_exists(struct call *call)
{
    struct fake_reply *reply = fake_array();
    for (size_t i = 2; i < call->argc; i++) {
        struct loaded_script *script;
        HASH_FIND(hh, call->redis->scripts, call->argv[i].data, call->argv[i].size, script);
        fake_push(reply, fake_integer(script != NULL));
    }
    return reply;
}

static struct fake_reply *run_script(struct call *call)
{
    if (call_is(call, 1, "LOAD") && call->argc == 3)
        return script_load(call->redis, call->argv[2]);
    if (call_is(call, 1, "EXISTS") && call->argc > 2)
        return script_exists(call);
    if (call_is(call, 1, "FLUSH")) {
        fake_redis_forget_scripts(call->redis);
        return fake_status("OK");
    }
    return fake_error(
        "ERR unknown subcommand '%.*s'. Try SCRIPT HELP.", (int)call->argv[1].size, call->argv[1].data);
}

/* Publish and subscribe. */

static void push(
    struct fake_connection *connection, const char *kind, struct slice name, struct fake_reply *last)
{
    struct fake_reply *message = fake_array();
    fake_push(message, fake_text(kind));
    fake_push(message, name.data ? fake_bulk(name.data, name.size) : fake_nil());
    fake_push(message, last);
    if (connection->on_push)
        connection->on_push(connection->context, message);
    else
        fake_reply_free(message);
}

static struct subscription *find_subscription(const struct fake_connection *connection, struct slice name)
{
    struct subscription *subscription;
    HASH_FIND(hh, connection->subscriptions, name.data, name.size, subscription);
    return subscription;
}

static struct fake_reply *run_publish(struct call *call)
{
    int64_t receivers = 0;
    struct fake_connection *next;
    if (call->redis->on_publish)
        call->redis->on_publish(call->redis->publish_context, call->argv[1], call->argv[2]);
    for (struct fake_connection *each = call->redis->connections; each; each = next) {
        next = each->next;
        if (!find_subscription(each, call->argv[1]))
            continue;
        receivers++;
        push(each, "message", call->argv[1], fake_bulk(call->argv[2].data, call->argv[2].size));
    }
    return fake_integer(receivers);
}

static struct fake_reply *run_subscribe(struct call *call)
{
    struct fake_connection *connection = call->connection;
    for (size_t i = 1; i < call->argc; i++) {
        if (!find_subscription(connection, call->argv[i])) {
            struct subscription *subscription = fake_alloc(sizeof(*subscription));
            subscription->name = fake_copy(call->argv[i].data, call->argv[i].size);
            HASH_ADD_KEYPTR(
                hh, connection->subscriptions, subscription->name, call->argv[i].size, subscription);
        }
        push(connection, "subscribe", call->argv[i],
            fake_integer((int64_t)HASH_COUNT(connection->subscriptions)));
    }
    return NULL;
}

static void unsubscribe(struct fake_connection *connection, struct slice name)
{
    struct subscription *subscription = find_subscription(connection, name);
    if (subscription) {
        HASH_DEL(connection->subscriptions, subscription);
        free(subscription->name);
        free(subscription);
    }
}

static struct fake_reply *run_unsubscribe(struct call *call)
{
    struct fake_connection *connection = call->connection;
    for (size_t i = 1; i < call->argc; i++) {
        unsubscribe(connection, call->argv[i]);
        push(connection, "unsubscribe", call->argv[i],
            fake_integer((int64_t)HASH_COUNT(connection->subscriptions)));
    }
    if (call->argc > 1)
        return NULL;
    if (!connection->subscriptions)
        push(connection, "unsubscribe", (struct slice){NULL, 0}, fake_integer(0));
    while (connection->subscriptions) {
        char *name = fake_copy(connection->subscriptions->name, strlen(connection->subscriptions->name));
        unsubscribe(connection, (struct slice){name, strlen(name)});
        push(connection, "unsubscribe", (struct slice){name, strlen(name)},
            fake_integer((int64_t)HASH_COUNT(connection->subscriptions)));
        free(name);
    }
    return NULL;
}

const struct command commands_server[] = {
    {"TIME", 1, 0, run_time},
    {"PING", -1, 0, run_ping},
    {"ECHO", 2, 0, run_echo},
    {"AUTH", -2, COMMAND_NO_SCRIPT, run_ok},
    {"SELECT", 2, 0, run_ok},
    {"CLIENT", -2, COMMAND_NO_SCRIPT, run_ok},
    {"CONFIG", -2, COMMAND_NO_SCRIPT, run_config},
    {"ROLE", 1, COMMAND_NO_SCRIPT, run_role},
    {"INFO", -1, 0, run_info},
    {"FLUSHALL", -1, COMMAND_WRITES, run_flushall},
    {"FLUSHDB", -1, COMMAND_WRITES, run_flushall},
    {"EVAL", -3, COMMAND_NO_SCRIPT | COMMAND_IS_SCRIPT, run_eval},
    {"EVALSHA", -3, COMMAND_NO_SCRIPT | COMMAND_IS_SCRIPT, run_evalsha},
    {"EVAL_RO", -3, COMMAND_NO_SCRIPT | COMMAND_IS_SCRIPT, run_eval_ro},
    {"EVALSHA_RO", -3, COMMAND_NO_SCRIPT | COMMAND_IS_SCRIPT, run_evalsha_ro},
    {"SCRIPT", -2, COMMAND_NO_SCRIPT, run_script},
    {"PUBLISH", 3, COMMAND_REPLICATES, run_publish},
    {"SUBSCRIBE", -2, COMMAND_NO_SCRIPT, run_subscribe},
    {"UNSUBSCRIBE", -1, COMMAND_NO_SCRIPT, run_unsubscribe},
    {NULL, 0, 0, NULL},
};
