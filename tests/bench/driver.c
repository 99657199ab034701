/* The load driver: plays thousands of Pusher clients from one process.
 *
 *   bench_driver --port P [--host 127.0.0.1] [--clients 1000] [--source 127.1.0.1] [--sources 8] [--first 0]
 *                [--users 0] [--app app-id] [--key app-key] [--secret app-secret] [--publish P]
 *                [--tls 1]
 *
 * It reads commands from standard input (jobs.h), one at a time, and answers each with a line of JSON when it
 * is done or has taken longer than its timeout= (seconds). Between commands it goes on reading and answering
 * pings. It ends when standard input does. --users U has U users share the clients; 0 gives each its own;
 * --first is the number of the first. --publish is the port that is published to, if it is another edge's.
 * --tls 1: clients speak TLS; publishing does not.
 */
#include "tests/bench/histogram.h"
#include "tests/bench/jobs.h"
#include "tests/bench/publisher.h"
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 512, LINE_BYTES = 1024, JOB_TIMEOUT_DEFAULT_S = 60 };

static const struct job *const jobs[] = {&job_open, &job_subscribe, &job_leave, &job_wait, &job_publish,
    &job_fanout, &job_churn, &job_members, &job_removals, &job_knock, &job_reside};

uint64_t clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND_NS + (uint64_t)time.tv_nsec;
}

void driver_note(struct driver *driver, const char *format, ...)
{
    va_list arguments;
    if (driver->error[0])
        return;
    va_start(arguments, format);
    vsnprintf(driver->error, sizeof driver->error, format, arguments);
    va_end(arguments);
}

/* ---- answers ---- */

static void answer_counters(const struct counters *c)
{
#define COUNTER(name) printf(",\"" #name "\":%llu", (unsigned long long)c->name)
    COUNTER(opened);
    COUNTER(subscribed);
    COUNTER(unsubscribed);
    COUNTER(ended);
    COUNTER(frames);
    COUNTER(bytes);
    COUNTER(events);
    COUNTER(added);
    COUNTER(removed);
    COUNTER(pings);
    COUNTER(errors);
    COUNTER(failed);
    COUNTER(sent_away);
    COUNTER(violations);
    COUNTER(published);
    COUNTER(publish_failed);
#undef COUNTER
}

void answer_latency(const struct histogram *histogram)
{
    static const struct {
        const char *name;
        double fraction;
    } percentiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};
    printf(",\"latency_us\":{\"count\":%llu", (unsigned long long)histogram->count);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++)
        printf(",\"%s\":%.1f", percentiles[i].name,
            (double)histogram_percentile(histogram, percentiles[i].fraction) / 1000.0);
    printf("}");
}

static void answer(struct driver *driver, const struct job *job, bool done, uint64_t took_ns)
{
    char words[2 * sizeof driver->error + 1] = "";
    for (char *c = driver->error; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = ' ';
    message_escape(driver->error, words, sizeof words);
    printf("{\"ok\":%s,\"verb\":\"%s\",\"seconds\":%.6f", done ? "true" : "false", job->verb,
        (double)took_ns / SECOND_NS);
    answer_counters(&driver->counters);
    if (words[0])
        printf(",\"error\":\"%s\"", words);
    if (job->answer)
        job->answer(driver);
    printf("}\n");
    fflush(stdout);
    driver->error[0] = '\0';
}

/* ---- commands ---- */

struct commands {
    enum peer_kind kind;
    size_t length;
    char line[LINE_BYTES];
    uint64_t begun_ns;
};

static void begin_job(struct driver *driver, struct commands *commands, char *line)
{
    struct command command;
    const char *wrong = command_parse(line, &command);
    for (size_t i = 0; !wrong && i < sizeof jobs / sizeof *jobs; i++)
        if (strcmp(jobs[i]->verb, command.verb) == 0)
            driver->job = jobs[i];
    if (!driver->job) {
        fprintf(stderr, "bench_driver: %s\n", wrong ? wrong : "no such verb");
        exit(2);
    }
    commands->begun_ns = clock_ns();
    uint64_t timeout_s = command_number(&command, "timeout", JOB_TIMEOUT_DEFAULT_S);
    driver->job_deadline_ns = commands->begun_ns + timeout_s * SECOND_NS;
    for (uint32_t i = 0; i < driver->client_count; i++)
        driver->clients[i].pending = false;
    if (driver->job->begin)
        driver->job->begin(driver, &command);
}

static void on_commands(struct driver *driver, struct commands *commands)
{
    ssize_t got = read(STDIN_FILENO, commands->line + commands->length, LINE_BYTES - 1 - commands->length);
    if (got <= 0)
        exit(0);
    commands->length += (size_t)got;
    char *newline = memchr(commands->line, '\n', commands->length);
    if (!newline && commands->length < LINE_BYTES - 1)
        return;
    if (!newline || newline != commands->line + commands->length - 1 || driver->job) {
        fprintf(stderr, "bench_driver: one command at a time, of less than %d bytes\n", LINE_BYTES);
        exit(2);
    }
    *newline = '\0';
    commands->length = 0;
    begin_job(driver, commands, commands->line);
}

/* ---- the loop ---- */

static void dispatch(struct driver *driver, struct epoll_event *event)
{
    switch (*(enum peer_kind *)event->data.ptr) {
    case PEER_COMMANDS:
        on_commands(driver, event->data.ptr);
        break;
    case PEER_CLIENT:
        client_on_ready(driver, event->data.ptr, event->events);
        break;
    case PEER_PUBLISHER:
        publisher_on_ready(driver, event->data.ptr);
        break;
    }
}

/* Returns how long the next wait may take, in ms. */
static int turn_job(struct driver *driver, const struct commands *commands)
{
    const struct job *job = driver->job;
    if (!job)
        return -1;
    uint64_t now_ns = clock_ns(), wait_ns = SECOND_NS;
    bool done = job->advance(driver, now_ns, &wait_ns);
    if (!done && now_ns < driver->job_deadline_ns)
        return (int)((wait_ns + MILLISECOND_NS - 1) / MILLISECOND_NS);
    if (!done)
        driver_note(driver, "not done in time");
    driver->job = NULL;
    answer(driver, job, done, now_ns - commands->begun_ns);
    return -1;
}

static void run(struct driver *driver)
{
    static struct commands commands = {.kind = PEER_COMMANDS};
    struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = &commands}, events[EVENTS_A_TURN];
    if (epoll_ctl(driver->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin) != 0) {
        perror("bench_driver: standard input must be a pipe or a terminal");
        exit(2);
    }
    for (;;) {
        int wait_ms = turn_job(driver, &commands);
        int count = epoll_wait(driver->epoll, events, EVENTS_A_TURN, wait_ms);
        if (count < 0 && errno != EINTR)
            abort();
        for (int i = 0; i < count; i++)
            dispatch(driver, &events[i]);
    }
}

