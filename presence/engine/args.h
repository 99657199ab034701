/* A list of byte strings in one buffer: the arguments of a command, which may be kept and sent again. All
 * zeroes is an empty list. Out of memory ends the process. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct args {
    char *bytes;
    size_t length, capacity;
    size_t *ends; /* where each string ends; each is followed by a NUL that is not part of it */
    size_t count, ends_capacity;
};

void args_add(struct args *args, const char *bytes, size_t length);
void args_string(struct args *args, const char *string);
void args_number(struct args *args, uint64_t number);
/* "<app>:<channel>"-like keys, printed. */
void args_printf(struct args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));
void args_append(struct args *args, const struct args *more);
/* The string at that place; valid until the list changes. */
const char *args_at(const struct args *args, size_t at, size_t *length);
void args_deinit(struct args *args);
