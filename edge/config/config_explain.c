/* The reference of all keys, as text, from the table. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include <string.h>

enum { WIDTH = 78, INDENT = 4 };

/* Words of a sentence in lines of at most WIDTH columns. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%*s%.*s", column ? 1 : INDENT, "", (int)word, text);
        text += word + (text[word] == ' ');
    }
    fputc('\n', out);
}

static void print_number(FILE *out, const struct config_key *key)
{
    fprintf(out, "whole number from %ju to %ju", (uintmax_t)key->min, (uintmax_t)key->max);
    if (key->unit)
        fprintf(out, " %s", key->unit);
    if (key->zero)
        fprintf(out, "; 0: %s", key->zero);
    fprintf(out, "; default %ju", (uintmax_t)key->number);
}

static void print_choices(FILE *out, const struct config_key *key)
{
    for (int i = 0; key->choices[i]; i++)
        fprintf(out, "%s\"%s\"", i ? " or " : "", key->choices[i]);
    fprintf(out, "; default \"%s\"", key->text);
}

static void print_text(FILE *out, const struct config_key *key, const char *kind)
{
    fprintf(out, "%s of %ju to %ju bytes", kind, (uintmax_t)key->min, (uintmax_t)key->max);
    if (key->text && strlen(key->text) >= key->min)
        fprintf(out, "; default \"%s\"", key->text);
    else if (!key->required && !key->unless)
        fputs("; default: none", out);
}

static void print_list(FILE *out, const struct config_key *key)
{
    fprintf(out, "list of %ju to %ju ", (uintmax_t)key->min, (uintmax_t)key->max);
    if (key->item)
        fprintf(out, "texts, each of %ju to %ju bytes", (uintmax_t)key->item->min, (uintmax_t)key->item->max);
    else
        fputs("objects", out);
    if (!key->required)
        fprintf(out, "; default: %s", key->number ? "one, of defaults" : "none");
}

static void print_neighbours(FILE *out, const struct config_key *key)
{
    if (key->required)
        fputs("; required", out);
    if (key->unless)
        fprintf(out, "; required unless \"%s\" is there", key->unless);
    if (key->needs)
        fprintf(out, "; together with \"%s\"", key->needs);
    if (key->excludes)
        fprintf(out, "; not beside \"%s\"", key->excludes);
    if (key->restart)
        fputs("; a change needs a restart", out);
}

void config_explain_kind(FILE *out, const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_NUMBER:
        print_number(out, key);
        break;
    case CONFIG_BOOL:
        fprintf(out, "true or false; default %s", key->number ? "true" : "false");
        break;
    case CONFIG_TEXT:
    case CONFIG_IGNORED:
        print_text(out, key, "text");
        break;
    case CONFIG_SECRET:
        print_text(out, key, "secret");
        break;
    case CONFIG_CHOICE:
        print_choices(out, key);
        break;
    case CONFIG_OBJECT:
        fputs(key->optional ? "object; default: none" : "object", out);
        break;
    case CONFIG_LIST:
        print_list(out, key);
        break;
    }
    print_neighbours(out, key);
}

void config_explain_path(const struct config_key *key, const char *prefix, char *path, size_t bytes)
{
    snprintf(path, bytes, "%s%s%s%s", prefix, prefix[0] ? "." : "", key->name,
        key->type == CONFIG_LIST ? "[]" : "");
}

static void explain(FILE *out, const struct config_key *keys, const char *prefix)
{
    for (const struct config_key *key = keys; key->name; key++) {
        char path[CONFIG_PATH_BYTES];
        config_explain_path(key, prefix, path, sizeof(path));
        fprintf(out, "\n%s\n", path);
        print_wrapped(out, key->sentence);
        fprintf(out, "%*s", INDENT, "");
        config_explain_kind(out, key);
        fputc('\n', out);
        if (key->keys)
            explain(out, key->keys, path);
    }
}

void config_explain(FILE *out)
{
    fputs("The configuration is one JSON object. Lines whose first characters are // are comments.\n"
          "Every key may be left out, unless it says \"required\".\n"
          "A change is taken up by `rollcall reload` or SIGHUP, unless it says \"needs a restart\".\n",
        out);
    explain(out, config_table, "");
}
