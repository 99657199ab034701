/* rollcall.json(5): what `rollcall --explain` says, in roff. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "presence/base/new.h"

#include <stdlib.h>

static const char head[] = ".TH ROLLCALL.JSON 5 \"\" \"rollcall " ROLLCALL_VERSION "\" \"Rollcall\"\n"
                           ".SH NAME\n"
                           "rollcall.json \\- configuration of the WebSocket edge server rollcall\n"
                           ".SH SYNOPSIS\n"
                           ".B rollcall \\-\\-config\n"
                           ".I FILE\n"
                           ".SH DESCRIPTION\n"
                           "One JSON object. Lines whose first characters are // are comments. Every key may "
                           "be left out, unless it\n"
                           "says \\(dqrequired\\(dq; a file that says {} is a good one. A change is taken "
                           "up on SIGHUP, unless it says\n"
                           "\\(dqneeds a restart\\(dq.\n"
                           ".PP\n"
                           ".B rollcall \\-\\-config\n"
                           ".I FILE\n"
                           ".B \\-\\-check\n"
                           "reads it without serving, and says of each problem the file, the line, the path "
                           "of the key and what was\n"
                           "expected.\n"
                           ".PP\n"
                           "A secret is a text,\n"
                           ".RI {\\(dqenv\\(dq:\\ \\(dq NAME \\(dq}\n"
                           "for the value of an environment variable, or\n"
                           ".RI {\\(dqfile\\(dq:\\ \\(dq PATH \\(dq}\n"
                           "for what a file holds, without the line feed at its end; a path that is not "
                           "absolute is looked for in the\n"
                           "folder of the configuration.\n"
                           ".SH KEYS\n";

static const char foot[] = ".SH FILES\n"
                           ".TP\n"
                           ".I /etc/rollcall/rollcall.json\n"
                           "What rollcall.service of the Debian package reads.\n"
                           ".TP\n"
                           ".I /usr/share/doc/rollcall/examples/\n"
                           "Configurations for one process and for fleets, with a reason beside each line.\n"
                           ".SH SEE ALSO\n"
                           ".BR rollcall (1)\n";

/* Text of a paragraph: nothing in it is taken for a request or an escape, and every - is the one of the keyboard. */
static void print_text(FILE *out, const char *text)
{
    fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
    fputc('\n', out);
}

static void print_kind(FILE *out, const struct config_key *key)
{
    char *words = NULL;
    size_t length;
    FILE *stream = must_have(open_memstream(&words, &length));
    config_explain_kind(stream, key);
    must(fclose(stream) == 0);
    print_text(out, words);
    free(words);
}

static void print_keys(FILE *out, const struct config_key *keys, const char *prefix)
{
    for (const struct config_key *key = keys; key->name; key++) {
        char path[CONFIG_PATH_BYTES];
        config_explain_path(key, prefix, path, sizeof(path));
        fputs(".TP\n.B ", out);
        print_text(out, path);
        print_text(out, key->sentence);
        fputs(".br\n", out);
        print_kind(out, key);
        if (key->keys)
            print_keys(out, key->keys, path);
    }
}

void config_manual(FILE *out)
{
    fputs(head, out);
    print_keys(out, config_table, "");
    fputs(foot, out);
}
