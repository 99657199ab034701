/* The fake Redis against a real one: random histories of the commands that scripts use, sent directly and
 * from within random small scripts, must be answered alike and leave the same data.
 *
 *     check_fake [--seeds A-B] [--steps N]
 *
 * Starts its own redis-server on a unix socket in a temporary folder and stops it by process id.
 */
#include "tests/sim/check_fake.h"
#include "tests/sim/fake_redis.h"

#include <hiredis/hiredis.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CLOCK_SLACK = 5000, /* two servers asked one after the other: integers above it may differ by as much */
};

static char folder[] = "/tmp/check_fake.XXXXXX";
static char socket_path[64];
static pid_t server;
static redisContext *real, *real_bus;
static struct fake_redis *fake;
static struct fake_connection *fake_command_link, *fake_bus;
static struct fake_reply *fake_heard; /* what the fake bus heard and nobody has compared */
static uint64_t seed_now;
static bool verbose;
static bool go_on;     /* count the seeds that differ instead of stopping at the first */
static bool abandoned; /* this seed has differed */
static unsigned different;

static void fail(const char *what)
{
    fprintf(stderr, "check_fake: %s\n", what);
    if (server)
        kill(server, SIGTERM);
    exit(1);
}

/* The two servers. */

static void start_server(void)
{
    if (!mkdtemp(folder))
        fail("no temporary folder");
    snprintf(socket_path, sizeof(socket_path), "%s/s", folder);
    server = fork();
    if (server == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(127);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--save", "",
            "--appendonly", "no", "--dir", folder, NULL);
        _exit(127);
    }
    for (int tries = 0; tries < 500; tries++) {
        real = redisConnectUnix(socket_path);
        if (real && !real->err)
            return;
        redisFree(real);
        usleep(20000);
    }
    fail("redis-server does not start");
}

static void stop_server(void)
{
    redisFree(real);
    redisFree(real_bus);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    unlink(socket_path);
    rmdir(folder);
}

static struct fake_reply *translate(const redisReply *reply)
{
    struct fake_reply *array;
    switch (reply->type) {
    case REDIS_REPLY_STRING:
        return fake_bulk(reply->str, (size_t)reply->len);
    case REDIS_REPLY_STATUS:
        return fake_status(reply->str);
    case REDIS_REPLY_ERROR:
        return fake_error("%s", reply->str);
    case REDIS_REPLY_INTEGER:
        return fake_integer(reply->integer);
    case REDIS_REPLY_ARRAY:
        array = fake_array();
        for (size_t i = 0; i < reply->elements; i++)
            fake_push(array, translate(reply->element[i]));
        return array;
    default:
        return fake_nil();
    }
}

static struct fake_reply *ask_real(const struct line *line)
{
    const char *argv[WORDS_MAX];
    size_t sizes[WORDS_MAX];
    for (size_t i = 0; i < line->count; i++) {
        argv[i] = line->words[i];
        sizes[i] = strlen(line->words[i]);
    }
    redisReply *reply = redisCommandArgv(real, (int)line->count, argv, sizes);
    if (!reply)
        fail("the real server does not answer");
    struct fake_reply *translated = translate(reply);
    freeReplyObject(reply);
    return translated;
}

static struct fake_reply *ask_fake(const struct line *line)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    fake_redis_set_time(fake, (int64_t)now.tv_sec * 1000000 + now.tv_usec);
    struct slice argv[WORDS_MAX];
    for (size_t i = 0; i < line->count; i++)
        argv[i] = (struct slice){line->words[i], strlen(line->words[i])};
    return fake_command(fake_command_link, line->count, argv);
}

/* Comparing. */

static int compare_printed(const void *a, const void *b)
{
    char *left = fake_reply_print(*(struct fake_reply *const *)a);
    char *right = fake_reply_print(*(struct fake_reply *const *)b);
    int order = strcmp(left, right);
    free(left);
    free(right);
    return order;
}

