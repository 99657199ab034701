/* Random histories for check_fake.c: commands, and small scripts that use them and return odd things. */
#include "tests/sim/check_fake.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;

void draw_seed(uint64_t seed)
{
    random_state = seed;
}

uint64_t draw(uint64_t below)
{
    random_state += 0x9e3779b97f4a7c15u;
    uint64_t x = random_state;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % below;
}

void say(struct line *line, const char *text)
{
    line->count = 0;
    while (*text) {
        size_t size = strcspn(text, " ");
        snprintf(line->words[line->count++], TEXT_BYTES, "%.*s", (int)size, text);
        text += size + (text[size] == ' ');
    }
}

/* Random commands: %k a key, %f a field, %v a value, %i an integer, %s a score, %r a score bound, %t a time
 * in the future in ms, %d a duration in ms, %x a stream id, %n a small index. */

static const char *const forms[] = {
    "GET %k",
    "SET %k %v",
    "SET %k %v NX",
    "SET %k %v XX PX %d",
    "SET %k %v PXAT %t",
    "SET %k %v KEEPTTL GET",
    "SETEX %k 1000 %v",
    "PSETEX %k %d %v",
    "SETNX %k %v",
    "MGET %k %k",
    "MSET %k %v %k %v",
    "INCR %k",
    "INCRBY %k %i",
    "DECR %k",
    "APPEND %k %v",
    "STRLEN %k",
    "GETDEL %k",
    "DEL %k",
    "DEL %k %k",
    "UNLINK %k",
    "EXISTS %k %k",
    "TYPE %k",
    "PEXPIRE %k %d",
    "PEXPIREAT %k %t",
    "PEXPIREAT %k %t GT",
    "PEXPIREAT %k %t LT",
    "PEXPIRE %k %d NX",
    "EXPIRE %k 5000 XX",
    "PEXPIREAT %k 5",
    "PTTL %k",
    "TTL %k",
    "PEXPIRETIME %k",
    "PERSIST %k",
    "KEYS *",
    "KEYS k[",
    "KEYS ?2",
    "DBSIZE",
    "SCAN 0 COUNT 1000",
    "SCAN 0 COUNT 1000 TYPE hash MATCH k*",
    "HSET %k %f %v",
    "HSET %k %f %v %f %v",
    "HSET %k %f",
    "HMSET %k %f %v",
    "HSETNX %k %f %v",
    "HGET %k %f",
    "HMGET %k %f %f %f",
    "HGETALL %k",
    "HKEYS %k",
    "HVALS %k",
    "HDEL %k %f",
    "HDEL %k %f %f",
    "HLEN %k",
    "HEXISTS %k %f",
    "HSTRLEN %k %f",
    "HINCRBY %k %f %i",
    "HINCRBY %k %f 9223372036854775807",
    "HSCAN %k 0 COUNT 1000",
    "SADD %k %f",
    "SADD %k %f %f %f",
    "SREM %k %f",
    "SREM %k %f %f",
    "SMEMBERS %k",
    "SCARD %k",
    "SISMEMBER %k %f",
    "SMISMEMBER %k %f %f",
    "SPOP %k 1000",
    "SSCAN %k 0 COUNT 1000",
    "ZADD %k %s %f",
    "ZADD %k %s %f %s %f",
    "ZADD %k NX %s %f",
    "ZADD %k XX CH %s %f",
    "ZADD %k GT CH %s %f",
    "ZADD %k LT %s %f",
    "ZADD %k INCR %s %f",
    "ZADD %k XX INCR %s %f",
    "ZADD %k x %f",
    "ZINCRBY %k %s %f",
    "ZREM %k %f",
    "ZREM %k %f %f",
    "ZSCORE %k %f",
    "ZMSCORE %k %f %f",
    "ZCARD %k",
    "ZRANK %k %f",
    "ZCOUNT %k %r %r",
    "ZRANGE %k %n %n",
    "ZRANGE %k %n %n WITHSCORES",
    "ZRANGE %k %n %n REV",
    "ZRANGE %k %r %r BYSCORE",
    "ZRANGE %k %r %r BYSCORE REV LIMIT 0 2",
    "ZRANGE %k - + BYLEX",
    "ZREVRANGE %k %n %n",
    "ZRANGEBYSCORE %k %r %r",
    "ZRANGEBYSCORE %k %r %r WITHSCORES LIMIT 1 2",
    "ZRANGEBYSCORE %k -inf %r LIMIT 0 -1",
    "ZREVRANGEBYSCORE %k %r %r",

    "ZREMRANGEBYSCORE %k %r %r",
    "ZREMRANGEBYRANK %k %n %n",
    "ZPOPMIN %k",
    "ZPOPMIN %k 2",
    "ZPOPMAX %k",
    "XADD %k %x %f %v",
    "XADD %k MAXLEN = 3 %x %f %v %f %v",
    "XADD %k NOMKSTREAM %x %f %v",
    "XADD %k MAXLEN 2 %x %f %v",
    "XADD %k MINID 4 %x %f %v",
    "XADD %k %x %f",
    "XLEN %k",
    "XRANGE %k - +",
    "XRANGE %k (%x + COUNT 2",
    "XRANGE %k %x %x",
    "XREVRANGE %k + - COUNT 1",
    "XDEL %k %x %x",
    "XTRIM %k MAXLEN 2",
    "XTRIM %k MINID = 3",
    "PUBLISH c%n %v",
    "PING",
    "ECHO %v",
    "GET",
    "NOSUCH %v",
    "SET %k %v EX 0",
    "SET %k %v NX XX",
    "INCRBY %k x",
    "HINCRBY %k %f 1.5",
    "EXISTS %k",
    "PEXPIRE %k x",
};

