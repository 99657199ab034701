/* The command line. */
#include "edge/base/log.h"
#include "edge/config/config.h"
#include "edge/process/process.h"
#include "edge/tools/tools.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "rollcall, a WebSocket edge server that knows who is here\n"
    "\n"
    "  rollcall --config FILE [--take-over]\n"
    "                                    serve; with --take-over in the place of the process at "
    "edge.hand_over, if there\n"
    "                                    is one: it hands its listening sockets over and drains\n"
    "  rollcall --config FILE --check    only check the configuration\n"
    "  rollcall reload [--config FILE] [--edge HOST:PORT]\n"
    "                                    have the server of that file read it again, and say what has "
    "changed, what needs\n"
    "                                    a restart, or what is wrong and where; HOST:PORT is its admin "
    "listener\n"
    "  rollcall doctor --config FILE     ask every Redis and Sentinel of the fleet, and say what is wrong\n"
    "  rollcall verify --config FILE [--edge HOST:PORT]…\n"
    "                                    compare what lies in Redis with what edges hold; HOST:PORT is the "
    "admin\n"
    "                                    listener of one, by default that of the configuration and its "
    "peers\n"
    "  rollcall who CHANNEL --config FILE [--app ID] [--edge HOST:PORT]… [--json]\n"
    "                                    who is in a channel: on which edge, with how many sockets, since "
    "when\n"
    "  rollcall why CHANNEL USER --config FILE [--app ID] [--edge HOST:PORT]… [--json]\n"
    "                                    why he is: which edge, socket, since when, lease until when, last "
    "write\n"
    "  rollcall top --config FILE [--app ID] [--edge HOST:PORT]… [--json]\n"
    "                                    a live view of edges, rates, shards and channels; q ends it. "
    "Without a\n"
    "                                    terminal, or with --json, one look\n"
    "  rollcall --explain[=man]          every key of the configuration: type, default, range, meaning; or "
    "that as\n"
    "                                    a manual page\n"
    "  rollcall --schema                 the same as JSON Schema\n"
    "  rollcall --version\n"
    "  rollcall --help\n";

/* Exit statuses (sysexits.h): 64 for a wrong command line, 78 for a wrong configuration. */
enum { EXIT_USAGE = 64, EXIT_CONFIG = 78 };

enum { EDGES_MAX = 256, WORDS_MAX = 2 };

struct arguments {
    const char *config_path;
    const struct tool *tool; /* NULL: serve */
    const char *words[WORDS_MAX];
    const char *app;
    const char *edges[EDGES_MAX];
    size_t edge_count;
    bool check, take_over, json;
};

static int explain(const char *form)
{
    if (form && strcmp(form, "man") != 0) {
        fprintf(stderr, "rollcall: --explain=%s: there is --explain and --explain=man\n", form);
        return EXIT_USAGE;
    }
    if (form)
        config_manual(stdout);
    else
        config_explain(stdout);
    return 0;
}

/* The tool and what it takes. */
static int parse_words(int count, char **words, struct arguments *arguments)
{
    const struct tool *tool = count > 0 ? tool_find(words[0]) : NULL;
    int taken = tool ? 1 : 0;
    for (size_t i = 0; tool && i < tool->word_count && taken < count; i++)
        arguments->words[i] = words[taken++];
    arguments->tool = tool;
    if (tool && !arguments->words[tool->word_count ? tool->word_count - 1 : 0] && tool->word_count)
        fprintf(stderr, "rollcall: %s takes %s\n", tool->name, tool->words);
    else if (taken < count)
        fprintf(stderr, "rollcall: unexpected argument '%s'\n", words[taken]);
    else if (!arguments->config_path && !(tool && tool->peeks))
        fputs("rollcall: --config FILE is missing\n", stderr);
    else
        return -1;
    fputs(usage, stderr);
    return EXIT_USAGE;
}

static int run_tool(const struct arguments *arguments, const struct config *config)
{
    const struct tool_call call = {.config = config,
        .edges = arguments->edges,
        .edge_count = arguments->edge_count,
        .words = arguments->words,
        .app = arguments->app,
        .json = arguments->json};
    return arguments->tool->run(&call);
}

/* What can be answered without a configuration is answered here; -1: go on. */
static int parse(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"edge", required_argument, NULL, 'E'},
        {"check", no_argument, NULL, 'k'},
        {"take-over", no_argument, NULL, 't'},
        {"app", required_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},
        {"explain", optional_argument, NULL, 'e'},
        {"schema", no_argument, NULL, 's'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments->config_path = optarg;
            break;
        case 'E':
            if (arguments->edge_count < EDGES_MAX)
                arguments->edges[arguments->edge_count++] = optarg;
            break;
        case 'k':
            arguments->check = true;
            break;
        case 't':
            arguments->take_over = true;
            break;
        case 'a':
            arguments->app = optarg;
            break;
        case 'j':
            arguments->json = true;
            break;
        case 'e':
            return explain(optarg);
        case 's':
            config_schema(stdout);
            return 0;
        case 'v':
            puts("rollcall " ROLLCALL_VERSION);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default: /* getopt has said what is wrong */
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    return parse_words(argc - optind, argv + optind, arguments);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int status = parse(argc, argv, &arguments);
    if (status >= 0)
        return status;
    struct config *config;
    bool peeks = arguments.tool && arguments.tool->peeks;
    if ((peeks ? config_peek : config_load)(arguments.config_path, &config, stderr) != 0)
        return EXIT_CONFIG;
    if (arguments.check) {
        fputs(config->warnings, stderr);
        printf("%s: good\n", arguments.config_path);
        status = 0;
    } else if (arguments.tool) {
        status = run_tool(&arguments, config);
    } else {
        log_configure((enum log_level)config->log.level, (enum log_format)config->log.format);
        status = process_serve(config, arguments.config_path, arguments.take_over);
        config = NULL;
    }
    config_unref(config);
    return status;
}
