/* Scripts of the fake Redis: EVAL and its family.
 *
 * Functions are compiled once per text for the whole process and kept by their sha1; which of them an instance "has
 * loaded" is kept in the instance, so SCRIPT FLUSH and restarts are cheap.
 */
#include "tests/sim/fake_lua.h"

#include <stdlib.h>
#include <string.h>

static lua_State *lua;

/* The shebang. */

static const struct {
    const char *name;
    unsigned flag;
} flag_names[] = {
    {"no-writes", SCRIPT_NO_WRITES},
    {"allow-oom", SCRIPT_ALLOW_OOM},
    {"allow-stale", SCRIPT_ALLOW_STALE},
    {"no-cluster", SCRIPT_NO_CLUSTER},
    {"allow-cross-slot-keys", SCRIPT_ALLOW_CROSS_SLOT},
};

static struct fake_reply *parse_flag(struct slice name, unsigned *flags)
{
    for (size_t i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++) {
        if (slice_is(name, flag_names[i].name)) {
            *flags |= flag_names[i].flag;
            return NULL;
        }
    }
    return fake_error("ERR Unexpected flag in script shebang: %.*s", (int)name.size, name.data);
}

static struct fake_reply *parse_flags(struct slice list, unsigned *flags)
{
    while (list.size) {
        const char *comma = memchr(list.data, ',', list.size);
        size_t size = comma ? (size_t)(comma - list.data) : list.size;
        struct fake_reply *error = size ? parse_flag((struct slice){list.data, size}, flags) : NULL;
        if (error)
            return error;
        size_t used = size + (comma != NULL);
        list = (struct slice){list.data + used, list.size - used};
    }
    return NULL;
}

/* The flags of a script and how long its first line is, without the newline. */
static struct fake_reply *parse_shebang(struct slice body, unsigned *flags, size_t *line_bytes)
{
    *flags = SCRIPT_COMPATIBLE;
    *line_bytes = 0;
    if (body.size < 2 || memcmp(body.data, "#!", 2) != 0)
        return NULL;
    const char *end = memchr(body.data, '\n', body.size);
    if (!end)
        return fake_error("ERR Invalid script shebang");
    *flags = 0;
    *line_bytes = (size_t)(end - body.data);
    for (size_t at = 0; at < *line_bytes;) {
        struct slice word = {body.data + at, 0};
        while (at + word.size < *line_bytes && word.data[word.size] != ' ')
            word.size++;
        if (at == 0 && !slice_is(word, "#!lua"))
            return fake_error("ERR Unexpected engine in script shebang: %.*s", (int)word.size, word.data);
        if (at && word.size > 6 && memcmp(word.data, "flags=", 6) == 0) {
            struct fake_reply *error = parse_flags((struct slice){word.data + 6, word.size - 6}, flags);
            if (error)
                return error;
        } else if (at && word.size) {
            return fake_error("ERR Unknown lua shebang option: %.*s", (int)word.size, word.data);
        }
        at += word.size + 1;
    }
    return NULL;
}

/* Compiling: registry.scripts[sha] = {function, flags}. */

static bool push_compiled(const char *sha)
{
    lua_getfield(lua, LUA_REGISTRYINDEX, "scripts");
    lua_getfield(lua, -1, sha);
    lua_remove(lua, -2);
    if (lua_istable(lua, -1))
        return true;
    lua_pop(lua, 1);
    return false;
}

static struct fake_reply *compile(struct slice body, const char *sha)
{
    lua = lua_get();
    if (push_compiled(sha)) {
        lua_pop(lua, 1);
        return NULL;
    }
    unsigned flags;
    size_t line_bytes;
    struct fake_reply *error = parse_shebang(body, &flags, &line_bytes);
    if (error)
        return error;
    if (luaL_loadbuffer(lua, body.data + line_bytes, body.size - line_bytes, "@user_script")) {
        error = fake_error("ERR Error compiling script (new function): %s", lua_tostring(lua, -1));
        lua_pop(lua, 1);
        return error;
    }
    lua_getfield(lua, LUA_REGISTRYINDEX, "scripts");
    lua_newtable(lua);
    lua_pushvalue(lua, -3);
    lua_rawseti(lua, -2, 1);
    lua_pushnumber(lua, flags);
    lua_rawseti(lua, -2, 2);
    lua_setfield(lua, -2, sha);
    lua_pop(lua, 2);
    return NULL;
}

static unsigned compiled_flags(const char *sha)
{
    if (!push_compiled(sha))
        abort();
    lua_rawgeti(lua, -1, 2);
    unsigned flags = (unsigned)lua_tonumber(lua, -1);
    lua_pop(lua, 2);
    return flags;
}

static void remember(struct fake_redis *redis, const char *sha)
{
    struct loaded_script *script;
    HASH_FIND(hh, redis->scripts, sha, 40, script);
    if (script)
        return;
    script = fake_alloc(sizeof(*script));
    memcpy(script->sha, sha, sizeof(script->sha));
    script->flags = compiled_flags(sha);
    HASH_ADD_KEYPTR(hh, redis->scripts, script->sha, 40, script);
}

