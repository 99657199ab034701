/* The Lua of the fake Redis: what scripts find there, and how values pass between them and commands. Conversions,
 * globals and refusals follow Redis 7.0; check_fake.c compares.
 */
#include "tests/sim/fake_lua.h"

#include <lualib.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lua_State *lua;             /* made with the first script, lives as long as the process */
static struct fake_redis *current; /* whose script is running, or NULL */
static unsigned current_flags;     /* enum script_flags of that script */
static bool current_wrote;

/* Turns any error into a table {err, source, line}, as Redis' error handler does. */
static const char error_handler[] =
    "local info = debug.getinfo\n"
    "return function(err)\n"
    "  local at = info(2, 'nSl')\n"
    "  if at and at.what == 'C' then at = info(3, 'nSl') end\n"
    "  if type(err) ~= 'table' then err = {err = 'ERR ' .. tostring(err)} end\n"
    "  if at then err.source = at.source; err.line = at.currentline end\n"
    "  return err\n"
    "end\n";

void sha1_hex(struct slice text, char hex[SHA1_HEX_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int bytes = 0;
    if (!EVP_Digest(text.data, text.size, digest, &bytes, EVP_sha1(), NULL))
        abort();
    for (unsigned int i = 0; i < bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* RESP → Lua. */

static void push_error(const char *text)
{
    lua_newtable(lua);
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, "err");
}

static void push_reply(const struct fake_reply *reply)
{
    switch (reply->type) {
    case FAKE_NIL:
        lua_pushboolean(lua, 0);
        return;
    case FAKE_INTEGER:
        lua_pushnumber(lua, (lua_Number)reply->integer);
        return;
    case FAKE_BULK:
        lua_pushlstring(lua, reply->text, reply->bytes);
        return;
    case FAKE_STATUS:
        lua_newtable(lua);
        lua_pushlstring(lua, reply->text, reply->bytes);
        lua_setfield(lua, -2, "ok");
        return;
    case FAKE_ERROR:
        push_error(reply->text);
        return;
    case FAKE_ARRAY:
        lua_checkstack(lua, 8);
        lua_createtable(lua, (int)reply->count, 0);
        for (size_t i = 0; i < reply->count; i++) {
            push_reply(reply->items[i]);
            lua_rawseti(lua, -2, (int)i + 1);
        }
        return;
    }
}

/* Lua → RESP: the value on top of the stack, which stays there. */

/* table[name] is a string → a reply made of it, else NULL. */
static struct fake_reply *convert_field(const char *name, bool is_error)
{
    struct fake_reply *reply = NULL;
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    if (lua_type(lua, -1) == LUA_TSTRING) {
        char *text = fake_copy(lua_tostring(lua, -1), strlen(lua_tostring(lua, -1)));
        for (char *c = text; *c; c++)
            *c = *c == '\r' || *c == '\n' ? ' ' : *c;
        reply = is_error ? fake_error("%s", text) : fake_status(text);
        free(text);
    }
    lua_pop(lua, 1);
    return reply;
}

static struct fake_reply *convert_table(void)
{
    struct fake_reply *reply = convert_field("err", true);
    if (!reply)
        reply = convert_field("ok", false);
    if (reply)
        return reply;
    lua_pushstring(lua, "double");
    lua_rawget(lua, -2);
    if (lua_type(lua, -1) == LUA_TNUMBER)
        reply = fake_double(lua_tonumber(lua, -1));
    lua_pop(lua, 1);
    if (reply)
        return reply;
    reply = fake_array();
    for (int i = 1;; i++) {
        lua_rawgeti(lua, -1, i);
        if (lua_isnil(lua, -1))
            break;
        fake_push(reply, lua_convert());
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    return reply;
}

struct fake_reply *lua_convert(void)
{
    if (!lua_checkstack(lua, 4))
        return fake_error("ERR reached lua stack limit");
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING: {
        size_t size;
        const char *text = lua_tolstring(lua, -1, &size);
        return fake_bulk(text, size);
    }
    case LUA_TNUMBER:
        return fake_integer((int64_t)lua_tonumber(lua, -1));
    case LUA_TBOOLEAN:
        return lua_toboolean(lua, -1) ? fake_integer(1) : fake_nil();
    case LUA_TTABLE:
        return convert_table();
    default:
        return fake_nil();
    }
}

/* redis.call and redis.pcall. */

/* The argument at that index as bytes; numbers go through `number`. */
static bool argument(int index, char number[64], struct slice *slice)
{
    if (lua_type(lua, index) == LUA_TNUMBER) {
        int size = snprintf(number, 64, "%.17g", lua_tonumber(lua, index));
        *slice = (struct slice){number, (size_t)size};
        return true;
    }
    if (lua_type(lua, index) != LUA_TSTRING)
        return false;
    slice->data = lua_tolstring(lua, index, &slice->size);
    return true;
}

static struct fake_reply *refuse_in_script(const struct command *command)
{
    if (command->flags & COMMAND_NO_SCRIPT)
        return fake_error("ERR This Redis command is not allowed from script");
    if ((command->flags & (COMMAND_WRITES | COMMAND_REPLICATES)) && (current_flags & SCRIPT_NO_WRITES))
        return fake_error("ERR Write commands are not allowed from read-only scripts.");
    if ((command->flags & COMMAND_WRITES) && current->replica)
        return fake_error("READONLY You can't write against a read only replica.");
    if ((command->flags & COMMAND_WRITES) && redis_is_lonely(current) && !current_wrote)
        return fake_error("NOREPLICAS Not enough good replicas to write.");
    if ((command->flags & COMMAND_GROWS) && redis_is_starved(current) && !current_wrote &&
        !(current_flags & SCRIPT_ALLOW_OOM))
        return fake_error("OOM command not allowed when used memory > 'maxmemory'.");
    return NULL;
}

static struct fake_reply *run_command(size_t argc, const struct slice *argv)
{
    const struct command *command = command_find(argv[0]);
    if (!command)
        return fake_error("ERR Unknown Redis command called from script");
    if (!command_arity_fits(command, argc))
        return fake_error("ERR Wrong number of args calling Redis command from script");
    struct fake_reply *refused = refuse_in_script(command);
    if (refused)
        return refused;
    if (command->flags & COMMAND_WRITES)
        current_wrote = true;
    struct call call = {.redis = current, .connection = NULL, .argc = argc, .argv = argv};
    return command->run(&call);
}

static struct fake_reply *call_from_lua(void)
{
    int argc = lua_gettop(lua);
    if (argc == 0)
        return fake_error("ERR Please specify at least one argument for this redis lib call");
    struct slice *argv = fake_alloc((size_t)argc * sizeof(*argv));
    char(*numbers)[64] = fake_alloc((size_t)argc * sizeof(*numbers));
    struct fake_reply *reply = NULL;
    for (int i = 0; i < argc && !reply; i++) {
        if (!argument(i + 1, numbers[i], &argv[i]))
            reply = fake_error("ERR Lua redis lib command arguments must be strings or integers");
    }
    if (!reply)
        reply = run_command((size_t)argc, argv);
    free(argv);
    free(numbers);
    return reply;
}

static int redis_pcall(lua_State *state)
{
    (void)state;
    struct fake_reply *reply = call_from_lua();
    push_reply(reply);
    fake_reply_free(reply);
    return 1;
}

static int redis_call(lua_State *state)
{
    struct fake_reply *reply = call_from_lua();
    bool failed = reply->type == FAKE_ERROR;
    push_reply(reply);
    fake_reply_free(reply);
    return failed ? lua_error(state) : 1;
}

/* The rest of the redis table. */

static bool one_string(void)
{
    return lua_gettop(lua) == 1 && lua_type(lua, -1) == LUA_TSTRING;
}

/* "-CODE words" keeps its code; anything else, also "-CODE" alone, becomes an ERR. */
static int redis_error_reply(lua_State *state)
{
    (void)state;
    if (!one_string()) {
        push_error("ERR wrong number or type of arguments");
        return 1;
    }
    const char *text = lua_tostring(lua, -1);
    text += *text == '-';
    bool has_code = strchr(text, ' ') != NULL;
    lua_newtable(lua);
    lua_pushfstring(lua, has_code ? "%s" : "ERR %s", text);
    lua_setfield(lua, -2, "err");
    return 1;
}

static int redis_status_reply(lua_State *state)
{
    (void)state;
    if (!one_string()) {
        push_error("ERR wrong number or type of arguments");
        return 1;
    }
    const char *text = lua_tostring(lua, -1);
    lua_newtable(lua);
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, "ok");
    return 1;
}

static int redis_sha1hex(lua_State *state)
{
    if (lua_gettop(state) != 1) {
        push_error("ERR wrong number of arguments");
        return lua_error(state);
    }
    struct slice text;
    text.data = lua_tolstring(state, 1, &text.size);
    char hex[41] = "";
    sha1_hex(text, hex);
    lua_pushstring(state, hex);
    return 1;
}

static int redis_log(lua_State *state)
{
    (void)state;
    return 0;
}

static int redis_true(lua_State *state)
{
    lua_pushboolean(state, 1);
    return 1;
}

static int redis_setresp(lua_State *state)
{
    if (lua_tonumber(state, 1) != 2.0)
        return luaL_error(state, "the fake speaks RESP2 only");
    return 0;
}

/* Redis' own pcall: an error table with a text in `err` is handed on as that text. */
static int global_pcall(lua_State *state)
{
    int argc = lua_gettop(state);
    lua_pushboolean(state, 1);
    lua_insert(state, 1);
    if (!lua_pcall(state, argc - 1, LUA_MULTRET, 0))
        return lua_gettop(state);
    lua_remove(state, 1);
    if (lua_istable(state, -1)) {
        lua_getfield(state, -1, "err");
        if (lua_isstring(state, -1))
            lua_replace(state, -2);
        else
            lua_pop(state, 1);
    }
    lua_pushboolean(state, 0);
    lua_insert(state, 1);
    return lua_gettop(state);
}

static int unknown_global(lua_State *state)
{
    return luaL_error(
        state, "Script attempted to access nonexistent global variable '%s'", lua_tostring(state, -1));
}

static int locked_global(lua_State *state)
{
    return luaL_error(state, "Attempt to modify a readonly table");
}

static void lock_globals(void)
{
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_createtable(lua, 0, 2);
    lua_pushcfunction(lua, unknown_global);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, locked_global);
    lua_setfield(lua, -2, "__newindex");
    lua_setmetatable(lua, -2);
    lua_pop(lua, 1);
}

