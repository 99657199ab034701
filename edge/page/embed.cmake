# Files that are part of the program: embed_file(target file symbol) makes a C file of the bytes and adds it to the
# target, which sees them as
#
#     extern const unsigned char symbol[];
#     extern const size_t symbol_bytes;
#
# and is built again when the file changes. The same file, run with `cmake -P`, is the generator.
if(CMAKE_SCRIPT_MODE_FILE)
    file(READ "${FROM}" hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR bytes "${digits} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," list "${hex}")
    # lines of 20 bytes (100 characters)
    string(REPEAT "." 100 line)
    string(REGEX REPLACE "(${line})" "\\1\n" list "${list}")
    file(WRITE "${TO}" "#include <stddef.h>\n\n"
        "extern const unsigned char ${SYMBOL}[];\n"
        "extern const size_t ${SYMBOL}_bytes;\n\n"
        "/* a NUL behind the last byte, so that an empty file is an array too */\n"
        "const unsigned char ${SYMBOL}[] = {\n${list}0};\n"
        "const size_t ${SYMBOL}_bytes = ${bytes};\n")
    return()
endif()

set(EMBED_GENERATOR ${CMAKE_CURRENT_LIST_FILE})

function(embed_file target file symbol)
    set(from ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    set(to ${CMAKE_CURRENT_BINARY_DIR}/embedded/${symbol}.c)
    add_custom_command(OUTPUT ${to}
        COMMAND ${CMAKE_COMMAND} -DFROM=${from} -DTO=${to} -DSYMBOL=${symbol} -P ${EMBED_GENERATOR}
        DEPENDS ${from} ${EMBED_GENERATOR}
        COMMENT "Embedding ${file}"
        VERBATIM)
    target_sources(${target} PRIVATE ${to})
endfunction()
