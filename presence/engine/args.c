#include "presence/engine/args.h"

#include "presence/base/new.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void args_add(struct args *args, const char *bytes, size_t length)
{
    args->bytes = grown(args->bytes, &args->capacity, args->length + length + 1, 1);
    args->ends = grown(args->ends, &args->ends_capacity, args->count + 1, sizeof *args->ends);
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
    va_list list;
    va_start(list, format);
    char *text = new_vprinted(format, list);
    va_end(list);
    args_string(args, text);
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