static void pair_up(struct fake_reply *flat)
{
    for (size_t i = 0; i + 1 < flat->count; i += 2) {
        struct fake_reply *pair = fake_array();
        fake_push(pair, flat->items[i]);
        fake_push(pair, flat->items[i + 1]);
        flat->items[i / 2] = pair;
    }
    flat->count /= 2;
}

/* Puts what may come in any order into one order. */
static void settle(const char *command, struct fake_reply *reply)
{
    static const char *const open[] = {"HGETALL", "HKEYS", "HVALS", "SMEMBERS", "KEYS", "SPOP", NULL};
    if (reply->type != FAKE_ARRAY || !reply->count)
        return;
    bool scan = !strcmp(command, "SCAN") || !strcmp(command, "SSCAN") || !strcmp(command, "HSCAN");
    if (scan) {
        reply = reply->items[1];
    }
    if (!strcmp(command, "HGETALL") || !strcmp(command, "HSCAN"))
        pair_up(reply);
    for (size_t i = 0; open[i] || scan; i++) {
        if (scan || !strcmp(command, open[i])) {
            if (reply->count)
                qsort(reply->items, reply->count, sizeof(*reply->items), compare_printed);
            return;
        }
    }
}

static bool alike(const struct fake_reply *a, const struct fake_reply *b)
{
    if (a->type == FAKE_INTEGER && b->type == FAKE_INTEGER && a->integer > CLOCK_SLACK)
        return llabs(a->integer - b->integer) < CLOCK_SLACK;
    if (a->type != FAKE_ARRAY || b->type != FAKE_ARRAY)
        return fake_reply_equal(a, b, false);
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!alike(a->items[i], b->items[i]))
            return false;
    }
    return true;
}

static void report(
    const struct line *line, const struct fake_reply *from_real, const struct fake_reply *from_fake)
{
    char *a = fake_reply_print(from_real), *b = fake_reply_print(from_fake);
    fprintf(stderr, "seed %llu:", (unsigned long long)seed_now);
    for (size_t i = 0; i < line->count; i++)
        fprintf(stderr, " %s", line->words[i]);
    fprintf(stderr, "\n  real %s\n  fake %s\n", a, b);
    free(a);
    free(b);
}

static void both(const struct line *line)
{
    struct fake_reply *from_real = ask_real(line), *from_fake = ask_fake(line);
    settle(line->words[0], from_real);
    settle(line->words[0], from_fake);
    bool same = alike(from_real, from_fake);
    if (!same || verbose)
        report(line, from_real, from_fake);
    if (!same && !go_on)
        fail("the fake differs");
    abandoned = abandoned || !same;
    fake_reply_free(from_real);
    fake_reply_free(from_fake);
}

static void both_words(const char *text)
{
    static struct line line;
    say(&line, text);
    both(&line);
}

enum { STARVED = 1, REPLICA = 2, LONELY = 4 };

static void configure_real(const char *words)
{
    static struct line line;
    say(&line, words);
    fake_reply_free(ask_real(&line));
}

/* Puts both into that state: bits of the enum above. */
static void set_state(unsigned state)
{
    configure_real(state & STARVED ? "CONFIG SET maxmemory 1" : "CONFIG SET maxmemory 0");
    configure_real(state & REPLICA ? "REPLICAOF 127.0.0.1 1" : "REPLICAOF NO ONE");
    configure_real(
        state & LONELY ? "CONFIG SET min-replicas-to-write 1" : "CONFIG SET min-replicas-to-write 0");
    fake_redis_set_out_of_memory(fake, state & STARVED);
    fake_redis_set_no_replicas(fake, state & LONELY);
    if ((state & REPLICA) && !fake_redis_is_replica(fake)) {
        struct fake_snapshot *snapshot = fake_redis_snapshot(fake);
        fake_redis_follow(fake, snapshot);
        fake_snapshot_free(snapshot);
    } else if (!(state & REPLICA) && fake_redis_is_replica(fake)) {
        fake_redis_promote(fake);
    }
}

/* Publish and subscribe. */

static void on_fake_push(void *context, struct fake_reply *push)
{
    (void)context;
    fake_push(fake_heard, push);
}

