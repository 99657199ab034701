/* Included in the copies of the engine's sources that mutants.cmake makes. */
#pragma once

#include <stdbool.h>

/* Whether the part of that name is taken out in this run. Implemented in sim_scripts.c. */
bool sim_taken_out(const char *name);