static void draw_value(char *out, size_t room)
{
    static const char *const values[] = {"", "0", "1", "-7", "3.5", "abc", "x\ty", "9223372036854775807",
        "{\"a\":[1,2]}", "007", "1e3", "\xc3\xa9\xff"};
    snprintf(out, room, "%s", values[draw(sizeof(values) / sizeof(*values))]);
}

static void draw_score(char *out, size_t room, bool bound)
{
    static const char *const scores[] = {"0", "1", "2", "3", "-1", "1.5", "0.1", "1e20", "1764061262000000",
        "-inf", "+inf", "3.0000000000000004"};
    snprintf(
        out, room, "%s%s", bound && draw(4) == 0 ? "(" : "", scores[draw(sizeof(scores) / sizeof(*scores))]);
}

static void expand(char *out, size_t room, char kind, int64_t future_ms)
{
    switch (kind) {
    case 'k':
        snprintf(out, room, "k%d", (int)draw(6));
        return;
    case 'f':
        snprintf(out, room, "f%d", (int)draw(6));
        return;
    case 'v':
        draw_value(out, room);
        return;
    case 's':
        draw_score(out, room, false);
        return;
    case 'r':
        draw_score(out, room, true);
        return;
    case 'i':
        snprintf(out, room, "%d", (int)draw(2000) - 1000);
        return;
    case 'n':
        snprintf(out, room, "%d", (int)draw(7) - 3);
        return;
    case 'x':
        snprintf(out, room, draw(4) ? "%d-%d" : "%d", (int)draw(12), (int)draw(3));
        return;
    case 't':
        snprintf(out, room, "%lld", (long long)(future_ms + (int64_t)draw(5) * 1000000));
        return;
    default:
        snprintf(out, room, "%d", 600000 + (int)draw(5) * 100000);
        return;
    }
}

void draw_command(struct line *line, int64_t future_ms)
{
    const char *form = forms[draw(sizeof(forms) / sizeof(*forms))];
    static char expanded[WORDS_MAX][64];
    say(line, form);
    for (size_t i = 0; i < line->count; i++) {
        char *percent = strchr(line->words[i], '%');
        if (!percent)
            continue;
        expand(expanded[i], sizeof(expanded[i]), percent[1], future_ms);
        snprintf(percent, 64, "%s", expanded[i]);
    }
}

/* Random scripts. */

static bool has_open_order(const char *command)
{
    static const char *const open[] = {
        "HGETALL", "HKEYS", "HVALS", "SMEMBERS", "KEYS", "SPOP", "SCAN", "HSCAN", "SSCAN", "SET", NULL};
    for (size_t i = 0; open[i]; i++) {
        if (!strcmp(command, open[i]))
            return true;
    }
    return false;
}

static void quote(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++)
        fprintf(out, "\\%03d", (unsigned char)*text);
    fputc('"', out);
}

static void write_call(FILE *out, int64_t future_ms)
{
    static struct line inner;
    do {
        draw_command(&inner, future_ms);
    } while (has_open_order(inner.words[0]) && draw(4));
    bool open = has_open_order(inner.words[0]) && strcmp(inner.words[0], "SET");
    fprintf(out, "%s redis.%s(", open ? "local x =" : "r[#r + 1] =", draw(8) ? "pcall" : "call");
    for (size_t i = 0; i < inner.count; i++) {
        fputs(i ? ", " : "", out);
        if (i && draw(3) == 0 && strspn(inner.words[i], "0123456789") == strlen(inner.words[i]) &&
            inner.words[i][0])
            fputs(inner.words[i][0] == '0' && inner.words[i][1] ? "7" : inner.words[i], out);
        else
            quote(out, inner.words[i]);
    }
    fputs(")\n", out);
    if (open)
        fputs("r[#r + 1] = type(x) == 'table' and (x.err and x or #x) or x\n", out);
}

