/* The scripts' texts as the servers get them, some of them changed on purpose. */
#include "tests/sim/mutant.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a mutation replaces. A mark that is in no script is an error: then the mutation tests nothing. */
struct replacement {
    const char *mutation;
    const char *mark;
    const char *by;
};

static const struct replacement replacements[] = {
    {"no-sequence", "if number > sequence + 1 then", "if false then"},
    {"no-sequence", "local seen = number <= sequence", "local seen = false"},
    {"no-gap", "if number > sequence + 1 then", "if false then"},
    {"no-dup", "local seen = number <= sequence", "local seen = false"},
    {"no-lease-clock", "math.min(math.max(now - beat_at, 0), math.floor(1.1 * H))", "now - beat_at"},
    {"no-stamp", "elseif s[1] ~= ARGV[1] then", "elseif false then"},
    {"no-stamp", "return a_cluster and (a_cluster ~= cluster or a_shard ~= shard)", "return false"},
    {"no-stamp", "elseif not names.cluster and not is_empty() then", "elseif false then"},
    {"no-timeline", "elseif s[2] ~= timeline then", "elseif false then"},
    {"no-fence", "if record[1] ~= ARGV[4] or not sequence then", "sequence = sequence or 0 if false then"},
    {"no-pairing", "if stamp.st ~= followed then", "if stamp.st ~= followed and not stamp.st then"},
    {"no-clocked-version", "version = math.max(version + 1, (of_roster or 0) + 1, now)",
        "version = version + 1"},
    {"no-usage-lease", "at + L + H < clock", "false"},
    {"no-unanimity", "or try('HGET', base .. ':o:' .. all[i], 'w') ~= wanted then", "then"},
    {"no-left", "call('HSET', copy, 'to', entry)", ""},
    {"no-entry", "refused = refused or other_layout()", ""},
    {"no-due-clock", "moved and '+inf' or text(clock), 'WITHSCORES'",
        "moved and '+inf' or text(now), 'WITHSCORES'"},
    {"no-limit", "if left == -1 then", "if false then"},
    {"no-lift", "for _, key in ipairs({ leases, due }) do", "for _, key in ipairs({}) do"},
};

static const char *const names[] = {"no-sequence", "no-gap", "no-dup", "no-lease-clock", "no-stamp",
    "no-timeline", "no-pairing", "no-fence", "no-lift", "no-clocked-version", "no-usage-lease",
    "no-unanimity", "no-left", "no-due-clock", "no-limit", "no-delivery-majority", "no-entry",
    /* of the engine: in sim_mutant only */
    "no-previous", "no-birth", "no-wait", "no-wait-reads", "no-wait-deltas", "no-scrub", "no-majority",
    "no-restate", "no-beat", "no-info", "no-own-base", "no-gossip", "no-stand", NULL};
static const char *taken_out;

struct prepared {
    char *text;
    char sha[41];
};
static struct prepared prepared[SCRIPT_COUNT];

const char *mutation_names(unsigned index)
{
    return names[index];
}

bool sim_taken_out(const char *name)
{
    return taken_out && !strcmp(taken_out, name);
}

/* Replaces each occurrence of the mark; says how often. The text is replaced by a longer copy. */
static unsigned replace(char **text, const char *mark, const char *by)
{
    unsigned count = 0;
    for (char *at = *text; (at = strstr(at, mark)) != NULL; count++) {
        size_t before = (size_t)(at - *text);
        char *joined = fake_alloc(strlen(*text) + strlen(by) + 1);
        sprintf(joined, "%.*s%s%s", (int)before, *text, by, at + strlen(mark));
        free(*text);
        *text = joined;
        at = joined + before + strlen(by);
    }
    return count;
}

static bool mutate(const char *mutation)
{
    bool known = false;
    for (size_t i = 0; names[i]; i++)
        known = known || !strcmp(names[i], mutation);
    for (size_t i = 0; i < sizeof(replacements) / sizeof(*replacements); i++) {
        const struct replacement *each = &replacements[i];
        if (strcmp(each->mutation, mutation))
            continue;
        unsigned count = 0;
        for (int s = 0; s < SCRIPT_COUNT; s++)
            count += replace(&prepared[s].text, each->mark, each->by);
        if (!count) {
            fprintf(stderr, "no script has the mark of %s: %s\n", mutation, each->mark);
            return false;
        }
    }
    if (!known)
        fprintf(stderr, "no mutation is called %s\n", mutation);
    return known;
}

bool scripts_prepare(const char *mutation)
{
    taken_out = mutation;
    for (int s = 0; s < SCRIPT_COUNT; s++) {
        free(prepared[s].text);
        prepared[s].text = fake_copy(script_texts[s].text, script_texts[s].bytes);
    }
    if (mutation && !mutate(mutation))
        return false;
    struct fake_redis *redis = fake_redis_new(1);
    struct fake_connection *connection = fake_connect(redis, NULL, NULL);
    bool good = true;
    for (int s = 0; s < SCRIPT_COUNT; s++) {
        struct slice argv[] = {{"SCRIPT", 6}, {"LOAD", 4}, {prepared[s].text, strlen(prepared[s].text)}};
        struct fake_reply *reply = fake_command(connection, 3, argv);
        good = good && reply->type == FAKE_BULK;
        if (reply->type == FAKE_BULK)
            memcpy(prepared[s].sha, reply->text, sizeof(prepared[s].sha));
        else
            fprintf(stderr, "%s: %s\n", script_texts[s].name, reply->text);
        fake_reply_free(reply);
    }
    fake_redis_free(redis);
    return good;
}

struct slice script_text(enum script script)
{
    return (struct slice){prepared[script].text, strlen(prepared[script].text)};
}

const char *script_sha(enum script script)
{
    return prepared[script].sha;
}

void scripts_load(struct server *server)
{
    for (int s = 0; s < SCRIPT_COUNT; s++) {
        struct slice argv[] = {{"SCRIPT", 6}, {"LOAD", 4}, script_text((enum script)s)};
        fake_reply_free(fake_command(server->command, 3, argv));
    }
}
