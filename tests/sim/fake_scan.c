/* Cursors: the names in the order of a hash, the cursor being the hash to go on from. So what is there during
 * the whole scan is returned once or more, whatever is added or removed meanwhile, as SCAN promises. */
#include "tests/sim/fake_commands.h"

#include <stdlib.h>

uint64_t scan_hash(const char *name, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3u;
    hash ^= hash >> 29;
    return (hash & 0xffffffffffu) + 1; /* small enough for a Lua number, never 0 */
}

static struct fake_reply *scan_option(struct call *call, size_t i, struct scan *scan)
{
    if (i + 1 >= call->argc)
        return syntax_error();
    if (call_is(call, i, "COUNT")) {
        if (!slice_integer(call->argv[i + 1], &scan->limit))
            return not_an_integer();
        return scan->limit < 1 ? syntax_error() : NULL;
    }
    if (call_is(call, i, "MATCH"))
        scan->pattern = call->argv[i + 1];
    else if (call_is(call, i, "TYPE"))
        scan->type = call->argv[i + 1];
    else
        return syntax_error();
    return NULL;
}

struct fake_reply *scan_arguments(struct call *call, size_t cursor_index, struct scan *scan)
{
    int64_t cursor;
    *scan = (struct scan){.limit = 10};
    if (!slice_integer(call->argv[cursor_index], &cursor) || cursor < 0)
        return fake_error("ERR invalid cursor");
    scan->cursor = (uint64_t)cursor;
    for (size_t i = cursor_index + 1; i < call->argc; i += 2) {
        struct fake_reply *error = scan_option(call, i, scan);
        if (error)
            return error;
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const struct scan_name *left = a, *right = b;
    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

size_t scan_step(struct scan *scan, struct scan_name *names, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (names[i].hash >= scan->cursor)
            names[kept++] = names[i];
    }
    qsort(names, kept, sizeof(*names), compare);
    size_t taken = 0;
    while (taken < kept && (taken < (size_t)scan->limit || names[taken].hash == names[taken - 1].hash))
        taken++;
    scan->cursor = taken < kept ? names[taken].hash : 0;
    return taken;
}

bool glob_matches(struct slice pattern, struct slice text)
{
    while (pattern.size) {
        char c = *pattern.data;
        struct slice rest = {pattern.data + 1, pattern.size - 1};
        if (c == '*') {
            for (size_t i = 0; i <= text.size; i++) {
                if (glob_matches(rest, (struct slice){text.data + i, text.size - i}))
                    return true;
            }
            return false;
        }
        if (c == '\\' && rest.size) {
            c = *rest.data;
            rest = (struct slice){rest.data + 1, rest.size - 1};
        }
        if (!text.size || (*pattern.data != '?' && c != *text.data))
            return false;
        pattern = rest;
        text = (struct slice){text.data + 1, text.size - 1};
    }
    return text.size == 0;
}
