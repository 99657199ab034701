/* Where a value stands: its path in words, and its line. jansson forgets positions, so the line is looked for
 * in the text, and only when there is something to say about it. The text was parsed before, so this scanner
 * may trust its form. */
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"

#include <string.h>

enum { DEPTH_MAX = 32, KEY_BYTES_SHOWN = 60 };

struct scanner {
    const char *at, *end;
};

static bool is_plain_key(const char *key)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-$";
    return key[0] && strspn(key, plain) == strlen(key);
}

static void print_key(const char *key, bool first, struct buffer *text)
{
    if (is_plain_key(key) && strlen(key) <= KEY_BYTES_SHOWN) {
        buffer_printf(text, "%s%s", first ? "" : ".", key);
        return;
    }
    json_t *value = json_string(key);
    buffer_add_string(text, "[");
    config_describe(value, text);
    buffer_add_string(text, "]");
    json_decref(value);
}

void config_place_print(const struct config_place *place, struct buffer *text)
{
    if (!place->parent)
        return;
    config_place_print(place->parent, text);
    if (place->key)
        print_key(place->key, !place->parent->parent, text);
    else
        buffer_printf(text, "[%zu]", place->index);
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at))
        s->at++;
}

static void skip_string(struct scanner *s)
{
    for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
        if (*s->at == '\\')
            s->at++;
    s->at++;
}

/* Over a whole value; depth is counted, so that nesting costs no stack. */
static void skip_value(struct scanner *s)
{
    size_t depth = 0;
    while (s->at < s->end) {
        char c = *s->at;
        if (c == '"') {
            skip_string(s);
            if (depth == 0)
                return;
            continue;
        }
        if (depth == 0 && strchr(",]} \t\r\n", c))
            return;
        s->at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return;
    }
}

/* Compares a JSON string, as written, with a key. */
static bool string_is(const char *from, const char *to, const char *key)
{
    size_t length = strlen(key);
    if (!memchr(from, '\\', (size_t)(to - from)))
        return (size_t)(to - from) == length + 2 && memcmp(from + 1, key, length) == 0;
    json_t *decoded = json_loadb(from, (size_t)(to - from), JSON_DECODE_ANY, NULL);
    bool same = decoded && strcmp(json_string_value(decoded), key) == 0;
    json_decref(decoded);
    return same;
}

/* At a '{': goes to the value of that key; returns where the key stands, or NULL. */
static const char *enter_key(struct scanner *s, const char *key)
{
    s->at++;
    for (;;) {
        skip_space(s);
        if (s->at >= s->end || *s->at != '"')
            return NULL;
        const char *from = s->at;
        skip_string(s);
        bool found = string_is(from, s->at, key);
        skip_space(s);
        s->at++; /* the colon */
        skip_space(s);
        if (found)
            return from;
        skip_value(s);
        skip_space(s);
        if (s->at >= s->end || *s->at != ',')
            return NULL;
        s->at++;
    }
}

/* At a '[': goes to that item, and returns where it begins, or NULL. */
static const char *enter_item(struct scanner *s, size_t index)
{
    s->at++;
    skip_space(s);
    if (s->at < s->end && *s->at == ']')
        return NULL;
    for (; index > 0; index--) {
        skip_value(s);
        skip_space(s);
        if (s->at >= s->end || *s->at != ',')
            return NULL;
        s->at++;
        skip_space(s);
    }
    return s->at;
}

static const char *enter(struct scanner *s, const struct config_place *step)
{
    if (s->at >= s->end || *s->at != (step->key ? '{' : '['))
        return NULL;
    return step->key ? enter_key(s, step->key) : enter_item(s, step->index);
}

/* The position of the place, or of the innermost thing around it that is there; *all says which. */
static const char *find(const struct config_place *place, const char *text, size_t length, bool *all)
{
    const struct config_place *steps[DEPTH_MAX];
    size_t depth = 0;
    for (; place->parent && depth < DEPTH_MAX; place = place->parent)
        steps[depth++] = place;
    struct scanner s = {text, text + length};
    skip_space(&s);
    const char *found = s.at;
    while (depth > 0) {
        const char *next = enter(&s, steps[depth - 1]);
        if (!next)
            break;
        found = next;
        depth--;
    }
    *all = depth == 0;
    return found;
}

unsigned config_place_line(const struct config_place *place, const char *text, size_t length)
{
    bool all;
    const char *found = find(place, text, length, &all);
    unsigned line = 1;
    for (const char *c = text; c < found; c++)
        line += *c == '\n';
    return line;
}

bool config_place_is_there(const struct config_place *place, const char *text, size_t length)
{
    bool all;
    find(place, text, length, &all);
    return all;
}

size_t config_place_file(const struct config_place *place)
{
    while (place->parent)
        place = place->parent;
    return place->index;
}