static void subscribe_both(void)
{
    static const char *const names[] = {"c0", "c1", "c2"};
    real_bus = redisConnectUnix(socket_path);
    fake_heard = fake_array();
    fake_bus = fake_connect(fake, on_fake_push, NULL);
    for (size_t i = 0; i < 3; i++) {
        redisAppendCommand(real_bus, "SUBSCRIBE %s", names[i]);
        struct slice argv[] = {{"SUBSCRIBE", 9}, {names[i], 2}};
        fake_command(fake_bus, 2, argv);
    }
}

static void compare_heard(void)
{
    static struct line line;
    say(&line, "(heard)");
    for (size_t i = 0; i < fake_heard->count; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(real_bus, (void **)&reply) != REDIS_OK)
            fail("the real bus is gone");
        struct fake_reply *heard = translate(reply);
        freeReplyObject(reply);
        if (!alike(heard, fake_heard->items[i])) {
            report(&line, heard, fake_heard->items[i]);
            fail("the bus differs");
        }
        fake_reply_free(heard);
    }
    fake_reply_free(fake_heard);
    fake_heard = fake_array();
}

static void compare_data(void)
{
    static const char *const readers[] = {
        "GET", "HGETALL", "SMEMBERS", "ZRANGE", "XRANGE", "TYPE", "PEXPIRETIME"};
    static const char *const rest[] = {"", "", "", " 0 -1 WITHSCORES", " - +", "", ""};
    for (int k = 0; k < 6; k++) {
        for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++) {
            char words[64];
            snprintf(words, sizeof(words), "%s k%d%s", readers[i], k, rest[i]);
            both_words(words);
        }
    }
    compare_heard();
}

static void play_history(uint64_t seed, unsigned steps)
{
    static struct line line;
    seed_now = seed;
    draw_seed(seed);
    both_words("FLUSHALL");
    abandoned = false;
    for (unsigned step = 0; step < steps && !abandoned; step++) {
        struct timeval now;
        gettimeofday(&now, NULL);
        int64_t future_ms = (int64_t)now.tv_sec * 1000 + 1000000;
        if (draw(3))
            draw_command(&line, future_ms);
        else
            draw_script(&line, future_ms);
        both(&line);
        if (draw(25) == 0)
            set_state(draw(2) ? 0 : (unsigned)draw(8));
    }
    if (!abandoned)
        compare_data();
    set_state(0);
    different += abandoned;
}

/* The fake answers as Redis 7.0 does; later ones write numbers otherwise, and have more in their Lua. */
static bool is_other_release(void)
{
    char line[256] = "";
    FILE *said = popen("redis-server --version", "r");
    if (said && !fgets(line, sizeof line, said))
        line[0] = '\0';
    if (said)
        pclose(said);
    return line[0] && !strstr(line, " v=7.0.");
}

enum { EXIT_SKIPPED = 77 };

int main(int argc, char **argv)
{
    unsigned long long first = 1, last = 200;
    unsigned steps = 60;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--seeds") && i + 1 < argc)
            sscanf(argv[++i], "%llu-%llu", &first, &last);
        else if (!strcmp(argv[i], "--steps") && i + 1 < argc)
            steps = (unsigned)atoi(argv[++i]);
        else if (!strcmp(argv[i], "--all"))
            go_on = true;
        else if (!strcmp(argv[i], "--trace"))
            verbose = true;
        else
            fail("usage: check_fake [--seeds A-B] [--steps N] [--all] [--trace]");
    }
    if (is_other_release()) {
        puts("skipped: the fake is compared with Redis 7.0");
        return EXIT_SKIPPED;
    }
    start_server();
    fake = fake_redis_new(1);
    fake_command_link = fake_connect(fake, NULL, NULL);
    subscribe_both();
    compare_heard();
    for (unsigned long long seed = first; seed <= last; seed++)
        play_history(seed, steps);
    if (different)
        fail("the fake differs");
    stop_server();
    fake_reply_free(fake_heard);
    fake_redis_free(fake);
    printf("%llu histories of %u steps: the fake answers as redis-server does\n", last - first + 1, steps);
    return 0;
}
