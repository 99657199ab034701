# The simulator of presence, and the check of its fake Redis against a real one. Included from tests/CMakeLists.txt.
pkg_check_modules(LUA REQUIRED IMPORTED_TARGET lua5.1)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)

file(GLOB fake_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/fake_*.c)
add_library(fake_redis STATIC ${fake_sources})
target_link_libraries(fake_redis PUBLIC PkgConfig::LUA PkgConfig::CRYPTO m)

file(GLOB check_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/check_*.c)
add_executable(check_fake ${check_sources})
target_link_libraries(check_fake PRIVATE fake_redis PkgConfig::HIREDIS)
add_test(NAME sim_fake_redis COMMAND check_fake --seeds 1-300)
set_tests_properties(sim_fake_redis PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)

file(GLOB engine_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/presence/engine/*.c)
if(NOT engine_sources)
    return()
endif()

file(GLOB sim_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/sim_*.c)
add_executable(sim sim/simulator.c ${sim_sources})
target_link_libraries(sim PRIVATE fake_redis presence_engine presence_scripts)

# A few thousand histories; under the sanitizers, ten times slower, a tenth of them.
set(sim_seeds 3000)
if(CMAKE_C_FLAGS MATCHES "sanitize")
    set(sim_seeds 300)
endif()
add_test(NAME sim_histories COMMAND sim --seeds 1-${sim_seeds} --jobs 2)
set_tests_properties(sim_histories PROPERTIES TIMEOUT 900 PROCESSORS 2)

# The same with switches in the engine, by which parts of it can be taken out (mutants.cmake).
set(mutants "")
foreach(source IN LISTS engine_sources)
    get_filename_component(name ${source} NAME)
    set(mutant ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name})
    add_custom_command(OUTPUT ${mutant}
        COMMAND ${CMAKE_COMMAND} -DIN=${source} -DOUT=${mutant} -P ${CMAKE_CURRENT_LIST_DIR}/mutants.cmake
        DEPENDS ${source} ${CMAKE_CURRENT_LIST_DIR}/mutants.cmake VERBATIM)
    list(APPEND mutants ${mutant})
endforeach()
add_executable(sim_mutant sim/simulator.c ${sim_sources} ${mutants})
target_link_libraries(sim_mutant PRIVATE fake_redis presence presence_scripts)

# Each part that is taken out must be missed within so many histories, of the faults that it is there for.
function(missed part)
    add_test(NAME sim_${part} COMMAND sim_mutant --seeds 1-400 --mutate ${part} --expect-failure ${ARGN})
    set_tests_properties(sim_${part} PROPERTIES TIMEOUT 600)
endfunction()

missed(no-sequence)
missed(no-lease-clock)
missed(no-stamp)
missed(no-previous --faults drop)
missed(no-timeline)
missed(no-pairing --faults failover)
missed(no-fence --faults pause,cut)
missed(no-usage-lease --faults crash)
missed(no-wait --faults flush,restart-empty)
missed(no-restate --faults failover,flush)
missed(no-beat --faults silent-bus)
missed(no-scrub --faults junk,drop)
missed(no-majority --faults split)
missed(no-info --faults rollback)
missed(no-unanimity --faults layout)
missed(no-left --faults layout)
missed(no-own-base --faults layout)
missed(no-entry --faults layout,pause,cut,restart-old,failover)
