#include "tests/sim/fake_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct key *data_find(const struct fake_data *data, struct slice name)
{
    struct key *key;
    HASH_FIND(hh, data->keys, name.data, name.size, key);
    return key;
}

struct key *data_add(struct fake_data *data, struct slice name, enum fake_type type)
{
    struct key *key = fake_alloc(sizeof(*key));
    key->name = fake_copy(name.data, name.size);
    key->name_bytes = name.size;
    key->type = type;
    key->expires_ms = FAKE_NO_EXPIRY;
    HASH_ADD_KEYPTR(hh, data->keys, key->name, key->name_bytes, key);
    return key;
}

static void free_entry(struct entry *entry)
{
    free(entry->name);
    free(entry->value);
    free(entry);
}

static void free_content(struct key *key)
{
    struct entry *entry, *next;
    HASH_ITER (hh, key->entries, entry, next) {
        HASH_DEL(key->entries, entry);
        free_entry(entry);
    }
    for (size_t i = 0; i < key->stream_count; i++)
        fake_reply_free(key->stream[i].fields);
    free(key->stream);
    free(key->string);
}

void data_delete(struct fake_data *data, struct key *key)
{
    HASH_DEL(data->keys, key);
    free_content(key);
    free(key->name);
    free(key);
}

void data_clear(struct fake_data *data)
{
    struct key *key, *next;
    HASH_ITER (hh, data->keys, key, next) {
        data_delete(data, key);
    }
}

static struct fake_reply *copy_fields(const struct fake_reply *fields)
{
    struct fake_reply *copy = fake_array();
    for (size_t i = 0; i < fields->count; i++)
        fake_push(copy, fake_bulk(fields->items[i]->text, fields->items[i]->bytes));
    return copy;
}

static void copy_key(struct fake_data *to, const struct key *from)
{
    struct key *key = data_add(to, (struct slice){from->name, from->name_bytes}, from->type);
    key->expires_ms = from->expires_ms;
    if (from->string)
        key_set_string(key, (struct slice){from->string, from->string_bytes});
    for (struct entry *entry = from->entries; entry; entry = entry->hh.next) {
        struct entry *copy = entry_add(key, (struct slice){entry->name, entry->name_bytes}, NULL);
        copy->score = entry->score;
        if (entry->value)
            entry_set_value(copy, (struct slice){entry->value, entry->value_bytes});
    }
    for (size_t i = 0; i < from->stream_count; i++)
        stream_append(key, from->stream[i].id, copy_fields(from->stream[i].fields));
    key->last_id = from->last_id;
}

void data_copy(struct fake_data *to, const struct fake_data *from)
{
    for (const struct key *key = from->keys; key; key = key->hh.next)
        copy_key(to, key);
}

void key_set_string(struct key *key, struct slice value)
{
    char *copy = fake_copy(value.data, value.size);
    free(key->string);
    key->string = copy;
    key->string_bytes = value.size;
}

struct entry *entry_find(const struct key *key, struct slice name)
{
    struct entry *entry;
    HASH_FIND(hh, key->entries, name.data, name.size, entry);
    return entry;
}

struct entry *entry_add(struct key *key, struct slice name, bool *added)
{
    struct entry *entry = entry_find(key, name);
    if (added)
        *added = !entry;
    if (entry)
        return entry;
    entry = fake_alloc(sizeof(*entry));
    entry->name = fake_copy(name.data, name.size);
    entry->name_bytes = name.size;
    HASH_ADD_KEYPTR(hh, key->entries, entry->name, entry->name_bytes, entry);
    return entry;
}

void entry_set_value(struct entry *entry, struct slice value)
{
    char *copy = fake_copy(value.data, value.size);
    free(entry->value);
    entry->value = copy;
    entry->value_bytes = value.size;
}

void entry_delete(struct key *key, struct entry *entry)
{
    HASH_DEL(key->entries, entry);
    free_entry(entry);
}

size_t entry_count(const struct key *key)
{
    return HASH_COUNT(key->entries);
}

void stream_append(struct key *key, struct stream_id id, struct fake_reply *fields)
{
    if (key->stream_count == key->stream_room) {
        key->stream_room = key->stream_room ? 2 * key->stream_room : 4;
        key->stream = fake_realloc(key->stream, key->stream_room * sizeof(*key->stream));
    }
    key->stream[key->stream_count++] = (struct stream_entry){.id = id, .fields = fields};
    key->last_id = id;
}

void stream_delete(struct key *key, size_t index)
{
    fake_reply_free(key->stream[index].fields);
    size_t behind = key->stream_count - index - 1;
    memmove(&key->stream[index], &key->stream[index + 1], behind * sizeof(*key->stream));
    key->stream_count--;
}

int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.sequence < b.sequence ? -1 : a.sequence > b.sequence;
}

bool key_is_empty(const struct key *key)
{
    switch (key->type) {
    case FAKE_HASH:
    case FAKE_SET:
    case FAKE_ZSET:
        return !key->entries;
    case FAKE_STRING:
    case FAKE_STREAM:
        return false;
    }
    return false;
}

/* Dumps: each key becomes lines "name type …", and all lines are sorted. */

struct lines {
    char **lines;
    size_t count;
    size_t room;
};

static void add_line(struct lines *lines, struct fake_reply *parts)
{
    if (lines->count == lines->room) {
        lines->room = lines->room ? 2 * lines->room : 64;
        lines->lines = fake_realloc(lines->lines, lines->room * sizeof(char *));
    }
    lines->lines[lines->count++] = fake_reply_print(parts);
    fake_reply_free(parts);
}

static struct fake_reply *start_line(const struct key *key)
{
    static const char *const names[] = {"string", "hash", "set", "zset", "stream"};
    struct fake_reply *line = fake_array();
    fake_push(line, fake_bulk(key->name, key->name_bytes));
    fake_push(line, fake_text(names[key->type]));
    return line;
}

static void dump_entries(struct lines *lines, const struct key *key)
{
    for (struct entry *entry = key->entries; entry; entry = entry->hh.next) {
        struct fake_reply *line = start_line(key);
        fake_push(line, fake_bulk(entry->name, entry->name_bytes));
        if (key->type == FAKE_HASH)
            fake_push(line, fake_bulk(entry->value, entry->value_bytes));
        if (key->type == FAKE_ZSET)
            fake_push(line, fake_double(entry->score));
        add_line(lines, line);
    }
}

static void dump_key(struct lines *lines, const struct key *key, bool with_expiries)
{
    struct fake_reply *line = start_line(key);
    if (with_expiries)
        fake_push(line, fake_integer(key->expires_ms));
    if (key->type == FAKE_STRING)
        fake_push(line, fake_bulk(key->string, key->string_bytes));
    add_line(lines, line);
    dump_entries(lines, key);
    for (size_t i = 0; i < key->stream_count; i++) {
        line = start_line(key);
        fake_push(line, fake_integer((int64_t)key->stream[i].id.ms));
        fake_push(line, fake_integer((int64_t)key->stream[i].id.sequence));
        fake_push(line, copy_fields(key->stream[i].fields));
        add_line(lines, line);
    }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *data_dump(const struct fake_data *data, bool with_expiries)
{
    struct lines lines = {0};
    for (const struct key *key = data->keys; key; key = key->hh.next)
        dump_key(&lines, key, with_expiries);
    if (lines.count)
        qsort(lines.lines, lines.count, sizeof(char *), compare_lines);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    for (size_t i = 0; i < lines.count; i++) {
        fprintf(out, "%s\n", lines.lines[i]);
        free(lines.lines[i]);
    }
    fclose(out);
    free(lines.lines);
    return text;
}
