/* Between fake_lua.c and fake_script.c: the one Lua 5.1 of the process. */
#pragma once

#include "tests/sim/fake_commands.h"

#include <lauxlib.h>
#include <lua.h>

enum { SHA1_HEX_BYTES = 41 };

/* Made when first asked for; lives as long as the process. Its registry has a function "error handler". */
lua_State *lua_get(void);
/* The value on top of the stack, which stays there, as a reply. */
struct fake_reply *lua_convert(void);
/* From now on redis.call() goes to this instance, under these script flags; NULL: to nobody. */
void lua_enter(struct fake_redis *redis, unsigned flags);
void sha1_hex(struct slice text, char hex[SHA1_HEX_BYTES]);