/* math.random is seeded alike before each script. */
static uint64_t lua_random_state;

static int math_random(lua_State *state)
{
    lua_random_state = lua_random_state * 6364136223846793005u + 1442695040888963407u;
    double fraction = (double)(lua_random_state >> 11) / 9007199254740992.0;
    if (lua_gettop(state) == 0) {
        lua_pushnumber(state, fraction);
        return 1;
    }
    lua_Number low = lua_gettop(state) > 1 ? luaL_checknumber(state, 1) : 1;
    lua_Number high = luaL_checknumber(state, lua_gettop(state) > 1 ? 2 : 1);
    lua_pushnumber(state, floor(fraction * (high - low + 1)) + low);
    return 1;
}

static int math_randomseed(lua_State *state)
{
    lua_random_state = (uint64_t)luaL_checknumber(state, 1);
    return 0;
}

static const luaL_Reg redis_functions[] = {
    {"call", redis_call},
    {"pcall", redis_pcall},
    {"error_reply", redis_error_reply},
    {"status_reply", redis_status_reply},
    {"sha1hex", redis_sha1hex},
    {"log", redis_log},
    {"replicate_commands", redis_true},
    {"set_repl", redis_log},
    {"setresp", redis_setresp},
    {NULL, NULL},
};

static void open_library(lua_CFunction open, const char *name)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

