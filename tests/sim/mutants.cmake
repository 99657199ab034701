# Copies a source of the engine with switches in it, for sim_mutant: cmake -DIN=… -DOUT=… -P mutants.cmake
# A switch takes one part out of the engine when sim_taken_out("its name") says so. The engine itself has none, so
# `sim` runs the code as it is. A mark that is not found is an error.
# No semicolons: they would part the list.
cmake_policy(VERSION 3.25)

# name @ file @ what stands there @ what stands there in the mutant; §: the switch
set(mutations
    "no-previous @ view.c @ if (event->previous != channel->version) @ if (!§ && event->previous != channel->version)"
    "no-birth @ view.c @ snapshot->birth > channel->version @ (!§ && snapshot->birth > channel->version)"
    "no-wait @ partition.c @ partition->waits = true @ partition->waits = !§"
    "no-wait-reads @ view.c @ bool may_remove = !partition->waits && !read->flag @ bool may_remove = § || (!partition->waits && !read->flag)"
    "no-wait-deltas @ view.c @ mine, !partition->waits) @ mine, § || !partition->waits)"
    "no-scrub @ partition.c @ scrub_some(partition) @ (§ ? (void)0 : scrub_some(partition))"
    "no-majority @ partition.c @ shard_confirmed(partition->shard) @ (§ || shard_confirmed(partition->shard))"
    "no-restate @ writer.c @     recents_add(partition, &batch->args) @     if (!§) recents_add(partition, &batch->args)"
    "no-beat @ bus.c @ !shard->beat_due_ms @ § || !shard->beat_due_ms"
    "no-info @ shard.c @ shard_info(shard) @ (§ ? (void)0 : shard_info(shard))"
    "no-own-base @ layout.c @ if (layout > 1) @ if (!§ && layout > 1)"
    "no-gossip @ layout.c @ layout_adopt_entry(partition, entry->text, entry->bytes) @ (§ ? (void)0 : layout_adopt_entry(partition, entry->text, entry->bytes))"
    "no-stand @ layout.c @ is_abandoned && to_us_too @ (§ || is_abandoned) && to_us_too")

get_filename_component(name ${IN} NAME)
file(READ ${IN} text)
foreach(mutation IN LISTS mutations)
    string(REPLACE " @ " "\n" fields "${mutation}")
    string(REGEX MATCH "^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$" ignored "${fields}")
    set(switch "sim_taken_out(\"${CMAKE_MATCH_1}\")")
    set(file "${CMAKE_MATCH_2}")
    set(mark "${CMAKE_MATCH_3}")
    string(REPLACE "§" "${switch}" by "${CMAKE_MATCH_4}")
    if(file STREQUAL name)
        string(FIND "${text}" "${mark}" at)
        if(at EQUAL -1)
            message(FATAL_ERROR "${name} has no mark of ${CMAKE_MATCH_1}: ${mark}")
        endif()
        string(REPLACE "${mark}" "${by}" text "${text}")
    endif()
endforeach()
file(WRITE ${OUT} "#include \"tests/sim/mutant.h\"\n${text}")
