#include "tests/sim/fake_reply.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *fake_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

void *fake_realloc(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

char *fake_copy(const char *data, size_t size)
{
    char *copy = fake_realloc(NULL, size + 1);
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static struct fake_reply *make(enum fake_reply_type type)
{
    struct fake_reply *reply = fake_alloc(sizeof(*reply));
    reply->type = type;
    return reply;
}

static struct fake_reply *make_text(enum fake_reply_type type, const char *data, size_t size)
{
    struct fake_reply *reply = make(type);
    reply->text = fake_copy(data, size);
    reply->bytes = size;
    return reply;
}

struct fake_reply *fake_nil(void)
{
    return make(FAKE_NIL);
}

struct fake_reply *fake_integer(int64_t value)
{
    struct fake_reply *reply = make(FAKE_INTEGER);
    reply->integer = value;
    return reply;
}

struct fake_reply *fake_bulk(const char *data, size_t size)
{
    return make_text(FAKE_BULK, data, size);
}

struct fake_reply *fake_text(const char *text)
{
    return make_text(FAKE_BULK, text, strlen(text));
}

struct fake_reply *fake_double(double value)
{
    char text[64];
    if (isinf(value))
        return fake_text(value > 0 ? "inf" : "-inf");
    snprintf(text, sizeof(text), "%.17g", value);
    return fake_text(text);
}

struct fake_reply *fake_status(const char *text)
{
    return make_text(FAKE_STATUS, text, strlen(text));
}

struct fake_reply *fake_error(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return make_text(FAKE_ERROR, text, strlen(text));
}

struct fake_reply *fake_array(void)
{
    return make(FAKE_ARRAY);
}

void fake_push(struct fake_reply *array, struct fake_reply *item)
{
    if (array->count == array->room) {
        array->room = array->room ? 2 * array->room : 4;
        array->items = fake_realloc(array->items, array->room * sizeof(struct fake_reply *));
    }
    array->items[array->count++] = item;
}

void fake_reply_free(struct fake_reply *reply)
{
    if (!reply)
        return;
    for (size_t i = 0; i < reply->count; i++)
        fake_reply_free(reply->items[i]);
    free(reply->items);
    free(reply->text);
    free(reply);
}

static size_t code_bytes(const char *text)
{
    return strcspn(text, " ");
}

bool fake_reply_is_error(const struct fake_reply *reply, const char *code)
{
    return reply->type == FAKE_ERROR && code_bytes(reply->text) == strlen(code) &&
           strncmp(reply->text, code, strlen(code)) == 0;
}

static void print_text(FILE *out, const struct fake_reply *reply)
{
    for (size_t i = 0; i < reply->bytes; i++) {
        unsigned char byte = (unsigned char)reply->text[i];
        if (isprint(byte) && byte != '"' && byte != '\\')
            fputc(byte, out);
        else
            fprintf(out, "\\x%02x", byte);
    }
}

static void print(FILE *out, const struct fake_reply *reply)
{
    switch (reply->type) {
    case FAKE_NIL:
        fputs("nil", out);
        return;
    case FAKE_INTEGER:
        fprintf(out, "%lld", (long long)reply->integer);
        return;
    case FAKE_BULK:
        fputc('"', out);
        print_text(out, reply);
        fputc('"', out);
        return;
    case FAKE_STATUS:
    case FAKE_ERROR:
        fputc(reply->type == FAKE_STATUS ? '+' : '-', out);
        print_text(out, reply);
        return;
    case FAKE_ARRAY:
        fputc('[', out);
        for (size_t i = 0; i < reply->count; i++) {
            fputs(i ? " " : "", out);
            print(out, reply->items[i]);
        }
        fputc(']', out);
        return;
    }
}

char *fake_reply_print(const struct fake_reply *reply)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    print(out, reply);
    fclose(out);
    return text;
}

static bool equal_text(const struct fake_reply *a, const struct fake_reply *b, bool codes_only)
{
    if (a->type == FAKE_ERROR && codes_only)
        return code_bytes(a->text) == code_bytes(b->text) &&
               strncmp(a->text, b->text, code_bytes(a->text)) == 0;
    return a->bytes == b->bytes && memcmp(a->text, b->text, a->bytes) == 0;
}

bool fake_reply_equal(const struct fake_reply *a, const struct fake_reply *b, bool codes_only)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case FAKE_NIL:
        return true;
    case FAKE_INTEGER:
        return a->integer == b->integer;
    case FAKE_BULK:
    case FAKE_STATUS:
    case FAKE_ERROR:
        return equal_text(a, b, codes_only);
    case FAKE_ARRAY:
        if (a->count != b->count)
            return false;
        for (size_t i = 0; i < a->count; i++) {
            if (!fake_reply_equal(a->items[i], b->items[i], codes_only))
                return false;
        }
        return true;
    }
    return false;
}
