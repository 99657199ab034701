#include "presence/engine/wire.h"

#include "presence/base/new.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *at, *end;
    bool bad;
};

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* A number that ends with a space. */
static uint64_t take_number(struct cursor *cursor, unsigned radix)
{
    uint64_t number = 0;
    const char *begin = cursor->at;
    while (cursor->at < cursor->end && *cursor->at != ' ') {
        unsigned digit = (unsigned)digit_of(*cursor->at++);
        if (digit >= radix || number > (UINT64_MAX - digit) / radix) {
            cursor->bad = true;
            return 0;
        }
        number = number * radix + digit;
    }
    cursor->bad |= cursor->at == begin || cursor->at == cursor->end;
    if (!cursor->bad)
        cursor->at++;
    return number;
}

static const char *take_word(struct cursor *cursor, size_t *length)
{
    const char *begin = cursor->at;
    while (cursor->at < cursor->end && *cursor->at != ' ')
        cursor->at++;
    *length = (size_t)(cursor->at - begin);
    cursor->bad |= !*length || cursor->at == cursor->end;
    if (!cursor->bad)
        cursor->at++;
    return begin;
}

static void parse_user(struct cursor *cursor, struct wire_event *event)
{
    event->timeline = take_word(cursor, &event->timeline_bytes);
    event->previous = take_number(cursor, 10);
    event->version = take_number(cursor, 10);
    event->owner = take_number(cursor, 10);
    uint64_t id_bytes = take_number(cursor, 10);
    if (cursor->bad || id_bytes > (size_t)(cursor->end - cursor->at)) {
        cursor->bad = true;
        return;
    }
    event->id = cursor->at;
    event->id_bytes = (size_t)id_bytes;
    event->info = cursor->at + id_bytes;
    event->info_bytes = (size_t)(cursor->end - event->info);
}

static void parse_count(struct cursor *cursor, struct wire_event *event)
{
    event->timeline = take_word(cursor, &event->timeline_bytes);
    event->version = take_number(cursor, 10);
    for (; cursor->at < cursor->end; cursor->at++) {
        if (*cursor->at < '0' || *cursor->at > '9' || event->count > UINT64_MAX / 16)
            cursor->bad = true;
        else
            event->count = event->count * 10 + (uint64_t)(*cursor->at - '0');
    }
}

static void parse_event(struct cursor *cursor, struct wire_event *event)
{
    size_t length;
    const char *kind = take_word(cursor, &length);
    cursor->bad |= length != 1 || (*kind != 'm' && *kind != 't');
    event->event_kind = length == 1 && *kind == 't' ? STORE_EVENT_TERMINATE : STORE_EVENT_MESSAGE;
    event->ttl_ms = take_number(cursor, 10);
    event->event_id.edge = take_number(cursor, 16);
    event->event_id.serial = take_number(cursor, 16);
    event->exclude.edge = take_number(cursor, 16);
    event->exclude.serial = take_number(cursor, 16);
    event->text = cursor->at;
    event->text_bytes = (size_t)(cursor->end - cursor->at);
}

bool wire_parse(const char *message, size_t bytes, struct wire_event *event)
{
    *event = (struct wire_event){0};
    if (bytes < 3 || message[0] != '1' || message[2] != ' ')
        return false;
    struct cursor cursor = {.at = message + 3, .end = message + bytes};
    event->kind = (enum wire_kind)message[1];
    switch (event->kind) {
    case WIRE_ADDED:
    case WIRE_REMOVED:
    case WIRE_MARKER:
        parse_user(&cursor, event);
        break;
    case WIRE_COUNT:
        parse_count(&cursor, event);
        break;
    case WIRE_EVENT:
        parse_event(&cursor, event);
        break;
    default:
        return false;
    }
    return !cursor.bad;
}

void wire_event_add(struct args *args, const struct store_event *event, uint64_t ttl_ms, struct socket_id id)
{
    char head[160];
    int length =
        snprintf(head, sizeof head, "1e %c %" PRIu64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " ",
            event->kind == STORE_EVENT_TERMINATE ? 't' : 'm', ttl_ms, id.edge, id.serial, event->exclude.edge,
            event->exclude.serial);
    size_t text_bytes = event->frame ? event->frame->text_bytes : 0;
    char *message = new_zeroed((size_t)length + text_bytes + 1);
    memcpy(message, head, (size_t)length);
    if (text_bytes)
        memcpy(message + length, event->frame->text, text_bytes);
    args_add(args, message, (size_t)length + text_bytes);
    free(message);
}

char *wire_app_key(const char *app_id)
{
    char *key = new_zeroed(strlen(app_id) * 3 + 1);
    char *end = key;
    for (const char *c = app_id; *c; c++) {
        if (strchr("%{}:", *c))
            end += sprintf(end, "%%%02X", (unsigned char)*c);
        else
            *end++ = *c;
    }
    return key;
}

unsigned wire_partition(const char *app_id, const char *name, unsigned partitions)
{
    /* FNV-1a, 64 bits: offset basis and prime of its authors */
    uint64_t hash = UINT64_C(14695981039346656037);
    const char *parts[] = {app_id, ":", name};
    for (size_t i = 0; i < 3; i++) {
        for (const char *c = parts[i]; *c; c++)
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    }
    return (unsigned)((hash ^ hash >> 32) % partitions);
}

bool wire_user_parse(const char *value, size_t bytes, struct wire_user *user)
{
    const char *bar = memchr(value, '|', bytes);
    if (!bar || bar == value)
        return false;
    user->owners = value;
    user->owners_bytes = (size_t)(bar - value);
    user->info = bar + 1;
    user->info_bytes = bytes - user->owners_bytes - 1;
    return true;
}

uint64_t wire_user_sockets(const struct wire_user *user)
{
    uint64_t sockets = 1;
    for (size_t i = 0; i < user->owners_bytes; i++)
        sockets += user->owners[i] == ',';
    return sockets;
}

void wire_user_owners(const struct wire_user *user, uint64_t me, bool *mine, bool *others)
{
    uint64_t owner = 0;
    *mine = *others = false;
    for (size_t i = 0; i <= user->owners_bytes; i++) {
        char c = i < user->owners_bytes ? user->owners[i] : ',';
        if (c >= '0' && c <= '9') {
            owner = owner * 10 + (uint64_t)(c - '0');
        } else {
            *mine |= owner == me && me != 0;
            *others |= owner != me && owner != 0;
            owner = 0;
        }
    }
}