/* ---- the beginning ---- */

struct options {
    const char *host, *source;
    uint32_t port, publish, first, users;
};

static void usage(const char *wrong)
{
    fprintf(stderr, "bench_driver: %s; see the head of tests/bench/driver.c\n", wrong);
    exit(2);
}

static uint32_t number_of(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (end == text || *end || number > UINT32_MAX)
        usage("an option must be a whole number");
    return (uint32_t)number;
}

static void read_options(int argc, char **argv, struct driver *driver, struct options *options)
{
    static const struct option known[] = {{"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"clients", 1, 0, 'c'},
        {"source", 1, 0, 's'}, {"sources", 1, 0, 'S'}, {"first", 1, 0, 'f'}, {"users", 1, 0, 'u'},
        {"app", 1, 0, 'a'}, {"key", 1, 0, 'k'}, {"secret", 1, 0, 'x'}, {"publish", 1, 0, 'P'},
        {"tls", 1, 0, 'T'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'h':
            options->host = optarg;
            break;
        case 's':
            options->source = optarg;
            break;
        case 'a':
            driver->app.id = optarg;
            break;
        case 'k':
            driver->app.key = optarg;
            break;
        case 'x':
            driver->app.secret = optarg;
            break;
        case 'p':
            options->port = number_of(optarg);
            break;
        case 'P':
            options->publish = number_of(optarg);
            break;
        case 'c':
            driver->client_count = number_of(optarg);
            break;
        case 'S':
            driver->source_count = number_of(optarg);
            break;
        case 'f':
            options->first = number_of(optarg);
            break;
        case 'u':
            options->users = number_of(optarg);
            break;
        case 'T':
            driver->tls = number_of(optarg) ? wire_tls_new() : NULL;
            break;
        default:
            usage("an unknown option");
        }
    }
}

static void make_clients(struct driver *driver, const struct options *options)
{
    driver->clients = calloc(driver->client_count, sizeof *driver->clients);
    driver->scratch = malloc(SCRATCH_BYTES);
    if (!driver->clients || !driver->scratch)
        abort();
    for (uint32_t i = 0; i < driver->client_count; i++) {
        uint32_t user = options->users ? i % options->users : i;
        driver->clients[i] = (struct client){
            .kind = PEER_CLIENT, .fd = -1, .number = options->first + i, .user = options->first + user};
    }
}

int main(int argc, char **argv)
{
    static struct driver driver = {.source_count = 8,
        .client_count = 1000,
        .app = {.id = "app-id", .key = "app-key", .secret = "app-secret"}};
    struct options options = {.host = "127.0.0.1", .source = "127.1.0.1"};
    struct in_addr source;
    read_options(argc, argv, &driver, &options);
    driver.server.sin_family = AF_INET;
    driver.server.sin_port = htons((uint16_t)options.port);
    if (options.port == 0 || options.port > UINT16_MAX || options.publish > UINT16_MAX ||
        driver.client_count == 0 || driver.source_count == 0)
        usage("--port, --clients and --sources must not be 0");
    if (inet_pton(AF_INET, options.host, &driver.server.sin_addr) != 1 ||
        inet_pton(AF_INET, options.source, &source) != 1)
        usage("--host and --source must be IPv4 addresses");
    driver.api = driver.server;
    if (options.publish)
        driver.api.sin_port = htons((uint16_t)options.publish);
    driver.source = ntohl(source.s_addr);
    driver.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (driver.epoll < 0)
        abort();
    signal(SIGPIPE, SIG_IGN);
    make_clients(&driver, &options);
    run(&driver);
}
