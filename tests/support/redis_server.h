/* A redis-server of a test's own: on a unix socket in a temporary folder, saving nothing; stopped by its
 * process id. Include it in one file of the test. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_server {
    char folder[64];
    char socket[96];
    char address[112]; /* "unix:/…/socket" */
    pid_t pid;
    redisContext *control; /* for the test's own commands */
};

/* Ready when it answers PING; aborts the test when it does not within ten seconds. */
static inline void redis_server_wait(struct redis_server *server)
{
    for (int i = 0; i < 1000; i++) {
        server->control = redisConnectUnix(server->socket);
        redisReply *pong = server->control->err ? NULL : redisCommand(server->control, "PING");
        bool is_up = pong && pong->type == REDIS_REPLY_STATUS;
        if (pong)
            freeReplyObject(pong);
        if (is_up)
            return;
        redisFree(server->control);
        usleep(10000);
    }
    abort();
}

/* Starts it (again) in its folder; `more` ends with NULL: arguments beside those that every test wants. */
static inline void redis_server_run(struct redis_server *server, const char *const *more)
{
    const char *argv[32] = {"redis-server", "--port", "0", "--unixsocket", server->socket, "--dir",
        server->folder, "--save", "", "--appendonly", "no", "--logfile", "log"};
    size_t argc = 13;
    for (; more && *more && argc < 31; more++)
        argv[argc++] = *more;
    server->pid = fork();
    if (server->pid < 0)
        abort();
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives a test that crashed */
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    redis_server_wait(server);
}

static inline void redis_server_start(struct redis_server *server)
{
    memset(server, 0, sizeof *server);
    strcpy(server->folder, "/tmp/rollcall-redis-XXXXXX");
    if (!mkdtemp(server->folder))
        abort();
    snprintf(server->socket, sizeof server->socket, "%s/socket", server->folder);
    snprintf(server->address, sizeof server->address, "unix:%s", server->socket);
    redis_server_run(server, NULL);
}

static inline void redis_server_kill(struct redis_server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    redisFree(server->control);
    server->control = NULL;
}

static inline void redis_server_stop(struct redis_server *server)
{
    char path[128];
    redis_server_kill(server);
    static const char *const names[] = {"socket", "log", "dump.rdb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", server->folder, names[i]);
        unlink(path);
    }
    rmdir(server->folder);
}

/* A command of the test; aborts when the connection is gone. To be freed with freeReplyObject(). */
static inline redisReply *redis_server_do(struct redis_server *server, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    redisReply *reply = redisvCommand(server->control, format, list);
    va_end(list);
    if (!reply)
        abort();
    return reply;
}

static inline void redis_server_just(struct redis_server *server, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    redisReply *reply = redisvCommand(server->control, format, list);
    va_end(list);
    if (!reply)
        abort();
    freeReplyObject(reply);
}