static void write_oddity(FILE *out)
{
    static const char *const oddities[] = {
        "r[#r + 1] = 3.99\n",
        "r[#r + 1] = -3.99\n",
        "r[#r + 1] = true\n",
        "r[#r + 1] = false\n",
        "r[#r + 1] = {1, 2, nil, 4}\n",
        "r[#r + 1] = {ok = 'FINE'}\n",
        "r[#r + 1] = {err = 'OWN code'}\n",
        "r[#r + 1] = redis.error_reply('GAP')\n",
        "r[#r + 1] = redis.error_reply('-GAP')\n",
        "r[#r + 1] = redis.error_reply('-GAP 5')\n",
        "r[#r + 1] = redis.error_reply('GAP 5')\n",
        "r[#r + 1] = redis.status_reply('DUP')\n",
        "r[#r + 1] = redis.sha1hex('abc')\n",
        "r[#r + 1] = #KEYS\n",
        "r[#r + 1] = KEYS[1]\n",
        "r[#r + 1] = ARGV[2]\n",
        "r[#r + 1] = {}\n",
        "r[#r + 1] = {{}, {'a', {1}}}\n",
        "r[#r + 1] = '\\0\\255'\n",
        "r[#r + 1] = tostring(2^53)\n",
        "r[#r + 1] = 2^53\n",
        "r[#r + 1] = tonumber('1e3')\n",
        "r[#r + 1] = string.format('%.0f', 1764061262000001)\n",
        "r[#r + 1] = 1764061262000000 .. ''\n",
        "error('plain')\n",
        "error({err = 'CODE words'})\n",
        "error({err = 'CODE'})\n",
        "local y = nosuch\n",
        "nosuch = 1\n",
        "r[#r + 1] = redis.pcall()\n",
        "r[#r + 1] = redis.pcall({})\n",
        "redis.call()\n",
        "redis.call('GET')\n",
        "redis.call('NOSUCH')\n",
        "redis.call('EVAL', 'return 1', 0)\n",
        "local t = nil; t.x = 1\n",
        "r[#r + 1] = redis.pcall('SUBSCRIBE', 'x')\n",
        "do return redis.pcall('GET', 'k1', 'k2') end\n",
        "do return {err = 'BARE'} end\n",
        "do return redis.error_reply('-NOOWNER you are gone') end\n",
        "do return end\n",
        "do return 5, 6 end\n",
        "r[#r + 1] = type(redis.call('TIME')[1])\n",
        "r[#r + 1] = type(io)\n", /* `os` is there from 7.4 on */
        "r[#r + 1] = {double = 3.5}\n",
        "r[#r + 1] = print == nil\n",
        "r[#r + 1] = redis.sha1hex(5)\n",
        "r[#r + 1] = tostring(pcall(error, 'in'))\n",
        "r[#r + 1] = select(2, pcall(redis.call, 'GET')).err\n",
    };
    /* What ends the script early is rarer. */
    fputs(oddities[draw(draw(3) ? 24 : sizeof(oddities) / sizeof(*oddities))], out);
}

void draw_script(struct line *line, int64_t future_ms)
{
    static const char *const heads[] = {"", "", "#!lua\n", "#!lua flags=allow-oom\n",
        "#!lua flags=no-writes\n", "#!lua flags=allow-oom,allow-stale\n", "#!lua flags=bogus\n",
        "#!lua nonsense\n", "#!ruby\n", "#!lua"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fputs(heads[draw(draw(4) ? 6 : sizeof(heads) / sizeof(*heads))], out);
    fputs("local r = {}\n", out);
    for (size_t i = draw(6) + 1; i > 0; i--) {
        if (draw(3))
            write_call(out, future_ms);
        else
            write_oddity(out);
    }
    fputs(draw(40) ? "return r\n" : "return r +\n", out);
    fclose(out);
    say(line, "EVAL x 1 k0 a1 a2");
    if (draw(20) == 0)
        say(line, "EVAL x 3 k0");
    if (draw(20) == 0)
        say(line, "EVAL_RO x 0");
    snprintf(line->words[1], TEXT_BYTES, "%s", text);
    free(text);
}
