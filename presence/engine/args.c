#include "presence/engine/args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *new_zeroed(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory)
        abort();
    return memory;
}

char *new_copy(const char *bytes, size_t length)
{
    char *copy = new_zeroed(length + 1);
    if (length)
        memcpy(copy, bytes, length);
    return copy;
}

static void *grow(void *memory, size_t *capacity, size_t needed, size_t unit)
{
    if (needed <= *capacity)
        return memory;
    size_t wider = *capacity * 2 > needed ? *capacity * 2 : needed + 16;
    memory = realloc(memory, wider * unit);
    if (!memory)
        abort();
    *capacity = wider;
    return memory;
}

void args_add(struct args *args, const char *bytes, size_t length)
{
    args->bytes = grow(args->bytes, &args->capacity, args->length + length + 1, 1);
    args->ends = grow(args->ends, &args->ends_capacity, args->count + 1, sizeof *args->ends);
    if (length)
        memcpy(args->bytes + args->length, bytes, length);
    args->length += length;
    args->ends[args->count++] = args->length;
    args->bytes[args->length++] = '\0';
}

void args_string(struct args *args, const char *string)
{
    args_add(args, string, strlen(string));
}

void args_number(struct args *args, uint64_t number)
{
    args_printf(args, "%" PRIu64, number);
}

void args_printf(struct args *args, const char *format, ...)
{
    char *text;
    va_list list;
    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    if (length < 0)
        abort();
    args_add(args, text, (size_t)length);
    free(text);
}

void args_append(struct args *args, const struct args *more)
{
    for (size_t i = 0; i < more->count; i++) {
        size_t length;
        const char *bytes = args_at(more, i, &length);
        args_add(args, bytes, length);
    }
}

const char *args_at(const struct args *args, size_t at, size_t *length)
{
    size_t begin = at ? args->ends[at - 1] + 1 : 0;
    *length = args->ends[at] - begin;
    return args->bytes + begin;
}

void args_deinit(struct args *args)
{
    free(args->bytes);
    free(args->ends);
    *args = (struct args){0};
}
