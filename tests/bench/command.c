#include "tests/bench/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *command_parse(char *line, struct command *command)
{
    char *rest = NULL;
    memset(command, 0, sizeof *command);
    command->verb = strtok_r(line, " \t\r\n", &rest);
    if (!command->verb)
        return "an empty line";
    for (char *word; (word = strtok_r(NULL, " \t\r\n", &rest));) {
        char *equals = strchr(word, '=');
        if (!equals)
            return "an option must be key=value";
        if (command->count == COMMAND_OPTIONS_MAX)
            return "too many options";
        *equals = '\0';
        command->options[command->count].key = word;
        command->options[command->count++].value = equals + 1;
    }
    return NULL;
}

const char *command_text(const struct command *command, const char *key, const char *otherwise)
{
    for (size_t i = 0; i < command->count; i++)
        if (strcmp(command->options[i].key, key) == 0)
            return command->options[i].value;
    return otherwise;
}

uint64_t command_number(const struct command *command, const char *key, uint64_t otherwise)
{
    const char *text = command_text(command, key, NULL);
    if (!text)
        return otherwise;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || end == text || *end) {
        fprintf(stderr, "bench_driver: %s=%s: must be a whole number\n", key, text);
        exit(2);
    }
    return number;
}
