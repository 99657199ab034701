# Joins each script with the parts it shares and writes all of them as C: cmake -DOUT=… -P embed.cmake
# The parts: prelude (all), caller (all but hello and layout), roster (those that change facts).
cmake_policy(VERSION 3.25)
set(here ${CMAKE_CURRENT_LIST_DIR})

# name, the flags of its first line, the files it consists of; in the order of enum script
set(scripts
    "hello|allow-oom|prelude,stamp,left,hello"
    "write|-|prelude,caller,roster,write"
    "leave|allow-oom|prelude,caller,roster,write"
    "assert|allow-oom|prelude,caller,roster,assert"
    "heartbeat|allow-oom|prelude,caller,usage,left,heartbeat"
    "reap|allow-oom|prelude,caller,roster,reap"
    "retire|allow-oom|prelude,caller,retire"
    "read|allow-oom|prelude,caller,read"
    "scrub|allow-oom|prelude,caller,roster,scrub"
    "publish|-|prelude,caller,publish"
    "channels|allow-oom|prelude,caller,channels"
    "outbox|allow-oom|prelude,drains,caller,roster,outbox"
    "note|-|prelude,caller,note"
    "look|allow-oom|prelude,caller,look"
    "layout|allow-oom|prelude,stamp,left,layout")

set(arrays "")
set(table "")
foreach(script IN LISTS scripts)
    string(REPLACE "|" ";" fields "${script}")
    list(GET fields 0 name)
    list(GET fields 1 flags)
    list(GET fields 2 files)
    string(HEX "#!lua\n" first)
    if(NOT flags STREQUAL "-")
        string(HEX "#!lua flags=${flags}\n" first)
    endif()
    set(hex "${first}")
    string(REPLACE "," ";" files "${files}")
    foreach(file IN LISTS files)
        file(READ ${here}/${file}.lua part HEX)
        string(APPEND hex "${part}")
    endforeach()
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const char ${name}_text[] = {${bytes}0};\n")
    string(APPEND table "    {\"${name}\", ${name}_text, sizeof ${name}_text - 1},\n")
endforeach()
file(WRITE ${OUT} "#include \"presence/redis/keys_and_scripts.h\"\n\n${arrays}\n"
    "const struct script_text script_texts[SCRIPT_COUNT] = {\n${table}};\n")