static void run_text(const char *text, int results)
{
    if (luaL_loadstring(lua, text) || lua_pcall(lua, 0, results, 0)) {
        fprintf(stderr, "fake_lua: %s\n", lua_tostring(lua, -1));
        abort();
    }
}

static void forget_global(const char *name)
{
    lua_pushnil(lua);
    lua_setglobal(lua, name);
}

static void start_lua(void)
{
    lua = luaL_newstate();
    if (!lua)
        abort();
    open_library(luaopen_base, "");
    open_library(luaopen_table, LUA_TABLIBNAME);
    open_library(luaopen_string, LUA_STRLIBNAME);
    open_library(luaopen_math, LUA_MATHLIBNAME);
    open_library(luaopen_debug, LUA_DBLIBNAME);
    run_text(error_handler, 1);
    lua_setfield(lua, LUA_REGISTRYINDEX, "error handler");
    lua_newtable(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, "scripts");
    luaL_register(lua, "redis", redis_functions);
    static const char *const levels[] = {"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"};
    for (int i = 0; i < 4; i++) {
        lua_pushnumber(lua, i);
        lua_setfield(lua, -2, levels[i]);
    }
    lua_pop(lua, 1);
    lua_getglobal(lua, "math");
    lua_pushcfunction(lua, math_random);
    lua_setfield(lua, -2, "random");
    lua_pushcfunction(lua, math_randomseed);
    lua_setfield(lua, -2, "randomseed");
    lua_pop(lua, 1);
    static const char *const denied[] = {"dofile", "loadfile", "newproxy", "print", "debug"};
    for (size_t i = 0; i < sizeof(denied) / sizeof(*denied); i++)
        forget_global(denied[i]);
    lua_pushcfunction(lua, global_pcall);
    lua_setglobal(lua, "pcall");
    lock_globals();
}

lua_State *lua_get(void)
{
    if (!lua)
        start_lua();
    return lua;
}

void lua_enter(struct fake_redis *redis, unsigned flags)
{
    current = redis;
    current_flags = flags;
    current_wrote = false;
    lua_random_state = 0;
}
