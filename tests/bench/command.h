/* What the driver is told to do: one line, "verb key=value key=value". Values hold no white space. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { COMMAND_OPTIONS_MAX = 16 };

struct command {
    char *verb;
    struct {
        char *key, *value;
    } options[COMMAND_OPTIONS_MAX];
    size_t count;
};

/* Cuts the line into pieces, in place. Returns NULL, or what is wrong with it. */
const char *command_parse(char *line, struct command *command);

/* The value of an option, or `otherwise`. A number that is none ends the driver with a message: its caller is
 * a script of ours, and a misspelt load would be measured otherwise. */
const char *command_text(const struct command *command, const char *key, const char *otherwise);
uint64_t command_number(const struct command *command, const char *key, uint64_t otherwise);
