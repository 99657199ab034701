/* What is said about a configuration that is not accepted. */
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"
#include "presence/base/new.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_SHOWN = 40, NAME_BYTES_COMPARED = 64 };

/* Names of files and variables are shown as they are: keep it one line. */
static void keep_in_line(struct buffer *words)
{
    for (char *c = words->bytes; c < words->bytes + words->length; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

/* Takes the words over. */
static void keep(struct config_reading *reading, size_t file, unsigned line, struct buffer *words)
{
    keep_in_line(words);
    buffer_add(words, "", 1);
    size_t order = reading->problem_count++;
    reading->problems[order] =
        (struct config_problem){.file = file, .line = line, .order = order, .words = words->bytes};
}

static void add_words(struct buffer *words, const char *format, va_list arguments)
{
    char *said = new_vprinted(format, arguments);
    buffer_add_string(words, said);
    free(said);
}

void config_complain(
    struct config_reading *reading, const struct config_place *place, const char *format, ...)
{
    if (reading->problem_count >= CONFIG_PROBLEMS_MAX) {
        reading->problem_count++;
        return;
    }
    struct buffer words = {0};
    config_place_print(place, &words);
    if (words.length > 0)
        buffer_add_string(&words, ": ");
    va_list arguments;
    va_start(arguments, format);
    add_words(&words, format, arguments);
    va_end(arguments);
    size_t file = config_place_file(place);
    const struct config_file *text = &reading->files[file];
    keep(reading, file, config_place_line(place, text->text, text->length), &words);
}

void config_warn(struct config_reading *reading, const struct config_place *place, const char *format, ...)
{
    struct buffer words = {0};
    const struct config_file *text = &reading->files[config_place_file(place)];
    buffer_printf(&words, "%s:%u: ", text->name, config_place_line(place, text->text, text->length));
    config_place_print(place, &words);
    buffer_add_string(&words, ": ");
    va_list arguments;
    va_start(arguments, format);
    add_words(&words, format, arguments);
    va_end(arguments);
    keep_in_line(&words);
    buffer_add(&reading->warnings, words.bytes, words.length);
    buffer_add_string(&reading->warnings, "\n");
    buffer_deinit(&words);
}

void config_complain_at(struct config_reading *reading, size_t file, unsigned line, const char *format, ...)
{
    if (reading->problem_count >= CONFIG_PROBLEMS_MAX) {
        reading->problem_count++;
        return;
    }
    struct buffer words = {0};
    va_list arguments;
    va_start(arguments, format);
    add_words(&words, format, arguments);
    va_end(arguments);
    keep(reading, file, line, &words);
}

static int compare_problems(const void *a, const void *b)
{
    const struct config_problem *left = a, *right = b;
    if (left->file != right->file)
        return left->file < right->file ? -1 : 1;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

void config_problems_print(struct config_reading *reading, FILE *errors)
{
    size_t kept = reading->problem_count;
    if (kept > CONFIG_PROBLEMS_MAX)
        kept = CONFIG_PROBLEMS_MAX;
    qsort(reading->problems, kept, sizeof(reading->problems[0]), compare_problems);
    for (size_t i = 0; i < kept; i++) {
        const struct config_problem *problem = &reading->problems[i];
        fprintf(errors, "%s:%u: %s\n", reading->files[problem->file].name, problem->line, problem->words);
        free(problem->words);
    }
    if (reading->problem_count > kept)
        fprintf(errors, "%s: and %zu more problems\n", reading->files[0].name, reading->problem_count - kept);
    reading->problem_count = 0;
}

static void describe_text(const char *value, size_t length, struct buffer *words)
{
    size_t shown = length;
    if (shown > TEXT_BYTES_SHOWN)
        for (shown = TEXT_BYTES_SHOWN; ((unsigned char)value[shown] & 0xc0) == 0x80; shown--)
            ; /* not into the middle of a character */
    json_t *piece = json_stringn_nocheck(value, shown);
    char *quoted = json_dumps(piece, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    buffer_printf(words, "%s%s", quoted, shown < length ? "…" : "");
    free(quoted);
    json_decref(piece);
}

void config_describe(json_t *value, struct buffer *words)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        buffer_add_string(words, "an object");
        break;
    case JSON_ARRAY:
        buffer_add_string(words, "a list");
        break;
    case JSON_STRING:
        describe_text(json_string_value(value), json_string_length(value), words);
        break;
    case JSON_INTEGER:
        buffer_printf(words, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        buffer_printf(words, "%.12g", json_real_value(value));
        break;
    case JSON_TRUE:
        buffer_add_string(words, "true");
        break;
    case JSON_FALSE:
        buffer_add_string(words, "false");
        break;
    case JSON_NULL:
        buffer_add_string(words, "null");
        break;
    }
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters must be changed, added or taken out, or neighbours swapped, to get from one to the other.
 */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NAME_BYTES_COMPARED + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    size_t length = strlen(b);
    for (size_t j = 0; j <= length; j++)
        above[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smallest(row[j], before[j - 2] + 1, row[j]);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[length];
}

const char *config_nearest_key(const struct config_key *keys, const char *name)
{
    size_t length = strlen(name);
    if (length > NAME_BYTES_COMPARED)
        return NULL;
    const char *nearest = NULL;
    size_t least = length / 3 + 2; /* further away it is another word */
    for (const struct config_key *key = keys; key->name; key++) {
        size_t apart = distance(key->name, name);
        if (apart < least && apart < strlen(key->name)) {
            least = apart;
            nearest = key->name;
        }
    }
    return nearest;
}