struct fake_reply *script_load(struct fake_redis *redis, struct slice body)
{
    char sha[41] = "";
    sha1_hex(body, sha);
    struct fake_reply *error = compile(body, sha);
    if (error)
        return error;
    remember(redis, sha);
    return fake_text(sha);
}

/* Running. */

static void set_list(const char *name, const struct slice *items, size_t count)
{
    lua_pushstring(lua, name);
    lua_createtable(lua, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(lua, items[i].data, items[i].size);
        lua_rawseti(lua, -2, (int)i + 1);
    }
    lua_rawset(lua, LUA_GLOBALSINDEX);
}

static struct fake_reply *describe_error(const char *sha)
{
    if (!lua_istable(lua, -1))
        return fake_error("ERR Error running script (call to f_%s): %s", sha, lua_tostring(lua, -1));
    lua_getfield(lua, -1, "err");
    lua_getfield(lua, -2, "source");
    lua_getfield(lua, -3, "line");
    const char *text = lua_isstring(lua, -3) ? lua_tostring(lua, -3) : "ERR unknown error";
    struct fake_reply *reply;
    if (lua_isstring(lua, -2) && lua_isnumber(lua, -1))
        reply = fake_error(
            "%s script: %s, on %s:%d.", text, sha, lua_tostring(lua, -2), (int)lua_tonumber(lua, -1));
    else
        reply = fake_error("%s script: %s.", text, sha);
    lua_pop(lua, 3);
    return reply;
}

/* Runs the function on top of the stack and takes it off. */
static struct fake_reply *run_function(const char *sha)
{
    lua_getfield(lua, LUA_REGISTRYINDEX, "error handler");
    lua_insert(lua, -2);
    int failed = lua_pcall(lua, 0, 1, -2);
    struct fake_reply *reply = failed ? describe_error(sha) : lua_convert();
    lua_pop(lua, 2);
    return reply;
}

static struct fake_reply *run_script(
    struct call *call, const char *sha, size_t keys, unsigned flags, bool read_only)
{
    if (read_only && !(flags & (SCRIPT_NO_WRITES | SCRIPT_COMPATIBLE))) {
        lua_pop(lua, 1);
        return fake_error("ERR Can not execute a script with write flag using *_ro command.");
    }
    set_list("KEYS", call->argv + 3, keys);
    set_list("ARGV", call->argv + 3 + keys, call->argc - 3 - keys);
    lua_enter(call->redis, flags | (read_only ? SCRIPT_NO_WRITES : 0u));
    struct fake_reply *reply = run_function(sha);
    lua_enter(NULL, 0);
    return reply;
}

static struct fake_reply *find_script(struct call *call, bool by_sha, char sha[41])
{
    if (!by_sha) {
        sha1_hex(call->argv[1], sha);
        struct fake_reply *error = compile(call->argv[1], sha);
        if (!error)
            remember(call->redis, sha);
        return error;
    }
    struct loaded_script *script = NULL;
    if (call->argv[1].size == 40)
        HASH_FIND(hh, call->redis->scripts, call->argv[1].data, 40, script);
    if (!script)
        return fake_error("NOSCRIPT No matching script. Please use EVAL.");
    memcpy(sha, script->sha, 41);
    return NULL;
}

unsigned script_command_flags(struct call *call)
{
    unsigned flags = SCRIPT_COMPATIBLE;
    struct loaded_script *loaded = NULL;
    if (call->argv[1].size == 40)
        HASH_FIND(hh, call->redis->scripts, call->argv[1].data, 40, loaded);
    if (loaded)
        flags = loaded->flags;
    size_t line_bytes;
    struct fake_reply *error = loaded ? NULL : parse_shebang(call->argv[1], &flags, &line_bytes);
    fake_reply_free(error);
    if (error || (flags & SCRIPT_COMPATIBLE))
        return 0;
    unsigned grows = flags & (SCRIPT_ALLOW_OOM | SCRIPT_NO_WRITES) ? 0 : COMMAND_GROWS;
    return grows | (flags & SCRIPT_NO_WRITES ? 0 : (unsigned)COMMAND_WRITES);
}

struct fake_reply *script_evaluate(struct call *call, bool by_sha, bool read_only)
{
    int64_t keys;
    if (!slice_integer(call->argv[2], &keys))
        return not_an_integer();
    if (keys > (int64_t)call->argc - 3)
        return fake_error("ERR Number of keys can't be greater than number of args");
    if (keys < 0)
        return fake_error("ERR Number of keys can't be negative");
    char sha[41] = "";
    struct fake_reply *error = find_script(call, by_sha, sha);
    if (error)
        return error;
    unsigned flags = compiled_flags(sha);
    push_compiled(sha);
    lua_rawgeti(lua, -1, 1);
    lua_remove(lua, -2);
    return run_script(call, sha, (size_t)keys, flags, read_only);
}
