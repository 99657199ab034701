#include "presence/base/new.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 4 };

void must(bool worked)
{
    if (!worked)
        abort();
}

void *must_have(void *made)
{
    must(made != NULL);
    return made;
}

void *new_zeroed(size_t bytes)
{
    return must_have(calloc(1, bytes));
}

void *new_array(size_t count, size_t item_bytes)
{
    return must_have(calloc(count, item_bytes));
}

void *new_copy(const void *bytes, size_t length)
{
    must(length < SIZE_MAX);
    char *copy = must_have(malloc(length + 1));
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

char *new_text(const char *text)
{
    return text ? must_have(strdup(text)) : NULL;
}

char *new_vprinted(const char *format, va_list arguments)
{
    char *text;
    must(vasprintf(&text, format, arguments) >= 0);
    return text;
}

char *new_printed(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = new_vprinted(format, arguments);
    va_end(arguments);
    return text;
}

void *resized(void *items, size_t count, size_t item_bytes)
{
    return must_have(reallocarray(items, count, item_bytes));
}

void *grown(void *items, size_t *capacity, size_t needed, size_t item_bytes)
{
    if (needed <= *capacity)
        return items;
    size_t wider = *capacity ? *capacity : FIRST_CAPACITY;
    while (wider < needed)
        wider = wider <= SIZE_MAX / 2 ? wider * 2 : needed;
    *capacity = wider;
    return resized(items, wider, item_bytes);
}
