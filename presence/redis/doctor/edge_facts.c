#include "presence/redis/doctor/edge_facts.h"

#include "presence/base/new.h"
#include "presence/redis/address.h"
#include "presence/redis/doctor/dial.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

enum {
    BODY_MAX = 1 << 30, /* some millions of facts */
    TOKEN_MAX = 1024,   /* as edge.admin.token */
};

/* Key: "<partition> <owner> <channel> u <user>" or "… n", as the edge writes it. */
struct line {
    UT_hash_handle hh;
    bool is_settled;
    char key[];
};

struct owner {
    UT_hash_handle hh;
    char key[]; /* "<partition> <owner>" */
};

struct edge_facts {
    struct line *lines;
    struct owner *owners;
};

/* ---- asking ---- */

/* Everything until the other side closes; to be freed. NULL: it was cut off, or is too much. */
static char *read_all(int fd)
{
    size_t capacity = 1 << 16, length = 0;
    char *text = malloc(capacity);
    ssize_t bytes = 1;
    while (text && bytes > 0) {
        if (length + 1 == capacity) {
            capacity *= 2;
            char *more = capacity > BODY_MAX ? NULL : realloc(text, capacity);
            if (!more)
                free(text);
            text = more;
            continue;
        }
        bytes = recv(fd, text + length, capacity - length - 1, 0);
        length += bytes > 0 ? (size_t)bytes : 0;
    }
    if (text && bytes < 0) {
        free(text);
        return NULL;
    }
    if (text)
        text[length] = '\0';
    return text;
}

static char *ask(const char *edge, const char *token)
{
    char request[TOKEN_MAX + 128];
    bool has_token = token && token[0] && strlen(token) <= TOKEN_MAX;
    int length = snprintf(request, sizeof request,
        "GET /facts HTTP/1.1\r\nHost: verify\r\nConnection: close\r\n%s%s%s\r\n",
        has_token ? "Authorization: Bearer " : "", has_token ? token : "", has_token ? "\r\n" : "");
    struct redis_address address;
    if (redis_address_parse(edge, &address) || address.is_unix)
        return NULL;
    int fd = dial(&address);
    if (fd < 0)
        return NULL;
    char *text = NULL;
    if (send(fd, request, (size_t)length, MSG_NOSIGNAL) == length)
        text = read_all(fd);
    close(fd);
    return text;
}

/* ---- keeping ---- */

static void add_owner(struct edge_facts *facts, const char *key, size_t bytes)
{
    struct owner *owner;
    HASH_FIND(hh, facts->owners, key, bytes, owner);
    if (owner)
        return;
    owner = new_zeroed(sizeof *owner + bytes + 1);
    memcpy(owner->key, key, bytes);
    HASH_ADD(hh, facts->owners, key[0], bytes, owner);
}

/* "<partition> <owner> = <channel> u <user>", or "… ~ <channel> n <number>". */
static void add_line(struct edge_facts *facts, const char *text, size_t bytes)
{
    const char *mark = memmem(text, bytes, " = ", 3);
    bool is_settled = mark != NULL;
    if (!mark)
        mark = memmem(text, bytes, " ~ ", 3);
    if (!mark)
        return;
    size_t head = (size_t)(mark - text), rest = bytes - head - 3;
    const char *number = memmem(mark + 3, rest, " n ", 3);
    if (number)
        rest = (size_t)(number - mark) - 3 + 2;
    struct line *line = new_zeroed(sizeof *line + head + rest + 2), *old;
    int length = sprintf(line->key, "%.*s %.*s", (int)head, text, (int)rest, mark + 3);
    line->is_settled = is_settled;
    HASH_REPLACE(hh, facts->lines, key[0], (size_t)length, line, old);
    free(old);
    add_owner(facts, text, head);
}

static bool add_answer(struct edge_facts *facts, char *answer)
{
    char *body = answer ? strstr(answer, "\r\n\r\n") : NULL;
    if (!body || strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
        return false;
    for (char *line = body + 4; *line;) {
        size_t bytes = strcspn(line, "\n");
        add_line(facts, line, bytes);
        line += bytes + (line[bytes] != '\0');
    }
    return true;
}

struct edge_facts *edge_facts_ask(const struct edges_asked *edges, FILE *out)
{
    struct edge_facts *facts = new_zeroed(sizeof *facts);
    for (size_t i = 0; i < edges->count; i++) {
        char *answer = ask(edges->where[i], edges->token);
        bool wants_token = answer && strncmp(answer, "HTTP/1.1 401 ", 13) == 0;
        if (!add_answer(facts, answer))
            fprintf(out, "edge %s does not say what it holds (GET /facts%s): it is not compared\n",
                edges->where[i], wants_token ? ": another edge.admin.token" : "");
        free(answer);
    }
    return facts;
}

/* ---- questions ---- */

static char *print_key(unsigned partition, const char *owner, size_t owner_bytes, const char *channel,
    const char *user, size_t user_bytes)
{
    char *key = must_have(malloc(strlen(channel) + owner_bytes + 3 * user_bytes + 32));
    char *at =
        key + sprintf(key, "%u %.*s %s %c", partition, (int)owner_bytes, owner, channel, user ? 'u' : 'n');
    if (user)
        *at++ = ' ';
    for (size_t i = 0; user && i < user_bytes; i++) {
        if (user[i] > ' ' && user[i] <= '~' && user[i] != '%')
            *at++ = user[i];
        else
            at += sprintf(at, "%%%02X", (unsigned char)user[i]);
    }
    *at = '\0';
    return key;
}

enum edge_says edge_facts_say(const struct edge_facts *facts, unsigned partition, const char *owner,
    size_t owner_bytes, const char *channel, const char *user, size_t user_bytes)
{
    struct line *line;
    struct owner *known;
    char *key = print_key(partition, owner, owner_bytes, channel, user, user_bytes);
    size_t head = strcspn(key, " ") + 1 + owner_bytes;
    HASH_FIND(hh, facts->owners, key, head, known);
    HASH_FIND(hh, facts->lines, key, strlen(key), line);
    free(key);
    if (!known)
        return EDGE_NOT_ASKED;
    if (!line)
        return EDGE_HOLDS_NOT;
    return line->is_settled ? EDGE_HOLDS : EDGE_MOVES;
}

static size_t unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        char digits[3] = {0};
        if (*from == '%' && from[1] && from[2]) {
            memcpy(digits, from + 1, 2);
            *to = (char)strtoul(digits, NULL, 16);
            from += 3;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}

void edge_facts_each(const struct edge_facts *facts, edge_fact_each *each, void *context)
{
    struct line *line, *next;
    HASH_ITER (hh, facts->lines, line, next) {
        char *copy = new_text(line->key), *rest = copy;
        const char *partition = strsep(&rest, " "), *owner = strsep(&rest, " ");
        const char *channel = strsep(&rest, " "), *kind = strsep(&rest, " ");
        if (line->is_settled && kind)
            each(context, (unsigned)strtoul(partition, NULL, 10), owner, channel, *kind == 'u' ? rest : NULL,
                *kind == 'u' && rest ? unescape(rest) : 0);
        free(copy);
    }
}

void edge_facts_free(struct edge_facts *facts)
{
    struct line *line, *next_line;
    struct owner *owner, *next_owner;
    HASH_ITER (hh, facts->lines, line, next_line) {
        HASH_DEL(facts->lines, line);
        free(line);
    }
    HASH_ITER (hh, facts->owners, owner, next_owner) {
        HASH_DEL(facts->owners, owner);
        free(owner);
    }
    free(facts);
}
